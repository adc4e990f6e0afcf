import type { Command } from 'commander';
import type { Cluster } from '../../api/kinds/cluster.ts';
import { resources } from '../../api/kinds/resources.ts';
import { asTransshipError, fail } from '../../base/errors.ts';
import { checkName, isName } from '../../base/names.ts';
import { chooseValues, type Values } from '../../controllers/installation/values.ts';
import type { KubeClient } from '../../kube/api.ts';
import { sleep } from '../../base/sleep.ts';
import { add, option, type Registry, shared } from '../command.ts';
import type { Cli } from '../context.ts';
import { applyInstallation, objectsOf, type Step } from '../installing/apply.ts';
import { blockersOf } from '../installing/readiness.ts';

interface InstallFlags {
  readonly name?: string;
  readonly set?: readonly string[];
  readonly migrations?: boolean;
  readonly dryRun?: boolean;
  readonly wait: boolean;
  readonly timeout?: number;
}

const defaultTimeoutMs = 5 * 60_000;
const pollMs = 1_000;

/** install: all of Transship into the cluster of a kubeconfig. */
export function installCommand(registry: Registry, program: Command): void {
  add<InstallFlags>(registry, program, {
    name: 'install',
    about: 'install or upgrade Transship in the cluster of a kubeconfig',
    options: [
      option('--name <cluster>', 'what the cluster is called (default: as before, or its context)'),
      option('--set <name=value>', 'a value of the chart; may be repeated', {
        parse: (text, before) => [...((before ?? []) as readonly string[]), text],
      }),
      option('--migrations', 'let the controllers move namespaces: objects of any kind'),
      option('--dry-run', 'print what would be applied, and change nothing'),
      option('--no-wait', 'return when all is applied'),
      shared.timeout(),
    ],
    details:
      'It applies what deploy/install.yaml and the chart have, and waits until agents answer.\n' +
      'Doing it again changes what differs. Values and ways to join: docs/guides/install.md.',
    examples: [
      ['transship install --context prod --name east', 'as cluster east'],
      ['transship install --context prod --dry-run > all.yaml', 'for whoever has the rights'],
      ['transship install --context prod --set agent.capacity=500Gi', 'pools of a size'],
    ],
    run: install,
  });
}

async function install(cli: Cli, _args: readonly string[], flags: InstallFlags): Promise<void> {
  if (!cli.namesContext) {
    fail('BadArgument', 'say into which cluster: --context NAME (or --kubeconfig FILE)');
  }
  const { client } = await cli.api();
  const name = flags.name ?? (await knownName(client)) ?? nameOfContext(client.cluster);
  const values = chooseValues(cli.ports.version, [
    `clusterName=${checkName(name, 'cluster')}`,
    ...(flags.migrations === true ? ['migrations=true'] : []),
    ...(flags.set ?? []),
  ]);
  if (flags.dryRun === true) return print(cli, values);
  const steps: Step[] = [];
  await applyInstallation(cli, client, values, (step) => {
    steps.push(step);
    if (cli.options.output === undefined) {
      cli.out(`${step.kind.toLowerCase()}/${step.name} ${step.outcome}\n`);
    }
  });
  if (flags.wait) await ready(cli, client, values, flags.timeout ?? defaultTimeoutMs);
  if (cli.options.output === undefined) {
    cli.note(`Transship is installed in ${values.text('clusterName')}.`);
    return;
  }
  await cli.printAny({ kind: 'Installation', metadata: { name }, applied: steps });
}

/** Whoever installs again need not remember the name. */
async function knownName(client: KubeClient): Promise<string | undefined> {
  try {
    for await (const { metadata, spec } of client.list<Cluster>(resources.clusters)) {
      if (spec.local === true) return metadata.name;
    }
  } catch (error) {
    // Where the kinds are not there, nobody gave it a name.
    if (asTransshipError(error).reason !== 'NotFound') throw error;
  }
  return undefined;
}

function nameOfContext(context: string): string {
  if (isName(context)) return context;
  return fail('BadArgument', `give the cluster a name with --name: '${context}' cannot be one`);
}

/** As kubectl takes it. */
async function print(cli: Cli, values: Values): Promise<void> {
  const objects = objectsOf(values);
  if (cli.options.output === 'json') {
    cli.out(`${JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }, null, 2)}\n`);
    return;
  }
  const { stringify } = await import('yaml');
  const text = (object: object) => stringify(object, { aliasDuplicateObjects: false });
  cli.out(objects.map((object) => `---\n${text(object)}`).join(''));
}

/** Says what it waits for, whenever that changes. */
async function ready(
  cli: Cli,
  client: KubeClient,
  values: Values,
  timeoutMs: number,
): Promise<void> {
  const { clock } = cli.ports;
  const deadline = clock.monotonicMs() + timeoutMs;
  const goesOn = 'what was applied goes on starting';
  await cli.watching({ goesOn }, async (signal) => {
    let told = '';
    for (;;) {
      const blockers = await blockersOf(client, values.text('clusterName'));
      if (blockers.length === 0) return;
      const text = blockers.join('\n  ');
      if (text !== told) cli.note(`waiting for\n  ${text}`);
      told = text;
      if (clock.monotonicMs() > deadline) {
        fail('TimedOut', `not ready in time; ${goesOn}. It waits for\n${blockers.join('\n')}`);
      }
      await sleep(clock, pollMs, signal);
      signal.throwIfAborted();
    }
  });
}
