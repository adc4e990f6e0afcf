import { resolve } from 'node:path';
import type { Command } from 'commander';
import type { ClusterObject } from '../../api/objects.ts';
import { fail } from '../../base/errors.ts';
import { exitCodes } from '../../base/reasons.ts';
import { Exit } from '../failure.ts';
import { checkName } from '../../base/names.ts';
import { parseSize } from '../../base/units.ts';
import { resources } from '../../api/kinds/resources.ts';
import type { KubeObject } from '../../kube/objects.ts';
import { joinClusters, joinFellows } from '../api/joining.ts';
import { furtherNodes, keepNodes, nodeCount, parseNodes } from '../api/nodes.ts';
import { introduce } from '../api/peering.ts';
import { needObject } from '../api/printing.ts';
import { add, given, option, type RateOption, type Registry, shared } from '../command.ts';
import type { Cli } from '../context.ts';
import type { OpenApi, StartAgent } from '../ports.ts';
import { renderTable } from '../table.ts';

interface UpOptions extends RateOption {
  readonly nodes?: number;
  readonly pool?: string;
  readonly capacity?: number;
  readonly cacheSize?: number;
  readonly listen?: string;
  readonly advertise?: string;
  readonly metricsPort?: number;
  readonly nbdListen?: string;
  readonly nbdTls?: string;
  readonly controller?: boolean;
  readonly detach?: boolean;
}

const stopTimeoutMs = 60_000;

/** up and down. */
export function lifecycleCommands(registry: Registry, program: Command): void {
  up(registry, program);
  down(registry, program);
}

function up(registry: Registry, program: Command): void {
  add<UpOptions>(registry, program, {
    name: 'up',
    about: 'start one or more clusters on this machine and stay until Ctrl-C',
    args: [['[name...]', 'their names (default: local); several are joined to one cloud']],
    options: [
      option(
        '--nodes <count>',
        'each with an agent and a pool of its own (default: as before, 1)',
        {
          parse: parseNodes,
        },
      ),
      option('--pool <directory>', 'where its data lives (default: in the home)', {
        completes: 'file',
      }),
      option('--capacity <size>', 'use at most this much of the disk', { parse: parseSize }),
      option('--cache-size <size>', 'of the cache of uncompressed blocks', { parse: parseSize }),
      option('--listen <host:port>', 'where peers reach it (default: a free port of 127.0.0.1)'),
      option('--advertise <host:port>', 'what peers are told, where it is not --listen'),
      shared.rate(),
      option('--metrics-port <port>', 'of 127.0.0.1, for Prometheus (default: a free one)', {
        parse: parsePort,
      }),
      option('--nbd-listen <host:port>', 'serve volumes there over TLS too; needs --nbd-tls'),
      option('--nbd-tls <directory>', 'with ca-cert.pem, server-cert.pem and server-key.pem', {
        completes: 'file',
      }),
      option('--no-controller', 'leave controlling to `transship controller`, run elsewhere'),
      option('-d, --detach', 'leave them running in the background and return'),
    ],
    details: 'Settings are remembered: the next `up` of the same name needs none.',
    examples: [
      ['transship up', 'one cluster named local'],
      ['transship up east west --detach', 'two clusters that trust each other'],
      ['transship up east --nodes 3', 'volumes may have replicas, and survive the loss of a node'],
      ['transship up prod --pool /srv/pool --listen 10.0.0.5:7750', 'reachable by others'],
    ],
    run: async (cli, args, options) => {
      const names = args.length === 0 ? ['local'] : args.map((name) => checkName(name, 'cluster'));
      if (new Set(names).size < names.length) fail('BadArgument', 'a name is given twice');
      const single = ['pool', 'listen', 'advertise', 'metricsPort', 'nbdListen'] as const;
      const used = single.find((name) => options[name] !== undefined);
      if (names.length > 1 && used !== undefined) {
        fail('BadArgument', `--${flagOf(used)} is for one cluster; start them one by one`);
      }
      const own = [...single, 'metricsPort'] as const;
      const ofOne = own.find((name) => options[name] !== undefined);
      if ((options.nodes ?? 1) > 1 && ofOne !== undefined) {
        fail('BadArgument', `--${flagOf(ofOne)} is for a cluster of one node`);
      }
      const started = await startAll(cli, names, options);
      const kubeconfig = await cli.ports.planes.writeShared(cli.ports.agents.known());
      await showUp(cli, names, kubeconfig);
      if (options.detach !== true) await stay(cli, started, options);
    },
  });
}

/** Names of those that this command started. Half a cloud helps nobody: it is all or none. */
async function startAll(
  cli: Cli,
  names: readonly string[],
  options: UpOptions,
): Promise<readonly string[]> {
  const started: string[] = [];
  let interrupted = false;
  const stopListening = cli.ports.terminal.onInterrupt(() => {
    interrupted = true;
    cli.note('\nInterrupted; what was started is stopped again.');
  });
  try {
    for (const name of names) {
      const isRunning = cli.ports.planes.isRunning(name);
      const count = nodeCount(cli.ports.agents, name, { count: options.nodes, isRunning });
      const nodes = furtherNodes(name, count);
      const start = startOf(cli, name, options);
      const fresh = await cli.ports.agents.start(start);
      if (fresh && (nodes.length === 0 || !isRunning)) started.push(name);
      const starts = nodes.map((node) => ({ ...start, name: node, memberOf: name }));
      await Promise.all(starts.map((one) => cli.ports.agents.start(one)));
      await joinFellows(cli.ports.agents, name);
      const isNew = await cli.ports.planes.start({
        name,
        ...(options.controller === false ? { withoutController: true } : {}),
        ...(nodes.length === 0 ? {} : { nodes }),
      });
      const ignored = Object.keys(start).length > 1 ? '; stop it first to change its settings' : '';
      if (!fresh && !isNew) cli.note(`${name} runs already${ignored}`);
      if (interrupted) throw new Exit(exitCodes.interrupted);
    }
    const [first, ...others] = names;
    for (const other of others) await joinClusters(cli.ports.agents, first!, other);
    await introduceAll(cli, names);
    return started;
  } catch (error) {
    for (const name of started) await stopCluster(cli, name, stopTimeoutMs);
    throw error;
  } finally {
    stopListening();
  }
}

/** Each hub gets to know each other cluster. */
async function introduceAll(cli: Cli, names: readonly string[]): Promise<void> {
  const { clock, planes } = cli.ports;
  const opened = new Map<string, OpenApi>();
  for (const name of names) opened.set(name, await planes.open({ cluster: name }));
  for (const [hubName, hub] of opened) {
    for (const [clusterName, cluster] of opened) {
      if (clusterName === hubName) continue;
      await introduce({ hub, hubName, cluster, clusterName, clock, migrations: true });
    }
  }
}

/** Pods first, because they use volumes. False when nothing of it ran. */
async function stopCluster(cli: Cli, name: string, timeoutMs: number): Promise<boolean> {
  const plane = await cli.ports.planes.stop(name, timeoutMs);
  const { agents } = cli.ports;
  const all = await Promise.all(agents.agentsOf(name).map((one) => agents.stop(one, timeoutMs)));
  return plane || all.includes(true);
}

function flagOf(option: string): string {
  return option.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

function parsePort(text: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  if (port < 1 || port > 65_535) fail('BadArgument', `'${text}' is not a port`);
  return port;
}

function startOf(cli: Cli, name: string, options: UpOptions): StartAgent {
  const pool = options.pool;
  return {
    name,
    ...given('poolDirectory', pool && resolve(cli.ports.workingDirectory, pool)),
    ...given('capacityBytes', options.capacity),
    ...given('cacheBytes', options.cacheSize),
    ...given('listen', options.listen),
    ...given('advertise', options.advertise),
    ...given('metricsPort', options.metricsPort),
    ...given('nbdListen', options.nbdListen),
    ...given(
      'nbdTlsDirectory',
      options.nbdTls && resolve(cli.ports.workingDirectory, options.nbdTls),
    ),
    ...given('bytesPerSecond', options.rate?.bytesPerSecond),
  };
}

async function showUp(cli: Cli, names: readonly string[], kubeconfig: string): Promise<void> {
  const servers = new Map<string, string>();
  const objects: KubeObject[] = [];
  for (const name of names) {
    const { client, endpoint } = await cli.ports.planes.open({ cluster: name });
    servers.set(name, endpoint.server);
    objects.push(await needObject(client, resources.clusters, { namespace: '', name }));
  }
  if (cli.options.output !== undefined && cli.options.output !== 'table') {
    const list = { apiVersion: 'transship.dev/v1alpha1', kind: 'ClusterList', items: objects };
    return cli.printAny(list);
  }
  const clusters: ClusterObject[] = [];
  const { agents } = cli.ports;
  for (const name of names.flatMap((cluster) => agents.agentsOf(cluster))) {
    const status = agents.connect(name).call('agent.status', {});
    // Of several one may be lost already; it is looked after next.
    if (agents.clusterOf(name) === undefined) clusters.push(await status);
    else await status.then((one) => clusters.push(one)).catch(() => undefined);
  }
  const serverOf = ({ metadata, spec }: ClusterObject) =>
    servers.get(spec.memberOf ?? metadata.name);
  const columns = [
    { header: 'NAME', value: (row: ClusterObject) => row.metadata.name },
    { header: 'API', value: serverOf },
    { header: 'PEERS-AT', value: (row: ClusterObject) => row.spec.address },
    { header: 'PROCESS', value: (row: ClusterObject) => String(row.status.pid ?? '') },
    { header: 'HOME', value: (row: ClusterObject) => row.status.home },
  ];
  cli.out(renderTable(columns, clusters, { wide: false }));
  const first = names[0]!;
  cli.note('');
  cli.note(`Kubeconfig of all: export KUBECONFIG=${kubeconfig}`);
  cli.note(`  kubectl --context ${first} get clusters`);
  cli.note(`Try: transship volume create db --size 10Gi --cluster ${first}`);
  if (names.length > 1) {
    cli.note(`     transship teleport db --from ${first} --to ${names[1]}`);
  }
  return undefined;
}

/** Of all agents of a cluster that has been started. */
function startsOf(cli: Cli, cluster: string, options: UpOptions): readonly StartAgent[] {
  const start = startOf(cli, cluster, options);
  return cli.ports.agents
    .agentsOf(cluster)
    .map((name) => (name === cluster ? start : { ...start, name, memberOf: cluster }));
}

/** Until Ctrl-C; then ends what this command started. */
async function stay(cli: Cli, started: readonly string[], options: UpOptions): Promise<void> {
  if (started.length === 0) return;
  cli.note('\nRunning until Ctrl-C (--detach leaves them in the background).');
  const interrupted = new Promise<void>((done) => cli.ports.terminal.onInterrupt(done));
  const ended = await Promise.race([interrupted, watchAgents(cli, started, options)]);
  if (ended !== undefined) cli.note(`\n${ended} ended.`);
  cli.note('\nStopping.');
  for (const name of started) await stopCluster(cli, name, stopTimeoutMs);
}

/** Resolves with the last to end when none runs any more: killed, or by `transship down`. */
async function watchAgents(
  cli: Cli,
  names: readonly string[],
  options: UpOptions,
): Promise<string> {
  const several = names.filter((name) => cli.ports.agents.agentsOf(name).length > 1);
  const kept = several.map((name) => keepNodes(cli, name, startsOf(cli, name, options)));
  for (const name of names.filter((one) => !several.includes(one))) {
    const onEvent = () => undefined;
    const client = cli.clientOf(name);
    await client.stream('agent.events', { follow: true }, { onEvent }).catch(() => undefined);
  }
  await Promise.all(kept);
  return names.at(-1)!;
}

/** Also those of which only one of the two processes is left. */
async function runningNames(cli: Cli): Promise<readonly string[]> {
  const agents = await cli.ports.agents.running();
  const known = cli.ports.agents.known();
  return known.filter((name) => agents.includes(name) || cli.ports.planes.isRunning(name));
}

function down(registry: Registry, program: Command): void {
  add<{ readonly timeout?: number }>(registry, program, {
    name: 'down',
    about: 'stop clusters of this machine; their data stays',
    args: [['[name...]', 'which (default: all that run)', 'cluster']],
    options: [shared.timeout()],
    examples: [['transship down east west', 'also while teleports run: they go on after `up`']],
    run: async (cli, args, options) => {
      const names = args.length > 0 ? args : await runningNames(cli);
      if (names.length === 0) cli.note('Nothing runs.');
      for (const name of names) {
        if (!cli.ports.agents.known().includes(name)) cli.clientOf(name);
        const stopped = await stopCluster(cli, name, options.timeout ?? stopTimeoutMs);
        cli.out(stopped ? `cluster/${name} stopped\n` : `cluster/${name} was not running\n`);
      }
    },
  });
}
