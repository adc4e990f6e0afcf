/** Random 4 KiB and sequential 256 KiB requests over NBD, beside servers of a raw file. */
import { join } from 'node:path';
import type { BenchAgent } from '../fleet.ts';
import { fio, halfCompressible, idleSeconds, type Load, timeDurable } from '../fio.ts';
import { makeFile, type NbdPeer, serveNbdkit, serveQemu } from '../nbd-peers.ts';
import type { Bench, Measured, Section, Series } from '../row.ts';
import { best, interleave, ratios } from '../stats.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

type Contender = 'transship' | 'nbdkit' | 'qemu-nbd';

interface Arena {
  readonly bench: Bench;
  readonly agent: BenchAgent;
  readonly peers: readonly NbdPeer[];
  readonly uris: Readonly<Record<Contender, string>>;
  readonly sizeBytes: number;
}

async function open(bench: Bench, name: string): Promise<Arena> {
  const { programs, directory, fleet } = bench;
  const sizeBytes = bench.images.sizeBytes;
  const agent = await fleet.start(name);
  await agent.client.call('volume.create', { name: 'disk', sizeBytes });
  const peers: NbdPeer[] = [];
  for (const serve of [serveNbdkit, serveQemu]) {
    const file = join(directory, `${name}-${peers.length}.raw`);
    makeFile(file, sizeBytes);
    peers.push(await serve(programs, directory, file));
  }
  const [nbdkit, qemu] = peers as [NbdPeer, NbdPeer];
  const uris = { transship: agent.uri('disk'), nbdkit: nbdkit.uri, 'qemu-nbd': qemu.uri };
  const arena = { bench, agent, peers, uris, sizeBytes };
  const fill = { ...sequential(arena), pattern: 'write', more: halfCompressible } as const;
  for (const uri of Object.values(uris)) await fio(programs, { ...fill, target: { uri } });
  await agent.settled('disk');
  for (const uri of Object.values(uris))
    await fio(programs, { ...fill, pattern: 'read', target: { uri } });
  return arena;
}

async function close({ agent, peers }: Arena): Promise<void> {
  for (const peer of peers) await peer.stop();
  await agent.remove();
}

function sequential({ sizeBytes }: Pick<Arena, 'sizeBytes'>) {
  return { pattern: 'read', blockBytes: 256 * KiB, sizeBytes, depth: 8 } as const;
}

function contenders(run: (name: Contender, round: number) => Promise<number>) {
  return {
    transship: (round: number) => run('transship', round),
    nbdkit: (round: number) => run('nbdkit', round),
    'qemu-nbd': (round: number) => run('qemu-nbd', round),
  };
}

interface Compared {
  readonly row: string;
  readonly unit: Series['unit'];
  readonly limit: number;
  readonly results: Readonly<Record<Contender, readonly number[]>>;
}

function compare({ row, unit, limit, results }: Compared): Measured {
  const { transship, nbdkit, 'qemu-nbd': qemu } = results;
  const values = ratios(transship, best([nbdkit, qemu], 'most'));
  return {
    row,
    ours: { name: 'transship', unit, values: transship },
    peers: [
      { name: 'nbdkit', unit, values: nbdkit },
      { name: 'qemu-nbd', unit, values: qemu },
    ],
    checks: [{ what: 'to the better', values, goal: { sense: 'least', limit } }],
  };
}

/** Per second, of a fixed amount that is durable at the end. */
async function writeRate(arena: Arena, name: Contender, load: Omit<Load, 'target'>) {
  const { bench, agent, uris } = arena;
  const target = { uri: uris[name] };
  const idle = await idleSeconds(bench.programs, target);
  const seconds = await timeDurable(bench.programs, { ...load, target }, idle);
  // What it left to be done later must not slow down the next one.
  const settleSeconds = name === 'transship' ? await agent.settled('disk') : 0;
  return { rate: (load.amountBytes ?? load.sizeBytes) / seconds, settleSeconds };
}

async function readOne(arena: Arena, name: Contender, load: Omit<Load, 'target'>) {
  return fio(arena.bench.programs, { ...load, target: { uri: arena.uris[name] } });
}

async function randomRows(bench: Bench): Promise<Measured[]> {
  const arena = await open(bench, 'nbd');
  const { sizeBytes } = arena;
  const seconds = bench.quick ? 1 : 2;
  const random = { blockBytes: 4 * KiB, sizeBytes, depth: 32 };
  const settling: number[] = [];
  const rounds = bench.rounds('cheap');
  const read = (name: Contender, connections: number, round: number) =>
    readOne(arena, name, { ...random, pattern: 'randread', seconds, connections, seed: round + 1 });
  const reads = await interleave(
    rounds,
    contenders(async (name, round) => (await read(name, 1, round)).iops),
  );
  const two = await interleave(rounds, {
    one: async (round) => (await read('transship', 1, round)).iops,
    two: async (round) => (await read('transship', 2, round)).iops,
  });
  const amountBytes = (bench.quick ? 64 : 128) * MiB;
  const writes = await interleave(
    rounds,
    contenders(async (name, round) => {
      const load = { ...random, pattern: 'randwrite', amountBytes, seed: round + 100 } as const;
      const { rate, settleSeconds } = await writeRate(arena, name, load);
      if (name === 'transship') settling.push(settleSeconds);
      return rate / (4 * KiB);
    }),
  );
  await close(arena);
  const unit = 'IOPS';
  const written = compare({ row: 'nbd-4k-write', unit, limit: 1, results: writes });
  return [
    compare({ row: 'nbd-4k-read', unit, limit: 1, results: reads }),
    { ...written, beside: [{ name: 'settling afterwards', unit: 's', values: settling }] },
    {
      row: 'nbd-two-connections',
      ours: { name: 'two connections', unit, values: two.two },
      peers: [{ name: 'one connection', unit, values: two.one }],
      checks: [
        {
          what: 'two to one',
          values: ratios(two.two, two.one),
          goal: { sense: 'least', limit: 1.25 },
        },
      ],
    },
  ];
}

async function sequentialRows(bench: Bench): Promise<Measured[]> {
  const arena = await open(bench, 'seq');
  const load = sequential(arena);
  const seconds = bench.quick ? 1 : 2;
  const reads = await interleave(
    bench.rounds('cheap'),
    contenders(
      async (name) => (await readOne(arena, name, { ...load, seconds })).bytesPerSecond / 1e6,
    ),
  );
  const settling: number[] = [];
  const writes = await interleave(
    bench.rounds('dear'),
    contenders(async (name, round) => {
      const more = halfCompressible;
      const write = { ...load, pattern: 'write', more, seed: round + 200 } as const;
      const { rate, settleSeconds } = await writeRate(arena, name, write);
      if (name === 'transship') settling.push(settleSeconds);
      return rate / 1e6;
    }),
  );
  await close(arena);
  const unit = 'MB/s';
  const written = compare({ row: 'nbd-seq-write', unit, limit: 0.5, results: writes });
  return [
    compare({ row: 'nbd-seq-read', unit, limit: 1, results: reads }),
    { ...written, beside: [{ name: 'settling afterwards', unit: 's', values: settling }] },
  ];
}

async function flushRow(bench: Bench): Promise<Measured[]> {
  const { programs, directory, fleet } = bench;
  const sizeBytes = 64 * MiB;
  const agent = await fleet.start('flush');
  await agent.client.call('volume.create', { name: 'log', sizeBytes });
  const file = join(directory, 'log.raw');
  const served = join(directory, 'log-served.raw');
  for (const path of [file, served]) makeFile(path, sizeBytes);
  const nbdkit = await serveNbdkit(programs, directory, served);
  const seconds = bench.quick ? 1 : 2;
  const log = { pattern: 'write', blockBytes: 4 * KiB, sizeBytes, depth: 1, seconds } as const;
  const run = async (target: Load['target'], sync: string) =>
    (await fio(programs, { ...log, target, more: [sync] })).iops;
  const results = await interleave(bench.rounds('cheap'), {
    transship: () => run({ uri: agent.uri('log') }, '--fsync=1'),
    file: () => run({ file }, '--fdatasync=1'),
    nbdkit: () => run({ uri: nbdkit.uri }, '--fsync=1'),
  });
  await nbdkit.stop();
  await agent.remove();
  const values = ratios(results.transship, results.file);
  const unit = 'IOPS';
  return [
    {
      row: 'flush',
      ours: { name: 'transship', unit, values: results.transship },
      peers: [{ name: 'file', unit, values: results.file }],
      beside: [{ name: 'nbdkit', unit, values: results.nbdkit }],
      checks: [{ what: 'to the file', values, goal: { sense: 'least', limit: 0.7 } }],
    },
  ];
}

const needs = ['fio', 'nbdkit', 'qemu-nbd'];

export const nbdSections: readonly Section[] = [
  {
    name: 'nbd',
    rows: ['nbd-4k-read', 'nbd-4k-write', 'nbd-two-connections'],
    needs,
    run: randomRows,
  },
  { name: 'sequential', rows: ['nbd-seq-read', 'nbd-seq-write'], needs, run: sequentialRows },
  { name: 'flush', rows: ['flush'], needs: ['fio', 'nbdkit'], run: flushRow },
];
