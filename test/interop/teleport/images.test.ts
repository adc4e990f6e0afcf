// Images as the source of a teleport, and volumes as images again.
import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Agent, type Cloud, refusal, startCloud } from '../cloud.ts';
import { noise } from '../content.ts';
import { missing, must, scratch } from '../tools.ts';

const mebibyte = 1024 * 1024;

let cloud: Cloud;
let east: Agent;
let west: Agent;

before(async () => {
  cloud = await startCloud(['east', 'west'], { planes: true });
  east = cloud.agent('east');
  west = cloud.agent('west');
});
after(() => cloud.close());

/** Data with holes between. */
function imageOf(seed: number, sizeBytes: number): Buffer {
  const image = Buffer.alloc(sizeBytes);
  for (let at = 0; at + 2 * mebibyte < sizeBytes; at += 5 * mebibyte) {
    noise(seed + at, mebibyte).copy(image, at + 777);
  }
  return image;
}

async function teleportImage(name: string, path: string): Promise<void> {
  const way = ['--from', 'east', '--to', 'west', '--from-image', path, '--wait'];
  await cloud.must('teleport', name, ...way);
}

async function assertHolds(agent: Agent, volume: string, content: Buffer): Promise<void> {
  using client = await agent.connect(volume);
  const back = Buffer.alloc(content.length);
  for (let at = 0; at < back.length; at += mebibyte) {
    await client.read(back.subarray(at, at + mebibyte), at);
  }
  assert.ok(back.equals(content));
}

test('a raw file of an odd size teleports, and its next version as a difference', async () => {
  using directory = scratch();
  const path = join(directory.path, 'disk.raw');
  const image = imageOf(1, 24 * mebibyte + 333);
  writeFileSync(path, image);
  await teleportImage('raw', path);
  await assertHolds(west, 'raw', image);
  noise(99, 200_000).copy(image, 9 * mebibyte + 5);
  image.fill(0, 5 * mebibyte, 6 * mebibyte);
  writeFileSync(path, image);
  const way = ['--from', 'east', '--to', 'west', '--name', 'raw-2'];
  await cloud.must('teleport', 'raw', ...way, '--from-image', path, '--wait');
  await assertHolds(west, 'raw-2', image);
  const { progress } = (await west.teleport('raw-2')).status;
  assert.ok(progress.backgroundBytes <= 5 * 65_536, `${progress.backgroundBytes} bytes fetched`);
});

test('a qcow2 image teleports', { skip: missing('qemu-img', 'qemu-nbd') }, async () => {
  using directory = scratch();
  const raw = join(directory.path, 'disk.raw');
  const path = join(directory.path, 'disk.qcow2');
  const image = imageOf(2, 32 * mebibyte);
  writeFileSync(raw, image);
  await must('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', '-c', raw, path);
  await teleportImage('vm', path);
  await assertHolds(west, 'vm', image);
});

const noLoop = process.getuid?.() === 0 ? missing('losetup') : 'needs root';

test('a block device teleports', { skip: noLoop }, async () => {
  using directory = scratch();
  const path = join(directory.path, 'disk.raw');
  const image = imageOf(3, 16 * mebibyte);
  writeFileSync(path, image);
  const device = (await must('losetup', '--find', '--show', path)).trim();
  try {
    await teleportImage('device', device);
  } finally {
    await must('losetup', '--detach', device);
  }
  await assertHolds(west, 'device', image);
});

test('an image that changes while it is read is refused, and leaves nothing', async () => {
  using directory = scratch();
  const path = join(directory.path, 'disk.raw');
  const image = imageOf(4, 96 * mebibyte);
  writeFileSync(path, image);
  let isDone = false;
  const importing = refusal(east.job('volume.import', { name: 'moving', path })).finally(() => {
    isDone = true;
  });
  const file = openSync(path, 'r+');
  while (!isDone) {
    writeSync(file, 'changed', 4096);
    await nextTurn();
  }
  closeSync(file);
  const problem = await importing;
  assert.equal(problem.reason, 'BadImage', problem.message);
  assert.match(problem.message, /changed while it was read; stop its writer/);
  assert.ok(!(await east.volumeNames()).includes('moving'));
});

test('what is no image is refused before anything happens', async () => {
  using directory = scratch();
  const absent = await refusal(
    east.job('volume.import', { name: 'none', path: join(directory.path, 'absent') }),
  );
  assert.equal(absent.reason, 'BadImage');
  const folder = await refusal(east.job('volume.import', { name: 'none', path: directory.path }));
  assert.equal(folder.reason, 'BadImage');
  const torn = join(directory.path, 'torn.qcow2');
  writeFileSync(torn, Buffer.concat([Buffer.from('QFI\xfb', 'latin1'), noise(1, 100_000)]));
  const broken = await refusal(east.job('volume.import', { name: 'none', path: torn }));
  assert.equal(broken.reason, 'BadImage', broken.message);
  assert.ok(!(await east.volumeNames()).includes('none'));
});

test('a volume of many pieces leaves as a file with every piece, and is updated', async () => {
  using directory = scratch();
  const sizeBytes = 40 * mebibyte;
  await east.create('pieces', sizeBytes, 4096);
  // More changes between data and hole than one answer about extents holds.
  const image = Buffer.alloc(sizeBytes);
  for (let at = 0; at < sizeBytes; at += 8192) image.writeUInt32LE(at + 1, at);
  using client = await east.connect('pieces');
  for (let at = 0; at < sizeBytes; at += 8192) {
    const write = client.write(image.subarray(at, at + 4096), at);
    if (at % mebibyte === 0) await write;
  }
  await client.flush();
  client.disconnect();
  const path = join(directory.path, 'pieces.raw');
  await east.job('volume.export', { volume: 'pieces', path });
  assert.ok(readFileSync(path).equals(image));
  // An image of holes only: everything in the volume has to go.
  const holes = join(directory.path, 'holes.raw');
  writeFileSync(holes, '');
  truncateSync(holes, 2 * sizeBytes);
  await east.job('volume.import', { name: 'pieces', path: holes, update: true });
  await assertHolds(east, 'pieces', Buffer.alloc(sizeBytes));
});
