// Cutovers that fail past their point of no return, and the ways out.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { conditionOf } from '../../src/controllers/status.ts';
import { type Deployment, deployments } from '../../src/kube/workloads.ts';
import { change, ended, endOf, makeMigration, makePlan, migration } from './migration-world.ts';
import { withData } from './scenarios.ts';
import { type Name, type World, worldsAfter } from './world.ts';

const web = { namespace: 'shop', name: 'web' };
const longMs = 1_800_000;

/** Nobody runs pods here: what is healthy is what a test says is. */
async function makeWeb(world: World): Promise<void> {
  const client = world.admin('east');
  const labels = { app: 'web' };
  const containers = [{ name: 'web', image: 'example.org/web:1' }];
  const made = await client.create<Deployment>(deployments, {
    metadata: web,
    spec: {
      replicas: 1,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers } },
    },
  } as never);
  const numbers = { replicas: 1, readyReplicas: 1, updatedReplicas: 1, availableReplicas: 1 };
  const { generation: observedGeneration } = made.metadata;
  await client.patchStatus(deployments, web, { status: { ...numbers, observedGeneration } });
}

async function replicas(world: World, cluster: Name): Promise<number | undefined> {
  return (await world.find(cluster, deployments, web))?.spec?.replicas;
}

suite('migrations past their point of no return', () => {
  const begin = worldsAfter(async (world) => {
    await withData(world);
    await makeWeb(world);
  });

  async function failPast(onFailure: 'Pause' | 'RollBack'): Promise<World> {
    const world = await begin();
    world.stepMs = 5_000;
    await makePlan(world, { images: 'Skip', onFailure });
    await makeMigration(world, 'go', { type: 'Cutover' });
    const isOver = async () => {
      const succeeded = conditionOf(await migration(world, 'go'), 'Succeeded');
      return succeeded?.status === 'False';
    };
    await world.until('the cutover fails', isOver, longMs);
    assert.equal(await replicas(world, 'west'), 1);
    assert.equal(await replicas(world, 'east'), 0);
    return world;
  }

  async function goBack(world: World): Promise<void> {
    await makeMigration(world, 'back', { type: 'Rollback', verify: false });
    const back = await ended(world, 'back', longMs);
    assert.equal(endOf(back), 'Completed', JSON.stringify(back.status, undefined, 1));
    assert.equal(await replicas(world, 'west'), undefined);
    assert.equal(await replicas(world, 'east'), 1);
  }

  test('only a rollback leads back; afterwards nothing is retried', async () => {
    const world = await failPast('RollBack');
    const go = await migration(world, 'go');
    assert.equal(endOf(go), 'NeedsRollback');
    const { message = '' } = conditionOf(go, 'Succeeded') ?? {};
    assert.match(message, /TimedOut.*Deployment shop\/web.*transship migrate rollback move/s);
    assert.equal(conditionOf(go, 'CutOver')?.status, 'True');
    await goBack(world);
    await change(world, 'go', { retry: 1 });
    await world.run(10_000);
    assert.equal(endOf(await migration(world, 'go')), 'NeedsRollback');
    assert.equal(await replicas(world, 'west'), undefined);
    const told = world.events.filter(({ reason }) => reason === 'NothingToRetry');
    assert.match(told[0]?.note ?? '', /back has begun since/);
    await world.stop();
  });

  test('one that waits for a person gives way to a rollback', async () => {
    const world = await failPast('Pause');
    assert.equal(endOf(await migration(world, 'go')), 'open');
    await goBack(world);
    await world.stop();
  });

  test('it can be retried until somebody goes back', async () => {
    const world = await failPast('RollBack');
    const there = await world.find('west', deployments, web);
    const numbers = { replicas: 1, readyReplicas: 1, updatedReplicas: 1, availableReplicas: 1 };
    const { generation: observedGeneration } = there!.metadata;
    await world
      .admin('west')
      .patchStatus(deployments, web, { status: { ...numbers, observedGeneration } });
    await change(world, 'go', { retry: 1 });
    const isDone = async () => endOf(await migration(world, 'go')) === 'Completed';
    await world.until('it goes on', isDone, longMs);
    assert.equal((await migration(world, 'go'))?.status?.retried, 1);
    await world.stop();
  });
});
