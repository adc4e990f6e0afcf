import assert from 'node:assert/strict';
import { before, suite, test } from 'node:test';
import { teleports } from '../../src/api/kinds/teleport.ts';
import { volumes } from '../../src/api/kinds/volume.ts';
import { conditionOf, isTrue } from '../../src/controllers/status.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import { persistentVolumeClaims, persistentVolumes } from '../../src/kube/resources.ts';
import { makeClaim, withData } from './scenarios.ts';
import {
  change,
  isCleanedUp,
  makeMigration,
  makeTransfer,
  messageOf,
  phaseOf,
  remove,
  transfer,
  untilCleanedUp,
  untilEnded,
} from './transfers.ts';
import { openWorld, type Saved, saveWorld, type World } from './world.ts';

const library = createSchemaLibrary();
const MiB = 1024 * 1024;
const db = { namespace: 'shop', name: 'db' };

suite('volume transfers by Teleport', () => {
  let saved: Saved;

  before(async () => {
    saved = await saveWorld(library, withData);
  });

  const open = (): Promise<World> => openWorld(library, saved);

  test('ahead make a volume that nobody uses; the newer one replaces the older', async () => {
    const world = await open();
    world.fetchBytes = MiB;
    await makeTransfer(world);
    assert.equal(await untilEnded(world), 'Succeeded', await messageOf(world));
    const first = await transfer(world);
    assert.equal(first?.status?.method, 'Teleport');
    assert.equal(first?.status?.percent, 100);
    assert.equal(first?.status?.copiedBytes, 8 * MiB);
    assert.deepEqual(
      first?.status?.declined?.map(({ method }) => method),
      ['Snapshot', 'Block'],
    );
    assert.deepEqual(await world.list('west', persistentVolumeClaims), []);
    const [older] = await world.list('west', volumes);
    await makeTransfer(world, { name: 'again' });
    assert.equal(await untilEnded(world, 'again'), 'Succeeded', await messageOf(world, 'again'));
    await world.run(10_000);
    const left = await world.list('west', volumes);
    assert.equal(left.length, 1);
    assert.notEqual(left[0]?.metadata.name, older?.metadata.name);
    assert.equal((await world.list('west', teleports)).length, 1, 'its Teleport went with it');
    await world.stop();
  });

  test('the last is done when the claim can be used, and goes on filling', async () => {
    const world = await open();
    const plan = await makeMigration(world, 'Cutover');
    await makeTransfer(world, { spec: { pass: 'Last', migration: 'run' } });
    assert.equal(await untilEnded(world), 'Succeeded', await messageOf(world));
    const done = await transfer(world);
    assert.match(await messageOf(world), /8\.0 MiB are still at east/);
    const claim = await world.find('west', persistentVolumeClaims, db);
    assert.equal(claim?.status?.phase, 'Bound');
    assert.equal(claim?.spec?.volumeName, done?.status?.volume);
    assert.equal(claim?.metadata.annotations?.['transship.dev/prepared-for'], plan);
    const [bound] = await world.list('west', persistentVolumes);
    assert.equal(bound?.spec?.persistentVolumeReclaimPolicy, 'Retain');
    assert.equal(bound?.metadata.annotations?.['transship.dev/prepared-for'], plan);
    assert.equal(bound?.spec?.capacity?.storage, '16Mi');
    await world.run(10_000);
    assert.equal(await isCleanedUp(world), false, 'it still fills');
    world.fetchBytes = MiB;
    await untilCleanedUp(world);
    assert.equal((await transfer(world))?.status?.percent, 100);
    const [volume] = await world.list('west', volumes);
    assert.ok(isTrue(volume, 'Complete'));
    await world.stop();
  });
});
