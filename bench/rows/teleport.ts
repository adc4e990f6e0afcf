/** A stored volume becomes complete in another cluster, beside rsync and a compressed pipe. */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { syncAll } from '../programs.ts';
import type { BenchAgent } from '../fleet.ts';
import type { Bench, Measured, Section, Series } from '../row.ts';
import { best, interleave, ratios } from '../stats.ts';

const port = 18_730;
const pipePort = 18_731;

interface Cost {
  readonly seconds: number;
  readonly megabytes: number;
}

/** The first copy to a place that has nothing, then a later version to the place that has it. */
interface Pair {
  readonly first: Cost;
  readonly later: Cost;
}

async function costOf(bench: Bench, work: () => Promise<unknown>): Promise<Cost> {
  const bytes = bench.wireBytes();
  const started = performance.now();
  await work();
  const seconds = (performance.now() - started) / 1000;
  return { seconds, megabytes: (bench.wireBytes() - bytes) / 1e6 };
}

async function oursOnce(bench: Bench, east: BenchAgent, round: number): Promise<Pair> {
  const { fleet } = bench;
  const west = await fleet.start(`west-${round}`);
  await fleet.join(east, west);
  const cluster = east.name;
  const first = await costOf(bench, () => fleet.teleport(west, { cluster, volume: 'first' }));
  const later = await costOf(bench, () => fleet.teleport(west, { cluster, volume: 'later' }));
  await west.remove();
  return { first, later };
}

/** A daemon with the two versions under one name in two directories. */
async function serveRsync(bench: Bench) {
  const root = join(bench.directory, 'rsync');
  const config = join(bench.directory, 'rsyncd.conf');
  for (const version of ['first', 'later'] as const) {
    fs.mkdirSync(join(root, version), { recursive: true });
    fs.linkSync((await bench.images[version]()).path, join(root, version, 'disk.img'));
  }
  fs.writeFileSync(config, `use chroot = no\nport = ${port}\n[bench]\npath = ${root}\n`);
  const args = ['--daemon', '--no-detach', '--address=127.0.0.1', `--config=${config}`];
  return bench.programs.serve('rsync', args, { port });
}

async function rsyncOnce(bench: Bench): Promise<Pair> {
  const into = join(bench.directory, 'rsync-into');
  fs.mkdirSync(into);
  const zstd = ['--times', '--fsync', '-z', '--zc=zstd', '--zl=1'];
  const from = (version: string) => `rsync://127.0.0.1:${port}/bench/${version}/disk.img`;
  const first = await costOf(bench, () =>
    bench.programs.run('rsync', [...zstd, '--sparse', '--whole-file', from('first'), `${into}/`]),
  );
  const later = await costOf(bench, () =>
    bench.programs.run('rsync', [
      ...zstd,
      '--inplace',
      '--no-whole-file',
      from('later'),
      `${into}/`,
    ]),
  );
  fs.rmSync(into, { recursive: true });
  return { first, later };
}

async function pipeOnce(bench: Bench): Promise<Cost> {
  const { path } = await bench.images.first();
  const out = join(bench.directory, 'piped.img');
  const listen = `TCP-LISTEN:${pipePort},reuseaddr,bind=127.0.0.1`;
  const connect = `TCP:127.0.0.1:${pipePort},retry=100,interval=0.01`;
  const script = [
    `socat -u -b 262144 ${listen} - | zstd -d -q -f --sparse -o '${out}' &`,
    `zstd -1 -T2 -q -c '${path}' | socat -u -b 262144 - ${connect} && wait $!`,
  ].join('\n');
  const cost = await costOf(bench, async () => {
    await bench.programs.shell(script);
    syncAll(out);
  });
  fs.rmSync(out);
  return cost;
}

const seconds = (costs: readonly Cost[]) => costs.map((cost) => cost.seconds);
const megabytes = (costs: readonly Cost[]) => costs.map((cost) => cost.megabytes);

function wire(name: string, costs: readonly Cost[]): Series {
  return { name: `${name} on the wire`, unit: 'MB', values: megabytes(costs) };
}

interface Transfer {
  readonly row: string;
  readonly ours: readonly Cost[];
  readonly peers: Readonly<Record<string, readonly Cost[]>>;
  readonly timeLimit: number;
  readonly bytesLimit: number;
}

function compare({ row, ours, peers, timeLimit, bytesLimit }: Transfer): Measured {
  const all = Object.values(peers);
  return {
    row,
    ours: { name: 'transship', unit: 's', values: seconds(ours) },
    peers: Object.entries(peers).map(([name, costs]) => {
      return { name, unit: 's', values: seconds(costs) };
    }),
    checks: [
      {
        what: 'time to the quicker',
        values: ratios(seconds(ours), best(all.map(seconds), 'least')),
        goal: { sense: 'most', limit: timeLimit },
      },
      {
        what: 'bytes to the fewer',
        values: ratios(megabytes(ours), best(all.map(megabytes), 'least')),
        goal: { sense: 'most', limit: bytesLimit },
      },
    ],
    beside: [
      wire('transship', ours),
      ...Object.entries(peers).map(([name, one]) => wire(name, one)),
    ],
  };
}

async function run(bench: Bench): Promise<Measured[]> {
  const { fleet } = bench;
  const east = await fleet.start('east');
  const ingest: number[] = [];
  for (const version of ['first', 'later'] as const) {
    const { path } = await bench.images[version]();
    const started = performance.now();
    await east.import(version, path);
    ingest.push((performance.now() - started) / 1000);
  }
  const daemon = await serveRsync(bench);
  const results = await interleave(bench.rounds('dear'), {
    ours: (round) => oursOnce(bench, east, round),
    rsync: () => rsyncOnce(bench),
    pipe: async () => {
      const first = await pipeOnce(bench);
      return { first, later: first };
    },
  });
  await daemon.stop();
  await east.remove();
  const first = (pairs: readonly Pair[]) => pairs.map((pair) => pair.first);
  const later = (pairs: readonly Pair[]) => pairs.map((pair) => pair.later);
  const full = compare({
    row: 'teleport',
    ours: first(results.ours),
    peers: { 'rsync -z': first(results.rsync), 'zstd pipe': first(results.pipe) },
    timeLimit: 0.5,
    bytesLimit: 1.07,
  });
  const delta = compare({
    row: 'teleport-again',
    ours: later(results.ours),
    peers: { 'rsync delta': later(results.rsync) },
    timeLimit: 0.25,
    bytesLimit: 1.1,
  });
  const [one = 0, two = 0] = ingest;
  const before = (name: string, value: number) => ({ name, unit: 's', values: [value] }) as const;
  return [
    { ...full, beside: [...(full.beside ?? []), before('ingest before it', one)] },
    { ...delta, beside: [...(delta.beside ?? []), before('ingest before it', two)] },
  ];
}

export const teleportSection: Section = {
  name: 'teleport',
  rows: ['teleport', 'teleport-again'],
  needs: ['rsync', 'zstd', 'socat', 'mkfs.ext4', 'debugfs'],
  run,
};
