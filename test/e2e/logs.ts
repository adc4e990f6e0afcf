/** What is left of a run that failed, for whoever looks for the reason. */
import { cpSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { World } from './world.ts';

const kinds = 'pods,pv,pvc,events,volumes,teleports,clusters,plans,migrations,volumetransfers';

/** The directory; not removed by anybody. */
export async function saveLogs({ east, west }: World): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), 'transship-e2e-logs-'));
  for (const member of [east, west]) {
    const to = join(directory, member.name);
    mkdirSync(to);
    const { machine } = member.cluster;
    for (const log of ['kubelet.log', 'containerd.log']) {
      cpSync(join(machine.directory, log), join(to, log));
    }
    cpSync(join(machine.directory, 'var-log/pods'), join(to, 'pods'), { recursive: true });
    const objects = await member.kubectl('get', kinds, '-A', '-o', 'yaml').catch(String);
    writeFileSync(join(to, 'objects.yaml'), objects);
  }
  return directory;
}
