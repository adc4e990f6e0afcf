/** What a run could leave on this machine; what is found is ended. */
import { execFileSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { release } from '../kubernetes/fleet/leftovers.ts';
import { controlGroupPrefix } from './cluster/control-groups.ts';

/** Also of a run that failed: in words, one for each thing. */
export async function leftovers(directory: string): Promise<readonly string[]> {
  return [...(await release(directory)), ...links(), ...loops(), ...controlGroups()];
}

/** Network devices go with the networks of the machines. */
function links(): readonly string[] {
  const names = readdirSync('/sys/class/net').filter((name) => name.startsWith('tse'));
  return names.map((name) => `network device ${name}`);
}

function loops(): readonly string[] {
  const words = ['--list', '--noheadings', '--output', 'NAME,BACK-FILE'];
  const lines = execFileSync('losetup', words, { encoding: 'utf8' }).split('\n');
  const ours = lines.filter((line) => / \/var\/lib\/transship\//.test(line));
  return ours.filter((line) => !isOfThisHost(line)).map((line) => `loop device ${line.trim()}`);
}

/** Transship may be at home here, too. */
function isOfThisHost(line: string): boolean {
  return existsSync(line.trim().split(/\s+/)[1] ?? '');
}

function controlGroups(): readonly string[] {
  const mine = `${controlGroupPrefix}${process.pid}-`;
  return readdirSync('/sys/fs/cgroup')
    .flatMap((controller) => childrenOf(`/sys/fs/cgroup/${controller}`))
    .filter((path) => path.includes(mine))
    .map((path) => `control group ${path}`);
}

function childrenOf(directory: string): readonly string[] {
  try {
    return readdirSync(directory).map((name) => `${directory}/${name}`);
  } catch {
    // A file, where there is only one hierarchy.
    return [];
  }
}
