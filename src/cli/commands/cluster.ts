import type { Command } from 'commander';
import type { Cluster } from '../../api/kinds/cluster.ts';
import { resources } from '../../api/kinds/resources.ts';
import type { ReportObject } from '../../api/objects.ts';
import { asTransshipError, fail } from '../../base/errors.ts';
import { checkName, printable } from '../../base/names.ts';
import { formatAge, formatMoment, formatSize, parseDuration } from '../../base/units.ts';
import { annotations } from '../../controllers/labels.ts';
import type { KubeClient } from '../../kube/api.ts';
import { clustersOf, isLocal } from '../api/departure.ts';
import { endTrustIn, joinClusters } from '../api/joining.ts';
import { announce, checkInstalled, forget, introduce } from '../api/peering.ts';
import {
  asking,
  type Field,
  printChanged,
  printGone,
  printListed,
  printObject,
} from '../api/printing.ts';
import { apiBeside } from '../api/beside.ts';
import { hasEnded } from '../api/teleports.ts';
import { add, given, option, type Registry, shared } from '../command.ts';
import type { Cli } from '../context.ts';
import type { OpenApi } from '../ports.ts';
import { diagnoseCommand } from './cluster-diagnose.ts';
import { introduceCommand } from './cluster-introduce.ts';
import { printReport } from './volume-data.ts';

const { clusters, teleports } = resources;

/** add, token, list, show, check, diagnose, remove. */
export function clusterCommands(registry: Registry, cluster: Command): void {
  join(registry, cluster);
  look(registry, cluster);
  check(registry, cluster);
  diagnoseCommand(registry, cluster);
  introduceCommand(registry, cluster);
  remove(registry, cluster);
}

interface AddOptions {
  readonly token?: string;
  readonly migrations?: boolean;
}

function join(registry: Registry, cluster: Command): void {
  add<AddOptions>(registry, cluster, {
    name: 'add',
    about: 'make another cluster known to this one, so that volumes can teleport between them',
    args: [['[name]', 'one on this machine, or the name for one elsewhere', 'cluster']],
    options: [
      option('--token <token>', 'from `transship cluster token` over there'),
      option('--migrations', 'let this cluster move whole namespaces there: objects of any kind'),
    ],
    details:
      'With --context or --kubeconfig, the cluster is any Kubernetes cluster with Transship:\n' +
      'its API gets an account for this cluster, whose credentials are kept in a Secret here.\n' +
      'The account may do there what teleports take (docs/reference/rights.md). Plans that move\n' +
      'namespaces need more: --migrations grants it for all of them, or bind the cluster role\n' +
      'transship-migrate in single ones; the checks of a plan say what is missing.\n' +
      'With --token, the agents of both join; between clusters of one machine that is done too.',
    examples: [
      ['transship cluster add east --cluster west', 'two clusters of this machine'],
      [
        'transship cluster add --token transship1-...',
        'a cluster elsewhere; the token tells where',
      ],
      [
        'transship cluster add prod --context prod --cluster west --token transship1-...',
        'the cluster of a kubeconfig, and its agents',
      ],
    ],
    run: async (cli, [name], { token, migrations = false }) => {
      const isElsewhere = cli.namesContext;
      if (name === undefined && (isElsewhere || token === undefined)) {
        fail('BadArgument', 'give the name of a cluster on this machine, or --token');
      }
      if (name !== undefined && token !== undefined && !isElsewhere) {
        fail('BadArgument', '--token tells which cluster it is: leave out its name');
      }
      if (migrations && name === undefined) {
        fail('BadArgument', '--migrations is about its API: give its name and --context');
      }
      const hubName = await cli.clusterName();
      if (name === hubName) fail('BadArgument', `${name} cannot join itself`);
      if (isElsewhere) return addElsewhere(cli, hubName, { name: name!, token, migrations });
      if (token === undefined) return addLocal(cli, hubName, name!);
      return addByToken(cli, hubName, token);
    },
  });
  add<{ readonly life?: number }>(registry, cluster, {
    name: 'token',
    about: 'make a token with which one other cluster may join',
    options: [
      option('--life <duration>', 'until when it works (default 1h)', { parse: parseDuration }),
    ],
    details: 'The token is a secret until it is used; it works once.',
    run: async (cli, _args, options) => {
      const client = await cli.client();
      const made = await client.call('cluster.token', given('lifeMs', options.life));
      if (cli.options.output !== undefined) return cli.print(made);
      cli.out(`${made.token}\n`);
      const left = formatAge(Date.parse(made.expirationTime) - cli.nowMs());
      cli.note(`For one cluster, within ${left}: transship cluster add --token TOKEN`);
      return undefined;
    },
  });
}

/** Both are of this machine, so each gets to know the other. */
async function addLocal(cli: Cli, hubName: string, name: string): Promise<void> {
  const hub = await cli.apiOf(hubName);
  const cluster = await cli.apiOf(name);
  await joinClusters(cli.ports.agents, name, hubName);
  const { clock } = cli.ports;
  const both = { clock, migrations: true };
  await introduce({ hub, hubName, cluster, clusterName: name, ...both });
  await introduce({ hub: cluster, hubName: name, cluster: hub, clusterName: hubName, ...both });
  await printTrusted(cli, hub, name);
}

/** Its API is that of a kubeconfig; it does not get to know this cluster by itself. */
async function addElsewhere(
  cli: Cli,
  hubName: string,
  other: {
    readonly name: string;
    readonly token: string | undefined;
    readonly migrations: boolean;
  },
): Promise<void> {
  const clusterName = checkName(other.name, 'cluster');
  const hub = await cli.apiOf(hubName);
  const cluster = await cli.api();
  await checkInstalled(cluster, clusterName);
  if (other.token !== undefined) {
    const joined = await cli.clientOf(hubName).call('cluster.join', { token: other.token });
    const { name } = joined.metadata;
    if (name !== clusterName) {
      fail('Conflict', `the token is of cluster ${printable(name)}, not of ${clusterName}`);
    }
  }
  const { clock } = cli.ports;
  const { migrations } = other;
  await introduce({ hub, hubName, cluster, clusterName, clock, migrations });
  await printTrusted(cli, hub, clusterName);
}

/** Agents only: volumes can be compared and traced; teleports need its API as well. */
async function addByToken(cli: Cli, hubName: string, token: string): Promise<void> {
  const api = await apiBeside(cli);
  const joined = await cli.clientOf(hubName).call('cluster.join', { token });
  const { name } = joined.metadata;
  if (api === undefined) return cli.out(`cluster/${name} trusted by ${hubName}\n`);
  const object = await announce(api, name);
  return printChanged(cli, api, { type: clusters, object }, `trusted by ${hubName}`);
}

async function printTrusted(cli: Cli, { client }: OpenApi, name: string): Promise<void> {
  const object = (await client.get(clusters, { namespace: '', name }))!;
  await printChanged(cli, client, { type: clusters, object }, `trusted by ${client.cluster}`);
}

function look(registry: Registry, cluster: Command): void {
  add<{ readonly watch?: boolean }>(registry, cluster, {
    name: 'list',
    about: 'this cluster and those that it knows, with health',
    options: [shared.watch()],
    run: async (cli, _args, { watch }) => {
      const { client } = await cli.api();
      await printListed(cli, client, asking(clusters), { whenEmpty: 'No clusters.', watch });
    },
  });
  add<Record<string, never>>(registry, cluster, {
    name: 'show',
    about: 'one cluster: health with reasons, addresses, savings',
    args: [['[name]', 'the cluster (default: this one)', 'peer']],
    run: async (cli, [named]) => {
      const { client } = await cli.api();
      const name = named ?? (await localName(client));
      const place = { type: clusters, key: { namespace: '', name } };
      const found = await printObject(cli, client, place, fieldsOf);
      if (cli.options.output === undefined && isLocal(found)) await showAgent(cli);
    },
  });
}

async function localName(client: KubeClient): Promise<string> {
  const local = (await clustersOf(client)).find(isLocal);
  return local?.metadata.name ?? client.cluster;
}

/** What the columns leave out. */
function fieldsOf({ status = {} }: Cluster): readonly Field[] {
  const { reasons = [], capabilities = [], totals = {}, peers = [], agents = [] } = status;
  const { savingPermille, allocatedBytes, capacityBytes } = totals;
  const savings = savingPermille === undefined ? undefined : (savingPermille / 1000).toFixed(2);
  const space =
    allocatedBytes === undefined || capacityBytes === undefined
      ? undefined
      : `${formatSize(allocatedBytes)} of ${formatSize(capacityBytes)}`;
  return [
    ['Health-reasons', reasons.join('; ')],
    ['Capabilities', capabilities.join(', ')],
    ['Savings', savings === undefined ? undefined : `${savings}x`],
    ['Allocated', space],
    ['Agents', agents.map(({ name, connected }) => stateText(name, connected)).join(', ')],
    ['Peers', peers.map(({ name, connected }) => stateText(name, connected)).join(', ')],
  ];
}

function stateText(name: string, connected: boolean): string {
  return connected ? name : `${name} (not connected)`;
}

/** Where the agent of this machine keeps and serves what. */
async function showAgent(cli: Cli): Promise<void> {
  if (cli.namesContext) return;
  try {
    const { spec, status } = await (await cli.client()).call('agent.status', {});
    const { home, pid, nbdSocket, metricsUrl } = status;
    cli.out(`Peers at: ${spec.address}\nFingerprint: ${spec.fingerprint}\n`);
    cli.out(`Home: ${home}\nProcess: ${pid}\nNBD: ${nbdSocket}\nMetrics: ${metricsUrl}\n`);
    const ofPlane = cli.ports.planes.metricsUrl((await cli.client()).cluster);
    if (ofPlane !== undefined) cli.out(`Metrics of the control plane: ${ofPlane}\n`);
  } catch (error) {
    // The conditions say it already.
    if (asTransshipError(error).reason !== 'AgentUnreachable') throw error;
  }
}

function check(registry: Registry, cluster: Command): void {
  add<Record<string, never>>(registry, cluster, {
    name: 'check',
    about: 'try the way to a peer: address, certificate, protocol, round trip',
    args: [['<name>', 'the peer', 'peer']],
    details: 'The controller tries it as well; its result is the condition Checked.',
    run: async (cli, [name]) => {
      const client = await cli.client();
      await requestCheck(cli, name!);
      const answer: ReportObject = await client.call('cluster.check', { name: name! });
      return printReport(cli, answer);
    },
  });
}

/** The agent's answer does not depend on it: where there is no API, nobody is asked. */
async function requestCheck(cli: Cli, name: string): Promise<void> {
  try {
    const { client } = await cli.api();
    const metadata = { annotations: { [annotations.checkRequested]: formatMoment(cli.nowMs()) } };
    const key = { namespace: '', name };
    if ((await client.get(clusters, key)) !== undefined) {
      await client.patch(clusters, key, { metadata });
    }
  } catch (error) {
    if (asTransshipError(error).reason !== 'ApiUnreachable') throw error;
  }
}

function remove(registry: Registry, cluster: Command): void {
  add<{ readonly force?: boolean }>(registry, cluster, {
    name: 'remove',
    about: 'forget a cluster: its object, its credentials, the trust of the agents',
    args: [['<name>', 'the cluster', 'peer']],
    options: [option('--force', 'also while a teleport depends on it: that one never finishes')],
    run: async (cli, [name], options) => {
      const hubName = await cli.clusterName();
      const force = options.force === true;
      if (cli.ports.agents.clusterOf(name!) === hubName) {
        fail('BadArgument', `${name} is a node of this cluster, not a cluster that it trusts`);
      }
      await cli.confirm([
        `This ends the trust between ${hubName} and ${name}; joining again needs a token.`,
      ]);
      const { client } = await cli.apiOf(hubName);
      const object = await client.get(clusters, { namespace: '', name: name! });
      if (object !== undefined && isLocal(object)) {
        fail('BadArgument', `${name} is this cluster; stop it with: transship down ${name}`);
      }
      if (!force) await checkNotNeeded(client, name!);
      const hadTrust = await endTrust(cli, hubName, { name: name!, force });
      if (object === undefined && !hadTrust) {
        fail('NotFound', `cluster ${hubName} knows no cluster ${printable(name!)}`);
      }
      if (object === undefined) cli.out(`cluster/${name} removed\n`);
      else {
        await forget(client, object);
        await printGone(cli, object, 'removed');
      }
      // Nobody can end another cluster's trust for it (I-27).
      cli.note(`${name} still trusts ${hubName} until it is removed there too.`);
    },
  });
}

/** Teleports that this cluster steers between others are no matter of its agents. */
async function checkNotNeeded(client: KubeClient, name: string): Promise<void> {
  const running: string[] = [];
  for await (const teleport of client.list(teleports)) {
    const { source, destination } = teleport.spec;
    const isOf = source.cluster === name || destination.cluster === name;
    if (isOf && !hasEnded(teleport)) running.push(teleport.metadata.name ?? '');
  }
  if (running.length === 0) return;
  fail('InUse', `teleport ${running.join(', ')} still needs ${name}; use --force to break that`);
}

/** First, because it may be refused. False when the agents did not trust it. */
async function endTrust(
  cli: Cli,
  hubName: string,
  request: { readonly name: string; readonly force: boolean },
): Promise<boolean> {
  const { agents } = cli.ports;
  return endTrustIn(
    agents.agentsOf(hubName).map((name) => agents.connect(name)),
    request,
  );
}
