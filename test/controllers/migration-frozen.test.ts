// Who edits a plan while something of it can be taken back changes nothing of that.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { PlanSpec } from '../../src/api/kinds/plan.ts';
import { plans } from '../../src/api/kinds/plan.ts';
import { configMaps, secrets } from '../../src/kube/resources.ts';
import { deployments } from '../../src/kube/workloads.ts';
import {
  change,
  ended,
  endOf,
  makeMigration,
  makePlan,
  migration,
  move,
  says,
  stepOf,
} from './migration-world.ts';
import { makeSettings, settings, withData } from './scenarios.ts';
import { type Name, type World, worldsAfter } from './world.ts';

const web = { namespace: 'shop', name: 'web' };
const greeting = (text: string): NonNullable<PlanSpec['patches']> => [
  {
    group: '',
    kind: 'ConfigMap',
    patch: `[{"op":"add","path":"/data/greeting","value":"${text}"}]`,
  },
];

suite('plans that are edited too late', () => {
  const begin = worldsAfter(withData);

  async function open(spec: Partial<PlanSpec> = {}): Promise<World> {
    const world = await begin();
    const labels = { app: 'web' };
    await world.admin('east').create(deployments, {
      metadata: web,
      spec: {
        replicas: 2,
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { containers: [{ name: 'x', image: 'y' }] } },
      },
    } as never);
    await makeSettings(world);
    await makePlan(world, spec);
    return world;
  }

  async function edit(world: World, spec: object): Promise<void> {
    await world.admin('east').patch(plans, move, { spec });
    await world.run(2_000);
  }

  const replicas = async (world: World, cluster: Name): Promise<unknown> =>
    (await world.find(cluster, deployments, web))?.spec?.replicas;

  const greetingAt = async (world: World): Promise<unknown> =>
    (await world.find('west', configMaps, settings))?.data?.['greeting'];

  async function frozen(world: World): Promise<readonly string[]> {
    const names = (await world.list('east', secrets)).map(({ metadata }) => metadata.name ?? '');
    return names.filter((name) => name.startsWith('transship-plan-'));
  }

  test('a rollback stops what the cutover started, and starts what it stopped', async () => {
    const world = await open();
    await makeMigration(world, 'go', { type: 'Cutover', verify: false });
    assert.equal(endOf(await ended(world, 'go')), 'Completed');
    assert.deepEqual([await replicas(world, 'east'), await replicas(world, 'west')], [0, 2]);
    // As it reads now it moves data only, and only some objects.
    await edit(world, {
      volumes: [{ namespace: 'shop', claim: 'db', name: 'other' }],
      resources: { include: ['configmaps'] },
    });
    const back = { type: 'Rollback', keepData: false, verify: false } as const;
    await makeMigration(world, 'back', { ...back, holdBefore: 'startSource' });
    await says(world, 'back', 'Held');
    assert.deepEqual([await replicas(world, 'east'), await replicas(world, 'west')], [0, 0]);
    await change(world, 'back', { holdBefore: null });
    assert.equal(endOf(await ended(world, 'back')), 'Completed');
    assert.equal(await replicas(world, 'east'), 2);
    assert.equal(await world.find('west', deployments, web), undefined);
    await world.stop();
  });

  test('the rest of a run makes what the plan said when it began', async () => {
    const world = await open({ patches: greeting('early') });
    const held = { type: 'Cutover', verify: false, holdBefore: 'makeObjects' } as const;
    await makeMigration(world, 'go', held);
    await says(world, 'go', 'Held');
    await edit(world, { patches: greeting('late') });
    await change(world, 'go', { holdBefore: null });
    assert.equal(endOf(await ended(world, 'go')), 'Completed');
    assert.equal(await greetingAt(world), 'early');
    await world.stop();
  });

  test('a retry takes what was put right in the plan, but not what undoing goes by', async () => {
    const patch = '[{"op":"replace","path":"/spec/replicas","value":-1}]';
    const wrong = [{ group: 'apps', kind: 'Deployment', patch }];
    const world = await open({ patches: wrong, onFailure: 'Pause' });
    await makeMigration(world, 'go', { type: 'Cutover', verify: false });
    await world.until('it has failed', async () => {
      return stepOf(await migration(world, 'go'), 'makeObjects')?.state === 'Failed';
    });
    await edit(world, { patches: greeting('right'), resources: { include: ['configmaps'] } });
    await change(world, 'go', { retry: 1 });
    assert.equal(endOf(await ended(world, 'go')), 'Completed');
    assert.equal(await greetingAt(world), 'right');
    assert.equal(await replicas(world, 'west'), 2);
    await world.stop();
  });

  test('nothing is kept of runs from which no way leads back', async () => {
    const world = await open();
    await makeMigration(world, 'first', { type: 'Stage' });
    await ended(world, 'first');
    assert.deepEqual(await frozen(world), []);
    await makeMigration(world, 'go', { type: 'Cutover', verify: false });
    await ended(world, 'go');
    assert.equal((await frozen(world)).length, 1);
    await makeMigration(world, 'back', { type: 'Rollback', keepData: false, verify: false });
    await ended(world, 'back');
    assert.deepEqual(await frozen(world), []);
    await world.stop();
  });
});
