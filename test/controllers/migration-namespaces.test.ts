// A plan whose namespaces are changed while something of it could be taken back.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { plans } from '../../src/api/kinds/plan.ts';
import { conditionOf } from '../../src/controllers/status.ts';
import { namespaces, persistentVolumeClaims } from '../../src/kube/resources.ts';
import {
  change,
  ended,
  endOf,
  makeMigration,
  makePlan,
  migration,
  move,
  says,
  undoRecords,
} from './migration-world.ts';
import { withData } from './scenarios.ts';
import { type World, worldsAfter } from './world.ts';

suite('namespaces of a plan that has run', () => {
  const open = worldsAfter(async (world) => {
    await withData(world);
    await world.admin('east').create(namespaces, { metadata: { name: 'aaa' } });
  });

  async function name(world: World, ...names: readonly string[]): Promise<void> {
    const list = names.map((one) => ({ name: one }));
    await world.admin('east').patch(plans, move, { spec: { namespaces: list } });
  }

  async function refused(world: World, one: string): Promise<string> {
    await world.until(`${one} is refused`, async () => {
      return conditionOf(await migration(world, one), 'Ready')?.reason === 'ChecksFailed';
    });
    return conditionOf(await migration(world, one), 'Ready')?.message ?? '';
  }

  test('after a cutover no rollback runs until they are put back', async () => {
    const world = await open();
    await makePlan(world);
    await makeMigration(world, 'go', { type: 'Cutover' });
    const go = await ended(world, 'go');
    assert.equal(endOf(go), 'Completed');
    assert.deepEqual(go.status?.namespaces, [{ name: 'shop', to: 'shop' }]);
    assert.notDeepEqual(await undoRecords(world), []);

    await name(world, 'aaa', 'shop');
    await world.until('the plan says so', async () => {
      const ready = conditionOf(await world.find('east', plans, move), 'Ready');
      return /NamespacesChanged/.test(ready?.message ?? '') && ready?.status === 'False';
    });
    await makeMigration(world, 'back', { type: 'Rollback' });
    const said = await refused(world, 'back');
    assert.match(said, /not what it was when Cutover go began: shop;.*Put spec.namespaces/);
    assert.equal((await migration(world, 'back'))?.status?.startTime, undefined);

    await name(world, 'shop');
    assert.equal(endOf(await ended(world, 'back')), 'Completed');
    assert.deepEqual(await undoRecords(world), []);
    const claim = { namespace: 'shop', name: 'db' };
    assert.notEqual(await world.find('east', persistentVolumeClaims, claim), undefined);

    await name(world, 'aaa', 'shop');
    await world.until('all was taken back: it may have others', async () => {
      const ready = conditionOf(await world.find('east', plans, move), 'Ready');
      return ready?.status === 'True';
    });
    await world.stop();
  });

  test('one that runs does not go on, nor back, before they are put back', async () => {
    const world = await open();
    await makePlan(world);
    await makeMigration(world, 'go', { type: 'Cutover', holdBefore: 'makeObjects' });
    await says(world, 'go', 'Held');
    await name(world, 'aaa', 'shop');
    await change(world, 'go', { canceled: true });
    await refused(world, 'go');
    const before = await undoRecords(world);
    await world.run(30_000);
    assert.deepEqual(await undoRecords(world), before);
    await name(world, 'shop');
    assert.equal(endOf(await ended(world, 'go')), 'Canceled');
    assert.deepEqual(await undoRecords(world), []);
    await world.stop();
  });

  test('a plan is closed with the namespaces that it had', async () => {
    const world = await open();
    await makePlan(world);
    await makeMigration(world, 'go', { type: 'Cutover' });
    await ended(world, 'go');
    await name(world, 'aaa');
    await world.admin('east').patch(plans, move, { spec: { closed: true } });
    const says = async (reason: string) => {
      const ready = conditionOf(await world.find('east', plans, move), 'Ready');
      return ready?.reason === reason ? (ready.message ?? '') : undefined;
    };
    await world.until('it is not closed yet', async () => (await says('Closing')) !== undefined);
    assert.match((await says('Closing')) ?? '', /Cutover go began: shop;.*Put spec.namespaces/);
    assert.notDeepEqual(await undoRecords(world), []);
    await name(world, 'shop');
    await world.until('it is closed', async () => (await says('Closed')) !== undefined);
    assert.deepEqual(await undoRecords(world), []);
    await world.stop();
  });
});
