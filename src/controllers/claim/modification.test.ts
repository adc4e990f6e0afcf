import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Pool } from '../../api/kinds/pool.ts';
import type { Volume } from '../../api/kinds/volume.ts';
import { TransshipError } from '../../base/errors.ts';
import { labels } from '../labels.ts';
import { Room } from '../pool/moves.ts';
import { modificationOf, stepTowards } from './modification.ts';

const GiB = 1024 ** 3;

function poolOf(number: number, freeBytes = 8 * GiB): Pool {
  return {
    metadata: { name: `p${number}`, labels: { [labels.agent]: `n${number}` } },
    spec: { node: `n${number}` },
    status: {
      capacityBytes: 10 * GiB,
      freeBytes,
      conditions: [{ type: 'Ready', status: 'True', reason: 'Ready', message: '' }],
    },
  } as unknown as Pool;
}

type State = 'Healthy' | 'Offline' | 'Rebuilding';

/** As a controller shows it that has heard everything. */
function volumeOf(replicas: Readonly<Record<string, State>>, more: object = {}): Volume {
  const names = Object.keys(replicas);
  const synced = { type: 'Synced', status: 'True', reason: 'Synced', message: '' };
  return {
    metadata: { name: 'db', generation: 3 },
    spec: { size: '1Gi', replicas: names.map((pool) => ({ pool })), ...more },
    status: {
      replicaSet: { leader: `n${names[0]?.slice(1)}` },
      replicas: names.map((pool) => ({ pool, agent: `n${pool.slice(1)}`, state: replicas[pool] })),
      conditions: [{ ...synced, observedGeneration: 3 }],
    },
  } as unknown as Volume;
}

const room =
  (...pools: readonly Pool[]) =>
  () =>
    new Room(pools, []);
const four = room(poolOf(1), poolOf(2), poolOf(3), poolOf(4, 9 * GiB));

function poolsAfter(volume: Volume, replicas: number, places = four): readonly string[] | string {
  const step = stepTowards(volume, { replicas }, places);
  if (step.do === 'patch') return (step.spec.replicas ?? []).map(({ pool }) => pool);
  return step.do === 'wait' ? step.message : 'nothing';
}

suite('steps towards a modification', () => {
  test('replicas come all at once, in the emptiest pools of other nodes', () => {
    assert.deepEqual(poolsAfter(volumeOf({ p1: 'Healthy' }), 3), ['p1', 'p4', 'p2']);
    const few = room(poolOf(1), poolOf(2));
    assert.throws(
      () => poolsAfter(volumeOf({ p1: 'Healthy' }), 3, few),
      (error: TransshipError) => error.reason === 'LimitExceeded',
    );
  });

  test('replicas go one by one: what is broken first, the leader last', () => {
    const healthy = { p1: 'Healthy', p2: 'Healthy', p3: 'Healthy' } as const;
    assert.deepEqual(poolsAfter(volumeOf(healthy), 1), ['p1', 'p2']);
    assert.deepEqual(poolsAfter(volumeOf({ ...healthy, p2: 'Offline' }), 1), ['p1', 'p3']);
    assert.deepEqual(poolsAfter(volumeOf({ ...healthy, p1: 'Offline' }), 2), ['p2', 'p3']);
    const broken = { p1: 'Offline', p2: 'Rebuilding' } as const;
    assert.match(String(poolsAfter(volumeOf(broken), 1)), /no replica that would be left/);
    const leaving = { replicas: [{ pool: 'p1' }, { pool: 'p2' }] };
    assert.match(String(poolsAfter(volumeOf(healthy, leaving), 1)), /p3 is being taken away/);
  });

  test('it is done when the agent has heard of it and all replicas are Healthy', () => {
    const two = volumeOf({ p1: 'Healthy', p2: 'Healthy' }, { historyPolicy: 'hour' });
    const wanted = { replicas: 2, historyPolicy: 'hour' };
    assert.deepEqual(stepTowards(two, wanted, four), { do: 'nothing' });
    assert.deepEqual(stepTowards(two, {}, four), { do: 'nothing' });
    const edited = { ...two, metadata: { ...two.metadata, generation: 4 } };
    assert.equal(stepTowards(edited, wanted, four).do, 'wait');
    const waits = poolsAfter(volumeOf({ p1: 'Healthy', p2: 'Rebuilding' }), 2);
    assert.equal(waits, 'its replica in pool p2 is Rebuilding');
    const rebuilding = stepTowards(volumeOf({ p1: 'Healthy', p2: 'Rebuilding' }), wanted, four);
    assert.deepEqual(rebuilding, { do: 'patch', spec: { historyPolicy: 'hour' } });
  });

  test('a policy is not held up by replicas that cannot go yet', () => {
    const volume = volumeOf({ p1: 'Offline', p2: 'Offline' });
    const step = stepTowards(volume, { replicas: 1, historyPolicy: 'hour' }, four);
    assert.deepEqual(step, { do: 'patch', spec: { historyPolicy: 'hour' } });
  });

  test('only what is known and can be changed is taken', () => {
    assert.deepEqual(modificationOf({ replicas: '2', historyPolicy: 'hour' }), {
      replicas: 2,
      historyPolicy: 'hour',
    });
    for (const [parameters, words] of [
      [{ type: 'xfs' }, /'type' stays as the volume was made with; can be changed: hist/],
      [{ colour: 'red' }, /'colour' is unknown; can be changed: historyPolicy, replicas/],
      [{ replicas: '0' }, /replicas '0' is no number from 1 to 8/],
      [{ historyPolicy: '' }, /historyPolicy is empty/],
    ] as const) {
      assert.throws(
        () => modificationOf(parameters),
        (error: unknown) => {
          return error instanceof TransshipError && words.test(error.message);
        },
      );
    }
  });
});
