import assert from 'node:assert/strict';
import { before, suite, test } from 'node:test';
import { volumeTransfers } from '../../src/api/kinds/volume-transfer.ts';
import { conditionOf } from '../../src/controllers/status.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import { ended, endOf, makeMigration, makePlan, stepOf } from './migration-world.ts';
import { withData } from './scenarios.ts';
import { openWorld, type Saved, saveWorld, type World } from './world.ts';

const library = createSchemaLibrary();

suite('migrations', () => {
  let saved: Saved;

  before(async () => {
    saved = await saveWorld(library, withData);
  });

  async function open(): Promise<World> {
    const world = await openWorld(library, saved);
    world.fetchBytes = 4 * 1024 * 1024;
    return world;
  }

  test('a stage copies each claim once, and says so', async () => {
    const world = await open();
    await makePlan(world, { images: 'Skip' });
    await makeMigration(world, 'first', { type: 'Stage' });
    const one = await ended(world, 'first');
    assert.equal(endOf(one), 'Completed', JSON.stringify(one.status, undefined, 1));
    assert.equal(conditionOf(one, 'Staged')?.status, 'True');
    assert.equal(one.status?.report?.volumes, 1);
    assert.equal(one.status?.percent, 100);
    assert.equal(stepOf(one, 'copyImages')?.state, 'Skipped');
    assert.deepEqual(one.metadata.finalizers ?? [], []);
    const [transfer, ...others] = await world.list('east', volumeTransfers);
    assert.deepEqual(others, []);
    assert.equal(transfer?.spec.pass, 'Ahead');
    assert.equal(transfer?.spec.source.claim, 'db');
    await world.stop();
  });
});
