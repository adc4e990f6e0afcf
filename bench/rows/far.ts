/** What one at the far side of a long link notices: opening, cold reads, reads while filling. */
import { type BenchAgent, pause } from '../fleet.ts';
import { fio, halfCompressible } from '../fio.ts';
import { measureRoundTrip } from '../round-trip.ts';
import type { Bench, Measured, Section } from '../row.ts';
import { interleave, ratios } from '../stats.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;
const TiB = 1024 * GiB;

const roundTripMs = 20;
const slowRoundTripMs = 50;

/** Seconds until somebody may read the volume there; it is gone again afterwards. */
async function openAndCancel(
  agent: BenchAgent,
  request: { readonly cluster: string; readonly volume: string },
): Promise<number> {
  const started = performance.now();
  const { metadata, status } = await agent.client.call('teleport.start', request);
  const milliseconds = performance.now() - started;
  if (status.phase === 'Failed') throw new Error('the teleport failed');
  await agent.client.call('teleport.cancel', { name: metadata.name });
  return milliseconds;
}

/** Data all over the volume, so that its tree is as wide as its data allows. */
async function makeVolumes(bench: Bench, east: BenchAgent): Promise<void> {
  const { programs } = bench;
  for (const [name, sizeBytes, amountBytes] of [
    ['small', GiB, (bench.quick ? 64 : 256) * MiB],
    ['huge', 16 * TiB, (bench.quick ? 0.25 : 2) * GiB],
  ] as const) {
    await east.client.call('volume.create', { name, sizeBytes });
    const target = { uri: east.uri(name) };
    const pattern = 'randwrite';
    const more = ['--norandommap', ...halfCompressible];
    const load = { target, pattern, blockBytes: MiB, sizeBytes, depth: 8, amountBytes } as const;
    await fio(programs, { ...load, more });
    await east.settled(name);
  }
}

async function accessibleRows(bench: Bench): Promise<Measured[]> {
  const { fleet } = bench;
  const east = await fleet.start('near');
  const west = await fleet.start('here');
  const far = await fleet.start('far');
  await makeVolumes(bench, east);
  await fleet.join(east, west);
  await fleet.join(east, far, { roundTripMs: slowRoundTripMs });
  const open = (agent: BenchAgent, volume: string) => () =>
    openAndCancel(agent, { cluster: east.name, volume });
  // A few dozen milliseconds each: many rounds, because one wait for a busy core is as long.
  const results = await interleave(3 * bench.rounds('cheap'), {
    huge: open(west, 'huge'),
    small: open(west, 'small'),
    hugeFar: open(far, 'huge'),
    smallFar: open(far, 'small'),
  });
  for (const agent of [far, west, east]) await agent.remove();
  const unit = 'ms';
  const values = ratios(results.huge, results.small);
  const farValues = ratios(results.hugeFar, results.smallFar);
  return [
    {
      row: 'accessible',
      ours: { name: '16 TiB', unit, values: results.huge },
      peers: [{ name: '1 GiB', unit, values: results.small }],
      checks: [{ what: '16 TiB to 1 GiB', values, goal: { sense: 'most', limit: 1.5 } }],
    },
    {
      row: 'accessible-far',
      ours: { name: '16 TiB', unit, values: results.hugeFar },
      peers: [{ name: '1 GiB', unit, values: results.smallFar }],
      checks: [
        { what: '16 TiB to 1 GiB', values: farValues, goal: { sense: 'most', limit: 1.5 } },
        { what: '16 TiB', values: results.hugeFar, goal: { sense: 'most', limit: 1000 }, unit },
      ],
    },
  ];
}

async function coldRow(bench: Bench): Promise<Measured[]> {
  const { fleet, programs } = bench;
  const sizeBytes = 256 * MiB;
  const east = await fleet.start('near');
  const west = await fleet.start('far');
  await east.client.call('volume.create', { name: 'cold', sizeBytes });
  const fill = { pattern: 'write', blockBytes: 256 * KiB, sizeBytes, depth: 8 } as const;
  const more = halfCompressible;
  await fio(programs, { ...fill, target: { uri: east.uri('cold') }, more });
  await east.settled('cold');
  await fleet.join(east, west, { roundTripMs });
  await west.client.call('teleport.start', { cluster: 'near', volume: 'cold', thin: true });
  const reads = 100;
  const rounds = bench.rounds('cheap');
  const region = Math.floor(sizeBytes / rounds / MiB) * MiB;
  const p99: number[] = [];
  const results = await interleave(rounds, {
    roundTrip: () => measureRoundTrip(roundTripMs),
    cold: async (round) => {
      // Every block once: what was read before is no longer cold.
      const places = ['--blockalign=65536', `--offset=${round * region}`, `--number_ios=${reads}`];
      const target = { uri: west.uri('cold') };
      const cold = { target, pattern: 'randread', blockBytes: 64 * KiB, depth: 1 } as const;
      const result = await fio(programs, { ...cold, sizeBytes: region, more: places });
      p99.push(result.p99);
      return result.p50;
    },
  });
  for (const agent of [west, east]) await agent.remove();
  const values = results.cold.map((ms, round) => ms - (results.roundTrip[round] ?? Number.NaN));
  const unit = 'ms';
  return [
    {
      row: 'cold-read',
      ours: { name: 'p50', unit, values: results.cold },
      peers: [{ name: 'round trip', unit, values: results.roundTrip }],
      checks: [{ what: 'above one round trip', values, goal: { sense: 'most', limit: 2 }, unit }],
      beside: [{ name: 'p99', unit, values: p99 }],
    },
  ];
}

/** Reads of an application, a few hundred a second, all over the volume. */
async function application(bench: Bench, uri: string, seed: number): Promise<number> {
  const load = { target: { uri }, pattern: 'randread', blockBytes: 4 * KiB, depth: 4 } as const;
  const sizeBytes = bench.images.sizeBytes;
  const seconds = bench.quick ? 2 : 4;
  const more = ['--rate_iops=300'];
  return (await fio(bench.programs, { ...load, sizeBytes, seconds, seed, more })).p99;
}

async function duringFetchRow(bench: Bench): Promise<Measured[]> {
  const { fleet } = bench;
  const east = await fleet.start('near');
  await east.import('disk', (await bench.images.first()).path);
  const once = async (name: string, thin: boolean, round: number) => {
    const west = await fleet.start(name);
    await fleet.join(east, west, { roundTripMs });
    const request = { cluster: 'near', volume: 'disk', thin };
    const { metadata } = await west.client.call('teleport.start', request);
    const p99 = await application(bench, west.uri('disk'), round + 1);
    const { status } = await west.client.call('teleport.show', { name: metadata.name });
    await west.remove();
    return { p99, fetched: status.progress.backgroundBytes / 1e6 };
  };
  const results = await interleave(bench.rounds('dear'), {
    during: (round) => once(`filling-${round}`, false, round),
    without: (round) => once(`thin-${round}`, true, round),
  });
  await pause(0);
  await east.remove();
  const p99 = (all: readonly { readonly p99: number }[]) => all.map((one) => one.p99);
  const during = p99(results.during);
  const without = p99(results.without);
  const fetched = results.during.map((one) => one.fetched);
  const unit = 'ms';
  return [
    {
      row: 'reads-during-fetch',
      ours: { name: 'p99 during the fetch', unit, values: during },
      peers: [{ name: 'p99 without', unit, values: without }],
      checks: [{ what: 'p99', values: ratios(during, without), goal: { sense: 'most', limit: 3 } }],
      beside: [{ name: 'fetched meanwhile', unit: 'MB', values: fetched }],
    },
  ];
}

export const farSections: readonly Section[] = [
  {
    name: 'accessible',
    rows: ['accessible', 'accessible-far'],
    needs: ['fio'],
    run: accessibleRows,
  },
  { name: 'cold', rows: ['cold-read'], needs: ['fio'], run: coldRow },
  {
    name: 'during',
    rows: ['reads-during-fetch'],
    needs: ['fio', 'mkfs.ext4'],
    run: duringFetchRow,
  },
];
