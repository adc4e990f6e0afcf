/** Agents of one cluster in memory, each with a pool, for the tests of this folder. */
import { createHash } from 'node:crypto';
import { fail, TransshipError } from '../../base/errors.ts';
import type { Pool } from '../../volume/pool.ts';
import { createTestPool, type MemoryDisk, pattern } from '../../volume/testing.ts';
import { type Cloud, openCloud } from '../cloud.ts';
import { createMemoryDisk, noMetrics, seededRandom, silent, within } from '../fixture.ts';
import type { Dialer } from '../link.ts';
import { createManualClock, type ManualClock } from '../manual-clock.ts';
import { createMemoryLinks, type MemoryLinkPair } from '../memory-link.ts';
import type { ReplicaSetState } from './view.ts';
import { viewOfLed } from './view.ts';
import { type LeadRequest, type Led, Replicas } from './replicas.ts';

export interface TestAgent {
  readonly name: string;
  readonly disk: MemoryDisk;
  pool: Pool;
  cloud: Cloud;
  replicas: Replicas;
  readonly events: string[];
  /** False: it is dead, or nobody can reach it. */
  isUp: boolean;
}

export interface TestSet {
  readonly clock: ManualClock;
  readonly agents: readonly TestAgent[];
  agent(name: string): TestAgent;
  /** Drives the clock until the promise settles. */
  until<T>(work: Promise<T>, ms?: number): Promise<T>;
  /** Drives the clock until it is so. */
  wait(what: string, isSo: () => boolean, ms?: number): Promise<void>;
  lead(name: string, request: Partial<LeadRequest>): Promise<Led>;
  /** All links of an agent die and no new ones come up. */
  cutOff(name: string): void;
  join(name: string): void;
  /** As after kill -9: memory is gone, the disk is there. */
  kill(name: string): void;
  start(name: string): Promise<void>;
  view(name: string, volume?: string): ReplicaSetState;
}

export const mib = 1024 * 1024;
export const volumeBytes = 8 * mib;

interface Wires {
  readonly pairs: { readonly ends: readonly string[]; readonly pair: MemoryLinkPair }[];
}

export async function createTestSet(names: readonly string[]): Promise<TestSet> {
  const clock = createManualClock();
  const wires: Wires = { pairs: [] };
  const agents: TestAgent[] = [];
  for (const [i, name] of names.entries()) {
    const { pool, disk } = await createTestPool({ clock, journalFileBytes: 4 * mib });
    const agent = { name, disk, pool, events: [], isUp: true };
    agents.push(agent as unknown as TestAgent);
    open(agents[i]!, { clock, agents, wires, seed: i + 1 });
  }
  const find = (name: string) => agents.find((one) => one.name === name)!;
  const until = <T>(work: Promise<T>, ms = 120_000) => within(clock, ms, work);
  for (const agent of agents) {
    for (const other of agents) {
      const isKnown = agent.cloud.peers().some(({ record }) => record.name === other.name);
      if (other === agent || isKnown) continue;
      const { token } = other.cloud.createToken(undefined, true);
      await until(agent.cloud.join(token, true));
    }
  }
  const cut = (name: string) => {
    find(name).isUp = false;
    for (const { ends, pair } of wires.pairs) if (ends.includes(name)) pair.cut();
  };
  return {
    clock,
    agents,
    agent: find,
    until,
    wait: async (what, isSo, ms = 120_000) => {
      for (let passed = 0; passed < ms; passed += 20) {
        if (isSo()) return;
        await clock.advance(20);
      }
      throw new Error(`not within ${ms} ms: ${what}`);
    },
    lead: (name, request) => {
      const members = names.map((agent) => ({ agent, pool: 'main' }));
      const all = { volume: 'db', wanted: members, sizeBytes: volumeBytes, ...request };
      return until(find(name).replicas.lead(all));
    },
    cutOff: cut,
    join: (name) => void (find(name).isUp = true),
    kill: (name) => {
      cut(name);
      find(name).replicas.close();
      find(name).cloud.close();
    },
    start: async (name) => {
      const agent = find(name);
      const { pool } = await createTestPool({ clock, disk: agent.disk, journalFileBytes: 4 * mib });
      agent.pool = pool;
      agent.isUp = true;
      open(agent, { clock, agents, wires, seed: names.indexOf(name) + 100 });
    },
    view: (name, volume = 'db') => viewOfLed(find(name).replicas.led.get(volume)!, volume),
  };
}

function open(
  agent: TestAgent,
  world: {
    readonly clock: ManualClock;
    readonly agents: readonly TestAgent[];
    readonly wires: Wires;
    readonly seed: number;
  },
): void {
  const { clock, seed } = world;
  const { name } = agent;
  const random = seededRandom(seed);
  const ports = { clock, random, log: silent, metrics: noMetrics };
  agent.replicas = new Replicas({
    ...ports,
    self: name,
    pools: () => [{ name: 'main', api: agent.pool }],
    peer: (other) => agent.cloud.peer(other),
    onEvent: (volume, { kind, note }) => agent.events.push(`${volume} ${kind}: ${note}`),
    onLed: () => undefined,
    whileStill: (_volume, work) => work(),
  });
  const fingerprint = fingerprintOf(name);
  const self = {
    id: fingerprint.slice(0, 32),
    name,
    memberOf: 'home',
    fingerprint,
    agentVersion: '0.1.0',
    capabilities: [],
    addresses: () => [`${name}:7441`],
  };
  const disk = diskOf(agent);
  const dialer = dialerOf(agent, world.agents, world);
  const { replicas, pool: store } = agent;
  agent.cloud = openCloud({ ...ports, self, disk, store, replicas, dialer, links: 2 });
}

/** The document of peers lies beside the pool. */
function diskOf(agent: TestAgent & { home?: ReturnType<typeof createMemoryDisk> }) {
  agent.home ??= createMemoryDisk();
  return agent.home;
}

function fingerprintOf(name: string): string {
  return createHash('sha256').update(name).digest('hex');
}

function dialerOf(
  from: TestAgent,
  agents: readonly TestAgent[],
  { clock, wires }: { readonly clock: ManualClock; readonly wires: Wires },
): Dialer {
  return {
    connect: async ({ address, fingerprint }) => {
      const to = agents.find(({ name }) => `${name}:7441` === address);
      if (to === undefined || !to.isUp || !from.isUp) {
        throw new TransshipError('SourceUnreachable', `${address} does not answer`);
      }
      if (fingerprintOf(to.name) !== fingerprint) fail('NotTrusted', 'somebody else');
      const pair = createMemoryLinks({
        fingerprints: [fingerprintOf(from.name), fingerprint],
        later: (run) => void clock.after(1, run),
      });
      wires.pairs.push({ ends: [from.name, to.name], pair });
      to.cloud.accept(pair.ends[1]);
      return pair.ends[0];
    },
  };
}

/** One 4 KiB sector with a content of its own. */
export function sector(label: number): Uint8Array {
  return pattern(label, 4096);
}
