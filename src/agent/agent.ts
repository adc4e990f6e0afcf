/** One agent: its parts put together, started in order, and ended in the reverse order. */
import type { BlockDevice, Timer } from '../base/ports.ts';
import type { Cloud, CloudSelf } from '../peer/cloud.ts';
import type { ReplicaService } from '../peer/replica/replica-server.ts';
import { clusterOf } from '../peer/record.ts';
import { Attachments } from './attachments.ts';
import { Clusters } from './clusters.ts';
import { startCollector } from './collector.ts';
import { allHandlers } from './control.ts';
import { Exports } from './doors.ts';
import { Events } from './events.ts';
import { Holds } from './holds.ts';
import { Imports } from './imports.ts';
import { Jobs } from './jobs.ts';
import { Meter, reportState } from './meter.ts';
import type { AgentParts, Handlers } from './parts.ts';
import { Policies } from './policies.ts';
import { Pools } from './pools.ts';
import { ReplicatedVolumes } from './replicas.ts';
import { Repositories, repositoryOfPeer } from './repositories.ts';
import type { AgentInfo, AgentPorts, OpenPool } from './ports.ts';
import { sharedStore } from './shared-store.ts';
import { Teleports } from './teleports.ts';
import type { TeleportPeer } from '../peer/teleport-peer.ts';
import type { Name, PeerStore, StoredChunk } from '../volume/types.ts';

export interface AgentOptions {
  readonly info: AgentInfo;
  readonly ports: AgentPorts;
  readonly pools: readonly OpenPool[];
  readonly self: CloudSelf;
  /** Called once with what is served to peers. */
  readonly openCloud: (store: PeerStore, replicas: ReplicaService) => Cloud;
}

export interface Agent {
  readonly handlers: Handlers;
  /** For the NBD server. */
  readonly exports: {
    find(name: string): BlockDevice | undefined;
    list(): readonly string[];
  };
  readonly onOpen: (name: string) => () => void;
  readonly parts: AgentParts;
  /** Chunks of damaged records, from other replicas of this cluster. */
  heal(names: readonly Name[]): Promise<readonly StoredChunk[]>;
  /** A reader waited for chunks that the source had. */
  noteDemand(volume: string, fetch: { readonly blocks: number; readonly bytes: number }): void;
  metricsText(): Promise<string>;
  /** Ends jobs and teleports; the pools are the caller's to close. */
  close(): Promise<void>;
}

/** Metrics that are looked at, not counted. */
const reportMs = 2000;

function isAgentOf(cloud: Cloud, name: string, cluster: string): boolean {
  return cloud.peers().some(({ record }) => record.name === name && clusterOf(record) === cluster);
}

export async function startAgent(options: AgentOptions): Promise<Agent> {
  const { info, ports } = options;
  const { clock, metrics } = ports;
  const { parts, cloud, doors } = makeParts(options);
  const { pools, events, teleports, replicas, jobs, holds } = parts;
  await takeUp(parts);
  const meter = new Meter(clock, metrics);
  const reporter = startReporter(parts, meter);
  const collector = startCollector({ ...ports, events, pools: pools.all });
  metrics.set('transship_build_info', 1, { version: info.version, node: info.node });
  return {
    parts,
    handlers: allHandlers(parts),
    exports: {
      list: () => doors.list(),
      find: (name) => {
        const device = doors.find(name);
        return device === undefined ? undefined : meter.wrap(name, device);
      },
    },
    onOpen: (name) => doors.open(name),
    heal: (names) => replicas.heal(names),
    noteDemand: (volume, fetch) => teleports.noteDemand(volume, fetch),
    metricsText: () => {
      meter.report();
      reportState(metrics, pools, teleports);
      replicas.report();
      return metrics.text();
    },
    close: async () => {
      reporter.cancel();
      collector.cancel();
      await jobs.cancelAll();
      holds.close();
      replicas.close();
      await teleports.close();
      cloud.close();
    },
  };
}

interface Made {
  readonly parts: AgentParts;
  readonly cloud: Cloud;
  readonly doors: Exports;
}

function makeParts(options: AgentOptions): Made {
  const { info, ports } = options;
  const { clock, home } = ports;
  const pools = new Pools(options.pools);
  const events = new Events(ports, info.cluster);
  const policies = new Policies(home);
  const imports = new Imports(home, ports.images, pools);
  const doors = new Exports(pools);
  const replicas: ReplicatedVolumes = new ReplicatedVolumes({
    ...ports,
    self: options.self.name,
    cluster: info.cluster,
    pools,
    policies,
    events,
    doors,
    peer: (name) => cloud.peer(name),
  });
  const cloud = options.openCloud(sharedStore(pools), replicas.service);
  const repositories = new Repositories({ ...ports, cluster: info.cluster });
  const peer = (name: string): TeleportPeer => {
    const repository = repositoryOfPeer(name);
    return repository === undefined ? cloud.peer(name) : repositories.peer(repository);
  };
  const teleports = new Teleports({
    ...ports,
    cluster: info.cluster,
    pools,
    policies,
    events,
    peer,
    isAgentOf: (name, cluster) => isAgentOf(cloud, name, cluster),
  });
  const clusters = new Clusters({ ...options, cloud, pools, events, teleports });
  const attachments = new Attachments(ports.attacher, events, info.cluster);
  const jobs = new Jobs(clock, info.cluster);
  const isFollowed = (name: string) => replicas.isFollowed(name);
  const holds = new Holds({ ...ports, pools, doors, isFollowed });
  const parts: AgentParts = {
    info,
    ports,
    pools,
    events,
    policies,
    jobs,
    imports,
    attachments,
    clusters,
    teleports,
    replicas,
    repositories,
    holds,
  };
  return { parts, cloud, doors };
}

/** What the process before this one left unfinished. */
async function takeUp(parts: AgentParts): Promise<void> {
  const { imports, attachments, teleports, events, policies, pools } = parts;
  for (const name of await imports.cleanUp()) {
    const note = `volume ${name} was being imported or exported when the agent ended; removed`;
    events.add({ type: 'Warning', reason: 'Canceled', kind: 'Volume', name, note });
  }
  policies.keepOnly(new Set(pools.volumes().map(({ volume }) => volume.id)));
  await attachments.load();
  await teleports.resume();
}

function startReporter(parts: AgentParts, meter: Meter): Timer {
  const { ports, pools, teleports, replicas } = parts;
  let timer: Timer;
  const report = () => {
    meter.report();
    reportState(ports.metrics, pools, teleports);
    replicas.report();
    timer = ports.clock.after(reportMs, report);
  };
  timer = ports.clock.after(reportMs, report);
  return { cancel: () => timer.cancel() };
}
