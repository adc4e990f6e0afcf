import assert from 'node:assert/strict';
import { before, suite, test } from 'node:test';
import { hooks } from '../../src/api/kinds/hook.ts';
import { type Plan, type PlanSpec, plans } from '../../src/api/kinds/plan.ts';
import { conditionOf, isTrue } from '../../src/controllers/status.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import { temporaryName } from '../../src/controllers/plan/temporary-claim.ts';
import {
  configMaps,
  namespaces,
  type PersistentVolumeClaim,
  persistentVolumeClaims,
} from '../../src/kube/resources.ts';
import { preparedFor } from '../../src/workload/transform-context.ts';
import { isBound, makeClaim, makeForeignClaim } from './scenarios.ts';
import { openWorld, type Saved, saveWorld, type World } from './world.ts';

const library = createSchemaLibrary();
const shop = { namespace: 'shop', name: 'move' };
const db = { namespace: 'shop', claim: 'db' } as const;

suite('plans', () => {
  let saved: Saved;

  before(async () => {
    saved = await saveWorld(library, async (world) => {
      await makeClaim(world, 'east');
      await world.until('the claim is bound', () => isBound(world, 'east'));
    });
  });

  const open = (): Promise<World> => openWorld(library, saved);

  async function makePlan(world: World, spec: Partial<PlanSpec> = {}, name = 'move') {
    await world.admin('east').create(plans, {
      metadata: { ...shop, name },
      spec: { source: 'east', destination: 'west', namespaces: [{ name: 'shop' }], ...spec },
    } as never);
  }

  const find = (world: World, name = 'move') => world.find('east', plans, { ...shop, name });

  /** The plan, once this generation of it has been judged. */
  async function judged(world: World, name = 'move'): Promise<Plan> {
    await world.until('the plan is judged', async () => {
      const plan = await find(world, name);
      const ready = conditionOf(plan, 'Ready');
      const isCurrent = ready?.observedGeneration === plan?.metadata.generation;
      return isCurrent && ready?.status !== 'Unknown' && ready !== undefined;
    });
    return (await find(world, name))!;
  }

  function failed({ status }: Plan): readonly string[] {
    const found = (status?.checks ?? []).filter(({ result }) => result === 'Failed');
    return found.map(({ id }) => id);
  }

  test('a plan finds its claims, says how they travel and what that takes', async () => {
    const world = await open();
    await makePlan(world);
    const plan = await judged(world);
    assert.ok(isTrue(plan, 'Ready'), conditionOf(plan, 'Ready')?.message);
    assert.equal(plan.status?.type, 'Namespace');
    const [volume, ...others] = plan.status?.volumes ?? [];
    assert.deepEqual(others, []);
    assert.equal(`${volume?.namespace}/${volume?.claim}`, 'shop/db');
    assert.equal(volume?.method, 'Teleport');
    assert.deepEqual(volume?.actions, ['Copy', 'Skip']);
    assert.equal(plan.status?.totals?.volumes, 1);
    assert.ok((plan.status?.estimate?.seconds ?? 0) > 0);
    await world.stop();
  });

  test('a claim that stands in for another is none of its own', async () => {
    const world = await open();
    await makePlan(world, { destination: 'east', volumes: [{ ...db, action: 'Skip' }] });
    const { uid = '' } = (await judged(world)).metadata;
    const make = (name: string, moveId: string) => {
      const annotations = { [preparedFor]: moveId };
      return world.admin('east').create<PersistentVolumeClaim>(persistentVolumeClaims, {
        metadata: { namespace: 'shop', name, annotations },
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Mi' } } },
      });
    };
    await make(temporaryName(uid, 'db'), uid);
    await make(temporaryName('another move', 'db'), 'another move');
    await make('people-ts-name-it-so', uid);
    const names = async () => (await find(world))?.status?.volumes?.map(({ claim }) => claim);
    await world.until('the look', async () => (await names())?.length === 2, 90_000);
    assert.deepEqual(await names(), ['db', 'people-ts-name-it-so']);
    await world.stop();
  });

  test('what is wrong is named, and put right it is ready', async () => {
    const world = await open();
    await makePlan(world, { namespaces: [{ name: 'nowhere' }] });
    const wrong = await judged(world);
    assert.deepEqual(failed(wrong), ['NamespaceNotFoundAtSource']);
    assert.equal(conditionOf(wrong, 'Ready')?.reason, 'ChecksFailed');
    await world.admin('east').patch(plans, shop, { spec: { namespaces: [{ name: 'shop' }] } });
    const right = await judged(world);
    assert.ok(isTrue(right, 'Ready'), conditionOf(right, 'Ready')?.message);
    await world.stop();
  });

  test('a change in the cluster is seen at the next look', async () => {
    const world = await open();
    await makePlan(world);
    assert.ok(isTrue(await judged(world), 'Ready'));
    const object = { metadata: { namespace: 'shop', name: 'settings' }, data: { a: '1' } };
    await world.admin('east').create(configMaps, object);
    await world.admin('west').create(configMaps, object);
    await world.until('the look', async () => failed((await find(world))!).length > 0, 90_000);
    const plan = await judged(world);
    assert.deepEqual(failed(plan), ['ExistingObjects']);
    assert.match(conditionOf(plan, 'Ready')?.message ?? '', /ConfigMap shop\/settings/);
    const existing = [{ resource: 'configmaps', policy: 'Keep' }];
    await world.admin('east').patch(plans, shop, { spec: { existing } });
    assert.deepEqual(failed(await judged(world)), ['ExistingObjectsKept']);
    await world.stop();
  });

  test('two open plans of one namespace hinder each other until one is closed', async () => {
    const world = await open();
    await makePlan(world, {}, 'other');
    await judged(world, 'other');
    await makePlan(world);
    assert.deepEqual(failed(await judged(world)), ['PlanConflict']);
    await world.admin('east').patch(plans, { ...shop, name: 'other' }, { spec: { closed: true } });
    await world.until('ready', async () => isTrue(await find(world), 'Ready'), 90_000);
    const closed = await find(world, 'other');
    assert.equal(conditionOf(closed, 'Ready')?.reason, 'Closed');
    await world.stop();
  });

  test('a cluster that refuses is named, and the plan is ready when it answers again', async () => {
    const world = await open();
    world.refusals.set('west', 403);
    await makePlan(world);
    await world.until(
      'a reason',
      async () => conditionOf(await find(world), 'Ready') !== undefined,
    );
    assert.ok(!isTrue(await find(world), 'Ready'));
    world.refusals.clear();
    await world.until('ready', async () => isTrue(await find(world), 'Ready'));
    await world.stop();
  });

  test('a claim on a directory of a node is skipped, and that is said', async () => {
    const world = await open();
    await makeForeignClaim(world, 'local', { hostPath: { path: '/data' } });
    await makePlan(world);
    const plan = await judged(world);
    const local = plan.status?.volumes?.find(({ claim }) => claim === 'local');
    assert.deepEqual(local?.actions, ['Skip']);
    assert.equal(local?.method, undefined);
    assert.deepEqual(failed(plan), ['VolumeNotCopied']);
    await world.stop();
  });

  test('hooks that are not there, or have no namespace, keep a plan from running', async () => {
    const world = await open();
    const named = [
      { hook: 'there', phase: 'PreBackup' },
      { hook: 'missing', phase: 'PostRestore' },
    ] as const;
    await world.admin('east').create(hooks, {
      metadata: { namespace: 'shop', name: 'there' },
      spec: { image: 'example.org/hook:1', command: ['true'], target: 'Source', namespace: 'no' },
    } as never);
    await makePlan(world, { hooks: named as never });
    assert.deepEqual(failed(await judged(world)), ['HookNotFound', 'HookNamespace']);
    await world.admin('east').create(namespaces, { metadata: { name: 'no' } });
    await world.admin('east').patch(plans, shop, { spec: { hooks: [named[0]] } });
    assert.deepEqual(failed(await judged(world)), []);
    await world.stop();
  });
});
