/** What must not depend on the size: snapshot, clone, restore, verify; starting; memory. */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { randomFillSync } from 'node:crypto';
import type { BenchAgent } from '../fleet.ts';
import { fio, halfCompressible } from '../fio.ts';
import type { Bench, Measured, Section } from '../row.ts';
import { interleave, ratios } from '../stats.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;
const TiB = 1024 * GiB;

async function msOf(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now();
  await work();
  return performance.now() - started;
}

async function verifyRow(bench: Bench): Promise<Measured[]> {
  const { fleet, programs } = bench;
  const east = await fleet.start('east');
  const west = await fleet.start('west');
  await fleet.join(east, west);
  await east.import('disk', (await bench.images.first()).path);
  await fleet.teleport(west, { cluster: 'east', volume: 'disk' });
  const request = { volume: 'disk', cluster: 'east' };
  const results = await interleave(bench.rounds('cheap'), {
    verify: () =>
      msOf(async () => {
        const report = await west.client.stream('volume.verify', request, {
          onEvent: () => undefined,
        });
        if (!report.passed) throw new Error('the volumes differ');
      }),
    hashing: async () => {
      const script = `nbdcopy '${west.uri('disk')}' - | sha256sum`;
      return (await programs.shell(script)).seconds * 1000;
    },
  });
  for (const agent of [west, east]) await agent.remove();
  return [
    {
      row: 'verify',
      ours: { name: 'verify', unit: 'ms', values: results.verify },
      peers: [{ name: 'reading and hashing', unit: 'ms', values: results.hashing }],
      checks: [
        {
          what: 'time',
          values: ratios(results.verify, results.hashing),
          goal: { sense: 'most', limit: 0.01 },
        },
      ],
    },
  ];
}

/** A volume with data and some seconds of history. */
async function makeHistory(bench: Bench, agent: BenchAgent, name: string, sizeBytes: number) {
  await agent.client.call('volume.create', { name, sizeBytes, historyPolicy: 'one-hour' });
  const target = { uri: agent.uri(name) };
  const load = { target, pattern: 'randwrite', blockBytes: 64 * KiB, sizeBytes, depth: 8 } as const;
  const more = ['--norandommap', ...halfCompressible];
  for (let i = 0; i < 3; i++) {
    await fio(bench.programs, { ...load, amountBytes: 32 * MiB, seed: i + 1, more });
    await new Promise((resolve) => {
      setTimeout(resolve, 1500);
    });
  }
  await agent.settled(name);
}

async function constantRows(bench: Bench): Promise<Measured[]> {
  const agent = await bench.fleet.start('constant');
  const sizes = { small: GiB, huge: 16 * TiB } as const;
  for (const [name, bytes] of Object.entries(sizes)) await makeHistory(bench, agent, name, bytes);
  const atMs = Date.now() - 1000;
  const { client } = agent;
  const operations = {
    snapshot: (volume: string, round: number) =>
      client.call('volume.snapshot', { volume, name: `s-${round}` }),
    clone: (volume: string, round: number) =>
      client.call('volume.clone', { volume, name: `${volume}-${round}`, snapshot: `s-${round}` }),
    restore: (volume: string) => client.call('volume.restore', { volume, atMs }),
  } as const;
  const rows: Measured[] = [];
  for (const [row, operate] of Object.entries(operations)) {
    const results = await interleave(bench.rounds('cheap'), {
      huge: (round) => msOf(() => operate('huge', round)),
      small: (round) => msOf(() => operate('small', round)),
    });
    const unit = 'ms';
    rows.push({
      row,
      ours: { name: '16 TiB', unit, values: results.huge },
      peers: [{ name: '1 GiB', unit, values: results.small }],
      checks: [{ what: '16 TiB', values: results.huge, goal: { sense: 'most', limit: 50 }, unit }],
    });
  }
  await agent.remove();
  return rows;
}

async function restartRow(bench: Bench): Promise<Measured[]> {
  const { fleet, programs } = bench;
  const agent = await fleet.start('restart');
  const sizeBytes = GiB;
  await agent.client.call('volume.create', { name: 'disk', sizeBytes });
  const journals: number[] = [];
  const starts: number[] = [];
  for (let round = 0; round < bench.rounds('dear'); round++) {
    const target = { uri: agent.uri('disk') };
    const load = {
      target,
      pattern: 'randwrite',
      blockBytes: 4 * KiB,
      sizeBytes,
      depth: 32,
    } as const;
    const amountBytes = (bench.quick ? 128 : 800) * MiB;
    await fio(programs, { ...load, amountBytes, seed: round + 1 });
    const { status } = await agent.client.call('pool.show', {});
    journals.push(status.journalBytes / MiB);
    await agent.kill();
    starts.push((await msOf(() => agent.start())) / 1000);
    await agent.settled('disk');
  }
  await agent.remove();
  return [
    {
      row: 'restart',
      ours: { name: 'until ready', unit: 's', values: starts },
      peers: [],
      checks: [
        { what: 'until ready', values: starts, goal: { sense: 'most', limit: 3 }, unit: 's' },
      ],
      beside: [{ name: 'journal', unit: 'MiB', values: journals }],
    },
  ];
}

async function memoryRow(bench: Bench): Promise<Measured[]> {
  const agent = await bench.fleet.start('memory');
  const bytes = (bench.quick ? 256 : 1024) * MiB;
  const path = join(bench.directory, 'random.img');
  const piece = Buffer.alloc(4 * MiB);
  const file = fs.openSync(path, 'w');
  for (let at = 0; at < bytes; at += piece.length) fs.writeSync(file, randomFillSync(piece));
  fs.closeSync(file);
  const empty = await agent.memory();
  await agent.import('many', path, 4096);
  fs.rmSync(path);
  const busy = await agent.memory();
  await agent.kill();
  await agent.start();
  const idle = await agent.memory();
  const { chunks } = (await agent.client.call('pool.show', {})).status;
  await agent.remove();
  const allowed = 150 + (50 * chunks) / MiB;
  const unit = 'MiB';
  const values = [busy.all / allowed];
  return [
    {
      row: 'memory',
      ours: { name: `with ${chunks} chunks, after importing them`, unit, values: [busy.all] },
      peers: [{ name: 'allowed', unit, values: [allowed] }],
      checks: [{ what: 'to what is allowed', values, goal: { sense: 'most', limit: 1 } }],
      beside: [
        { name: 'empty', unit, values: [empty.all] },
        { name: 'with the chunks, started anew', unit, values: [idle.all] },
        { name: 'of that not shared', unit, values: [idle.own] },
      ],
    },
  ];
}

export const constantSections: readonly Section[] = [
  {
    name: 'verify',
    rows: ['verify'],
    needs: ['nbdcopy', 'mkfs.ext4', 'sha256sum'],
    run: verifyRow,
  },
  { name: 'constant', rows: ['snapshot', 'clone', 'restore'], needs: ['fio'], run: constantRows },
  { name: 'restart', rows: ['restart'], needs: ['fio'], run: restartRow },
  { name: 'memory', rows: ['memory'], needs: [], run: memoryRow },
];
