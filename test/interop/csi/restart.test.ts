// An agent is killed while the device of a pod is written to: the device waits, nothing fails.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { findProcesses } from '../../../src/host/block-probe.ts';
import { type Cloud, startCloud, until } from '../cloud.ts';
import { missing, must, scratch } from '../tools.ts';
import { keepersOf, startFio } from './writer.ts';

const mainPath = join(import.meta.dirname, '../../../src/main.ts');
const MiB = 1024 * 1024;
const isRoot = process.getuid?.() === 0 && existsSync('/dev/fuse');
const reason = isRoot
  ? missing('nbdfuse', 'losetup', 'fio', 'mkfs.ext4')
  : 'needs root and /dev/fuse to attach volumes';

const options = { skip: reason, timeout: 10 * 60_000 };

/** A socket of a process that was killed is still there. */
function isListening(socketPath: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ path: socketPath });
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}

/** What runs beside the agent in a container of its own; ended by its id when disposed. */
async function startDevices(home: string, socketPath: string): Promise<AsyncDisposable> {
  const words = ['--socket', socketPath, '--directory', join(home, 'devices')];
  const child = spawn(process.execPath, ['--no-warnings', mainPath, 'node-devices', ...words], {
    env: { ...process.env, TRANSSHIP_HOME: home },
    stdio: 'ignore',
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  await until('the devices to be kept', () => isListening(socketPath));
  return {
    [Symbol.asyncDispose]: async () => {
      child.kill('SIGTERM');
      await ended;
    },
  };
}

test('kill -9 of the agent below a writer', options, async () => {
  await using cloud = await startCloud(['east']);
  await killBelowWriter(cloud);
});

test('kill -9 below a writer whose device another process keeps', options, async () => {
  using directory = scratch();
  const socketPath = join(directory.path, 'devices.sock');
  await using _devices = await startDevices(directory.path, socketPath);
  await using cloud = await startCloud(['east'], { settings: { devicesSocket: socketPath } });
  await killBelowWriter(cloud, directory.path);
  // The agent itself attached nothing, so nothing ended with it.
  assert.equal(existsSync(cloud.agent('east').paths.attachments), false);
});

test('an agent serves also while nobody keeps devices', options, async () => {
  using directory = scratch();
  const socketPath = join(directory.path, 'devices.sock');
  await using cloud = await startCloud(['east'], { settings: { devicesSocket: socketPath } });
  const agent = cloud.agent('east');
  await agent.create('db', 16 * MiB);
  const attach = () => agent.call('volume.attach', { volume: 'db', keep: true });
  await assert.rejects(attach(), /what keeps devices at \S+ does not run/);
  await using _devices = await startDevices(directory.path, socketPath);
  const { status } = await attach();
  assert.ok(status.device?.startsWith('/dev/'));
  await agent.call('volume.detach', { volume: 'db' });
});

test('what keeps devices clears away what died with the one before it', options, async () => {
  using directory = scratch();
  const socketPath = join(directory.path, 'devices.sock');
  await using cloud = await startCloud(['east'], { settings: { devicesSocket: socketPath } });
  const agent = cloud.agent('east');
  await agent.create('db', 16 * MiB);
  const place = join(directory.path, 'devices');
  const isOfDevices = (words: readonly string[]) => {
    return words.some((word) => word === place || word.includes(`${place}/`));
  };
  {
    await using _devices = await startDevices(directory.path, socketPath);
    await agent.call('volume.attach', { volume: 'db', keep: true });
    // As a container ends: all of it, at once.
    for (const pid of findProcesses(isOfDevices)) process.kill(pid, 'SIGKILL');
    await until('all of it to end', () => findProcesses(isOfDevices).length === 0);
  }
  const loops = async () => (await must('losetup', '--all')).includes(directory.path);
  assert.equal(await loops(), true);
  await using _devices = await startDevices(directory.path, socketPath);
  await until('the device to be gone', async () => !(await loops()));
  const { status } = await agent.call('volume.attach', { volume: 'db', keep: true });
  assert.ok(status.device?.startsWith('/dev/'));
  await agent.call('volume.detach', { volume: 'db' });
});

async function killBelowWriter(cloud: Cloud, keptIn = cloud.home): Promise<void> {
  const agent = cloud.agent('east');
  await agent.create('db', 96 * MiB);
  const { status } = await agent.call('volume.attach', { volume: 'db', keep: true });
  const writer = startFio(status.device!, { seconds: 12, size: '64m' });
  assert.equal(keepersOf(keptIn).length, 1);
  let isOver = false;
  void writer.ended.then(() => {
    isOver = true;
  });
  let kills = 0;
  while (!isOver && kills < 3) {
    const before = await agent.metric('transship_nbd_');
    await until(
      'some writes',
      async () => isOver || (await agent.metric('transship_nbd_')) > before,
    );
    await agent.kill();
    kills++;
    await sleep(200);
    await agent.start();
  }
  assert.equal(await writer.ended, 0, writer.said());
  assert.equal(kills, 3);
  await agent.call('volume.detach', { volume: 'db' });
  // Nothing is left: the last device takes its keeper along.
  await until('the keeper to end', () => keepersOf(keptIn).length === 0);
  assert.equal((await must('losetup', '--all')).includes(keptIn), false);
}

test('a mounted file system over restarts', options, async () => {
  await using cloud = await startCloud(['east']);
  const agent = cloud.agent('east');
  await agent.create('files', 64 * MiB);
  const mount = join(cloud.home, 'mnt');
  const request = { volume: 'files', mount, format: 'ext4', keep: true };
  await agent.call('volume.attach', request);
  for (let round = 0; round < 3; round++) {
    const file = join(mount, `file-${round}`);
    const copy = must('dd', 'if=/dev/urandom', `of=${file}`, 'bs=64k', 'count=100', 'oflag=dsync');
    await agent.kill();
    await agent.start();
    await copy;
  }
  await must('sync', '--file-system', mount);
  const sums = await must('sh', '-c', `cd ${mount} && sha256sum file-*`);
  await agent.call('volume.detach', { volume: 'files' });
  await agent.call('volume.attach', { volume: 'files', mount });
  assert.equal(await must('sh', '-c', `cd ${mount} && sha256sum file-*`), sums);
  await agent.call('volume.detach', { volume: 'files' });
});
