import type { Command } from 'commander';
import { resources } from '../../api/kinds/resources.ts';
import { fail } from '../../base/errors.ts';
import { partOf, systemNamespace } from '../../controllers/installation/names.ts';
import type { KubeClient } from '../../kube/api.ts';
import { secrets } from '../../kube/resources.ts';
import { clustersOf, isLocal } from '../api/departure.ts';
import { checkInstalled, introduce } from '../api/peering.ts';
import { printChanged } from '../api/printing.ts';
import { add, option, type Registry } from '../command.ts';
import type { Cli } from '../context.ts';

interface IntroduceFlags {
  readonly toContext: string;
  readonly token?: string;
  readonly server?: string;
  readonly migrations?: boolean;
}

const { clusters } = resources;

/** cluster introduce: between two clusters of kubeconfigs, where Transship is installed in both. */
export function introduceCommand(registry: Registry, cluster: Command): void {
  add<IntroduceFlags>(registry, cluster, {
    name: 'introduce',
    about: 'make an installed cluster known to another one, both of a kubeconfig',
    options: [
      option('--to-context <name>', 'the one that gets to know it, and can be its hub', {
        mandatory: true,
      }),
      option('--token <token>', 'from `transship cluster token` over there: the agents join'),
      option(
        '--server <url>',
        'its API as the other one reaches it, if not as the kubeconfig says',
      ),
      option('--migrations', 'the other one may move namespaces here: objects of any kind'),
    ],
    details:
      'The other one gets an account here with the rights of a peer, and its kubeconfig. One\n' +
      'token joins both sides; do it for each direction in which volumes are to be moved.',
    examples: [
      [
        'transship cluster introduce --context west --to-context east --token transship1-...',
        'east can teleport from and to west',
      ],
    ],
    run: async (cli, _args, flags) => run(cli, flags),
  });
}

async function run(cli: Cli, flags: IntroduceFlags): Promise<void> {
  const { toContext, token, server, migrations = false } = flags;
  if (cli.options.context === undefined) fail('BadArgument', 'say which cluster: --context NAME');
  const { planes, clock } = cli.ports;
  const own = await cli.api();
  const hub = await planes.open({ context: toContext, kubeconfig: cli.options.kubeconfig });
  await checkInstalled(own, own.client.cluster);
  await checkInstalled(hub, hub.client.cluster);
  const clusterName = await localNameOf(own.client);
  const hubName = await localNameOf(hub.client);
  if (clusterName === hubName) {
    fail(
      'Conflict',
      `both clusters are called ${hubName}: names are given when they are installed`,
    );
  }
  const endpoint = server === undefined ? own.endpoint : { ...own.endpoint, server };
  const cluster = { ...own, endpoint };
  await introduce({ hub, hubName, cluster, clusterName, clock, migrations });
  if (token !== undefined) await giveToken(hub.client, clusterName, token);
  const key = { namespace: '', name: clusterName };
  const object = (await hub.client.get(clusters, key))!;
  await printChanged(cli, hub.client, { type: clusters, object }, `introduced to ${hubName}`);
}

async function localNameOf(client: KubeClient): Promise<string> {
  const name = (await clustersOf(client)).find(isLocal)?.metadata.name;
  if (name !== undefined) return name;
  const what = `cluster ${client.cluster} has no local Cluster object: no controllers run there`;
  return fail('NotFound', `${what}; install it first: transship install --context NAME`);
}

/** The controllers of the hub have their agents use it, once. */
async function giveToken(hub: KubeClient, clusterName: string, token: string): Promise<void> {
  const place = { namespace: systemNamespace, name: `join-${clusterName}` };
  await hub.apply(secrets, {
    metadata: { ...place, labels: partOf },
    type: 'Opaque',
    data: { token: Buffer.from(token.trim()).toString('base64') },
  });
  const joinTokenSecretRef = { ...place, key: 'token' };
  const key = { namespace: '', name: clusterName };
  await hub.patch(clusters, key, { spec: { joinTokenSecretRef } });
}
