// What closing a plan does about claims that stages made at the destination, and what it still
// knows when its migrations are gone.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { migrations } from '../../src/api/kinds/migration.ts';
import { plans } from '../../src/api/kinds/plan.ts';
import { conditionOf } from '../../src/controllers/status.ts';
import { persistentVolumeClaims, persistentVolumes } from '../../src/kube/resources.ts';
import { pods } from '../../src/kube/workloads.ts';
import {
  change,
  closePlan,
  ended,
  endOf,
  makeMigration,
  makePlan,
  move,
  reclaimPolicies,
  says,
  undoRecords,
} from './migration-world.ts';
import { withData } from './scenarios.ts';
import { type Name, type World, worldsAfter } from './world.ts';

const volumes = [{ namespace: 'shop', claim: 'db', method: 'Filesystem' as const }];

suite('claims that stages made', () => {
  const begin = worldsAfter(withData);

  async function open(spec: object = {}): Promise<World> {
    const world = await begin();
    await makePlan(world, { volumes, ...spec });
    return world;
  }

  async function go(world: World, name: string, type: 'Stage' | 'Cutover' | 'Rollback') {
    await makeMigration(world, name, type === 'Rollback' ? { type, keepData: false } : { type });
    const one = await ended(world, name);
    assert.equal(endOf(one), 'Completed', JSON.stringify(one.status, undefined, 1));
  }

  /** What its status said meanwhile, each sentence once. */
  async function close(world: World): Promise<readonly string[]> {
    const said: string[] = [];
    world.onStep = async () => {
      const ready = conditionOf(await world.find('east', plans, move), 'Ready');
      const text = `${(await claimsAt(world)).length} claims, ${ready?.reason}: ${ready?.message}`;
      if (ready?.reason === 'Closing' && said.at(-1) !== text) said.push(text);
    };
    await closePlan(world);
    await world.run(10_000);
    return said;
  }

  async function claimsAt(world: World, cluster: Name = 'west'): Promise<readonly string[]> {
    const all = await world.list(cluster, persistentVolumeClaims);
    return all.map(({ metadata }) => metadata.name ?? '');
  }

  test('go when the plan is closed before a cutover, and that is said before', async () => {
    const world = await open();
    await go(world, 'first', 'Stage');
    assert.deepEqual(await claimsAt(world), ['db']);
    const [word] = await close(world);
    assert.match(word ?? '', /^1 claims, Closing: .*deletes claim shop\/db of cluster west/);
    assert.deepEqual(await claimsAt(world), []);
    assert.deepEqual(await world.list('west', persistentVolumes), []);
    assert.deepEqual(await claimsAt(world, 'east'), ['db']);
    assert.deepEqual(await reclaimPolicies(world, 'east'), ['Delete']);
    await world.stop();
  });

  test('stay when somebody uses them by then', async () => {
    const world = await open();
    await go(world, 'first', 'Stage');
    await world.admin('west').create(pods, {
      metadata: { namespace: 'shop', name: 'user' },
      spec: {
        containers: [{ name: 'x', image: 'busybox' }],
        volumes: [{ name: 'd', persistentVolumeClaim: { claimName: 'db' } }],
      },
    } as never);
    await close(world);
    assert.deepEqual(await claimsAt(world), ['db']);
    await world.stop();
  });

  for (const type of ['Namespace', 'State'] as const) {
    test(`stay after a cutover of type ${type}, rolled back or not`, async () => {
      for (const isBack of [false, true]) {
        const world = await open({ type });
        await go(world, 'first', 'Stage');
        await go(world, 'second', 'Cutover');
        if (isBack) await go(world, 'back', 'Rollback');
        await close(world);
        assert.deepEqual(await claimsAt(world), ['db']);
        await world.stop();
      }
    });
  }

  test('a cutover that was taken back has not used them', async () => {
    const world = await open();
    await go(world, 'first', 'Stage');
    await makeMigration(world, 'second', { type: 'Cutover', holdBefore: 'startDestination' });
    await says(world, 'second', 'Held');
    await change(world, 'second', { canceled: true });
    assert.equal(endOf(await ended(world, 'second')), 'Canceled');
    await close(world);
    assert.deepEqual(await claimsAt(world), []);
    await world.stop();
  });

  test('without its migrations a plan is finished by what was written down', async () => {
    const world = await open();
    await go(world, 'first', 'Stage');
    await go(world, 'second', 'Cutover');
    assert.notDeepEqual(await undoRecords(world), []);
    for (const name of ['first', 'second']) {
      const key = { namespace: 'shop', name };
      await world.admin('east').delete(migrations, key);
    }
    // A cutover that could be rolled back stays, unless somebody forces it to go.
    const second = { namespace: 'shop', name: 'second' };
    await world.admin('east').patch(migrations, second, { metadata: { finalizers: null } });
    await world.until('they are gone', async () => {
      return (await world.list('east', migrations)).length === 0;
    });
    await close(world);
    assert.deepEqual(await undoRecords(world), []);
    assert.deepEqual(
      [await reclaimPolicies(world, 'east'), await reclaimPolicies(world, 'west')],
      [['Retain'], ['Delete']],
    );
    assert.deepEqual(await claimsAt(world), ['db']);
    await world.stop();
  });
});
