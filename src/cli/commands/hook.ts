import type { Command } from 'commander';
import type { HookSpec } from '../../api/kinds/hook.ts';
import { resources } from '../../api/kinds/resources.ts';
import { fail } from '../../base/errors.ts';
import { checkName } from '../../base/names.ts';
import { parseDuration } from '../../base/units.ts';
import { asking, printChanged, printListed } from '../api/printing.ts';
import { add, given, option, type Registry, shared } from '../command.ts';
import type { Cli } from '../context.ts';

const { hooks } = resources;

/** What the kind accepts. */
const playbookBytesMax = 131_072;

interface HookOptions {
  readonly image?: string;
  readonly playbook?: string;
  readonly target: HookSpec['target'];
  readonly in: string;
  readonly serviceAccount?: string;
  readonly deadline?: number;
}

/** create, list. */
export function hookCommands(registry: Registry, hook: Command): void {
  add<HookOptions>(registry, hook, {
    name: 'create',
    about: 'something of your own that plans run between their steps',
    args: [
      ['<hook>', 'its name'],
      ['[command...]', 'command and arguments, after --'],
    ],
    options: [
      option('--target <side>', 'the cluster it runs in', {
        choices: ['Source', 'Destination'],
        mandatory: true,
      }),
      option('--in <namespace>', 'the namespace it runs in', {
        mandatory: true,
        parse: (text) => checkName(text, 'namespace'),
      }),
      option('--image <image>', 'image of the container (default: a small one with a shell)'),
      option('--playbook <path>', 'an Ansible playbook to run; - for stdin', { completes: 'file' }),
      option('--service-account <name>', 'runs as this account', {
        parse: (text) => checkName(text, 'service account'),
      }),
      option('--deadline <duration>', 'how long it may take (default: 30m)', {
        parse: parseDuration,
      }),
    ],
    details: 'A plan names it with the phase: plan create ... --hook NAME@PreBackup.',
    examples: [
      [
        'transship hook create quiet --target Source --in shop -- sh -c "app-ctl pause"',
        'a command in the namespace shop of the source',
      ],
      [
        'transship hook create dns --target Destination --in shop --playbook dns.yaml',
        'an Ansible playbook at the destination',
      ],
    ],
    run: runCreate,
  });
  add<{ readonly allNamespaces?: boolean; readonly watch?: boolean }>(registry, hook, {
    name: 'list',
    about: 'hooks that plans of this cluster may use',
    options: [option('-A, --all-namespaces', 'of all namespaces'), shared.watch()],
    run: async (cli, _args, { allNamespaces, watch }) => {
      const { client } = await cli.api();
      const what = allNamespaces === true ? {} : { namespace: cli.namespace };
      await printListed(cli, client, asking(hooks, what), { whenEmpty: 'No hooks.', watch });
    },
  });
}

async function runCreate(
  cli: Cli,
  [name, ...command]: readonly string[],
  options: HookOptions,
): Promise<void> {
  const { image, playbook, target, serviceAccount, deadline } = options;
  checkName(name!, 'hook');
  if (image === undefined && playbook === undefined && command.length === 0) {
    fail('BadArgument', 'say what runs: --image, --playbook, or a command after --');
  }
  if (playbook !== undefined && command.length > 0) {
    fail('BadArgument', 'a hook runs a playbook or a command, not both');
  }
  if (deadline !== undefined && deadline < 1000) {
    fail('BadArgument', 'a hook needs a --deadline of one second or more');
  }
  const text =
    playbook === undefined ? undefined : await cli.ports.readInput(playbook, playbookBytesMax);
  const spec: HookSpec = {
    target,
    namespace: options.in,
    ...given('image', image),
    ...given('playbook', text),
    ...(command.length === 0 ? {} : { command: [...command] }),
    ...given('serviceAccount', serviceAccount),
    ...given('deadline', deadline === undefined ? undefined : `${Math.ceil(deadline / 1000)}s`),
  };
  const { client } = await cli.api();
  const metadata = { name: name!, namespace: cli.namespace };
  const object = await client.create(hooks, { metadata, spec });
  await printChanged(cli, client, { type: hooks, object }, 'created');
}
