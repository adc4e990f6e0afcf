import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import { persistentVolumeClaims, persistentVolumes } from '../../src/kube/resources.ts';
import { isBound, makeForeignClaim } from './scenarios.ts';
import { change, makeTransfer, messageOf, phaseOf, transfer, untilEnded } from './transfers.ts';
import { openWorld, saveWorld, type World } from './world.ts';

const library = createSchemaLibrary();
const nfs = { server: 'files.example.org', path: '/exports/shop' };
const files = { namespace: 'shop', name: 'files' };

async function withFiles(world: World): Promise<void> {
  const shared = { nfs, persistentVolumeReclaimPolicy: 'Delete', mountOptions: ['nfsvers=4.1'] };
  await makeForeignClaim(world, 'files', shared);
  await makeForeignClaim(world, 'disk', { csi: { driver: 'disk.example.org', volumeHandle: '1' } });
  await world.until('it is bound', () => isBound(world, 'east', files));
}

const saved = await saveWorld(library, withFiles);

const move = { action: 'Move', pass: 'Last' };
const claim = { claim: 'files' };

async function policyInEast(world: World): Promise<string | undefined> {
  const volume = await world.find('east', persistentVolumes, { name: 'files' });
  return volume?.spec?.persistentVolumeReclaimPolicy;
}

suite('volume transfers that move', () => {
  test('make a volume of the same place, and no deletion at the source ends the data', async () => {
    const world = await openWorld(library, saved);
    await makeTransfer(world, { spec: move, source: claim, destination: claim });
    assert.equal(await untilEnded(world), 'Succeeded', await messageOf(world));
    const name = (await transfer(world))?.status?.volume ?? '';
    const volume = await world.find('west', persistentVolumes, { name });
    assert.deepEqual(volume?.spec?.nfs, nfs);
    assert.deepEqual(volume?.spec?.mountOptions, ['nfsvers=4.1']);
    assert.equal(volume?.spec?.persistentVolumeReclaimPolicy, 'Retain');
    assert.equal(await policyInEast(world), 'Retain');
    assert.ok(await isBound(world, 'west', files));
    assert.equal((await transfer(world))?.status?.method, undefined);
    await world.stop();
  });

  test('discarded give the source back what it was, and delete no data', async () => {
    const world = await openWorld(library, saved);
    await makeTransfer(world, { spec: move, source: claim, destination: claim });
    await untilEnded(world);
    await change(world, { canceled: true, discard: true });
    await world.until('it is discarded', async () => (await phaseOf(world)) === 'Canceled');
    assert.equal(await world.find('west', persistentVolumeClaims, files), undefined);
    assert.deepEqual(await world.list('west', persistentVolumes), []);
    assert.equal(await policyInEast(world), 'Delete');
    await world.stop();
  });

  test('decline what the other cluster cannot mount', async () => {
    const world = await openWorld(library, saved);
    const disk = { claim: 'disk' };
    await makeTransfer(world, { spec: move, source: disk, destination: disk });
    assert.equal(await untilEnded(world), 'Failed');
    assert.match(await messageOf(world), /^Unsupported: .*disk\.example\.org.*use action Copy/);
    await world.stop();
  });

  test('make nothing ahead of time', async () => {
    const world = await openWorld(library, saved);
    await makeTransfer(world, { spec: { action: 'Move' }, source: claim, destination: claim });
    assert.equal(await untilEnded(world), 'Succeeded');
    assert.deepEqual(await world.list('west', persistentVolumes), []);
    await world.stop();
  });
});
