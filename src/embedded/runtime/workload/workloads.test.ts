import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import fc from 'fast-check';
import { keyOf } from '../../../kube/objects.ts';
import type { PodPhase, PodSpec } from '../../../kube/pod-spec.ts';
import { nodes } from '../../../kube/resources.ts';
import { controllerRevisions } from '../../../kube/workloads.ts';
import { type Pod, pods } from '../kinds/pods.ts';
import { claims } from '../kinds/storage.ts';
import {
  cronJobs,
  daemonSets,
  type JobSpec,
  jobs,
  type StatefulSet,
  statefulSets,
} from '../kinds/workloads.ts';
import { MemoryWorld } from '../testing.ts';
import { latestBetween, parseSchedule } from './cron-schedule.ts';
import { createCronJobController } from './cronjob.ts';
import { createDaemonSetController } from './daemonset.ts';
import { formatIndexes, parseIndexes } from './job-pods.ts';
import { createJobController } from './job.ts';
import { isActive } from './pods.ts';
import { createStatefulSetController } from './statefulset.ts';

const key = { namespace: 'default', name: 'db' };
const selector = { matchLabels: { app: 'db' } };
const ready = { type: 'Ready', status: 'True', lastTransitionTime: '2026-01-01T00:00:00Z' };

function template(version = '1', restartPolicy: PodSpec['restartPolicy'] = 'Always') {
  const containers = [{ name: 'main', image: 'none', command: ['run', version] }];
  return { metadata: { labels: { app: 'db' } }, spec: { containers, restartPolicy } };
}

function setPhase(world: MemoryWorld, pod: Pod, phase: PodPhase): void {
  const conditions = phase === 'Running' ? [ready] : [];
  world.change(pods, keyOf(pod), { status: { phase, conditions } });
}

const names = (world: MemoryWorld) =>
  world
    .list(pods)
    .map((pod) => pod.metadata.name ?? '')
    .toSorted((a, b) => a.localeCompare(b));

function startAll(world: MemoryWorld): void {
  for (const pod of world.list(pods)) {
    if (pod.metadata.deletionTimestamp !== undefined) world.drop(pods, keyOf(pod));
    else setPhase(world, pod, 'Running');
  }
}

suite('a stateful set', () => {
  const controller = createStatefulSetController();
  const make = (world: MemoryWorld, more: Partial<StatefulSet['spec']>) =>
    world.put(statefulSets, {
      metadata: { name: 'db' },
      spec: {
        replicas: 3,
        serviceName: 'db',
        selector,
        template: template(),
        volumeClaimTemplates: [{ metadata: { name: 'data' }, spec: {} }],
        ...more,
      },
    });
  const grow = (world: MemoryWorld) => {
    for (let i = 0; i < 20; i++) {
      world.settle(controller, key);
      startAll(world);
    }
  };

  test('makes its pods in order, each after the one before is ready', () => {
    const world = new MemoryWorld();
    make(world, {});
    world.settle(controller, key);
    assert.deepEqual(names(world), ['db-0']);
    assert.equal(world.list(claims)[0]?.metadata.name, 'data-db-0');
    startAll(world);
    world.settle(controller, key);
    assert.deepEqual(names(world), ['db-0', 'db-1']);
    grow(world);
    assert.deepEqual(names(world), ['db-0', 'db-1', 'db-2']);
    const { status } = world.get(statefulSets, key) ?? {};
    assert.equal(status?.readyReplicas, 3);
    assert.equal(status.currentRevision, status.updateRevision);
  });

  test('makes them all at once when told to', () => {
    const world = new MemoryWorld();
    make(world, { podManagementPolicy: 'Parallel' });
    world.settle(controller, key);
    assert.deepEqual(names(world), ['db-0', 'db-1', 'db-2']);
  });

  test('gives up the highest first and keeps its claim', () => {
    const world = new MemoryWorld();
    make(world, {});
    grow(world);
    world.change(statefulSets, key, { spec: { replicas: 1 } });
    world.settle(controller, key);
    const gone = world.list(pods).filter((pod) => !isActive(pod));
    assert.deepEqual(
      gone.map((pod) => pod.metadata.name),
      ['db-2'],
    );
    grow(world);
    assert.deepEqual(names(world), ['db-0']);
    assert.equal(world.list(claims).length, 3);
  });

  test('updates from the highest down to its partition', () => {
    const world = new MemoryWorld();
    make(world, { updateStrategy: { rollingUpdate: { partition: 1 } } });
    grow(world);
    world.change(statefulSets, key, { spec: { template: template('2') } });
    world.settle(controller, key);
    const gone = world.list(pods).filter((pod) => !isActive(pod));
    assert.deepEqual(
      gone.map((pod) => pod.metadata.name),
      ['db-2'],
    );
    grow(world);
    const versions = world
      .list(pods)
      .map((pod) => [pod.metadata.name, pod.spec.containers[0]?.command?.[1]]);
    assert.deepEqual(Object.fromEntries(versions), { 'db-0': '1', 'db-1': '2', 'db-2': '2' });
    assert.equal(world.list(controllerRevisions).length, 2);
    // Behind the partition a lost pod comes back as it was.
    world.drop(pods, { namespace: 'default', name: 'db-0' });
    grow(world);
    const back = world.get(pods, { namespace: 'default', name: 'db-0' });
    assert.equal(back?.spec.containers[0]?.command?.[1], '1');
  });

  test('lets claims go with a scale-down when its policy says so', () => {
    const world = new MemoryWorld();
    make(world, {
      persistentVolumeClaimRetentionPolicy: { whenScaled: 'Delete', whenDeleted: 'Retain' },
    });
    grow(world);
    world.change(statefulSets, key, { spec: { replicas: 2 } });
    world.settle(controller, key);
    const owners = (name: string) =>
      world
        .get(claims, { namespace: 'default', name })
        ?.metadata.ownerReferences?.map((one) => one.kind);
    assert.deepEqual(owners('data-db-2'), ['Pod']);
    assert.deepEqual(owners('data-db-1'), []);
  });
});

suite('a daemon set', () => {
  const controller = createDaemonSetController();

  test('has one pod on each node that may take it', () => {
    const world = new MemoryWorld();
    world.put(nodes, { metadata: { name: 'a' } });
    world.put(nodes, { metadata: { name: 'b' } });
    world.put(nodes, {
      metadata: { name: 'c' },
      spec: { taints: [{ key: 'x', effect: 'NoSchedule' }] },
    });
    world.put(daemonSets, { metadata: { name: 'db' }, spec: { selector, template: template() } });
    world.settle(controller, key);
    assert.equal(world.list(pods).length, 2);
    world.drop(nodes, { namespace: '', name: 'a' });
    world.settle(controller, key);
    assert.equal(world.list(pods).filter(isActive).length, 1);
  });

  test('updates one node at a time', () => {
    const world = new MemoryWorld();
    for (const name of ['a', 'b']) world.put(nodes, { metadata: { name } });
    world.put(daemonSets, { metadata: { name: 'db' }, spec: { selector, template: template() } });
    world.settle(controller, key);
    startAll(world);
    world.change(daemonSets, key, { spec: { template: template('2') } });
    world.settle(controller, key);
    assert.equal(world.list(pods).filter(isActive).length, 1);
  });
});

suite('a job', () => {
  const controller = createJobController();
  const make = (world: MemoryWorld, spec: Partial<JobSpec>) =>
    world.put(jobs, {
      metadata: { name: 'db' },
      spec: { template: template('1', 'Never'), ...spec },
    });
  const condition = (world: MemoryWorld, type: string) =>
    world.get(jobs, key)?.status?.conditions?.find((one) => one.type === type);

  test('counts every pod once, whatever happens when', () => {
    const schedule = fc.array(fc.nat({ max: 1000 }), { maxLength: 120 });
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 5 }),
        fc.integer({ min: 1, max: 4 }),
        schedule,
        (completions, parallelism, choices) => {
          const world = new MemoryWorld();
          make(world, { completions, parallelism });
          let ended = 0;
          const end = (pod: Pod | undefined) => {
            if (pod === undefined || !isActive(pod)) return;
            setPhase(world, pod, 'Succeeded');
            ended += 1;
          };
          for (const choice of choices) {
            const all = world.list(pods);
            const pod = all[choice % Math.max(1, all.length)];
            if (choice % 3 === 0) world.step(controller, key);
            else if (choice % 3 === 1) end(pod);
            else if (pod?.metadata.finalizers?.length === 0) world.drop(pods, keyOf(pod));
            assert.ok(world.list(pods).filter(isActive).length <= parallelism);
          }
          for (let i = 0; i < 30; i++) {
            world.settle(controller, key);
            for (const pod of world.list(pods)) end(pod);
          }
          assert.equal(world.get(jobs, key)?.status?.succeeded, completions);
          assert.equal(ended, completions);
          assert.equal(condition(world, 'Complete')?.status, 'True');
          assert.ok(world.list(pods).every((pod) => pod.metadata.finalizers?.length === 0));
        },
      ),
      { numRuns: 40 },
    );
  });

  test('waits longer after each failure, and gives up', () => {
    const world = new MemoryWorld();
    make(world, { backoffLimit: 1 });
    world.settle(controller, key);
    world.settle(controller, key);
    setPhase(world, world.list(pods)[0]!, 'Failed');
    world.settle(controller, key);
    assert.equal(world.list(pods).length, 1);
    assert.equal(controller.decide(world, key).againAfterMs, 10_000);
    world.nowMs += 10_000;
    world.settle(controller, key);
    assert.equal(world.list(pods).length, 2);
    setPhase(world, world.list(pods)[1]!, 'Failed');
    world.settle(controller, key);
    assert.equal(condition(world, 'Failed')?.reason, 'BackoffLimitExceeded');
    assert.equal(world.get(jobs, key)?.status?.failed, 2);
  });

  test('ends at its deadline, and goes when its time is over', () => {
    const world = new MemoryWorld();
    make(world, { activeDeadlineSeconds: 30, ttlSecondsAfterFinished: 60 });
    world.settle(controller, key);
    world.nowMs += 30_000;
    world.settle(controller, key);
    startAll(world);
    world.settle(controller, key);
    assert.equal(condition(world, 'Failed')?.reason, 'DeadlineExceeded');
    world.nowMs += 60_000;
    world.step(controller, key);
    assert.equal(world.get(jobs, key), undefined);
  });

  test('that is suspended has no pods, and resumes', () => {
    const world = new MemoryWorld();
    make(world, { suspend: true });
    world.settle(controller, key);
    assert.equal(world.list(pods).length, 0);
    assert.equal(condition(world, 'Suspended')?.status, 'True');
    world.change(jobs, key, { spec: { suspend: false } });
    world.settle(controller, key);
    assert.equal(world.list(pods).length, 1);
    assert.equal(condition(world, 'Suspended')?.status, 'False');
  });

  test('writes completed indexes as runs', () => {
    const indexes = fc.uniqueArray(fc.nat({ max: 60 }));
    fc.assert(
      fc.property(indexes, (list) => {
        const set = new Set(list);
        assert.deepEqual(parseIndexes(formatIndexes(set)), set);
      }),
    );
    assert.equal(formatIndexes(new Set([4, 0, 1, 2])), '0-2,4');
  });
});

suite('a schedule', () => {
  const next = (text: string, after: string, zone?: string) => {
    const ms = parseSchedule(text, zone).next(Date.parse(after));
    return ms === undefined ? undefined : new Date(ms).toISOString().slice(0, 16);
  };
  const cases: readonly (readonly [string, string, string, string?])[] = [
    ['*/15 * * * *', '2026-01-01T00:00:30Z', '2026-01-01T00:15'],
    ['0 3 * * *', '2026-01-01T03:00:00Z', '2026-01-02T03:00'],
    ['0 0 29 2 *', '2026-01-01T00:00:00Z', '2028-02-29T00:00'],
    ['0 12 1 * mon', '2026-01-01T13:00:00Z', '2026-01-05T12:00'],
    ['5-10/5 0 * jan sun', '2026-01-01T00:00:00Z', '2026-01-04T00:05'],
    ['@weekly', '2026-01-01T00:00:00Z', '2026-01-04T00:00'],
    ['@every 90s', '2026-01-01T00:00:00Z', '2026-01-01T00:01'],
    ['0 9 * * *', '2026-07-01T00:00:00Z', '2026-07-01T07:00', 'Europe/Berlin'],
    ['30 0 * * *', '2026-03-28T23:40:00Z', '2026-03-29T22:30', 'Europe/Berlin'],
    ['30 2 * * *', '2026-03-28T12:00:00Z', '2026-03-30T00:30', 'Europe/Berlin'],
    ['0 0 * * *', '2026-10-24T12:00:00Z', '2026-10-24T22:00', 'Europe/Berlin'],
    ['0 0 * * *', '2026-10-24T22:00:00Z', '2026-10-25T23:00', 'Europe/Berlin'],
  ];
  for (const [text, from, to, zone] of cases) {
    test(`${text} after ${from} ${zone ?? ''}`, () => assert.equal(next(text, from, zone), to));
  }

  test('that is none is refused', () => {
    for (const text of [
      '',
      '* * * *',
      '60 * * * *',
      '* * 0 * *',
      '* * * * 7',
      '*/0 * * * *',
      '5-1 * * * *',
      'TZ=UTC * * * * *',
    ]) {
      assert.throws(() => parseSchedule(text), { reason: 'BadArgument' }, text);
    }
    assert.throws(() => parseSchedule('* * * * *', 'Nowhere/City'), /time zone/);
  });

  test('missed for years is used once, at its newest time', () => {
    const nowMs = Date.parse('2026-01-01T12:34:56Z');
    const latest = latestBetween(parseSchedule('*/5 * * * *'), 0, nowMs);
    assert.equal(latest, Date.parse('2026-01-01T12:30:00Z'));
  });
});

suite('a cron job', () => {
  const controller = createCronJobController();
  const make = (more: object = {}) => {
    const world = new MemoryWorld();
    const jobTemplate = { spec: { template: template('1', 'Never') } };
    world.put(cronJobs, {
      metadata: { name: 'db' },
      spec: { schedule: '*/5 * * * *', jobTemplate, ...more },
    });
    world.settle(controller, key);
    return world;
  };

  test('makes one job at each time, also when looked at twice', () => {
    const world = make();
    assert.equal(world.list(jobs).length, 0);
    assert.equal(controller.decide(world, key).againAfterMs, 300_000);
    world.nowMs += 301_000;
    world.settle(controller, key);
    world.settle(controller, key);
    assert.equal(world.list(jobs).length, 1);
    assert.equal(world.get(cronJobs, key)?.status?.active?.length, 1);
  });

  test('forbids or replaces what still runs', () => {
    const forbidding = make({ concurrencyPolicy: 'Forbid' });
    const replacing = make({ concurrencyPolicy: 'Replace' });
    for (const world of [forbidding, replacing]) {
      for (let i = 0; i < 2; i++) {
        world.nowMs += 300_000;
        world.settle(controller, key);
      }
      assert.equal(world.list(jobs).length, 1);
    }
    assert.equal(forbidding.done.filter((one) => one.startsWith('create')).length, 1);
    assert.equal(replacing.done.filter((one) => one.startsWith('create')).length, 2);
  });

  test('does not start late beyond its deadline, nor while it is suspended', () => {
    const late = make({ startingDeadlineSeconds: 10 });
    late.nowMs += 320_000;
    late.settle(controller, key);
    assert.equal(late.list(jobs).length, 0);
    const suspended = make({ suspend: true });
    suspended.nowMs += 320_000;
    suspended.settle(controller, key);
    assert.equal(suspended.list(jobs).length, 0);
  });
});
