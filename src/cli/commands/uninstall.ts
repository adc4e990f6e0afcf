import type { Command } from 'commander';
import { fail } from '../../base/errors.ts';
import { add, option, type Registry, shared } from '../command.ts';
import type { Cli } from '../context.ts';
import { inTheWay, Removal } from '../installing/removal.ts';

interface UninstallFlags {
  readonly deleteVolumes?: boolean;
  readonly crds?: boolean;
  readonly force?: boolean;
  readonly timeout?: number;
}

const defaultTimeoutMs = 10 * 60_000;

/** uninstall: what install and the controllers made, in the order in which it can go. */
export function uninstallCommand(registry: Registry, program: Command): void {
  add<UninstallFlags>(registry, program, {
    name: 'uninstall',
    about: 'remove Transship from the cluster of a kubeconfig; refused while it has volumes',
    options: [
      option('--delete-volumes', 'delete claims and volumes of Transship too, with their data'),
      option('--crds', 'delete the kinds too, and with them all objects of theirs'),
      option('--force', 'where no controllers run: wait for nothing they would undo'),
      shared.timeout(),
    ],
    details:
      'The data of pools stays in the directory of each node (agent.dataDirectory). It can be\n' +
      'cut anywhere and done again.',
    examples: [['transship uninstall --context prod --crds', 'leaves nothing in the API']],
    run: uninstall,
  });
}

async function uninstall(cli: Cli, _args: readonly string[], flags: UninstallFlags): Promise<void> {
  if (!cli.namesContext) {
    fail('BadArgument', 'say from which cluster: --context NAME (or --kubeconfig FILE)');
  }
  const { client } = await cli.api();
  const { deleteVolumes = false, force = false, crds = false } = flags;
  const held = await inTheWay(client);
  if (held.length > 0 && !deleteVolumes) {
    const remedy = 'move or delete them first, or delete them with it: --delete-volumes';
    fail('InUse', `cluster ${client.cluster} uses Transship; ${remedy}\n${held.join('\n')}`);
  }
  const lost = held.map((line) => `Will be lost: ${line}`);
  const what = [`Transship is removed from cluster ${client.cluster}.`, ...lost];
  await cli.confirm(what, held.length > 0 ? client.cluster : undefined);
  const options = { deleteVolumes, force, crds, timeoutMs: flags.timeout ?? defaultTimeoutMs };
  const gone: { kind: string; name: string }[] = [];
  const removal = new Removal(cli, client, options, (kind, name) => {
    gone.push({ kind, name });
    if (cli.options.output === undefined) cli.out(`${kind.toLowerCase()}/${name} deleted\n`);
  });
  await cli.watching({ goesOn: 'what is left goes with the same command' }, () => removal.run());
  if (cli.options.output !== undefined) {
    await cli.printAny({ kind: 'Removal', metadata: { name: client.cluster }, deleted: gone });
    return;
  }
  const kinds = crds ? '' : ' The kinds are still there: --crds deletes them.';
  cli.note(`Transship is removed.${kinds}`);
}
