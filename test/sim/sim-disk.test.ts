import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Disk } from '../../src/base/ports.ts';
import { createRng } from './rng.ts';
import { Crashed, Scheduler, Stuck } from './scheduler.ts';
import { SimDisk, type SimDiskOptions } from './sim-disk.ts';

const KiB = 1024;

function machine(seed: number, options: Partial<SimDiskOptions> = {}) {
  const rng = createRng(seed);
  const scheduler = new Scheduler({ rng: rng.fork('scheduler') });
  const simDisk = new SimDisk(scheduler, rng.fork('disk'), { capacityBytes: 1 << 20, ...options });
  return { rng, scheduler, simDisk };
}

function content(disk: Disk, path: string): Buffer {
  const file = disk.open(path);
  const bytes = Buffer.alloc(file.sizeBytes());
  assert.equal(file.read(bytes, 0), bytes.length);
  return bytes;
}

function filled(value: number, count = 4 * KiB): Uint8Array {
  return new Uint8Array(count).fill(value);
}

/** How many of so many seeds the outcome holds in. */
function count(seeds: number, outcome: (seed: number) => boolean): number {
  return Array.from({ length: seeds }, (_, seed) => outcome(seed)).filter(Boolean).length;
}

test('what was synced survives every crash', () => {
  for (let seed = 0; seed < 200; seed += 1) {
    const { simDisk } = machine(seed);
    const disk = simDisk.mount();
    const file = disk.open('a', { create: true });
    disk.syncDirectory('.');
    file.write([filled(1), filled(2)], 0);
    file.sync();
    file.write([filled(3)], 16 * KiB);
    simDisk.powerOff();
    const survived = content(simDisk.mount(), 'a').subarray(0, 8 * KiB);
    assert.deepEqual(survived, Buffer.concat([filled(1), filled(2)]));
  }
});

test('what was not synced may survive, vanish or be torn at any sector', () => {
  const outcomes = new Set<string>();
  for (let seed = 0; seed < 200; seed += 1) {
    const { simDisk } = machine(seed);
    const disk = simDisk.mount();
    const file = disk.open('a', { create: true });
    file.write([filled(1)], 0);
    file.sync();
    disk.syncDirectory('.');
    file.write([filled(2)], 0);
    simDisk.powerOff();
    const bytes = content(simDisk.mount(), 'a');
    for (let at = 0; at < bytes.length; at += 512) {
      assert.ok(
        bytes.subarray(at, at + 512).every((byte) => byte === bytes[at]),
        'whole sectors',
      );
    }
    outcomes.add(
      bytes.every((b) => b === 1) ? 'old' : bytes.every((b) => b === 2) ? 'new' : 'torn',
    );
  }
  assert.deepEqual([...outcomes].sort(), ['new', 'old', 'torn']);
});

test('a later write may reach the medium before an earlier one', () => {
  const reordered = count(200, (seed) => {
    const { simDisk } = machine(seed);
    const disk = simDisk.mount();
    const file = disk.open('a', { create: true });
    disk.syncDirectory('.');
    file.write([filled(1, 512)], 0);
    file.write([filled(2, 512)], 512);
    simDisk.powerOff();
    const bytes = content(simDisk.mount(), 'a');
    return bytes[0] === 0 && bytes[512] === 2;
  });
  assert.ok(reordered > 0);
});

test('a created, renamed or removed file may be lost until its directory is synced', () => {
  const outcomes = new Set<string>();
  for (let seed = 0; seed < 200; seed += 1) {
    const { simDisk } = machine(seed);
    const disk = simDisk.mount();
    disk.makeDirectory('d');
    for (const name of ['kept', 'renamed', 'removed']) disk.open(`d/${name}`, { create: true });
    disk.syncDirectory('d');
    disk.open('d/created', { create: true });
    disk.rename('d/renamed', 'd/other');
    disk.remove('d/removed');
    simDisk.powerOff();
    const names = simDisk.mount().list('d');
    assert.ok(names.includes('kept'));
    assert.notEqual(names.includes('renamed'), names.includes('other'), 'a rename is atomic');
    outcomes.add(names.join());
  }
  assert.equal(outcomes.size, 8);
});

test('a sync that fails loses some of the writes for good, and memory hides it', () => {
  const lost = count(100, (seed) => {
    const { simDisk } = machine(seed, { syncFailure: 1 });
    const disk = simDisk.mount();
    const file = disk.open('a', { create: true });
    disk.syncDirectory('.');
    file.write([filled(7)], 0);
    assert.throws(() => file.sync(), { reason: 'DiskFailed' });
    assert.deepEqual(content(disk, 'a'), Buffer.from(filled(7)));
    simDisk.options = { capacityBytes: 1 << 20 };
    file.sync();
    simDisk.powerOff();
    return !content(simDisk.mount(), 'a').equals(filled(7));
  });
  assert.ok(lost > 20, `lost in ${lost} of 100 seeds`);
});

test('a lying sync loses data in some seed: the disk can tell an engine that never syncs', () => {
  const lost = count(50, (seed) => {
    const { simDisk } = machine(seed, { lyingSync: '' });
    const disk = simDisk.mount();
    const file = disk.open('a', { create: true });
    disk.syncDirectory('.');
    file.write([filled(7)], 0);
    file.sync();
    simDisk.powerOff();
    return !content(simDisk.mount(), 'a').equals(filled(7));
  });
  assert.ok(lost > 5);
});

test('killing the process alone loses nothing that was written', () => {
  const { simDisk } = machine(1);
  simDisk
    .mount()
    .open('a', { create: true })
    .write([filled(7)], 0);
  simDisk.killProcess();
  assert.deepEqual(content(simDisk.mount(), 'a'), Buffer.from(filled(7)));
});

test('a full disk refuses to grow but lets be overwritten', () => {
  const { simDisk } = machine(1, { capacityBytes: 8 * KiB });
  const file = simDisk.mount().open('a', { create: true });
  file.write([filled(1), filled(2)], 0);
  assert.throws(() => file.write([filled(3)], 8 * KiB), { reason: 'PoolFull' });
  file.write([filled(3)], 4 * KiB);
  file.truncate(4 * KiB);
  file.write([filled(3)], 4 * KiB);
});

test('answers come when the scheduler says, and the dead get none', async () => {
  const { simDisk, scheduler } = machine(3);
  const file = simDisk.mount().open('a', { create: true });
  file.write([filled(5)], 0);
  const into = new Uint8Array(4 * KiB);
  const reading = file.readLater(into, 0);
  assert.equal(into[0], 0);
  assert.equal(await scheduler.drive(reading), 4 * KiB);
  assert.equal(into[0], 5);
  const never = file.syncLater();
  simDisk.powerOff();
  await assert.rejects(scheduler.drive(never), Stuck);
  assert.throws(() => file.read(into, 0), Crashed);
});

test('a process can end in the middle of any call, with the call half done', () => {
  const sizes = new Set<number>();
  for (let seed = 0; seed < 100; seed += 1) {
    const { simDisk } = machine(seed);
    let crashes = 0;
    const disk = simDisk.mount({ afterCalls: 3, onCrash: () => (crashes += 1) });
    const file = disk.open('a', { create: true });
    disk.syncDirectory('.');
    assert.throws(() => file.write([filled(1)], 0), Crashed);
    assert.throws(() => file.sizeBytes(), Crashed);
    assert.equal(crashes, 1);
    sizes.add(content(simDisk.mount(), 'a').length);
  }
  assert.ok(sizes.size > 2, 'files of several lengths');
});

test('the same seed gives the same history', async () => {
  const run = async (seed: number) => {
    const { simDisk, scheduler, rng } = machine(seed);
    const file = simDisk.mount().open('a', { create: true });
    const work = Array.from({ length: 50 }, async (_, at) => {
      file.write([rng.bytes(100)], at * 100);
      await file.syncLater();
      await file.readLater(new Uint8Array(10), at);
    });
    await scheduler.drive(Promise.all(work));
    return scheduler.traceHash;
  };
  assert.equal(await run(5), await run(5));
  assert.notEqual(await run(5), await run(6));
});
