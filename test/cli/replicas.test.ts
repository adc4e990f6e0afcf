import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Pool } from '../../src/api/kinds/pool.ts';
import { resources } from '../../src/api/kinds/resources.ts';
import type { Volume } from '../../src/api/kinds/volume.ts';
import { condition, impatient, startWorld, type World } from './world.ts';

const { pools, volumes } = resources;
const key = (name: string) => ({ namespace: '', name });
const MiB = 1024 * 1024;

interface Replica {
  readonly pool: string;
  readonly state?: string;
}

const healthy = (pool: string) => ({
  pool,
  node: pool.replace('p', 'n'),
  agent: pool.replace('p', 'n'),
  state: 'Healthy',
  voter: true,
  progress: 100,
  usedBytes: 8 * MiB,
  allocatedBytes: 4 * MiB,
});

function statusOf(replicas: readonly Replica[], scaling: object) {
  return {
    replicas: replicas.map((one) => ({ ...healthy(one.pool), ...one })),
    replicaSet: { leader: 'n1', epoch: 3, shown: '2/2' },
    conditions: [
      condition('Ready', 'True', 'Available'),
      condition('Synced', 'True', 'Synced'),
      scaling,
    ],
  };
}

const scaled = condition('ScalingReplicas', 'False', 'Scaled');

/** Pools p1 to p4 of nodes n1 to n4, the higher the emptier; volume `db` in the first two. */
async function withPools(used: Readonly<Record<string, number>> = {}): Promise<World> {
  const world = await startWorld();
  const client = world.client('east');
  for (const index of [1, 2, 3, 4]) {
    const name = `p${index}`;
    const labels = { 'transship.dev/agent': `n${index}`, 'transship.dev/pool': name };
    const spec = { node: `n${index}`, path: `/srv/${name}` };
    await client.create<Pool>(pools, { metadata: { name, labels }, spec });
    const capacityBytes = 1000 * MiB;
    const freeBytes = capacityBytes - (used[name] ?? (5 - index) * 100) * MiB;
    const conditions = [condition('Ready', 'True', 'Online')];
    await client.patchStatus(pools, key(name), {
      status: { capacityBytes, freeBytes, conditions },
    });
  }
  const spec = { size: '8Mi', replicas: [{ pool: 'p1' }, { pool: 'p2' }] };
  await client.create<Volume>(volumes, { metadata: { name: 'db' }, spec });
  const status = statusOf([{ pool: 'p1' }, { pool: 'p2' }], scaled);
  await client.patchStatus(volumes, key('db'), { status });
  return world;
}

/** A leader of few words: what is asked for is there at once. */
const obedient = ({ spec, metadata }: Volume) => ({
  observedGeneration: metadata.generation,
  ...statusOf(spec.replicas ?? [], scaled),
});

async function wanted(world: World, name = 'db'): Promise<readonly string[]> {
  const volume = await world.client('east').get(volumes, key(name));
  return volume!.spec.replicas?.map(({ pool }) => pool) ?? [];
}

suite('replica commands', () => {
  test('list shows where they are, how they are, and who leads', async () => {
    await using world = await withPools();
    const { code, out, err } = await world.run('replica list db');
    assert.equal(code, 0, err);
    const head = /^POOL +HOSTNAME +USED +ALLOCATED +STATUS +PROGRESS +LEFT +LEADER\n/;
    assert.match(out, head);
    assert.match(out, /\np1 +n1 +8Mi +4Mi +Healthy +100% +<none> +yes\np2 .* <none>\n$/);
    const none = await world.run('replica list');
    assert.deepEqual([none.code, none.out], [0, '']);
    assert.match(none.err, /transship replica add VOLUME/);
    assert.equal((await world.run('replica list no')).code, 1);
  });

  test('add: the named pool, or the emptiest; it returns when they are Healthy', async () => {
    await using world = await withPools();
    await world.control('east', volumes, obedient);
    const added = await world.run('replica add db p3');
    assert.equal(added.code, 0, added.err);
    assert.equal(added.out, 'volume/db has a replica in p3\n');
    const chosen = await world.run('replica add db');
    assert.equal(chosen.code, 0, chosen.err);
    assert.deepEqual(await wanted(world), ['p1', 'p2', 'p3', 'p4']);
    const json = await world.run('replica move db p4 p4 -o json');
    assert.deepEqual([json.code, json.out], [6, '']);
  });

  test('what cannot be is said before anything changes', async () => {
    await using world = await withPools();
    for (const [line, code, says] of [
      ['replica add db p9', 1, /no pool p9 .*\(there are p1, p2, p3, p4\)\n {2}reason: NotFound/],
      ['replica add db p2', 6, /has a replica in pool p2 already/],
      ['replica remove db p3', 1, /no replica in p3 \(p1, p2\)/],
      ['replica move db p3 p4', 1, /no replica in p3/],
      ['replica move db p1 p2', 6, /has a replica in pool p2 already/],
      ['replica add no', 1, /has no volume no/],
      ['volume create x --size 8Mi --replicas 9', 2, /from 1 to 8/],
      ['volume create x --size 8Mi --replicas 5', 3, /5 replicas need pools of 5 nodes/],
      ['volume create x --size 8Mi --pool p1 --pool p1', 2, /both of node n1/],
    ] as const) {
      const ran = await world.run(line);
      assert.equal(ran.code, code, `${line}: ${ran.err}`);
      assert.match(ran.err, says);
    }
    assert.deepEqual(await wanted(world), ['p1', 'p2']);
  });

  test('the only replica is moved or deleted with its volume, never removed', async () => {
    await using world = await withPools();
    await world.control('east', volumes, obedient);
    assert.equal((await world.run('replica remove db p1')).out, 'volume/db left pool p1\n');
    const last = await world.run('replica remove db p2');
    assert.equal(last.code, 3);
    assert.match(last.err, /only replica of db: move it \(transship replica move db p2 OTHER\)/);
    const moved = await world.run('replica move db p2');
    assert.equal(moved.out, 'volume/db moved from pool p2 to p4\n');
    assert.deepEqual(await wanted(world), ['p4']);
  });

  test('a refusal of the controllers is the answer, and the edit is taken back', async () => {
    await using world = await withPools();
    await world.control('east', volumes, ({ metadata, spec }) => ({
      observedGeneration: metadata.generation,
      ...statusOf(spec.replicas ?? [], scaled),
      conditions: [condition('Synced', 'False', 'Draining', 'pool p3 is being drained')],
    }));
    for (const line of ['add db p3 p4', 'move db p1 p3', 'remove db p2']) {
      const { code, err } = await world.run(`replica ${line}`);
      assert.equal(code, 3);
      assert.match(err, /^error: pool p3 is being drained\n {2}reason: Draining\n/m);
      assert.deepEqual(await wanted(world), ['p1', 'p2'], line);
    }
  });

  test('what keeps a replica from being made is said', async () => {
    await using world = await withPools();
    const says = 'from 2 to 3 replicas; it waits: agent n3 does not answer';
    await world.control('east', volumes, ({ metadata }) => ({
      observedGeneration: metadata.generation,
      ...statusOf(
        [{ pool: 'p1' }, { pool: 'p2' }],
        condition('ScalingReplicas', 'True', 'ScalingUp', says),
      ),
    }));
    const ran = await world.run('replica add db p3 --timeout 10s', { ports: impatient() });
    assert.equal(ran.code, 5, ran.err);
    assert.match(ran.err, /waiting: agent n3 does not answer/);
  });

  test('progress, and exit 5 when that takes too long', async () => {
    await using world = await withPools();
    const rebuilt = {
      state: 'ReconstructingNewReplica',
      voter: false,
      progress: 40,
      missingBytes: 6 * MiB,
      totalBytes: 10 * MiB,
    };
    await world.control('east', volumes, ({ metadata }) => ({
      observedGeneration: metadata.generation,
      ...statusOf(
        [{ pool: 'p1' }, { pool: 'p2' }, { pool: 'p3', ...rebuilt }],
        condition('ScalingReplicas', 'True', 'ScalingUp', 'from 2 to 3 replicas'),
      ),
    }));
    const line = 'replica add db p3 --timeout 10s';
    const { code, err } = await world.run(line, { ports: impatient() });
    assert.equal(code, 5, err);
    assert.match(err, /db ReconstructingNewReplica 40%, 4.0 MiB of 10.0 MiB/);
    assert.match(err, /transship replica list db --cluster east/);
    assert.deepEqual(await wanted(world), ['p1', 'p2', 'p3']);
    const asked = await world.run('replica remove db p3 --no-wait');
    assert.deepEqual([asked.code, asked.out], [0, 'volume/db edited\n']);
  });

  test('volumes with several are made in the emptiest pools, or the named ones', async () => {
    await using world = await withPools();
    await world.control('east', volumes, obedient);
    await world.run('volume create a --size 8Mi --replicas 3');
    assert.deepEqual(await wanted(world, 'a'), ['p4', 'p3', 'p2']);
    await world.run('volume create b --size 8Mi --pool p1 --pool p3');
    assert.deepEqual(await wanted(world, 'b'), ['p1', 'p3']);
    const table = await world.run('volume list');
    assert.match(table.out, /^NAME +SIZE +STORED +POOL +REPLICAS +STATUS/);
  });
});

suite('pool drain', () => {
  test('it shows what moves, asks for it, and returns when the pool is empty', async () => {
    await using world = await withPools();
    const dry = await world.run('pool drain p1 --dry-run');
    assert.equal(dry.code, 0, dry.err);
    assert.match(dry.err, /VOLUME +FROM +TO +SIZE\ndb +p1 +p4 +4Mi\n/);
    const before = await world.client('east').get(pools, key('p1'));
    assert.equal(before?.spec.drain, undefined);
    await world.control('east', pools, ({ metadata, spec, status }) => {
      if (spec.drain === undefined) return undefined;
      const drained = condition('Drained', 'True', 'Drained');
      return { ...status, observedGeneration: metadata.generation, conditions: [drained] };
    });
    const done = await world.run('pool drain p1 --to p3 --to p4');
    assert.equal(done.code, 0, done.err);
    assert.equal(done.out, 'pool/p1 drained\n');
    const after = await world.client('east').get(pools, key('p1'));
    assert.deepEqual(after?.spec.drain, { to: ['p3', 'p4'] });
    assert.equal((await world.run('pool undrain p1')).out, 'pool/p1 takes replicas again\n');
    assert.equal((await world.run('pool undrain p1')).code, 6);
  });

  test('it is refused, with names, when something has nowhere to go', async () => {
    await using world = await withPools({ p3: 950, p4: 950 });
    const { code, err } = await world.run('pool drain p1');
    assert.equal(code, 3);
    assert.match(err, /pool p1 cannot be emptied:\n +no pool takes the replica of db: p3 has 50Mi/);
    assert.equal((await world.client('east').get(pools, key('p1')))?.spec.drain, undefined);
    const unknown = await world.run('pool drain p1 --to p9');
    assert.equal(unknown.code, 1);
    assert.match(unknown.err, /there is no pool p9/);
  });

  test('a rebalance shows, asks, moves few at a time, and stops', async () => {
    await using world = await withPools({ p1: 700, p2: 100, p3: 100, p4: 100 });
    await world.client('east').patchStatus(volumes, key('db'), {
      status: {
        replicas: [{ ...healthy('p1'), allocatedBytes: 300 * MiB }, healthy('p2')],
      },
    });
    const dry = await world.run('pool rebalance --dry-run');
    assert.equal(dry.code, 0, dry.err);
    assert.match(dry.out, /\ndb +p1 +p3 +300Mi\n$/);
    assert.equal((await world.run('pool rebalance')).code, 2, 'nobody to ask');
    assert.deepEqual(await wanted(world), ['p1', 'p2']);
    await world.control('east', volumes, obedient);
    const done = await world.run('pool rebalance --yes');
    assert.equal(done.code, 0, done.err);
    assert.equal(done.out, 'volume/db moved from pool p1 to p3\n');
    const alike = await world.run('pool rebalance --tolerance 70');
    assert.match(alike.err, /alike within 70 %/);
  });
});
