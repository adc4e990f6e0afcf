import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { migrations } from '../../src/api/kinds/migration.ts';
import { plans } from '../../src/api/kinds/plan.ts';
import { type VolumeTransfer, volumeTransfers } from '../../src/api/kinds/volume-transfer.ts';
import { conditionOf } from '../../src/controllers/status.ts';
import { keyOf } from '../../src/kube/objects.ts';
import { configMaps, namespaces, persistentVolumeClaims } from '../../src/kube/resources.ts';
import { preparedFor } from '../../src/workload/transform-context.ts';
import {
  change,
  closePlan,
  ended,
  endOf,
  makeMigration,
  makePlan,
  migration,
  move,
  reclaimPolicies,
  says,
  stepOf,
  undoRecords,
} from './migration-world.ts';
import { makeSettings, settings, withData } from './scenarios.ts';
import { type Name, soonBytes, type World, worldsAfter } from './world.ts';

suite('migrations', () => {
  const open = worldsAfter(withData);

  async function claims(world: World, cluster: Name): Promise<readonly string[]> {
    const all = await world.list(cluster, persistentVolumeClaims);
    return all.map(({ metadata, status }) => {
      return `${metadata.namespace}/${metadata.name} ${status?.phase}`;
    });
  }

  async function reached(world: World, name: string, step: string): Promise<void> {
    await world.until(`${name} is at ${step}`, async () => {
      return stepOf(await migration(world, name), step)?.state === 'Running';
    });
  }

  /** Somebody cancels the copy of the one claim. */
  async function failCopy(world: World): Promise<VolumeTransfer> {
    const look = () => world.list('east', volumeTransfers);
    await world.until('there is a transfer', async () => (await look()).length === 1);
    const [first] = await look();
    await world.admin('east').patch(volumeTransfers, keyOf(first!), { spec: { canceled: true } });
    return first!;
  }

  test('a stage copies each claim once, and says so', async () => {
    const world = await open();
    await makePlan(world);
    await makeMigration(world, 'first', { type: 'Stage' });
    const one = await ended(world, 'first');
    assert.equal(endOf(one), 'Completed', JSON.stringify(one.status, undefined, 1));
    assert.equal(conditionOf(one, 'Staged')?.status, 'True');
    assert.equal(one.status?.report?.volumes, 1);
    assert.equal(one.status?.percent, 100);
    assert.ok((one.status?.lagSeconds ?? -1) >= 0);
    assert.equal(one.status?.downtimeMilliseconds, undefined);
    assert.equal(stepOf(one, 'findWay')?.state, 'Skipped');
    assert.deepEqual(one.metadata.finalizers ?? [], []);
    const [transfer, ...others] = await world.list('east', volumeTransfers);
    assert.deepEqual(others, []);
    assert.equal(transfer?.spec.pass, 'Ahead');
    assert.equal(transfer?.spec.source.claim, 'db');
    assert.deepEqual(await claims(world, 'west'), []);
    const started = world.events.filter(({ reason }) => reason === 'StepStarted');
    assert.ok(started.some(({ note }) => note.startsWith('copyAhead')));
    await world.stop();
  });

  test('a cutover brings the claim, and keeps the volume of the source', async () => {
    const world = await open();
    await makeSettings(world);
    await makePlan(world);
    await makeMigration(world, 'go', { type: 'Cutover' });
    const one = await ended(world, 'go');
    assert.equal(endOf(one), 'Completed', JSON.stringify(one.status, undefined, 1));
    assert.equal(conditionOf(one, 'CutOver')?.status, 'True');
    assert.deepEqual(await claims(world, 'west'), ['shop/db Bound']);
    assert.deepEqual(await reclaimPolicies(world, 'east'), ['Retain']);
    const [there] = await world.list('west', persistentVolumeClaims);
    const plan = await world.find('east', plans, move);
    assert.equal(there?.metadata.annotations?.[preparedFor], plan?.metadata.uid);
    assert.deepEqual(plan?.metadata.finalizers ?? [], []);
    assert.deepEqual(plan?.status?.migrations, ['go']);
    assert.ok((await world.find('west', configMaps, settings)) !== undefined);
    assert.equal(one.status?.report?.objects, 1);
    assert.ok((one.status?.downtimeMilliseconds ?? 0) > 0);
    assert.equal(one.status?.lagSeconds, 0);
    await world.stop();
  });

  test('what is canceled while it copies is undone, and its data taken away', async () => {
    const world = await open();
    world.fetchBytes = 1024;
    await makePlan(world, { namespaces: [{ name: 'shop', to: 'market' }] });
    const market = { name: 'market' };
    await makeMigration(world, 'go', { type: 'Cutover' });
    await reached(world, 'go', 'copyAhead');
    assert.deepEqual(await reclaimPolicies(world, 'east'), ['Retain']);
    assert.ok((await world.find('west', namespaces, market)) !== undefined);
    await change(world, 'go', { canceled: true });
    const one = await ended(world, 'go');
    assert.equal(endOf(one), 'Canceled', JSON.stringify(one.status, undefined, 1));
    assert.deepEqual(await reclaimPolicies(world, 'east'), ['Delete']);
    assert.deepEqual(await world.list('east', volumeTransfers), []);
    assert.deepEqual(await claims(world, 'west'), []);
    assert.deepEqual(await undoRecords(world), []);
    const left = await world.find('west', namespaces, market);
    assert.ok(left === undefined || left.metadata.deletionTimestamp !== undefined);
    assert.deepEqual(one.metadata.finalizers ?? [], []);
    await world.stop();
  });

  test('one that is deleted while it runs is taken back first', async () => {
    const world = await open();
    world.fetchBytes = 1024;
    await makePlan(world);
    await makeMigration(world, 'go', { type: 'Stage' });
    await reached(world, 'go', 'copyAhead');
    await world.admin('east').delete(migrations, { namespace: 'shop', name: 'go' });
    await world.admin('east').delete(plans, move);
    assert.ok((await world.find('east', plans, move)) !== undefined, 'the plan went first');
    const isGone = async () => (await migration(world, 'go')) === undefined;
    await world.until('it is gone', isGone);
    assert.deepEqual(await reclaimPolicies(world, 'east'), ['Delete']);
    const isPlanGone = async () => (await world.find('east', plans, move)) === undefined;
    await world.until('its plan is gone', isPlanGone);
    await world.stop();
  });

  test('migrations of one plan run one after the other, the oldest first', async () => {
    const world = await open();
    await makePlan(world);
    await makeMigration(world, 'a', { type: 'Stage', holdBefore: 'copyAhead' });
    await says(world, 'a', 'Held');
    await makeMigration(world, 'b', { type: 'Stage' });
    assert.match(await says(world, 'b', 'WaitsForOther'), /Stage a; the migrations of a plan/);
    assert.deepEqual((await migration(world, 'b'))?.status?.itinerary ?? [], []);
    await world
      .admin('east')
      .patch(migrations, { namespace: 'shop', name: 'a' }, { spec: { holdBefore: null } });
    assert.equal(endOf(await ended(world, 'a')), 'Completed');
    assert.equal(endOf(await ended(world, 'b')), 'Completed');
    await world.stop();
  });

  test('a failed copy fails the step; a retry makes it again and goes on', async () => {
    const world = await open();
    world.fetchBytes = 1024;
    await makePlan(world, { onFailure: 'Pause' });
    await makeMigration(world, 'go', { type: 'Stage' });
    await reached(world, 'go', 'copyAhead');
    const first = await failCopy(world);
    assert.match(await says(world, 'go', 'Canceled'), /copyAhead failed: .*claim shop\/db/);
    const failed = await migration(world, 'go');
    assert.equal(failed?.status?.completionTime, undefined);
    assert.match(stepOf(failed, 'copyAhead')?.failure ?? '', /^Canceled: claim shop\/db/);
    world.fetchBytes = soonBytes;
    await change(world, 'go', { retry: 1 });
    const one = await ended(world, 'go');
    assert.equal(endOf(one), 'Completed', JSON.stringify(one.status, undefined, 1));
    const [second] = await world.list('east', volumeTransfers);
    assert.equal(second?.metadata.name, first.metadata.name);
    assert.notEqual(second?.metadata.uid, first.metadata.uid);
    await world.stop();
  });

  test('one that fails is taken back, and says why', async () => {
    const world = await open();
    world.fetchBytes = 1024;
    await makePlan(world);
    await makeMigration(world, 'go', { type: 'Cutover' });
    await reached(world, 'go', 'copyAhead');
    await failCopy(world);
    const one = await ended(world, 'go');
    const succeeded = conditionOf(one, 'Succeeded');
    assert.equal(succeeded?.reason, 'Canceled');
    assert.match(succeeded?.message ?? '', /step copyAhead failed, and what was changed is as/);
    assert.deepEqual(await reclaimPolicies(world, 'east'), ['Delete']);
    await world.stop();
  });

  test('pause and bandwidth reach the copies that run', async () => {
    const world = await open();
    world.fetchBytes = 1024;
    await makePlan(world);
    await makeMigration(world, 'go', { type: 'Stage' });
    await reached(world, 'go', 'copyAhead');
    await world.admin('east').patch(plans, move, { spec: { bandwidth: '8Mi' } });
    await change(world, 'go', { paused: true });
    await world.until('both are passed on', async () => {
      const [one] = await world.list('east', volumeTransfers);
      return one?.spec.paused === true && one.spec.bandwidth === '8Mi';
    });
    world.fetchBytes = soonBytes;
    await change(world, 'go', { paused: false });
    assert.equal(endOf(await ended(world, 'go')), 'Completed');
    await world.stop();
  });

  test('it waits for its plan, and for what the checks of it name', async () => {
    const world = await open();
    await makeMigration(world, 'go', { type: 'Stage' });
    assert.match(await says(world, 'go', 'NotFound'), /there is no plan shop\/move/);
    await makePlan(world, { namespaces: [{ name: 'nowhere' }] });
    await says(world, 'go', 'Waiting');
    const ready = conditionOf(await migration(world, 'go'), 'Ready');
    assert.equal(ready?.reason, 'ChecksFailed');
    assert.match(ready?.message ?? '', /NamespaceNotFoundAtSource.*Correct spec.namespaces/);
    await world.admin('east').patch(plans, move, { spec: { namespaces: [{ name: 'shop' }] } });
    assert.equal(endOf(await ended(world, 'go')), 'Completed');
    await world.stop();
  });

  test('nothing runs of a closed plan', async () => {
    const world = await open();
    await makePlan(world, { closed: true });
    await makeMigration(world, 'go', { type: 'Stage' });
    const one = await ended(world, 'go');
    assert.equal(endOf(one), 'ChecksFailed');
    assert.match(conditionOf(one, 'Succeeded')?.message ?? '', /the plan is closed/);
    assert.deepEqual(await world.list('east', volumeTransfers), []);
    await world.stop();
  });

  test('a rollback brings the data back; a plan is closed after another cutover', async () => {
    const world = await open();
    await makePlan(world);
    await makeMigration(world, 'none', { type: 'Rollback' });
    assert.match(await says(world, 'none', 'Conflict'), /no cutover to go back from/);
    await change(world, 'none', { canceled: true });
    await ended(world, 'none');
    await makeMigration(world, 'go', { type: 'Cutover' });
    assert.equal(endOf(await ended(world, 'go')), 'Completed');
    await makeMigration(world, 'back', { type: 'Rollback' });
    const back = await ended(world, 'back');
    assert.equal(endOf(back), 'Completed', JSON.stringify(back.status, undefined, 1));
    assert.equal(conditionOf(back, 'RolledBack')?.status, 'True');
    assert.deepEqual(await claims(world, 'east'), ['shop/db Bound']);
    assert.deepEqual(await undoRecords(world), []);
    await makeMigration(world, 'again', { type: 'Cutover' });
    assert.equal(endOf(await ended(world, 'again')), 'Completed');
    await closePlan(world);
    assert.deepEqual(await reclaimPolicies(world, 'west'), ['Delete']);
    assert.deepEqual(await undoRecords(world), []);
    await world.stop();
  });

  test('a rehearsal runs beside the source until it is deleted', async () => {
    const world = await open();
    await makePlan(world);
    await makeMigration(world, 'try', { type: 'Rehearsal', sandbox: '-try' });
    const one = await ended(world, 'try');
    assert.equal(endOf(one), 'Completed', JSON.stringify(one.status, undefined, 1));
    assert.deepEqual(await claims(world, 'west'), ['shop-try/db Bound']);
    assert.deepEqual(await reclaimPolicies(world, 'east'), ['Delete']);
    assert.match((one.status?.warnings ?? []).join(), /while the source ran/);
    await makeMigration(world, 'then', { type: 'Stage' });
    assert.equal(endOf(await ended(world, 'then')), 'Completed');
    await world.admin('east').delete(plans, move);
    await world.run(5_000);
    assert.ok((await world.find('east', plans, move)) !== undefined, 'the plan went first');
    await world.admin('east').delete(migrations, { namespace: 'shop', name: 'try' });
    const isGone = async () => (await migration(world, 'try')) === undefined;
    await world.until('it is gone', isGone);
    assert.deepEqual(await claims(world, 'west'), []);
    const sandbox = await world.find('west', namespaces, { name: 'shop-try' });
    assert.ok(sandbox === undefined || sandbox.metadata.deletionTimestamp !== undefined);
    await world.stop();
  });
});
