/** Volumes kept by several agents: what replicas cost, and how quickly a new one is whole. */
import * as fs from 'node:fs';
import { join } from 'node:path';
import type { ReplicaSetObject } from '../../src/api/objects.ts';
import { fio, halfCompressible, idleSeconds, type Load, timeDurable } from '../fio.ts';
import { type BenchAgent, pause } from '../fleet.ts';
import { syncAll } from '../programs.ts';
import type { Bench, Measured, Section } from '../row.ts';
import { interleave, ratios } from '../stats.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const pool = 'main';
const lookMs = 20;
/** As good as none. */
const unlimited = 2 ** 40;
const copies = ['one', 'two', 'three'] as const;
type Copies = (typeof copies)[number];

interface Arena {
  readonly bench: Bench;
  readonly agents: readonly BenchAgent[];
  readonly leader: BenchAgent;
  readonly sizeBytes: number;
}

function membersOf(agents: readonly BenchAgent[]): string {
  return agents.map(({ name }) => `${name}/${pool}`).join(',');
}

async function untilHealthy(
  leader: BenchAgent,
  volume: string,
  members: readonly BenchAgent[],
): Promise<ReplicaSetObject> {
  for (;;) {
    const set = await leader.client.call('replica.show', { volume });
    const good = set.replicas.filter(({ voter, state }) => voter && state === 'Healthy');
    const names = good.map(({ agent }) => agent);
    if (members.every(({ name }) => names.includes(name)) && names.length === members.length) {
      return set;
    }
    await pause(lookMs);
  }
}

/** Seconds until the volume has exactly these replicas, all Healthy. */
async function lead(
  leader: BenchAgent,
  volume: string,
  members: readonly BenchAgent[],
  rebuildBytesPerSecond?: number,
): Promise<number> {
  const rate = rebuildBytesPerSecond === undefined ? {} : { rebuildBytesPerSecond };
  const started = performance.now();
  await leader.client.call('replica.lead', { volume, members: membersOf(members), ...rate });
  await untilHealthy(leader, volume, members);
  return (performance.now() - started) / 1000;
}

async function open(bench: Bench): Promise<Arena> {
  const agents = await bench.fleet.startNodes('rep', 3);
  const leader = agents[0]!;
  const arena = { bench, agents, leader, sizeBytes: bench.images.sizeBytes / 4 };
  for (const [at, volume] of copies.entries()) {
    await leader.client.call('volume.create', { name: volume, sizeBytes: arena.sizeBytes });
    if (at > 0) await lead(leader, volume, agents.slice(0, at + 1), unlimited);
    await fill(arena, volume);
  }
  return arena;
}

async function fill({ bench, leader, sizeBytes }: Arena, volume: string): Promise<void> {
  const load = { pattern: 'write', blockBytes: 256 * KiB, sizeBytes, depth: 8 } as const;
  const target = { uri: leader.uri(volume) };
  await fio(bench.programs, { ...load, target, more: halfCompressible });
  await settled(leader, volume);
}

async function settled(leader: BenchAgent, volume: string): Promise<void> {
  await leader.settled(volume);
}

function eachCopies(run: (volume: Copies, round: number) => Promise<number>) {
  return {
    one: (round: number) => run('one', round),
    two: (round: number) => run('two', round),
    three: (round: number) => run('three', round),
  };
}

function compared(
  row: string,
  unit: 'IOPS' | 'MB/s',
  results: Readonly<Record<Copies, readonly number[]>>,
  limit?: number,
): Measured {
  const goal = limit === undefined ? {} : { goal: { sense: 'least', limit } as const };
  const { one, two, three } = results;
  return {
    row,
    ours: { name: 'three replicas', unit, values: three },
    peers: [
      { name: 'two replicas', unit, values: two },
      { name: 'one replica', unit, values: one },
    ],
    checks: [
      { what: 'two to one', values: ratios(two, one), ...goal },
      { what: 'three to one', values: ratios(three, one), ...goal },
    ],
  };
}

async function throughput(arena: Arena): Promise<Measured[]> {
  const { bench, leader, sizeBytes } = arena;
  const rounds = bench.rounds('dear');
  const rate = async (volume: Copies, load: Omit<Load, 'target'>): Promise<number> => {
    const target = { uri: leader.uri(volume) };
    const idle = await idleSeconds(bench.programs, target);
    const seconds = await timeDurable(bench.programs, { ...load, target }, idle);
    await settled(leader, volume);
    return (load.amountBytes ?? load.sizeBytes) / seconds;
  };
  const random = { blockBytes: 4 * KiB, sizeBytes, depth: 32 };
  const amountBytes = (bench.quick ? 16 : 64) * MiB;
  const writes = await interleave(
    rounds,
    eachCopies(async (volume, round) => {
      const load = { ...random, pattern: 'randwrite', amountBytes, seed: round + 1 } as const;
      return (await rate(volume, load)) / (4 * KiB);
    }),
  );
  const sequential = await interleave(
    rounds,
    eachCopies(async (volume) => {
      const load = { pattern: 'write', blockBytes: 256 * KiB, sizeBytes, depth: 8 } as const;
      return (await rate(volume, { ...load, more: halfCompressible })) / 1e6;
    }),
  );
  const seconds = bench.quick ? 1 : 2;
  const reads = await interleave(
    rounds,
    eachCopies(async (volume, round) => {
      const load = { ...random, pattern: 'randread', seconds, seed: round + 50 } as const;
      return (await fio(bench.programs, { ...load, target: { uri: leader.uri(volume) } })).iops;
    }),
  );
  return [
    compared('replicas-write', 'IOPS', writes),
    compared('replicas-write-sequential', 'MB/s', sequential),
    compared('replicas-read', 'IOPS', reads, 0.8),
  ];
}

/** A plain copy of as many bytes as the volume takes, durable at the end. */
async function copyOnce({ bench }: Arena, bytes: number): Promise<number> {
  const [from, to] = ['copy-from', 'copy-to'].map((name) => join(bench.directory, name));
  fs.writeFileSync(from!, Buffer.alloc(bytes, 'something to copy'));
  const started = performance.now();
  await bench.programs.run('cp', ['--reflink=never', from!, to!]);
  syncAll(to!);
  const seconds = (performance.now() - started) / 1000;
  fs.rmSync(from!);
  fs.rmSync(to!);
  return seconds;
}

async function storedBytes(agent: BenchAgent): Promise<number> {
  return (await agent.client.call('pool.show', {})).status.storedBytes;
}

/** What the pool has without the replica, nothing of which is left: bytes that it stores. */
async function storedWithout(
  { leader }: Arena,
  members: readonly BenchAgent[],
  left: BenchAgent,
): Promise<number> {
  await lead(leader, 'two', members, unlimited);
  for (;;) {
    const { items } = await left.client.call('replica.list', {});
    if (!items.some(({ volume }) => volume === 'two')) break;
    await pause(lookMs);
  }
  await left.client.stream('pool.collect', {}, { onEvent: () => undefined });
  return storedBytes(left);
}

/** From nothing, and after an absence in which one block in a hundred changed. */
async function rebuildOnce(arena: Arena, round: number) {
  const { bench, agents, leader, sizeBytes } = arena;
  const [, second, third] = agents as [BenchAgent, BenchAgent, BenchAgent];
  const before = await storedWithout(arena, [leader, second], third);
  const full = await lead(leader, 'two', agents, unlimited);
  const stored = (await storedBytes(third)) - before;
  await third.kill();
  const changes = {
    target: { uri: leader.uri('two') },
    pattern: 'randwrite',
    blockBytes: 64 * KiB,
    sizeBytes,
    depth: 8,
    amountBytes: Math.max(64 * KiB, Math.floor(sizeBytes / 100)),
    seed: round + 500,
  } as const;
  await fio(bench.programs, changes);
  await third.start();
  const started = performance.now();
  await untilHealthy(leader, 'two', agents);
  return { full, part: (performance.now() - started) / 1000, stored };
}

async function rebuilds(arena: Arena): Promise<Measured[]> {
  const full: number[] = [];
  const part: number[] = [];
  const copy: number[] = [];
  for (let round = 0; round < arena.bench.rounds('dear'); round++) {
    const one = await rebuildOnce(arena, round);
    full.push(one.full);
    part.push(one.part);
    copy.push(await copyOnce(arena, one.stored));
  }
  const unit = 's';
  return [
    {
      row: 'replicas-rebuild',
      ours: { name: 'rebuild', unit, values: full },
      peers: [{ name: 'cp', unit, values: copy }],
      checks: [{ what: 'time to a plain copy', values: ratios(full, copy) }],
    },
    {
      row: 'replicas-rebuild-part',
      ours: { name: 'after 1 %', unit, values: part },
      peers: [{ name: 'from nothing', unit, values: full }],
      checks: [
        {
          what: 'part to whole',
          values: ratios(part, full),
          goal: { sense: 'most', limit: 0.5 },
        },
      ],
    },
  ];
}

async function during(arena: Arena): Promise<Measured> {
  const { bench, agents, leader, sizeBytes } = arena;
  const [, second, third] = agents as [BenchAgent, BenchAgent, BenchAgent];
  const quiet: number[] = [];
  const busy: number[] = [];
  const seconds = bench.quick ? 1 : 3;
  const p99 = async (seed: number) => {
    const load = { pattern: 'randread', blockBytes: 4 * KiB, sizeBytes, depth: 4 } as const;
    const target = { uri: leader.uri('two') };
    return (await fio(bench.programs, { ...load, target, seconds, seed })).p99;
  };
  for (let round = 0; round < bench.rounds('dear'); round++) {
    await storedWithout(arena, [leader, second], third);
    quiet.push(await p99(round + 900));
    const members = membersOf([leader, second, third]);
    await leader.client.call('replica.lead', { volume: 'two', members });
    busy.push(await p99(round + 950));
    await lead(leader, 'two', agents, unlimited);
  }
  return {
    row: 'replicas-during',
    ours: { name: 'during a rebuild', unit: 'ms', values: busy },
    peers: [{ name: 'without', unit: 'ms', values: quiet }],
    checks: [{ what: 'p99', values: ratios(busy, quiet), goal: { sense: 'most', limit: 3 } }],
  };
}

async function run(bench: Bench): Promise<Measured[]> {
  const arena = await open(bench);
  return [...(await throughput(arena)), ...(await rebuilds(arena)), await during(arena)];
}

export const replicaSection: Section = {
  name: 'replicas',
  rows: [
    'replicas-write',
    'replicas-write-sequential',
    'replicas-read',
    'replicas-rebuild',
    'replicas-rebuild-part',
    'replicas-during',
  ],
  needs: ['fio'],
  run,
};
