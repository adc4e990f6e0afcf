import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { replications } from '../../src/api/kinds/replication.ts';
import { savedVersions } from '../../src/api/kinds/saved-version.ts';
import { volumes } from '../../src/api/kinds/volume.ts';
import { conditionOf } from '../../src/controllers/status.ts';
import { configMaps, secrets } from '../../src/kube/resources.ts';
import {
  change,
  checkOf,
  claimsAt,
  decide,
  makeStore,
  namespace,
  reached,
  replication,
  resultOf,
  saidBy,
  there,
} from './replication-world.ts';
import { makeForeignClaim, makeSettings, withData } from './scenarios.ts';
import { type World, worldsAfter } from './world.ts';

suite('replications into a repository', () => {
  const open = worldsAfter(async (world) => {
    await withData(world);
    await makeSettings(world);
    await makeStore(world);
  });

  const make = (world: World, name: string, spec: object) =>
    world.admin('east').create(replications, {
      metadata: { namespace, name },
      spec: { repository: 'store', namespaces: [{ name: 'shop' }], ...spec },
    } as never);

  const succeeded = async (world: World, name: string, runs = 1) => {
    const done = await reached(world, 'Done', { name, runs });
    assert.equal(done.status?.state, 'Success', saidBy(done));
    return done;
  };

  const saved = async (world: World, at: 'east' | 'west' = 'east') =>
    (await world.list(at, savedVersions)).map(({ metadata }) => metadata.name ?? '');

  test('a backup is made, and restored in another cluster under another name', async () => {
    const world = await open();
    await make(world, 'nightly', { source: 'east' });
    const done = await succeeded(world, 'nightly');
    const [backup] = done.status?.backups ?? [];
    assert.match(backup?.name ?? '', /^nightly-[0-9a-f]{8}-1$/);
    assert.equal(backup?.volumes, 1);
    assert.ok((backup?.objects ?? 0) >= 3, JSON.stringify(backup));
    assert.deepEqual(done.status?.display?.to, 'repository store');
    assert.equal((await saved(world)).length, 1);
    // Nothing of the cluster was touched.
    assert.deepEqual(await claimsAt(world, 'east'), ['shop/db Bound']);
    await make(world, 'back', { destination: 'west', namespaces: [{ name: 'shop', to: there }] });
    const back = await succeeded(world, 'back');
    assert.equal(back.status?.restored, backup?.name);
    assert.deepEqual(await claimsAt(world, 'west'), ['market/db Bound']);
    const settings = { namespace: there, name: 'settings' };
    assert.equal((await world.find('west', configMaps, settings))?.data?.['a'], '1');
    const secret = await world.find('west', secrets, { namespace: there, name: 'keys' });
    assert.equal(secret?.data?.['accessKeyId'], 'aWQ=');
    const [volume] = await world.list('west', volumes);
    assert.equal(volume?.spec.source?.teleport?.repository, 'store');
    assert.equal(volume?.spec.source?.teleport?.snapshot, (await saved(world))[0]);
    // What was restored goes with its replication, and the backup stays.
    await world.admin('east').delete(replications, { namespace, name: 'back' });
    await world.until('it is gone', async () => (await replication(world, 'back')) === undefined);
    assert.deepEqual(await claimsAt(world, 'west'), []);
    assert.equal(await world.find('west', configMaps, settings), undefined);
    await world.until('no volume is left', async () => {
      return (await world.list('west', volumes)).length === 0;
    });
    assert.equal((await saved(world)).length, 1);
    await world.stop();
  });

  test('the newest are kept, and all go with the replication', async () => {
    const world = await open();
    await make(world, 'nightly', { source: 'east', keep: 2 });
    await succeeded(world, 'nightly');
    for (const run of [2, 3]) {
      await change(world, { run }, 'nightly');
      await succeeded(world, 'nightly', run);
    }
    const { status } = (await replication(world, 'nightly'))!;
    const kept = status?.backups?.map(({ name }) => name.split('-').at(-1));
    assert.deepEqual(kept, ['2', '3']);
    assert.equal((await saved(world)).length, 2);
    assert.equal(world.cloud.forgotten.length, 1);
    const parts = [...world.cloud.backups.parts.values()];
    assert.deepEqual(
      [...new Set(parts.map(({ spec }) => spec.backup))],
      status?.backups?.map(({ name }) => name),
    );
    await world.admin('east').delete(replications, { namespace, name: 'nightly' });
    const isGone = async () => (await replication(world, 'nightly')) === undefined;
    await world.until('it is gone', isGone);
    assert.deepEqual(await saved(world), []);
    assert.equal(world.cloud.backups.parts.size, 0);
    await world.stop();
  });

  test('what is saved is not let go of because no agent answers just now', async () => {
    const world = await open();
    await make(world, 'nightly', { source: 'east' });
    await succeeded(world, 'nightly');
    const [name = ''] = await saved(world);
    world.cloud.find('east').isDown = true;
    await world.run(10_000);
    await world.admin('east').delete(savedVersions, { namespace: '', name });
    await world.run(20_000);
    const waiting = await world.find('east', savedVersions, { name });
    assert.equal(conditionOf(waiting, 'Succeeded')?.reason, 'AgentUnreachable');
    assert.deepEqual(world.cloud.forgotten, []);
    world.cloud.find('east').isDown = false;
    await world.until('it is gone', async () => (await saved(world)).length === 0);
    assert.equal(world.cloud.forgotten.length, 1);
    await world.stop();
  });

  test('volumes of others halt it, and are left out by who proceeds', async () => {
    const world = await open();
    await makeForeignClaim(world, 'files', { nfs: { server: 'nfs', path: '/files' } });
    await make(world, 'nightly', { source: 'east' });
    const halted = await reached(world, 'Halted', { name: 'nightly' });
    assert.equal(resultOf(halted, 'VolumesNotSaved'), 'Incompatible');
    assert.match(checkOf(halted, 'VolumesNotSaved')?.message ?? '', /claim shop\/files is on/);
    assert.deepEqual(halted.status?.offers, ['Recheck', 'ProceedAnyway', 'Stop']);
    await decide(world, 'ProceedAnyway', 'nightly');
    const done = await succeeded(world, 'nightly');
    assert.equal(done.status?.backups?.[0]?.volumes, 1);
    await world.stop();
  });

  test('what is in the way of a backup, or of what is restored, is named first', async () => {
    const world = await open();
    await make(world, 'back', { destination: 'west' });
    const none = await reached(world, 'Halted', { name: 'back' });
    assert.equal(resultOf(none, 'BackupNotFound'), 'Incompatible');
    assert.deepEqual(none.status?.offers, ['Recheck', 'Stop']);
    await make(world, 'lost', { source: 'east', repository: 'elsewhere' });
    const lost = await reached(world, 'Halted', { name: 'lost' });
    assert.match(checkOf(lost, 'RepositoryNotReady')?.message ?? '', /no Repository elsewhere/);
    await make(world, 'nightly', { source: 'east' });
    await succeeded(world, 'nightly');
    // Into the namespace that is still there: its claim would have to make room.
    await make(world, 'over', { destination: 'east' });
    const over = await reached(world, 'Halted', { name: 'over' });
    assert.match(checkOf(over, 'ExistingClaims')?.message ?? '', /claim shop\/db is there already/);
    await decide(world, 'ProceedAnyway', 'over');
    const proceeded = await succeeded(world, 'over');
    assert.match(proceeded.status?.notes?.join() ?? '', /Claim shop\/db was there: it stays/);
    await decide(world, 'Recheck', 'back');
    await succeeded(world, 'back');
    assert.deepEqual(await claimsAt(world, 'west'), ['shop/db Bound']);
    await world.stop();
  });
});
