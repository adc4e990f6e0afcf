// A volume grows below a pod that writes to it: nothing is lost, and the pod has more room.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { loopBytes } from '../../../src/host/block-probe.ts';
import { createMounts } from '../../../src/host/csi/mounts.ts';
import { nodeServer } from '../../../src/csi/node-server.ts';
import { volumeCalls } from '../../../src/csi/controller-volumes.ts';
import { VolumeStore } from '../../../src/csi/volume-store.ts';
import { openApi } from '../../../src/host/kube-access.ts';
import { accessModes } from '../../../src/csi/wire/messages.ts';
import { type Cloud, startCloud, until } from '../cloud.ts';
import { missing, mountsBelow, must, scratch } from '../tools.ts';
import { keepersOf, startFio } from './writer.ts';

const MiB = 1024 * 1024;
const isRoot = process.getuid?.() === 0 && existsSync('/dev/fuse');
const reason = isRoot
  ? missing(
      'nbdfuse',
      'losetup',
      'fio',
      'mkfs.ext4',
      'mkfs.xfs',
      'resize2fs',
      'xfs_growfs',
      'e2fsck',
    )
  : 'needs root and /dev/fuse to attach volumes';
const options = { skip: reason, timeout: 10 * 60_000 };

/** capabilities(7), CAP_SYS_RESOURCE: without it, ext4 does not grow while it is mounted. */
const resourceBit = 24n;
function hasResourceRight(): boolean {
  const text = readFileSync('/proc/self/status', 'utf8');
  const bits = /^CapEff:\s*([0-9a-f]+)$/m.exec(text)?.[1] ?? '0';
  return ((BigInt(`0x${bits}`) >> resourceBit) & 1n) === 1n;
}
const ext4Reason = reason || (hasResourceRight() ? false : 'ext4 grows with CAP_SYS_RESOURCE only');

const accessMode = { mode: accessModes.singleNodeWriter };
const secretless = { publishContext: {}, volumeContext: {}, secrets: {} };

/** The node service on a real agent and real mounts, as a kubelet asks it. */
function startNode(cloud: Cloud, home: string) {
  const agent = cloud.agent('east');
  const mounts = createMounts();
  const node = nodeServer({ node: 'east', agent: { name: 'east', control: agent.client }, mounts });
  const at = (name: string): string => join(home, name);
  const [staging, target] = [at('staging'), at('target')];
  // Also after a failure: nothing may wait for an agent that is gone.
  const clear = async (volumeId: string): Promise<void> => {
    await node.NodeUnpublishVolume({ volumeId, targetPath: target });
    await node.NodeUnstageVolume({ volumeId, stagingTargetPath: staging });
  };
  return { node, agent, staging, target, clear };
}

async function bytesOf(directory: string): Promise<number> {
  const { bsize, blocks } = await statfs(directory);
  return bsize * blocks;
}

for (const fsType of ['ext4', 'xfs']) {
  const skip = fsType === 'ext4' ? ext4Reason : reason;
  const name = `${fsType} grows below a pod that writes, over a kill of the agent`;
  test(name, { ...options, skip }, async () => {
    using place = scratch();
    await using cloud = await startCloud(['east']);
    const { node, agent, staging, target, clear } = startNode(cloud, place.path);
    const volumeId = 'db';
    await using _pod = { [Symbol.asyncDispose]: () => clear(volumeId) };
    await agent.create(volumeId, 320 * MiB);
    const volumeCapability = { accessMode, mount: { fsType, mountFlags: [] } };
    const where = { volumeId, stagingTargetPath: staging, volumeCapability, ...secretless };
    await node.NodeStageVolume(where as never);
    await node.NodePublishVolume({ ...where, targetPath: target, readonly: false } as never);
    const before = await bytesOf(target);
    const ask = { volumeId, volumePath: target, stagingTargetPath: staging, volumeCapability };
    const grow = async (sizeBytes: number): Promise<number> => {
      const capacityRange = { requiredBytes: sizeBytes, limitBytes: 0 };
      await agent.call('volume.resize', { name: volumeId, sizeBytes });
      const { capacityBytes } = await node.NodeExpandVolume({ ...ask, capacityRange } as never);
      assert.equal(capacityBytes, sizeBytes);
      return bytesOf(target);
    };
    await using writer = startFio(join(target, 'data'), { seconds: 20, size: '48m' });
    let last = before;
    for (const [round, sizeMiB] of [400, 512, 768].entries()) {
      const written = await agent.metric('transship_nbd_');
      await until('some writes', async () => {
        return writer.hasEnded() || (await agent.metric('transship_nbd_')) > written;
      });
      assert.equal(writer.hasEnded(), false, writer.said());
      const bytes = await grow(sizeMiB * MiB);
      assert.ok(bytes - last >= 60 * MiB, `${last} bytes, then ${bytes}`);
      last = bytes;
      if (round !== 1) continue;
      await agent.kill();
      await agent.start();
    }
    assert.equal(await writer.ended, 0, writer.said());
    // There is as much room as it says, also where nothing was before.
    await must('dd', 'if=/dev/urandom', `of=${join(target, 'more')}`, 'bs=1M', 'count=400');
    await must('sync', '--file-system', target);
    const sums = await must('sh', '-c', `cd ${target} && sha256sum data more`);
    await clear(volumeId);
    await checkNothingLeft(cloud, place.path);
    await node.NodeStageVolume(where as never);
    assert.equal(await must('sh', '-c', `cd ${staging} && sha256sum data more`), sums);
    await clear(volumeId);
    await checkNothingLeft(cloud, place.path);
  });
}

test('the device below an ext4 that is written to grows', options, async () => {
  using place = scratch();
  await using cloud = await startCloud(['east']);
  const { node, agent, staging, clear } = startNode(cloud, place.path);
  const volumeId = 'db';
  await using _pod = { [Symbol.asyncDispose]: () => clear(volumeId) };
  await agent.create(volumeId, 320 * MiB);
  const volumeCapability = { accessMode, mount: { fsType: 'ext4', mountFlags: [] } };
  const where = { volumeId, stagingTargetPath: staging, volumeCapability, ...secretless };
  await node.NodeStageVolume(where as never);
  await using writer = startFio(join(staging, 'data'), { seconds: 10, size: '48m' });
  for (const sizeBytes of [400 * MiB, 512 * MiB]) {
    const written = await agent.metric('transship_nbd_');
    await until('some writes', async () => (await agent.metric('transship_nbd_')) > written);
    await agent.call('volume.resize', { name: volumeId, sizeBytes });
    const { status } = await agent.call('volume.attach', { volume: volumeId, keep: true });
    assert.equal(loopBytes(status.device ?? ''), sizeBytes);
  }
  assert.equal(await writer.ended, 0, writer.said());
  if (!hasResourceRight()) {
    const ask = { volumeId, volumePath: staging, stagingTargetPath: staging, volumeCapability };
    const capacityRange = { requiredBytes: 512 * MiB, limitBytes: 0 };
    const refused = node.NodeExpandVolume({ ...ask, capacityRange } as never);
    await assert.rejects(refused, /CAP_SYS_RESOURCE: run the driver privileged/);
  }
  const sums = await must('sha256sum', join(staging, 'data'));
  await clear(volumeId);
  const { status } = await agent.call('volume.attach', { volume: volumeId, keep: true });
  await must('e2fsck', '-f', '-n', status.device!);
  // Not mounted it may grow: it uses what was added.
  await must('resize2fs', status.device!);
  await must('e2fsck', '-f', '-n', status.device!);
  await node.NodeStageVolume(where as never);
  assert.ok((await bytesOf(staging)) > 460 * MiB);
  assert.equal(await must('sha256sum', join(staging, 'data')), sums);
  await clear(volumeId);
  await checkNothingLeft(cloud, place.path);
});

test('a raw device grows below a pod that writes to it', options, async () => {
  using place = scratch();
  await using cloud = await startCloud(['east']);
  const { node, agent, staging, target, clear } = startNode(cloud, place.path);
  const volumeId = 'raw';
  await using _pod = { [Symbol.asyncDispose]: () => clear(volumeId) };
  await agent.create(volumeId, 64 * MiB);
  const volumeCapability = { accessMode, block: {} };
  const where = { volumeId, stagingTargetPath: staging, volumeCapability, ...secretless };
  mkdirSync(staging, { recursive: true });
  await node.NodeStageVolume(where as never);
  await node.NodePublishVolume({ ...where, targetPath: target, readonly: false } as never);
  await using writer = startFio(target, { seconds: 6, size: '48m' });
  // A size that is no whole number of sectors: the device has those that are whole.
  const sizeBytes = 128 * MiB + 700;
  await agent.call('volume.resize', { name: volumeId, sizeBytes });
  const capacityRange = { requiredBytes: sizeBytes, limitBytes: 0 };
  const ask = { volumeId, volumePath: target, stagingTargetPath: staging, volumeCapability };
  await node.NodeExpandVolume({ ...ask, capacityRange } as never);
  const device = (await agent.call('volume.show', { name: volumeId })).status.attachedTo ?? '';
  assert.equal(loopBytes(device), 128 * MiB + 512);
  assert.equal(await writer.ended, 0, writer.said());
  const last = ['bs=1M', 'seek=127', 'count=1', 'conv=fsync,notrunc'];
  await must('dd', 'if=/dev/urandom', `of=${target}`, ...last);
  await clear(volumeId);
  await checkNothingLeft(cloud, place.path);
});

test('both services grow a volume that is in use', options, async () => {
  using place = scratch();
  await using cloud = await startCloud(['east'], { planes: true });
  const { node, agent, staging, clear } = startNode(cloud, place.path);
  const kubeconfig = await cloud.planes.writeShared(['east']);
  const { client } = await openApi(cloud.home, { kubeconfig, context: 'east' }, 'test');
  const agents = async () => [{ name: 'east', control: agent.client }];
  const store = new VolumeStore({ client, clock: client.connection.clock, agents });
  const controller = volumeCalls(store);
  const volumeCapability = { accessMode, block: {} };
  const made = await controller.CreateVolume({
    name: 'raw',
    capacityRange: { requiredBytes: 64 * MiB, limitBytes: 0 },
    volumeCapabilities: [volumeCapability],
    parameters: {},
    mutableParameters: {},
  } as never);
  const volumeId = made.volume?.volumeId ?? '';
  await using _pod = { [Symbol.asyncDispose]: () => clear(volumeId) };
  const where = { volumeId, stagingTargetPath: staging, volumeCapability, ...secretless };
  mkdirSync(staging, { recursive: true });
  await node.NodeStageVolume(where as never);
  const capacityRange = { requiredBytes: 96 * MiB, limitBytes: 0 };
  const ask = { volumeId, capacityRange, volumeCapability };
  const grown = await controller.ControllerExpandVolume(ask as never);
  assert.deepEqual(grown, { capacityBytes: 96 * MiB, nodeExpansionRequired: true });
  const shown = await agent.call('volume.show', { name: volumeId });
  const device = shown.status.attachedTo ?? '';
  // The node has not been told yet.
  assert.equal(loopBytes(device), 64 * MiB);
  await node.NodeExpandVolume({ ...ask, volumePath: device } as never);
  assert.equal(loopBytes(device), 96 * MiB);
  await clear(volumeId);
  await checkNothingLeft(cloud, place.path);
});

async function checkNothingLeft(cloud: Cloud, home: string): Promise<void> {
  await until('the keeper to end', () => keepersOf(cloud.home).length === 0);
  assert.equal((await must('losetup', '--all')).includes(cloud.home), false);
  assert.deepEqual([...mountsBelow(home), ...mountsBelow(cloud.home)], []);
}
