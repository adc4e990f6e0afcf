import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { type Node, leases, nodes } from '../../../kube/resources.ts';
import type { Toleration } from '../../../kube/pod-spec.ts';
import { pods } from '../kinds/pods.ts';
import { MemoryWorld } from '../testing.ts';
import { createEvictor, createNodeWatch } from './lost-nodes.ts';

const nodeKey = { namespace: '', name: 'n' };
const podKey = { namespace: 'default', name: 'p' };
const watch = createNodeWatch();
const evictor = createEvictor();

function worldAt(ageMs: number): MemoryWorld {
  const world = new MemoryWorld();
  const condition = { status: 'False', lastTransitionTime: '2025-12-31T00:00:00Z' };
  world.put(nodes, {
    metadata: { name: 'n' },
    spec: { taints: [{ key: 'own', effect: 'NoSchedule' }] },
    status: {
      conditions: [
        { ...condition, type: 'DiskPressure' },
        { ...condition, type: 'Ready', status: 'True' },
      ],
    },
  });
  const renewTime = new Date(world.nowMs - ageMs).toISOString();
  world.put(leases, {
    metadata: { name: 'n', namespace: 'kube-node-lease' },
    spec: { holderIdentity: 'n', leaseDurationSeconds: 40, renewTime },
  });
  return world;
}

const taintsOf = (world: MemoryWorld) =>
  (world.get<Node>(nodes, nodeKey)?.spec?.taints ?? []).map(
    ({ key, effect }) => `${key} ${effect}`,
  );
const unreachable = 'node.kubernetes.io/unreachable';

suite('nodes that are not heard of', () => {
  test('one with a heartbeat is left alone, and looked at again in time', () => {
    const world = worldAt(4_000);
    assert.equal(world.step(watch, nodeKey), false);
    assert.equal(watch.decide(world, nodeKey).againAfterMs, 6_000);
  });

  test('one without is told Unknown, then tainted; one that is back is as it was', () => {
    const world = worldAt(10_000);
    world.settle(watch, nodeKey);
    const conditions = world.get<Node>(nodes, nodeKey)?.status?.conditions ?? [];
    assert.deepEqual([...new Set(conditions.map(({ status }) => status))], ['Unknown']);
    assert.deepEqual(world.done, ['event NodeNotReady']);
    const tainted = [`${unreachable} NoSchedule`, `${unreachable} NoExecute`];
    assert.deepEqual(taintsOf(world), ['own NoSchedule', ...tainted]);
    const renewTime = new Date(world.nowMs).toISOString();
    const leaseKey = { namespace: 'kube-node-lease', name: 'n' };
    world.change(leases, leaseKey, { spec: { renewTime } });
    // The node itself says first that it is ready.
    assert.equal(world.step(watch, nodeKey), false);
    world.change(nodes, nodeKey, { status: { conditions: [{ type: 'Ready', status: 'True' }] } });
    world.settle(watch, nodeKey);
    assert.deepEqual(taintsOf(world), ['own NoSchedule']);
  });
});

suite('pods on tainted nodes', () => {
  const key = unreachable;
  const patient = (tolerationSeconds: number): Toleration => {
    return { key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds };
  };
  const worldWith = (tolerations: readonly Toleration[], tainted = true): MemoryWorld => {
    const world = worldAt(0);
    const timeAdded = new Date(world.nowMs - 5_000).toISOString();
    const taints = tainted ? [{ key, effect: 'NoExecute', timeAdded }] : [];
    world.change(nodes, nodeKey, { spec: { taints } });
    const spec = { containers: [], nodeName: 'n', tolerations };
    world.put(pods, { metadata: { name: 'p' }, spec });
    return world;
  };

  test('leave when their patience is over, at once, or never', () => {
    const gone = ['event TaintManagerEviction', 'delete /pods p'];
    const cases: readonly (readonly [readonly Toleration[], number | undefined | 'gone'])[] = [
      [[], 'gone'],
      [[patient(5)], 'gone'],
      [[patient(20)], 15_000],
      [[patient(20), patient(10)], 5_000],
      [[{ key, operator: 'Exists', effect: 'NoExecute' }], undefined],
      [[{ operator: 'Exists' }], undefined],
      [[{ ...patient(20), key: 'node.kubernetes.io/not-ready' }], 'gone'],
    ];
    for (const [tolerations, expected] of cases) {
      const world = worldWith(tolerations);
      const { againAfterMs } = evictor.decide(world, podKey);
      world.settle(evictor, podKey);
      const text = JSON.stringify(tolerations);
      assert.deepEqual(world.done, expected === 'gone' ? gone : [], text);
      if (expected !== 'gone') assert.equal(againAfterMs, expected, text);
    }
  });

  test('stay where there is no taint', () => {
    const world = worldWith([], false);
    world.settle(evictor, podKey);
    assert.deepEqual(world.done, []);
  });
});
