import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { TransshipError } from '../base/errors.ts';
import { createDisk } from './disk.ts';

function temporary(context: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'transship-disk-'));
  context.after(() => rmSync(directory, { recursive: true }));
  return directory;
}

function reasonOf(call: () => unknown): string {
  try {
    call();
  } catch (error) {
    if (error instanceof TransshipError) return `${error.reason} ${error.message}`;
    throw error;
  }
  return 'no error';
}

test('what was written in parts is read back, short at the end', async (context) => {
  const disk = createDisk(temporary(context));
  const file = disk.open('a', { create: true });
  const parts = Array.from({ length: 3000 }, (_, index) => new Uint8Array(7).fill(index));
  file.write([new Uint8Array(0), ...parts], 10);
  assert.equal(file.sizeBytes(), 21010);
  const into = new Uint8Array(30000);
  assert.equal(file.read(into, 10), 21000);
  assert.deepEqual(into.subarray(0, 21000), new Uint8Array(Buffer.concat(parts)));
  const later = new Uint8Array(100);
  assert.equal(await file.readLater(later, 20960), 50);
  assert.deepEqual(later.subarray(0, 50), into.subarray(20950, 21000));
  await file.syncLater();
  file.sync();
  file.truncate(12);
  assert.equal(file.read(into, 0), 12);
  file.close();
});

test('directories: list is sorted, absent is empty, rename and remove work', (context) => {
  const disk = createDisk(temporary(context));
  disk.makeDirectory('d/e');
  for (const name of ['c', 'a', 'b']) disk.open(`d/${name}`, { create: true }).close();
  assert.deepEqual(disk.list('d'), ['a', 'b', 'c', 'e']);
  assert.deepEqual(disk.list('nothing'), []);
  disk.rename('d/a', 'd/b');
  disk.remove('d/c');
  disk.syncDirectory('d');
  assert.deepEqual(disk.list('d'), ['b', 'e']);
  assert.equal(disk.exists('d/a'), false);
  assert.ok(disk.space().totalBytes >= disk.space().freeBytes);
});

test('files and directories are for their owner only', (context) => {
  const directory = join(temporary(context), 'pool');
  const disk = createDisk(directory);
  disk.open('a', { create: true }).close();
  assert.equal(statSync(directory).mode & 0o777, 0o700);
  assert.equal(statSync(join(directory, 'a')).mode & 0o777, 0o600);
});

test('errors have a reason, a path and the errno', (context) => {
  const disk = createDisk(temporary(context));
  assert.match(
    reasonOf(() => disk.open('absent')),
    /^NotFound cannot open \/.*\/absent: ENOENT$/,
  );
  assert.match(
    reasonOf(() => disk.remove('absent')),
    /^NotFound/,
  );
  disk.makeDirectory('d');
  assert.match(
    reasonOf(() => disk.remove('d')),
    /^DiskFailed cannot remove .*\/d: E/,
  );
  assert.throws(() => disk.open('../outside'), /leaves the directory/);
});

test('a full disk is PoolFull', () => {
  const file = createDisk('/dev').open('full');
  assert.match(
    reasonOf(() => file.write([new Uint8Array(8)], 0)),
    /^PoolFull .*ENOSPC/,
  );
  file.close();
});

test('closing waits for calls that still run, and later calls are a bug', async (context) => {
  const disk = createDisk(temporary(context));
  const file = disk.open('a', { create: true });
  file.write([new Uint8Array(4096).fill(7)], 0);
  const into = new Uint8Array(4096);
  const reading = file.readLater(into, 0);
  const syncing = file.syncLater();
  file.close();
  assert.equal(await reading, 4096);
  await syncing;
  assert.equal(into[4095], 7);
  assert.throws(() => file.sizeBytes(), /after close/);
  await assert.rejects(async () => file.syncLater(), /after close/);
});
