// Pods that come to the source between the last copy and the start of the destination.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { conditionOf } from '../../src/controllers/status.ts';
import { configMaps } from '../../src/kube/resources.ts';
import { pods } from '../../src/kube/workloads.ts';
import {
  change,
  ended,
  endOf,
  makeMigration,
  makePlan,
  migration,
  says,
  stepOf,
} from './migration-world.ts';
import { makeSettings, settings, withData } from './scenarios.ts';
import { type World, worldsAfter } from './world.ts';

const late = { namespace: 'shop', name: 'late' };
const claims = [{ name: 'd', persistentVolumeClaim: { claimName: 'db' } }];

/** As a kubelet would. */
async function runPods(world: World): Promise<void> {
  const status = { phase: 'Running', conditions: [{ type: 'Ready', status: 'True' }] };
  for (const cluster of ['east', 'west'] as const) {
    const found = await world.find(cluster, pods, late);
    if (found === undefined || found.status?.phase === 'Running') continue;
    await world.admin(cluster).patchStatus(pods, late, { status });
  }
}

suite('pods that slip past the fence', () => {
  const begin = worldsAfter(withData);

  /** A cutover that has copied all and made nothing yet. */
  async function open(): Promise<World> {
    const world = await begin();
    world.onStep = () => runPods(world);
    await makeSettings(world);
    await makePlan(world);
    await makeMigration(world, 'go', { type: 'Cutover', holdBefore: 'makeObjects' });
    await says(world, 'go', 'Held');
    return world;
  }

  async function slipIn(world: World, more: object, finalizers?: readonly string[]): Promise<void> {
    await world.admin('east').create(pods, {
      metadata: { ...late, ...(finalizers === undefined ? {} : { finalizers }) },
      spec: { containers: [{ name: 'x', image: 'busybox' }], ...more },
    } as never);
    await change(world, 'go', { holdBefore: null });
  }

  const isThere = async (world: World): Promise<boolean> =>
    (await world.find('west', configMaps, settings)) !== undefined;

  test('one that can write spoils the copy: all is taken back at once', async () => {
    const world = await open();
    await slipIn(world, { volumes: claims });
    const one = await ended(world, 'go', 60_000);
    assert.equal(endOf(one), 'InUse');
    assert.match(stepOf(one, 'makeObjects')?.failure ?? '', /shop\/db is held by pod shop\/late/);
    assert.notEqual(await world.find('east', pods, late), undefined);
    assert.equal(await isThere(world), false);
    await world.stop();
  });

  test('a copy stays spoiled when the pod is gone again', async () => {
    const world = await open();
    let isSeen = false;
    world.onRequest = async (cluster, { method, path }) => {
      // While objects are being made: the look before that has found nobody.
      if (isSeen || cluster !== 'west' || method !== 'POST' || !path.includes('configmaps')) return;
      isSeen = true;
      await world.admin('east').create(pods, {
        metadata: late,
        spec: { containers: [{ name: 'x', image: 'busybox' }], volumes: claims },
      } as never);
    };
    await change(world, 'go', { holdBefore: null });
    await world.until('it is noticed', async () => {
      return (
        stepOf(await migration(world, 'go'), 'makeObjects')?.message?.includes('late') === true
      );
    });
    await world.admin('east').delete(pods, late);
    const one = await ended(world, 'go', 60_000);
    assert.equal(endOf(one), 'InUse');
    assert.equal(await isThere(world), false);
    await world.stop();
  });

  test('one that has no claim is stopped like all others, and the run goes on', async () => {
    const world = await open();
    await slipIn(world, {});
    const one = await ended(world, 'go', 60_000);
    assert.equal(endOf(one), 'Completed', JSON.stringify(one.status, undefined, 1));
    assert.equal(await world.find('east', pods, late), undefined);
    assert.equal(await isThere(world), true);
    await world.stop();
  });

  test('one that does not end is named, and the run is taken back in minutes', async () => {
    const world = await open();
    await slipIn(world, {}, ['example.com/hold']);
    await world.until('it is named', async () => {
      const { message = '' } = conditionOf(await migration(world, 'go'), 'Succeeded') ?? {};
      return message.includes('pod shop/late still runs');
    });
    await world.until(
      'it is taken back',
      async () => stepOf(await migration(world, 'go'), 'makeObjects')?.state === 'Undone',
      180_000,
    );
    await world.admin('east').patch(pods, late, { metadata: { finalizers: null } });
    assert.equal(endOf(await ended(world, 'go', 60_000)), 'InUse');
    assert.notEqual(await world.find('east', pods, late), undefined);
    await world.stop();
  });
});
