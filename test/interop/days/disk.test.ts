// Pools whose disk is full, read-only, or somebody else's.
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { findProcesses } from '../../../src/host/block-probe.ts';
import type { NbdClient } from '../../../src/nbd/client.ts';
import { type Agent, Cloud, refusal, startCloud, until } from '../cloud.ts';
import { noise, writeNoise } from '../content.ts';
import { Ledger } from '../ledger.ts';
import { noDisk, smallDisk } from '../small-disk.ts';
import { must, run } from '../tools.ts';

const mebibyte = 1024 * 1024;
const pieceBytes = 4 * mebibyte;

/** Writes until it is refused; how many bytes were taken, and the refusal. */
async function writeUntilFull(
  client: NbdClient,
  seed: number,
): Promise<{ readonly takenBytes: number; readonly message: string }> {
  for (let at = 0; at < client.sizeBytes; at += pieceBytes) {
    try {
      // Two halves that do not compress.
      const words = noise(seed + at, pieceBytes * 2).filter((_, i) => i % 8 < 4);
      await client.write(words, at);
      await client.flush();
    } catch (error) {
      return { takenBytes: at, message: (error as Error).message };
    }
  }
  throw new Error('the disk was never full');
}

async function conditionOf(agent: Agent, type: string) {
  return (await agent.pool()).status.conditions.find((one) => one.type === type);
}

test('a full disk turns the pool read-only, and space turns it back', {
  skip: noDisk,
  timeout: 400_000,
}, async () => {
  await using disk = await smallDisk(640 * mebibyte);
  await using cloud = new Cloud();
  const agent = await cloud.start('east', { poolDirectory: join(disk.path, 'pool') });
  await agent.create('ballast', 200 * mebibyte);
  await agent.create('db', 1024 * mebibyte);
  {
    using client = await agent.connect('ballast');
    await writeNoise(client, 1, { offset: 0, lengthBytes: 160 * mebibyte });
  }
  using client = await agent.connect('db');
  const { takenBytes, message } = await writeUntilFull(client, 7);
  assert.match(message, /error (1|28)\b/, 'EPERM or ENOSPC, not EIO');
  assert.ok(takenBytes > 0);
  const { status } = await agent.pool();
  assert.equal(status.phase, 'ReadOnly');
  assert.equal((await conditionOf(agent, 'Writable'))?.reason, 'PoolFull');
  const refused = await refusal(agent.call('volume.create', { name: 'more', sizeBytes: mebibyte }));
  assert.equal(refused.reason, 'ReadOnly', refused.message);
  assert.match(refused.message, /full/);
  assert.match(refused.remedy, /[Ff]ree space|add capacity/);
  // What was taken is there, also over a kill on the full disk.
  await assertTaken(client, 7, takenBytes);
  await agent.kill();
  await agent.start();
  using after = await agent.connect('db');
  await assertTaken(after, 7, takenBytes);
  await agent.call('volume.delete', { name: 'ballast' });
  await agent.job('pool.collect', {});
  await until('the pool to be writable', async () => {
    return (await agent.pool()).status.phase === 'Healthy';
  });
  await after.write(noise(3, mebibyte), 0);
  await after.flush();
});

async function assertTaken(client: NbdClient, seed: number, takenBytes: number): Promise<void> {
  for (let at = 0; at < takenBytes; at += 16 * pieceBytes) {
    const back = Buffer.alloc(pieceBytes);
    await client.read(back, at);
    const words = noise(seed + at, pieceBytes * 2).filter((_, i) => i % 8 < 4);
    assert.ok(back.equals(words), `piece at ${at}`);
  }
}

test('a disk that others fill is noticed before anything breaks', { skip: noDisk }, async () => {
  await using disk = await smallDisk(640 * mebibyte);
  await using cloud = new Cloud();
  const agent = await cloud.start('east', { poolDirectory: join(disk.path, 'pool') });
  await agent.create('db', 64 * mebibyte);
  const ledger = new Ledger(3, 8 * mebibyte);
  const client = await agent.connect('db');
  const working = ledger.work(client, () => false, 4);
  const other = join(disk.path, 'other');
  await must('fallocate', '-l', '420M', other);
  await until('the pool to be read-only', async () => {
    return (await agent.pool()).status.phase === 'ReadOnly';
  });
  client.disconnect();
  await working;
  rmSync(other);
  await until('the pool to be writable', async () => {
    return (await agent.pool()).status.phase === 'Healthy';
  });
  using again = await agent.connect('db');
  await ledger.check(again);
  await again.write(noise(1, 4096), 0);
});

test('a disk that fails stops the pool in words; nothing is lost', { skip: noDisk }, async () => {
  await using disk = await smallDisk(640 * mebibyte);
  await using cloud = new Cloud();
  const agent = await cloud.start('east', { poolDirectory: join(disk.path, 'pool') });
  await agent.create('db', 32 * mebibyte);
  const ledger = new Ledger(9, 8 * mebibyte);
  const client = await agent.connect('db');
  let isDown = false;
  const working = ledger.work(client, () => isDown, 4);
  await until('some work', () => ledger.flushes > 5);
  // The file system of the host gives up, as after an error of its disk.
  await must('mount', '-o', 'remount,abort', disk.path);
  await until('the pool to stop', async () => (await agent.pool()).status.phase === 'Failed');
  isDown = true;
  await working;
  const failed = await refusal(agent.call('volume.create', { name: 'x', sizeBytes: mebibyte }));
  assert.equal(failed.reason, 'DiskFailed', failed.message);
  assert.equal((await conditionOf(agent, 'Ready'))?.reason, 'DiskFailed');
  await cloud.startPlanes(['east']);
  const shown = await cloud.cli('volume', 'create', 'x', '--size', '1Mi', '--cluster', 'east');
  assert.match(shown.stderr, /disk/i);
  assert.match(shown.stderr, /reopen|kernel log/);
  await agent.kill();
  // The kernel lets go of a killed process's files a moment later.
  await until('the disk to be free', async () => (await run('umount', disk.path)).code === 0);
  await must('e2fsck', '-p', join(disk.path, '..', 'image')).catch(() => undefined);
  await must('mount', '-o', 'loop', join(disk.path, '..', 'image'), disk.path);
  await agent.start();
  using again = await agent.connect('db');
  await ledger.check(again);
});

test('a pool on a read-only disk is refused with its path', { skip: noDisk }, async () => {
  await using disk = await smallDisk(400 * mebibyte);
  await using cloud = new Cloud();
  const pool = join(disk.path, 'pool');
  const agent = await cloud.start('east', { poolDirectory: pool });
  await agent.stop();
  await must('mount', '-o', 'remount,ro', disk.path);
  const { code, stderr } = await cloud.cli('up', 'east', '--detach');
  assert.equal(code, 1, stderr);
  assert.match(stderr, new RegExp(pool));
  assert.match(stderr, /read-only|EROFS/i);
  await must('mount', '-o', 'remount,rw', disk.path);
  await agent.start();
});

test('a second agent on a pool is refused and names the first', async () => {
  await using cloud = await startCloud(['east']);
  const east = cloud.agent('east');
  await east.create('db', mebibyte);
  const { code, stderr } = await cloud.cli('up', 'thief', '--pool', east.paths.pool, '--detach');
  assert.equal(code, 6, stderr);
  assert.match(stderr, new RegExp(`process ${east.pid}`));
  assert.match(stderr, /Stop the other agent/);
  assert.deepEqual(await east.volumeNames(), ['db']);
  // The lock goes with the process, however it ends.
  const { pid } = east;
  process.kill(pid, 'SIGKILL');
  await east.gone(pid);
  const taken = await cloud.cli('up', 'thief', '--pool', east.paths.pool, '--detach');
  assert.equal(taken.code, 0, taken.stderr);
  const thief = cloud.adopt('thief');
  assert.deepEqual(await thief.volumeNames(), ['db']);
});

test('a kill at any moment of a start leaves a pool that opens', async (t) => {
  await using cloud = await startCloud(['east']);
  const east = cloud.agent('east');
  await east.create('db', 16 * mebibyte);
  const ledger = new Ledger(21, 16 * mebibyte);
  const client = await east.connect('db');
  let isOver = false;
  const working = ledger.work(client, () => isOver);
  await until('a journal', () => ledger.writes > 1500);
  await east.kill();
  isOver = true;
  await working;
  for (const ms of [150, 250, 350, 450, 600]) {
    const starting = east.start().catch(() => undefined);
    await new Promise((resolve) => setTimeout(resolve, ms));
    // Wherever it is by now: the process may not have written its number yet.
    const found = findProcesses((words) => words.includes('agent') && words.includes(cloud.home));
    for (const pid of found) process.kill(pid, 'SIGKILL');
    t.diagnostic(`killed after ${ms} ms: ${found.length > 0}`);
    await starting;
  }
  await east.start();
  using again = await east.connect('db');
  await ledger.check(again);
});
