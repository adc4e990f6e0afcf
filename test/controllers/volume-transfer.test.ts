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
  isComplete,
  makeMigration,
  makeTransfer,
  messageOf,
  phaseOf,
  remove,
  transfer,
  untilComplete,
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
    const labels = { app: 'db', 'transship.dev/stage': 'of-the-source' };
    await world.admin('east').patch(persistentVolumeClaims, db, { metadata: { labels } });
    await makeTransfer(world, { spec: { pass: 'Last', migration: 'run' } });
    assert.equal(await untilEnded(world), 'Succeeded', await messageOf(world));
    const done = await transfer(world);
    assert.match(await messageOf(world), /8\.0 MiB are still at east/);
    const claim = await world.find('west', persistentVolumeClaims, db);
    assert.equal(claim?.status?.phase, 'Bound');
    assert.equal(claim?.spec?.volumeName, done?.status?.volume);
    assert.equal(claim?.metadata.annotations?.['transship.dev/prepared-for'], plan);
    assert.deepEqual(claim?.metadata.labels, { app: 'db' }, 'what its user wrote');
    const [bound] = await world.list('west', persistentVolumes);
    assert.equal(bound?.spec?.persistentVolumeReclaimPolicy, 'Retain');
    assert.equal(bound?.metadata.annotations?.['transship.dev/prepared-for'], plan);
    assert.equal(bound?.spec?.capacity?.storage, '16Mi');
    await world.run(10_000);
    assert.ok(await isCleanedUp(world));
    assert.equal(await isComplete(world), false, 'it still fills');
    world.fetchBytes = MiB;
    await untilComplete(world);
    assert.equal((await transfer(world))?.status?.percent, 100);
    const [volume] = await world.list('west', volumes);
    assert.ok(isTrue(volume, 'Complete'));
    await world.stop();
  });

  test('compare both sides when asked to, with all bytes there', async () => {
    const world = await open();
    await makeTransfer(world, { spec: { pass: 'Last', verify: true } });
    await world.run(10_000);
    assert.equal(await phaseOf(world), 'Running', 'it waits for all bytes');
    world.fetchBytes = MiB;
    assert.equal(await untilEnded(world), 'Succeeded', await messageOf(world));
    const done = await transfer(world);
    assert.ok(isTrue(done, 'Verified'));
    assert.equal(done?.status?.audit?.source?.digest, done?.status?.audit?.destination?.digest);
    await world.stop();
  });

  test('do not begin while paused, and send next to nothing when paused later', async () => {
    const world = await open();
    await makeTransfer(world, { spec: { paused: true } });
    await world.run(10_000);
    assert.match(await messageOf(world), /^Paused/);
    assert.equal(await phaseOf(world), 'Pending', 'no method is chosen yet');
    assert.deepEqual(await world.list('west', teleports), []);
    await change(world, { paused: false });
    await world.until('it runs', async () => (await world.list('west', volumes)).length === 1);
    await world.run(5_000);
    await change(world, { paused: true });
    await world.run(5_000);
    const { records } = world.cloud.find('west').state;
    assert.equal(records[0]?.bytesPerSecond, 1024);
    await change(world, { paused: false, bandwidth: '10Mi' });
    await world.run(5_000);
    assert.equal(records[0]?.bytesPerSecond, 10 * MiB);
    world.fetchBytes = MiB;
    assert.equal(await untilEnded(world), 'Succeeded', await messageOf(world));
    await world.stop();
  });

  test('over one link ask for what all of them may have together', async () => {
    const world = await open();
    const { records } = world.cloud.find('west').state;
    await makeTransfer(world, { spec: { bandwidth: '10Mi' } });
    await world.until('one runs', async () => records.length === 1);
    await makeTransfer(world, { name: 'other', spec: { bandwidth: '5Mi' } });
    await world.run(10_000);
    assert.deepEqual(
      records.map(({ bytesPerSecond }) => bytesPerSecond),
      [15 * MiB, 15 * MiB],
    );
    await change(world, { paused: true }, 'other');
    await world.run(10_000);
    assert.equal(records[0]?.bytesPerSecond, 10 * MiB);
    world.fetchBytes = MiB;
    assert.equal(await untilEnded(world), 'Succeeded');
    await world.stop();
  });

  test('refuse a claim that somebody else has made there, and leave it alone', async () => {
    const world = await open();
    await makeClaim(world, 'west');
    await world.run(5_000);
    const before = await world.find('west', persistentVolumeClaims, db);
    await makeTransfer(world, { spec: { pass: 'Last' } });
    assert.equal(await untilEnded(world), 'Failed');
    assert.match(await messageOf(world), /^AlreadyExists: .*shop\/db already; delete it there/);
    await change(world, { canceled: true, discard: true });
    await world.until('it is discarded', async () => (await phaseOf(world)) === 'Canceled');
    const after = await world.find('west', persistentVolumeClaims, db);
    assert.equal(after?.metadata.uid, before?.metadata.uid);
    assert.equal(after?.metadata.deletionTimestamp, undefined);
    await world.stop();
  });

  test('wait a while for what may still come, then fail naming it', async () => {
    const world = await open();
    await makeTransfer(world, { destination: { namespace: 'later' } });
    await world.run(20_000);
    assert.match(await messageOf(world), /^NotFound: cluster west has no namespace later/);
    assert.equal(await untilEnded(world, 'copy', 300_000), 'Failed');
    await makeTransfer(world, { name: 'other', source: { claim: 'nothing' } });
    await world.run(5_000);
    assert.match(await messageOf(world, 'other'), /there is no claim shop\/nothing/);
    await world.stop();
  });

  test('go on after a cluster could not be asked for a while, and say so meanwhile', async () => {
    const world = await open();
    world.refusals.set('east', 503);
    await makeTransfer(world, { spec: { pass: 'Last' } });
    await world.run(60_000);
    assert.match(await messageOf(world), /^Api/);
    assert.equal(conditionOf(await transfer(world), 'Ready')?.status, 'False');
    world.refusals.clear();
    assert.equal(await untilEnded(world), 'Succeeded', await messageOf(world));
    await world.stop();
  });

  test('say in one sentence why no method can be used', async () => {
    const world = await open();
    await makeTransfer(world, { spec: { method: 'Block' } });
    assert.equal(await untilEnded(world), 'Failed');
    assert.match(await messageOf(world), /^Unsupported: no method.*Block: the claim is mounted/);
    await world.stop();
  });

  test('deleted in the middle leave nothing that cannot be used', async () => {
    const world = await open();
    world.cloud.find('west').isCut = true;
    await makeTransfer(world);
    await world.until('it waits', async () => (await messageOf(world)).startsWith('Waiting'));
    await remove(world);
    await world.until('it is gone', async () => (await transfer(world)) === undefined);
    world.cloud.find('west').isCut = false;
    await world.run(20_000);
    assert.deepEqual(await world.list('west', teleports), []);
    assert.deepEqual(await world.list('west', volumes), []);
    await world.stop();
  });

  test('leave the volumes of a rehearsal and what it started from alone', async () => {
    const world = await open();
    world.fetchBytes = MiB;
    await makeMigration(world, 'Rehearsal');
    await makeTransfer(world);
    await untilEnded(world);
    await makeTransfer(world, { name: 'last', spec: { pass: 'Last', migration: 'run' } });
    await untilEnded(world, 'last');
    await untilComplete(world, 'last');
    assert.equal((await world.list('west', volumes)).length, 2, 'the stage is there still');
    await makeTransfer(world, { name: 'next' });
    await untilEnded(world, 'next');
    await world.run(5_000);
    const left = (await world.list('west', volumes)).length;
    assert.equal(left, 2, 'the newer stage took the place of the older, not of the rehearsal');
    await world.stop();
  });
});
