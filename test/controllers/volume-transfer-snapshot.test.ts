import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, suite, test } from 'node:test';
import {
  snapshotClasses,
  snapshotContents,
  snapshots,
} from '../../src/controllers/volume-transfer/methods/snapshot-api.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import {
  namespaces,
  nodes,
  persistentVolumeClaims,
  persistentVolumes,
  storageClasses,
} from '../../src/kube/resources.ts';
import { isBound, makeForeignClaim } from './scenarios.ts';
import { serveSnapshots } from './snapshot-crds.ts';
import { snapshotDriver, Snapshotter } from './snapshotter.ts';
import {
  change,
  isCleanedUp,
  makeTransfer,
  messageOf,
  phaseOf,
  transfer,
  untilCleanedUp,
  untilEnded,
} from './transfers.ts';
import { openWorld, saveWorld, type World } from './world.ts';

const library = createSchemaLibrary();
const home = mkdtempSync(join(tmpdir(), 'transship-snapshots-'));
const data = join(home, 'data');

async function withDisk(world: World): Promise<void> {
  const disk = new Snapshotter(home);
  writeFileSync(join(disk.place('data'), 'word'), 'kept');
  const client = world.admin('east');
  const csi = { driver: snapshotDriver, volumeHandle: data };
  await makeForeignClaim(world, 'disk', { csi, storageClassName: '' });
  await client.create(namespaces, { metadata: { name: 'other' } });
  for (const [name, volumeBindingMode] of [
    ['fast', 'Immediate'],
    ['late', 'WaitForFirstConsumer'],
  ] as const) {
    await client.create(storageClasses, {
      metadata: { name },
      provisioner: snapshotDriver,
      volumeBindingMode,
    });
  }
  await client.create(nodes, { metadata: { name: 'node-1' } } as never);
  await world.until('it is bound', () =>
    isBound(world, 'east', { namespace: 'shop', name: 'disk' }),
  );
}

async function withSnapshots(world: World): Promise<void> {
  await withDisk(world);
  const client = world.admin('east');
  await serveSnapshots(client);
  await client.create(snapshotClasses, {
    metadata: { name: 'keeping' },
    driver: snapshotDriver,
    deletionPolicy: 'Retain',
  });
  // Until the cluster's object says what it can do.
  await world.run(120_000);
}

const without = await saveWorld(library, withDisk);
const saved = await saveWorld(library, withSnapshots);

async function open(): Promise<{ readonly world: World; readonly disk: Snapshotter }> {
  const world = await openWorld(library, saved);
  const disk = new Snapshotter(home);
  world.onStep = () => disk.act(world.admin('east'));
  return { world, disk };
}

async function start(world: World, destination: object = {}, spec: object = {}): Promise<void> {
  const claim = { cluster: 'east', claim: 'disk' };
  const there = { ...claim, claim: 'new', storageClass: 'fast', ...destination };
  await makeTransfer(world, { spec: { pass: 'Last', ...spec }, source: claim, destination: there });
}

async function handleOf(world: World): Promise<string> {
  const name = (await transfer(world))?.status?.volume ?? '';
  const volume = await world.find('east', persistentVolumes, { name });
  assert.equal(volume?.spec?.persistentVolumeReclaimPolicy, 'Retain');
  return volume?.spec?.csi?.volumeHandle ?? '';
}

async function assertNoSnapshotLeft(world: World): Promise<void> {
  await world.run(2_000);
  assert.deepEqual(await world.list('east', snapshots), []);
  assert.deepEqual(await world.list('east', snapshotContents), []);
  assert.deepEqual(
    readdirSync(home).filter((name) => name.startsWith('snapcontent')),
    [],
  );
}

suite('volume transfers by snapshot', () => {
  after(() => rmSync(home, { recursive: true, force: true }));

  test('become a claim with the data, and leave no snapshot behind', async () => {
    const { world } = await open();
    await start(world);
    assert.equal(await untilEnded(world), 'Succeeded', await messageOf(world));
    assert.equal((await transfer(world))?.status?.method, 'Snapshot');
    assert.equal(readFileSync(join(await handleOf(world), 'word'), 'utf8'), 'kept');
    await untilCleanedUp(world);
    await assertNoSnapshotLeft(world);
    await world.stop();
  });

  test('reach another namespace, and a class that waits for a pod', async () => {
    const { world } = await open();
    await start(world, { namespace: 'other', storageClass: 'late' });
    assert.equal(await untilEnded(world), 'Succeeded', await messageOf(world));
    assert.ok(await isBound(world, 'east', { namespace: 'other', name: 'new' }));
    assert.equal(readFileSync(join(await handleOf(world), 'word'), 'utf8'), 'kept');
    await untilCleanedUp(world);
    await assertNoSnapshotLeft(world);
    await world.stop();
  });

  test('tell what the storage system says, and go on when it can', async () => {
    const { world, disk } = await open();
    disk.failure = 'out of snapshots';
    await start(world);
    await world.run(10_000);
    assert.match(await messageOf(world), /^Waiting: VolumeSnapshot .*out of snapshots/);
    disk.failure = undefined;
    assert.equal(await untilEnded(world), 'Succeeded', await messageOf(world));
    await world.stop();
  });

  test('canceled in the middle leave nothing', async () => {
    const { world, disk } = await open();
    disk.failure = 'not today';
    await start(world);
    await world.until('there is one', async () => (await world.list('east', snapshots)).length > 0);
    await change(world, { canceled: true });
    await untilCleanedUp(world);
    assert.equal(await phaseOf(world), 'Canceled');
    await assertNoSnapshotLeft(world);
    const left = await world.list('east', persistentVolumeClaims);
    assert.deepEqual(
      left.map(({ metadata }) => metadata.name),
      ['disk'],
    );
    await world.stop();
  });

  test('discarded take the new volume away, and only that', async () => {
    const { world } = await open();
    await start(world);
    await untilEnded(world);
    const handle = await handleOf(world);
    await change(world, { canceled: true, discard: true });
    await world.until('it is discarded', async () => (await phaseOf(world)) === 'Canceled');
    assert.ok(await isCleanedUp(world));
    assert.ok(!readdirSync(home).some((name) => handle.endsWith(name)));
    assert.equal(readFileSync(join(data, 'word'), 'utf8'), 'kept');
    assert.equal((await world.list('east', persistentVolumes)).length, 1);
    await world.stop();
  });

  test('decline where no snapshots are served, or the driver has no class', async () => {
    const world = await openWorld(library, without);
    await start(world, {}, { method: 'Snapshot' });
    assert.equal(await untilEnded(world), 'Failed');
    assert.match(await messageOf(world), /Snapshot: the cluster has no classes of snapshots/);
    await world.stop();
    const { world: other } = await open();
    await other.admin('east').delete(snapshotClasses, { namespace: '', name: 'keeping' });
    await start(other, {}, { method: 'Snapshot' });
    assert.equal(await untilEnded(other), 'Failed');
    assert.match(await messageOf(other), /Snapshot: .*no VolumeSnapshotClass of driver disk/);
    await other.stop();
  });
});
