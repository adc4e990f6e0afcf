/**
 * Devices of pods where the kernel has no NBD client: a loop device on a file of the keeper, served
 * by FUSE, beside the same with nbdfuse between. Both go through the keeper to one agent.
 */
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { diskFile, startFuse, startLoop, stopFuse, stopLoop } from '../../src/host/attach-steps.ts';
import { closeKept, openKept, serveKept } from '../../src/host/door-keeper.ts';
import { parseNbdUri } from '../../src/host/nbd-client.ts';
import type { BenchAgent } from '../fleet.ts';
import { fio, halfCompressible, type Load } from '../fio.ts';
import type { Bench, Measured, Section, Series } from '../row.ts';
import { interleave, ratios } from '../stats.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const sizeBytes = 256 * MiB;
const limit = 0.8;
const mainPath = join(import.meta.dirname, '../../src/main.ts');
/** The page cache of the device itself would answer. */
const direct = ['--ioengine=libaio', '--direct=1'];

type Way = 'keeper' | 'nbdfuse';

interface Arena {
  readonly bench: Bench;
  readonly agent: BenchAgent;
  readonly directories: Readonly<Record<Way, string>>;
  readonly devices: Readonly<Record<Way, string>>;
  readonly place: { readonly directory: string; readonly mainPath: string };
}

async function open(bench: Bench): Promise<Arena> {
  const agent = await bench.fleet.start('devices');
  const directory = join(bench.directory, 'devices');
  const place = { directory, mainPath };
  const directories = {
    keeper: join(directory, 'keeper', 'fuse'),
    nbdfuse: join(directory, 'nbdfuse', 'fuse'),
  };
  for (const way of Object.values(directories)) mkdirSync(dirname(way), { recursive: true });
  for (const name of ['keeper', 'nbdfuse']) {
    await agent.client.call('volume.create', { name, sizeBytes });
  }
  const { socketPath = '' } = parseNbdUri(agent.uri('keeper'));
  await serveKept(place, { name: 'keeper', socketPath, directory: directories.keeper });
  const uri = await openKept(place, { name: 'nbdfuse', socketPath });
  await startFuse(uri, directories.nbdfuse, false);
  const devices = {
    keeper: await startLoop(directories.keeper, false),
    nbdfuse: await startLoop(directories.nbdfuse, false),
  };
  const fill = { pattern: 'write', blockBytes: MiB, sizeBytes, depth: 4 } as const;
  for (const file of Object.values(devices)) {
    await fio(bench.programs, {
      ...fill,
      target: { file },
      more: [...direct, ...halfCompressible, '--end_fsync=1'],
    });
  }
  for (const name of ['keeper', 'nbdfuse']) await agent.settled(name);
  return { bench, agent, directories, devices, place };
}

async function close({ agent, directories, place }: Arena): Promise<void> {
  for (const way of ['keeper', 'nbdfuse'] as const) {
    await stopLoop(directories[way], false);
    await stopFuse(directories[way], false);
    await closeKept(place.directory, way);
  }
  await agent.remove();
}

type Work = Omit<Load, 'target' | 'sizeBytes'>;

/** Every turn begins with nothing of the file in memory. */
async function turn({ bench, agent, devices, directories }: Arena, way: Way, work: Work) {
  const { programs } = bench;
  const forget = [`if=${diskFile(directories[way])}`, 'of=/dev/null', 'iflag=nocache', 'count=0'];
  await programs.run('dd', forget);
  const more = [...direct, ...(work.more ?? [])];
  const load = { ...work, sizeBytes, target: { file: devices[way] }, more };
  const result = await fio(programs, load);
  // What it left to be done later must not slow down the next one.
  if (work.pattern.endsWith('write')) await agent.settled(way);
  return result;
}

interface RowPlan {
  readonly row: string;
  readonly unit: Extract<Series['unit'], 'IOPS' | 'MB/s'>;
  readonly work: Work;
}

const amountBytes = 16 * MiB;
const plans: readonly RowPlan[] = [
  {
    row: 'device-4k-read',
    unit: 'IOPS',
    work: { pattern: 'randread', blockBytes: 4 * KiB, depth: 16, amountBytes },
  },
  {
    row: 'device-4k-write',
    unit: 'IOPS',
    work: { pattern: 'randwrite', blockBytes: 4 * KiB, depth: 16, seconds: 2 },
  },
  {
    row: 'device-sync',
    unit: 'IOPS',
    work: {
      pattern: 'randwrite',
      blockBytes: 4 * KiB,
      depth: 1,
      seconds: 2,
      more: ['--fsync=1'],
    },
  },
  {
    row: 'device-seq-read',
    unit: 'MB/s',
    work: { pattern: 'read', blockBytes: MiB, depth: 4, amountBytes: sizeBytes },
  },
  {
    row: 'device-seq-write',
    unit: 'MB/s',
    work: {
      pattern: 'write',
      blockBytes: MiB,
      depth: 4,
      amountBytes: sizeBytes,
      more: halfCompressible,
    },
  },
];

async function measure(arena: Arena, { row, unit, work }: RowPlan): Promise<Measured> {
  const run = async (way: Way, round: number): Promise<number> => {
    const { iops, bytesPerSecond } = await turn(arena, way, { ...work, seed: round + 300 });
    return unit === 'IOPS' ? iops : bytesPerSecond / 1e6;
  };
  const { keeper, nbdfuse } = await interleave(arena.bench.rounds('cheap'), {
    keeper: (round) => run('keeper', round),
    nbdfuse: (round) => run('nbdfuse', round),
  });
  return {
    row,
    ours: { name: 'transship', unit, values: keeper },
    peers: [{ name: 'nbdfuse', unit, values: nbdfuse }],
    checks: [
      { what: 'to nbdfuse', values: ratios(keeper, nbdfuse), goal: { sense: 'least', limit } },
    ],
  };
}

export const deviceSection: Section = {
  name: 'devices',
  rows: plans.map(({ row }) => row),
  needs: ['fio', 'nbdfuse', 'losetup'],
  run: async (bench) => {
    const arena = await open(bench);
    try {
      const measured: Measured[] = [];
      for (const plan of plans) measured.push(await measure(arena, plan));
      return measured;
    } finally {
      await close(arena);
    }
  },
};
