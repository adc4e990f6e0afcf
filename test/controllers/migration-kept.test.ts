// A cutover that a rollback would go back from is not to be had away by deleting it.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { migrations } from '../../src/api/kinds/migration.ts';
import { plans } from '../../src/api/kinds/plan.ts';
import { volumeTransfers } from '../../src/api/kinds/volume-transfer.ts';
import { conditionOf } from '../../src/controllers/status.ts';
import {
  ended,
  endOf,
  makeMigration,
  makePlan,
  migration,
  move,
  stepOf,
} from './migration-world.ts';
import { withData } from './scenarios.ts';
import { type World, worldsAfter } from './world.ts';

const key = { namespace: 'shop', name: 'go' };

suite('cutovers that are deleted', () => {
  const begin = worldsAfter(withData);

  /** Deleted as with kubectl, and still there. */
  async function open(): Promise<World> {
    const world = await begin();
    await makePlan(world);
    await makeMigration(world, 'go', { type: 'Cutover' });
    assert.equal(endOf(await ended(world, 'go')), 'Completed');
    await world.admin('east').delete(migrations, key);
    await world.until('it says why it stays', async () => {
      const ready = conditionOf(await migration(world, 'go'), 'Ready');
      return ready?.reason === 'InUse' && /make a Rollback, or close the plan/.test(ready.message);
    });
    await world.run(20_000);
    assert.equal(endOf(await migration(world, 'go')), 'Completed');
    return world;
  }

  const goes = (world: World): Promise<void> =>
    world.until('it goes', async () => (await migration(world, 'go')) === undefined);

  test('a rollback goes back from it all the same, and then it goes', async () => {
    const world = await open();
    await makeMigration(world, 'back', { type: 'Rollback', keepData: true });
    const back = await ended(world, 'back');
    assert.equal(endOf(back), 'Completed', JSON.stringify(back.status, undefined, 1));
    assert.equal(stepOf(back, 'copyBack')?.state, 'Succeeded');
    assert.equal(back.status?.report?.volumes, 1);
    await goes(world);
    await world.stop();
  });

  test('it goes when the plan is closed', async () => {
    const world = await open();
    await world.admin('east').patch(plans, move, { spec: { closed: true } });
    await goes(world);
    await world.stop();
  });

  test('it goes with its plan', async () => {
    const world = await open();
    await world.admin('east').delete(plans, move);
    await goes(world);
    assert.equal(await world.find('east', plans, move), undefined);
    await world.stop();
  });

  test('copies that are not known any more do not come back half', async () => {
    const world = await open();
    for (const { metadata } of await world.list('east', volumeTransfers)) {
      const one = { namespace: 'shop', name: metadata.name ?? '' };
      await world.admin('east').delete(volumeTransfers, one);
    }
    await world.until('they are gone', async () => {
      return (await world.list('east', volumeTransfers)).length === 0;
    });
    await makeMigration(world, 'back', { type: 'Rollback', keepData: true });
    await world.until('it refuses', async () => {
      const failed = stepOf(await migration(world, 'back'), 'checkWayBack');
      return /0 of 1 copies .*keepData false/.test(failed?.message ?? '');
    });
    await world.stop();
  });
});
