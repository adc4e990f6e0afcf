import { join, resolve } from 'node:path';
import type { Command } from 'commander';
import { formatMoment } from '../../base/units.ts';
import { add, option, type Registry } from '../command.ts';
import { Diagnosis } from '../diagnosis/collect.ts';

export function diagnoseCommand(registry: Registry, cluster: Command): void {
  add<{ readonly outputFile?: string }>(registry, cluster, {
    name: 'diagnose',
    about: 'collect what helps to find a fault, without secrets, in one file',
    args: [['[name]', 'a cluster on this machine (default: this one)', 'cluster']],
    options: [
      option('--output-file <path>', 'a .tar.gz that is not there yet', { completes: 'file' }),
    ],
    details:
      'Objects of all our kinds and those around them, events, conditions, what the agent says,\n' +
      'the ends of logs. Values of Secrets, environments and whatever looks like a key are left\n' +
      'out; look through it before you send it all the same.',
    examples: [
      ['transship cluster diagnose east --output-file east.tar.gz', 'then: tar tzf east.tar.gz'],
      ['transship cluster diagnose --context prod', 'a cluster of a kubeconfig: its API only'],
    ],
    run: async (cli, [named], { outputFile }) => {
      const isHere = named !== undefined || !cli.namesContext;
      const name = isHere ? (named ?? (await cli.clusterName())) : (cli.options.context ?? 'api');
      if (isHere) cli.clientOf(name);
      const diagnosis = new Diagnosis(cli, { name, isHere });
      const files = await diagnosis.collect();
      const time = formatMoment(cli.nowMs()).slice(0, 19).replaceAll(/[-:]/g, '');
      const title = `transship-diagnostics-${name.replaceAll(/[^\w.-]/g, '-')}-${time}`;
      const path = resolve(cli.ports.workingDirectory, outputFile ?? `${title}.tar.gz`);
      const inside = files.map((file) => ({ ...file, path: join(title, file.path) }));
      await cli.ports.writeArchive(path, inside);
      for (const { what, message } of diagnosis.problems)
        cli.note(`not in it: ${what}: ${message}`);
      cli.out(`${path}\n`);
      cli.note(`${files.length} files; look through it before you send it: tar xzf ${path}`);
    },
  });
}
