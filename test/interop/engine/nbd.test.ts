// The engine behind its NBD door, seen by other people's clients.
import assert from 'node:assert/strict';
import { statSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { type Agent, Cloud, refusal } from '../cloud.ts';
import { digestOf, noise } from '../content.ts';
import { nbdSuite } from '../suite-nbd.ts';
import { missing, must, scratch } from '../tools.ts';

const mebibyte = 1024 * 1024;
const tebibyte = 1024 * 1024 * mebibyte;

const cloud = new Cloud();
let agent: Agent;
let number = 0;

before(async () => {
  agent = await cloud.start('east');
});
after(() => cloud.close());

nbdSuite(async () => {
  number += 1;
  const name = `vol-${number}`;
  await agent.create(name, 80 * mebibyte + 512);
  const close = async (): Promise<void> => {
    await agent.call('volume.delete', { name });
  };
  return { uri: agent.uri(name), socketPath: agent.paths.nbdSocket, exportName: name, close };
});

for (const blockBytes of [4096, 8192, 16_384, 32_768, 131_072]) {
  const name = `blocks-${blockBytes}`;
  test(`fio verifies random writes on blocks of ${blockBytes}`, {
    skip: missing('fio'),
  }, async () => {
    await agent.create(name, 24 * mebibyte, blockBytes);
    const words = ['--name=t', '--ioengine=nbd', `--uri=${agent.uri(name)}`, '--size=16M'];
    const load = ['--rw=randwrite', '--bsrange=512-64k', '--iodepth=16', '--fsync=64'];
    const state = ['--verify=crc32c', '--verify_fatal=1', '--verify_state_save=0'];
    await must('fio', ...words, ...load, ...state);
    const qemu = ['write -P 3 1M 3M', 'discard 2M 1M', 'read -P 3 1M 1M', 'read -P 0 2M 1M'];
    const commands = [...qemu, 'read -P 3 3M 1M'].flatMap((one) => ['-c', one]);
    const said = await must('qemu-io', '-f', 'raw', ...commands, agent.uri(name));
    assert.doesNotMatch(said, /verification failed|error/i);
  });
}

for (const [what, sizeBytes] of [
  ['the smallest size', mebibyte],
  ['a size that is no multiple of 512', 3 * mebibyte + 1],
  ['a size that is no multiple of 4096', 5 * mebibyte + 513],
  ['the largest size', 64 * tebibyte],
] as const) {
  test(`${what} is served to its last byte`, { skip: missing('nbdinfo', 'nbdsh') }, async () => {
    const name = `size-${sizeBytes}`;
    await agent.create(name, sizeBytes);
    assert.equal(Number(await must('nbdinfo', '--size', agent.uri(name))), sizeBytes);
    using client = await agent.connect(name);
    const tail = noise(sizeBytes % 1000, 70_001);
    await client.write(tail, sizeBytes - tail.length);
    await client.flush();
    const back = Buffer.alloc(tail.length);
    await client.read(back, sizeBytes - back.length);
    assert.ok(back.equals(tail));
    const past = await refusal(client.read(Buffer.alloc(2), sizeBytes - 1));
    assert.equal(past.reason, 'BadArgument');
    const beyond = await refusal(client.write(tail, sizeBytes - tail.length + 1));
    assert.notEqual(beyond.reason, 'Internal');
    const extents = await client.extents(0, Math.min(sizeBytes, 4 * tebibyte));
    assert.equal(extents[0]?.hole, true);
    await client.read(back, sizeBytes - back.length);
    assert.ok(back.equals(tail));
  });
}

test('an odd size leaves by nbdcopy and by export with every byte', {
  skip: missing('nbdcopy'),
}, async () => {
  using directory = scratch();
  const name = 'odd';
  const sizeBytes = 2 * mebibyte + 777;
  await agent.create(name, sizeBytes);
  using client = await agent.connect(name);
  await client.write(noise(7, sizeBytes), 0);
  const copied = join(directory.path, 'copied');
  await must('nbdcopy', agent.uri(name), copied);
  assert.ok(readFileSync(copied).equals(noise(7, sizeBytes)));
  const exported = join(directory.path, 'exported');
  await cloud.must('volume', 'export', name, exported, '--cluster', 'east');
  assert.equal(statSync(exported).size, sizeBytes);
  assert.ok(readFileSync(exported).equals(noise(7, sizeBytes)));
});

test('qemu-img writes qcow2 from a volume and finds it sound', {
  skip: missing('qemu-img'),
}, async () => {
  using directory = scratch();
  await agent.create('sound', 32 * mebibyte);
  using client = await agent.connect('sound');
  for (let at = 0; at < 32; at += 3) await client.write(noise(at, mebibyte), at * mebibyte);
  const image = join(directory.path, 'image.qcow2');
  await must('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', agent.uri('sound'), image);
  await must('qemu-img', 'check', image);
  await must('qemu-img', 'compare', '-f', 'raw', '-F', 'qcow2', agent.uri('sound'), image);
  await agent.job('volume.import', { name: 'again', path: image });
  using again = await agent.connect('again');
  assert.equal(await digestOf(again), await digestOf(client));
  // A root is that of the last checkpoint; a snapshot makes one.
  for (const name of ['sound', 'again']) {
    await cloud.must('volume', 'snapshot', name, 'now', '--cluster', 'east');
  }
  const { status } = await agent.volume('again');
  assert.equal(status.root, (await agent.volume('sound')).status.root);
});
