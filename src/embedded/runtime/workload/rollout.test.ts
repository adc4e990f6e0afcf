import { formatSecond } from '../../../base/units.ts';
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { keyOf } from '../../../kube/objects.ts';
import { type Pod, pods } from '../kinds/pods.ts';
import { type Deployment, deployments, replicaSets } from '../kinds/workloads.ts';
import { MemoryWorld } from '../testing.ts';
import { createDeploymentController } from './deployment.ts';
import { isActive, isReady } from './pods.ts';
import { createReplicaSetController } from './replicaset.ts';
import { rollingLimits } from './rolling.ts';

const key = { namespace: 'default', name: 'web' };
const deploymentController = createDeploymentController();
const setController = createReplicaSetController();
const ready = { type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' };

function template(version: string) {
  const containers = [{ name: 'main', image: 'none', command: ['run', version] }];
  return { metadata: { labels: { app: 'web' } }, spec: { containers } };
}

function make(world: MemoryWorld, spec: Partial<Deployment['spec']> = {}): void {
  const selector = { matchLabels: { app: 'web' } };
  const whole = { selector, template: template('1'), ...spec };
  world.put(deployments, { metadata: { name: 'web' }, spec: whole });
}

/** One thing that may happen next, chosen by a number. */
function happen(world: MemoryWorld, choice: number): void {
  const sets = world.list(replicaSets);
  const all = world.list(pods);
  const pod = all[Math.floor(choice / 4) % Math.max(1, all.length)];
  switch (choice % 4) {
    case 0:
      world.step(deploymentController, key);
      return;
    case 1: {
      const set = sets[Math.floor(choice / 4) % Math.max(1, sets.length)];
      if (set !== undefined) world.step(setController, keyOf(set));
      return;
    }
    case 2:
      if (pod !== undefined && isActive(pod)) start(world, pod);
      return;
    default:
      if (pod?.metadata.deletionTimestamp !== undefined) world.drop(pods, keyOf(pod));
  }
}

function start(world: MemoryWorld, pod: Pod): void {
  world.change(pods, keyOf(pod), { status: { phase: 'Running', conditions: [ready] } });
}

function finish(world: MemoryWorld): void {
  const roundsMax = 200;
  for (let round = 0; round < roundsMax; round++) {
    let moved = world.step(deploymentController, key);
    for (const set of world.list(replicaSets))
      moved = world.step(setController, keyOf(set)) || moved;
    for (const pod of world.list(pods)) {
      if (pod.metadata.deletionTimestamp !== undefined) world.drop(pods, keyOf(pod));
      else if (isReady(pod)) continue;
      else start(world, pod);
      moved = true;
    }
    if (!moved) return;
  }
  assert.fail('the rollout never ends');
}

const active = (world: MemoryWorld) => world.list(pods).filter(isActive);
const amount = fc.oneof(
  fc.integer({ min: 0, max: 5 }),
  fc.integer({ min: 0, max: 100 }).map((n) => `${n}%`),
);

suite('a rolling update', () => {
  test('never has too few or too many pods, whatever happens when, and ends', () => {
    const schedule = fc.array(fc.nat({ max: 10_000 }), { maxLength: 150 });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 8 }),
        amount,
        amount,
        schedule,
        (replicas, maxSurge, maxUnavailable, choices) => {
          const world = new MemoryWorld();
          make(world, { replicas, strategy: { rollingUpdate: { maxSurge, maxUnavailable } } });
          finish(world);
          assert.equal(active(world).length, replicas);
          const limits = rollingLimits(replicas, { maxSurge, maxUnavailable });
          world.change(deployments, key, { spec: { template: template('2') } });
          for (const [i, choice] of choices.entries()) {
            // Turned back, and forward again, in the middle.
            if (i === 60) world.change(deployments, key, { spec: { template: template('1') } });
            if (i === 90) world.change(deployments, key, { spec: { template: template('2') } });
            happen(world, choice);
            const now = active(world);
            assert.ok(now.length <= replicas + limits.maxSurge);
            assert.ok(now.filter(isReady).length >= replicas - limits.maxUnavailable);
          }
          world.change(deployments, key, { spec: { template: template('3') } });
          finish(world);
          const commands = active(world).map((pod) => pod.spec.containers[0]?.command?.[1]);
          assert.deepEqual(
            commands,
            Array.from({ length: replicas }, () => '3'),
          );
        },
      ),
      { numRuns: 40 },
    );
  });

  test('back to an old template uses its set again, under a new revision', () => {
    const world = new MemoryWorld();
    make(world);
    finish(world);
    const first = world.list(replicaSets)[0];
    world.change(deployments, key, { spec: { template: template('2') } });
    finish(world);
    world.change(deployments, key, { spec: { template: template('1') } });
    finish(world);
    assert.equal(world.list(replicaSets).length, 2);
    const again = world.list(replicaSets).find((set) => set.metadata.uid === first?.metadata.uid);
    assert.equal(again?.spec.replicas, 1);
    assert.equal(again?.metadata.annotations?.['deployment.kubernetes.io/revision'], '3');
    assert.equal(
      world.get(deployments, key)?.metadata.annotations?.['deployment.kubernetes.io/revision'],
      '3',
    );
  });

  test('keeps as many old sets as asked for', () => {
    const world = new MemoryWorld();
    make(world, { revisionHistoryLimit: 1 });
    for (const version of ['1', '2', '3', '4']) {
      world.change(deployments, key, { spec: { template: template(version) } });
      finish(world);
    }
    assert.equal(world.list(replicaSets).length, 2);
  });
});

suite('a deployment', () => {
  test('recreates only after the last old pod is gone', () => {
    const world = new MemoryWorld();
    make(world, { replicas: 2, strategy: { type: 'Recreate' } });
    finish(world);
    world.change(deployments, key, { spec: { template: template('2') } });
    world.settle(deploymentController, key);
    for (const set of world.list(replicaSets)) world.settle(setController, keyOf(set));
    world.settle(deploymentController, key);
    assert.equal(world.list(replicaSets).length, 1);
    assert.equal(active(world).length, 0);
    finish(world);
    assert.equal(active(world).length, 2);
    assert.equal(world.list(replicaSets).length, 2);
  });

  test('that is paused takes a new size and no new template', () => {
    const world = new MemoryWorld();
    make(world, { paused: false, replicas: 1 });
    finish(world);
    world.change(deployments, key, {
      spec: { paused: true, replicas: 3, template: template('2') },
    });
    finish(world);
    assert.deepEqual(
      active(world).map((pod) => pod.spec.containers[0]?.command?.[1]),
      ['1', '1', '1'],
    );
    const progress = world
      .get(deployments, key)
      ?.status?.conditions?.find((one) => one.type === 'Progressing');
    assert.equal(progress?.reason, 'DeploymentPaused');
  });

  test('says that it is complete, and that it makes no progress', () => {
    const world = new MemoryWorld();
    make(world, { progressDeadlineSeconds: 60 });
    finish(world);
    const condition = (type: string) =>
      world.get(deployments, key)?.status?.conditions?.find((one) => one.type === type);
    assert.equal(condition('Progressing')?.reason, 'NewReplicaSetAvailable');
    assert.equal(condition('Available')?.status, 'True');
    world.change(deployments, key, { spec: { template: template('2') } });
    world.settle(deploymentController, key);
    for (const set of world.list(replicaSets)) world.settle(setController, keyOf(set));
    world.settle(deploymentController, key);
    assert.equal(condition('Progressing')?.reason, 'ReplicaSetUpdated');
    const { againAfterMs = 0 } = deploymentController.decide(world, key);
    assert.ok(againAfterMs > 0 && againAfterMs <= 60_000);
    world.nowMs += 61_000;
    world.settle(deploymentController, key);
    assert.equal(condition('Progressing')?.reason, 'ProgressDeadlineExceeded');
    assert.equal(condition('Progressing')?.status, 'False');
  });
});

test('a replica set adopts, releases, and gives up the least useful pods first', () => {
  const world = new MemoryWorld();
  const labels = { app: 'web' };
  const stray = world.put(pods, { metadata: { name: 'stray', labels }, spec: template('1').spec });
  const set = world.put(replicaSets, {
    metadata: { name: 'web' },
    spec: { replicas: 2, selector: { matchLabels: labels }, template: template('1') },
  });
  world.settle(setController, key);
  assert.equal(active(world).length, 2);
  const adopted = world.get(pods, keyOf(stray));
  assert.equal(adopted?.metadata.ownerReferences?.[0]?.uid, set.metadata.uid);
  world.change(pods, keyOf(stray), { metadata: { labels: { app: 'other' } } });
  world.settle(setController, key);
  assert.deepEqual(world.get(pods, keyOf(stray))?.metadata.ownerReferences, []);
  const [kept, other] = active(world).filter((pod) => pod.metadata.name !== 'stray');
  assert.ok(kept !== undefined && other !== undefined);
  start(world, kept);
  world.change(replicaSets, key, { spec: { replicas: 1 } });
  world.settle(setController, key);
  assert.notEqual(world.get(pods, keyOf(other))?.metadata.deletionTimestamp, undefined);
  assert.equal(world.get(pods, keyOf(kept))?.metadata.deletionTimestamp, undefined);
  assert.equal(formatSecond(0), '1970-01-01T00:00:00Z');
});
