import assert from 'node:assert/strict';
import { before, suite, test } from 'node:test';
import { type Pool, pools } from '../../src/api/kinds/pool.ts';
import { volumes } from '../../src/api/kinds/volume.ts';
import { planRebalance } from '../../src/controllers/pool/moves.ts';
import { conditionOf, isTrue } from '../../src/controllers/status.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import { openNodes, type ReplicaWorld, saveNodes, type SavedNodes } from './replica-world.ts';

const library = createSchemaLibrary();
const MiB = 1024 * 1024;
const names = ['a', 'b', 'c', 'd', 'e'];

suite('drains of pools', () => {
  let saved: SavedNodes;

  before(async () => {
    saved = await saveNodes(library, async (world) => {
      await world.run(3_000);
      for (const name of names) await world.makeVolume(name, name === 'e' ? ['p2'] : ['p1', 'p2']);
      for (const name of names.slice(0, 4)) {
        await world.until(name, () => world.isSettled(name, ['p1', 'p2']));
      }
      for (const name of names) world.nodes.volume(name).dataBytes = 8 * MiB;
      await world.run(25_000);
    });
  });

  const drain = async (world: ReplicaWorld, name: string, spec: object | null): Promise<void> => {
    await world.client.patch(pools, { namespace: '', name }, { spec: { drain: spec } });
  };
  const pool = async (world: ReplicaWorld, name: string): Promise<Pool> =>
    (await world.find(pools, name))!;

  const isDrained = async (world: ReplicaWorld, name: string): Promise<boolean> =>
    isTrue(await pool(world, name), 'Drained');

  test('everything moves, in order, few at a time, never with fewer whole replicas', async () => {
    const world = await openNodes(library, saved);
    let most = 0;
    let fewest = Number.POSITIVE_INFINITY;
    const begun: string[] = [];
    world.onStep = async () => {
      let moving = 0;
      for (const { metadata, spec, status } of await world.list(volumes)) {
        if (spec.replicas?.some((one) => one.pool === 'p2') === true) continue;
        if (status?.replicas?.some((one) => one.pool === 'p2') === true) moving++;
        const { name = '' } = metadata;
        if (!begun.includes(name)) begun.push(name);
      }
      most = Math.max(most, moving);
      for (const name of names.slice(0, 4)) {
        const members = [...(world.nodes.volume(name).set?.members.values() ?? [])];
        const whole = members.filter(({ voter, missingBytes }) => voter && missingBytes === 0);
        fewest = Math.min(fewest, whole.length);
      }
    };
    await drain(world, 'p2', {});
    await world.until('drained', () => isDrained(world, 'p2'));
    assert.deepEqual([most, fewest], [2, 2]);
    assert.deepEqual(begun, names);
    for (const name of names) {
      const volume = await world.find(volumes, name);
      const there = volume?.status?.replicas?.map((one) => one.pool) ?? [];
      assert.equal(there.includes('p2'), false, name);
      assert.equal(there.length, name === 'e' ? 1 : 2);
    }
    // What is emptiest takes the next: not all went to one.
    const sizes = ['p3', 'p4'].map((one) => {
      return names.filter((name) => {
        return [...world.nodes.volume(name).set!.members.keys()].some((text) => text.endsWith(one));
      }).length;
    });
    assert.ok(Math.min(...sizes) >= 2, String(sizes));
    const object = await pool(world, 'p2');
    assert.equal(object.status?.phase, 'Drained');
    assert.equal(object.metadata.labels?.['kubernetes.io/hostname'], 'n2');
    assert.deepEqual(world.told('PoolDrained'), ['Normal no replica is left here']);
    await drain(world, 'p2', null);
    await world.run(2_000);
    const open = await pool(world, 'p2');
    assert.deepEqual([open.status?.phase, open.status?.drain], ['Online', undefined]);
    assert.equal(conditionOf(open, 'Drained'), undefined);
    world.kill();
  });

  test('what has nowhere to go is named, and nothing of it is touched', async () => {
    const world = await openNodes(library, saved);
    for (const agent of ['n3', 'n4']) world.nodes.freeBytes.set(agent, 50 * MiB);
    await world.run(15_000);
    await drain(world, 'p2', {});
    await world.run(20_000);
    const object = await pool(world, 'p2');
    assert.equal(conditionOf(object, 'Drained')?.reason, 'RedundancyLost');
    const message = conditionOf(object, 'Drained')?.message ?? '';
    for (const words of [
      /replica of a: p3 has 50Mi left, too little for 8Mi/,
      /only 1 of 2 would be left/,
    ]) {
      assert.match(message, words);
    }
    // The one that is alone has room beside the others.
    const moved = await world.find(volumes, 'e');
    assert.deepEqual(moved?.spec.replicas, [{ pool: 'p1' }]);
    for (const name of names.slice(0, 4)) {
      const volume = await world.find(volumes, name);
      assert.deepEqual(volume?.spec.replicas, [{ pool: 'p1' }, { pool: 'p2' }]);
    }
    assert.equal(object.status?.drain?.blocked?.length, 4);
    world.nodes.freeBytes.clear();
    await world.until('it goes on by itself', () => isDrained(world, 'p2'));
    world.kill();
  });

  test('only the named pools take them', async () => {
    const world = await openNodes(library, saved);
    await drain(world, 'p2', { to: ['p4'] });
    await world.until('drained', () => isDrained(world, 'p2'));
    for (const name of names) {
      const volume = await world.find(volumes, name);
      assert.ok(
        volume?.spec.replicas?.some((one) => one.pool === 'p4'),
        name,
      );
    }
    world.kill();
  });

  test('taken back in the middle: what moves arrives, the rest stays', async () => {
    const world = await openNodes(library, saved);
    await drain(world, 'p2', {});
    await world.run(1_500);
    await drain(world, 'p2', null);
    await world.run(30_000);
    const staying = [];
    for (const name of names) {
      const volume = await world.find(volumes, name);
      if (volume?.spec.replicas?.some((one) => one.pool === 'p2') === true) staying.push(name);
      assert.equal(conditionOf(volume, 'ScalingReplicas')?.status ?? 'False', 'False');
    }
    assert.deepEqual(staying, ['c', 'd', 'e']);
    world.kill();
  });

  test('a rebalance moves from full to empty, and stops when they are alike', async () => {
    const world = await openNodes(library, saved);
    for (const name of names) world.nodes.volume(name).dataBytes = 100 * MiB;
    await world.run(20_000);
    const all = await world.list(pools);
    const plan = (toleranceRatio: number) =>
      world.list(volumes).then((list) => {
        return planRebalance(all, list, { toleranceRatio, movesMax: 10 });
      });
    const moves = await plan(0.05);
    assert.ok(moves.length >= 3 && moves.length <= 5, JSON.stringify(moves));
    for (const { from, to } of moves) {
      assert.match(`${from} ${to}`, /^p[12] p[34]$/);
    }
    assert.equal(new Set(moves.map(({ volume }) => volume)).size, moves.length);
    assert.deepEqual(await plan(0.6), []);
    world.kill();
  });
});
