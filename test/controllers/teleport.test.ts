import assert from 'node:assert/strict';
import { before, suite, test } from 'node:test';
import { teleports } from '../../src/api/kinds/teleport.ts';
import { volumes } from '../../src/api/kinds/volume.ts';
import { fail } from '../../src/base/errors.ts';
import { conditionOf, isTrue } from '../../src/controllers/status.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import {
  namespaces,
  persistentVolumeClaims,
  persistentVolumes,
  storageClasses,
} from '../../src/kube/resources.ts';
import { leftIn } from './left.ts';
import { makeClaim, makeForeignClaim, makeTeleport, teleport, withData } from './scenarios.ts';
import { openWorld, type Saved, saveWorld, type World } from './world.ts';

const library = createSchemaLibrary();
const MiB = 1024 * 1024;
const db = { namespace: 'shop', name: 'db' };
const transship = { namespace: '', name: 'transship' };

/** Reason of `Succeeded`, once it is over. */
async function ending(world: World): Promise<string | undefined> {
  const succeeded = conditionOf(await teleport(world), 'Succeeded');
  return succeeded === undefined || succeeded.status === 'Unknown' ? undefined : succeeded.reason;
}

async function untilEnded(world: World, withinMs = 60_000): Promise<string | undefined> {
  await world.until('it ends', async () => (await ending(world)) !== undefined, withinMs);
  return ending(world);
}

const isUsable = async (world: World) => isTrue(await teleport(world), 'Ready');

/** What a refused teleport may leave: nothing. */
async function assertNothingMade(world: World): Promise<void> {
  await world.run(15_000);
  assert.deepEqual(await world.list('west', volumes), []);
  assert.deepEqual(await world.list('west', persistentVolumes), []);
  assert.deepEqual((await teleport(world))?.metadata.finalizers ?? [], []);
  const [source] = await world.list('east', volumes);
  assert.deepEqual(source?.metadata.finalizers, ['transship.dev/volume']);
}

suite('teleports of claims', () => {
  let saved: Saved;

  before(async () => {
    saved = await saveWorld(library, withData);
  });

  const open = (): Promise<World> => openWorld(library, saved);

  test('tell where they are, and end when all data is there', async () => {
    const world = await open();
    await makeTeleport(world, { bandwidth: '10Mi' });
    await world.until('it can be used', () => isUsable(world));
    const accessible = await teleport(world);
    assert.equal(accessible?.status?.phase, 'Accessible');
    assert.equal(accessible?.status?.display?.source, 'east/shop/db');
    const [source] = await world.list('east', volumes);
    assert.equal(source?.metadata.finalizers?.length, 2, 'the source is kept');
    world.fetchBytes = MiB;
    await world.run(2_000);
    world.fetchBytes = 0;
    await world.run(8_000);
    const half = (await teleport(world))?.status;
    assert.equal(half?.progress?.percent, 50);
    assert.equal(half?.display?.bytes, '4Mi/8Mi');
    assert.equal(world.cloud.find('west').state.records[0]?.bytesPerSecond, 10 * MiB);
    world.fetchBytes = MiB;
    assert.equal(await untilEnded(world), 'Available');
    await world.run(5_000);
    const ended = await teleport(world);
    assert.equal(ended?.status?.progress?.percent, 100);
    assert.deepEqual(ended?.metadata.finalizers ?? [], []);
    assert.equal(world.cloud.find('east').state.leases.size, 0);
    await world.stop();
  });

  test('fail when the name is taken, and touch nothing (I-6)', async () => {
    const world = await open();
    await makeClaim(world, 'west');
    await world.run(5_000);
    const taken = await leftIn(world);
    await makeTeleport(world);
    assert.equal(await untilEnded(world), 'AlreadyExists');
    await world.run(15_000);
    await world.admin('west').delete(teleports, { namespace: 'shop', name: 'move' });
    assert.equal(await leftIn(world), taken);
    await world.stop();
  });

  test('want a storage class that means the same, or one by name (I-9)', async () => {
    const world = await open();
    const client = world.admin('west');
    await client.delete(storageClasses, transship);
    await client.create(storageClasses, {
      metadata: { name: 'transship' },
      provisioner: 'transship.dev',
      parameters: { type: 'xfs' },
    });
    await world.run(2_000);
    await makeTeleport(world);
    assert.equal(await untilEnded(world), 'ClassMismatch');
    assert.match(conditionOf(await teleport(world), 'Succeeded')?.message ?? '', /type=xfs/);
    await assertNothingMade(world);
    await client.delete(teleports, { namespace: 'shop', name: 'move' });
    const destination = { cluster: 'west', namespace: 'shop', claim: 'db' };
    await makeTeleport(world, { destination: { ...destination, storageClass: 'transship' } });
    world.fetchBytes = MiB;
    assert.equal(await untilEnded(world), 'Available');
    const bound = await world.list('west', persistentVolumes);
    assert.equal(bound[0]?.spec?.csi?.fsType, 'xfs');
    await world.stop();
  });

  test('decline other storage with a reason', async () => {
    const world = await open();
    const csi = { driver: 'disk.example.org', volumeHandle: '1' };
    await makeForeignClaim(world, 'old', { csi });
    await makeTeleport(world, { source: { cluster: 'east', namespace: 'shop', claim: 'old' } });
    assert.equal(await untilEnded(world), 'Unsupported');
    assert.match(conditionOf(await teleport(world), 'Ready')?.message ?? '', /disk\.example\.org/);
    await assertNothingMade(world);
    await world.stop();
  });

  test('wait a while for what may still come, and name it', async () => {
    const world = await open();
    const destination = { cluster: 'west', namespace: 'later', claim: 'db' };
    await makeTeleport(world, { destination });
    await world.run(20_000);
    const waiting = conditionOf(await teleport(world), 'Ready');
    assert.equal(waiting?.reason, 'NotFound');
    assert.match(waiting?.message ?? '', /no namespace later/);
    await world.admin('west').create(namespaces, { metadata: { name: 'later' } });
    await world.until('it can be used', () => isUsable(world), 20_000);
    await world.stop();
    const other = await open();
    await makeTeleport(other, { destination });
    assert.equal(await untilEnded(other, 180_000), 'NotFound');
    await assertNothingMade(other);
    await other.stop();
  });

  test('that are thin are done when they can be used, and fetch the rest when told', async () => {
    const world = await open();
    world.fetchBytes = MiB;
    await makeTeleport(world, { thin: true });
    assert.equal(await untilEnded(world), 'Accessible');
    await world.run(20_000);
    const thin = await teleport(world);
    assert.ok(isTrue(thin, 'Succeeded'));
    assert.equal(thin?.status?.phase, 'Accessible');
    const [source] = await world.list('east', volumes);
    assert.equal(source?.metadata.finalizers?.length, 2, 'the source is still needed');
    const move = { namespace: 'shop', name: 'move' };
    await world.admin('west').patch(teleports, move, { spec: { thin: false } });
    await world.until('all is there', async () => (await ending(world)) === 'Available');
    await world.run(5_000);
    assert.deepEqual((await teleport(world))?.metadata.finalizers ?? [], []);
    await world.stop();
  });

  test('stay what they are when the link is cut, and say so (I-13, I-25)', async () => {
    const world = await open();
    await makeTeleport(world);
    await world.until('it can be used', () => isUsable(world));
    world.cloud.find('west').isCut = true;
    world.cloud.tell();
    world.fetchBytes = MiB;
    await world.run(60_000);
    const cut = await teleport(world);
    assert.equal(cut?.status?.phase, 'Accessible');
    assert.ok(isTrue(cut, 'Ready'));
    assert.equal(conditionOf(cut, 'Succeeded')?.status, 'Unknown');
    assert.equal(conditionOf(cut, 'SourceConnected')?.status, 'False');
    world.cloud.find('west').isCut = false;
    world.cloud.tell();
    assert.equal(await untilEnded(world), 'Available');
    assert.equal(conditionOf(await teleport(world), 'SourceConnected')?.status, 'True');
    await world.stop();
  });

  test('wait for a source whose API refuses, and name what it says', async () => {
    const world = await open();
    world.refusals.set('east', 401);
    await makeTeleport(world);
    await world.run(30_000);
    const waiting = await teleport(world);
    assert.equal(conditionOf(waiting, 'Ready')?.reason, 'Unauthorized');
    assert.equal(conditionOf(waiting, 'Succeeded')?.status, 'Unknown');
    world.refusals.clear();
    world.fetchBytes = MiB;
    assert.equal(await untilEnded(world), 'Available');
    await world.stop();
  });

  test('say why a source claim that was deleted is still there (I-16, I-17)', async () => {
    const world = await open();
    await makeTeleport(world);
    await world.until('it can be used', () => isUsable(world));
    await world.admin('east').delete(persistentVolumeClaims, db);
    await world.run(20_000);
    const [source] = await world.list('east', volumes);
    const deleting = conditionOf(source, 'Deleting');
    assert.equal(deleting?.status, 'False');
    assert.equal(deleting?.reason, 'Leased');
    assert.match(deleting?.message ?? '', /west\/tp-/);
    const [bound] = await world.list('east', persistentVolumes);
    assert.equal(bound?.status?.reason, 'Leased');
    assert.ok(world.events.some(({ reason }) => reason === 'VolumeFailedDelete'));
    assert.equal(world.cloud.find('east').state.volumes.size, 1);
    world.fetchBytes = MiB;
    assert.equal(await untilEnded(world), 'Available');
    await world.until('the source is gone', async () => {
      return (await world.list('east', persistentVolumes)).length === 0;
    });
    assert.equal(world.cloud.find('east').state.volumes.size, 0);
    await world.stop();
  });

  test('that were deleted leave the source to the lease (and it goes when that ends)', async () => {
    const world = await open();
    await makeTeleport(world);
    await world.until('it can be used', () => isUsable(world));
    await world.admin('west').delete(teleports, { namespace: 'shop', name: 'move' });
    await world.until('it is gone', async () => (await teleport(world)) === undefined);
    await world.admin('east').delete(persistentVolumeClaims, db);
    await world.run(20_000);
    assert.equal(world.cloud.find('east').state.volumes.size, 1, 'the lease keeps it');
    world.fetchBytes = MiB;
    await world.until('the source is gone', async () => {
      return world.cloud.find('east').state.volumes.size === 0;
    });
    const [arrived] = await world.list('west', volumes);
    assert.ok(isTrue(arrived, 'Complete'));
    await world.stop();
  });

  test('of volumes without claims make a volume of that name', async () => {
    const world = await open();
    const client = world.admin('east');
    await client.create(volumes, { metadata: { name: 'bare' }, spec: { size: '4Mi' } } as never);
    await world.run(3_000);
    const source = { cluster: 'east', volume: 'bare' };
    await makeTeleport(world, { source, destination: { cluster: 'west', volume: 'copy' } });
    world.fetchBytes = MiB;
    assert.equal(await untilEnded(world), 'Available');
    assert.ok(isTrue(await world.find('west', volumes, { name: 'copy' }), 'Complete'));
    assert.deepEqual(await world.list('west', persistentVolumes), []);
    await world.stop();
  });

  test('that are done before anybody heard of their beginning are recognised', async () => {
    const world = await open();
    const west = world.cloud.find('west');
    west.onCall = (operation, stage) => {
      if (operation !== 'teleport.start' || stage === 'asked') return;
      west.fetch(64 * MiB);
      fail('AgentUnreachable', 'the answer is lost');
    };
    await makeTeleport(world);
    assert.equal(await untilEnded(world), 'Available');
    await world.stop();
  });

  test('a hundred at once cost few requests each', async () => {
    const world = await open();
    await world.run(30_000);
    world.requests = 0;
    await world.run(30_000);
    const idle = world.requests / 30_000;
    world.requests = 0;
    const beganMs = world.clock.monotonicMs();
    const count = 100;
    for (let i = 0; i < count; i++) {
      await world.admin('west').create(teleports, {
        metadata: { namespace: 'shop', name: `move-${i}` },
        spec: {
          source: { cluster: 'east', namespace: 'shop', claim: 'db' },
          destination: { cluster: 'west', namespace: 'shop', claim: `db-${i}` },
        },
      } as never);
    }
    world.fetchBytes = MiB;
    await world.until('all are there', async () => {
      const all = await world.list('west', teleports);
      return all.every((one) => conditionOf(one, 'Succeeded')?.reason === 'Available');
    });
    const elapsedMs = world.clock.monotonicMs() - beganMs;
    const each = (world.requests - idle * elapsedMs) / count;
    assert.ok(each < 45, `${each} requests a teleport`);
    await world.run(10_000);
    const [source] = await world.list('east', volumes);
    assert.deepEqual(source?.metadata.finalizers, ['transship.dev/volume']);
    await world.stop();
  });
});
