import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { volumes } from '../../src/api/kinds/volume.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import { persistentVolumes, storageClasses } from '../../src/kube/resources.ts';
import { isBound, withData } from './scenarios.ts';
import { change, makeTransfer, messageOf, phaseOf, transfer, untilEnded } from './transfers.ts';
import { openWorld, saveWorld, type World } from './world.ts';

const library = createSchemaLibrary();
const saved = await saveWorld(library, withData);
const MiB = 1024 * 1024;
const open = (): Promise<World> => openWorld(library, saved);

async function start(world: World, spec: object, storageClass?: string): Promise<void> {
  const there = { cluster: 'east', claim: 'copy' };
  const destination = storageClass === undefined ? there : { ...there, storageClass };
  await makeTransfer(world, { spec, destination });
}

suite('volume transfers within one cluster', () => {
  test('clone the volume, and nothing is sent', async () => {
    const world = await open();
    await start(world, { pass: 'Last' });
    assert.equal(await untilEnded(world), 'Succeeded', await messageOf(world));
    const done = await transfer(world);
    assert.equal(done?.status?.method, 'Teleport');
    assert.equal(done?.status?.wireBytes, 0);
    assert.ok(await isBound(world, 'east', { namespace: 'shop', name: 'copy' }));
    const name = done?.status?.volume ?? '';
    assert.equal(world.cloud.find('east').volume(name).dataBytes, 8 * MiB);
    const bound = await world.find('east', persistentVolumes, { name });
    assert.equal(bound?.spec?.persistentVolumeReclaimPolicy, 'Retain');
    await change(world, { canceled: true, discard: true });
    await world.until('it is discarded', async () => (await phaseOf(world)) === 'Canceled');
    assert.equal((await world.list('east', volumes)).length, 1, 'the source stays');
    assert.equal(world.cloud.find('east').state.volumes.size, 1);
    await world.stop();
  });

  test('have nothing to do ahead of time', async () => {
    const world = await open();
    await start(world, {});
    assert.equal(await untilEnded(world), 'Succeeded', await messageOf(world));
    assert.equal((await world.list('east', volumes)).length, 1);
    await world.stop();
  });

  test('decline to clone what is to become another file system', async () => {
    const world = await open();
    await world.admin('east').create(storageClasses, {
      metadata: { name: 'other' },
      provisioner: 'transship.dev',
      parameters: { type: 'xfs' },
    });
    await world.run(2_000);
    await start(world, { pass: 'Last', method: 'Teleport' }, 'other');
    assert.equal(await untilEnded(world), 'Failed');
    assert.match(await messageOf(world), /Teleport: .*a clone would keep its file system/);
    await world.stop();
  });
});
