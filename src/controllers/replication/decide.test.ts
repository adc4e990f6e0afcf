import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Replication, ReplicationSpec } from '../../api/kinds/replication.ts';
import type { CheckResult } from './checks/check.ts';
import { aheadOf, nextOf, offersFor } from './decide.ts';

const beganMs = Date.parse('2026-01-01T00:00:00Z');
const startTime = '2026-01-01T00:00:00Z';

function replication(
  status: Replication['status'] | undefined,
  spec: Partial<ReplicationSpec> = {},
  name = 'shop',
): Replication {
  return {
    apiVersion: 'transship.dev/v1alpha1',
    kind: 'Replication',
    metadata: { namespace: 'default', name, uid: name, generation: 5 },
    spec: { source: 'east', destination: 'west', namespaces: [{ name: 'shop' }], ...spec },
    ...(status === undefined ? {} : { status: { run: 1, ...status } }),
  };
}

function next(status: Replication['status'] | undefined, spec: Partial<ReplicationSpec> = {}) {
  return nextOf(replication(status, spec), beganMs + 20_000);
}

suite('what is next for a replication', () => {
  test('a new one begins, and goes through its phases', () => {
    assert.deepEqual(next(undefined), { do: 'begin' });
    assert.deepEqual(next({ phase: 'Checking' }), { do: 'check' });
    assert.deepEqual(next({ phase: 'Remediating' }), { do: 'remediate' });
    assert.deepEqual(next({ phase: 'Queued' }), { do: 'queue' });
    assert.deepEqual(next({ phase: 'Running' }), { do: 'advance' });
    assert.deepEqual(next({ phase: 'Done' }), { do: 'rest' });
  });

  test('a decision is taken when it is offered, and once', () => {
    const halted = { phase: 'Halted', actionable: 1, offers: ['Remediate', 'Stop'] } as const;
    const decision = 'Remediate' as const;
    assert.deepEqual(next(halted, { decision }), { do: 'take', decision });
    const taken = { decision, time: startTime, generation: 5 };
    assert.deepEqual(next({ ...halted, decided: taken }, { decision }), {
      do: 'drop',
      decision,
      isTaken: true,
    });
    assert.deepEqual(next(halted, { decision: 'ProceedAnyway' }), {
      do: 'drop',
      decision: 'ProceedAnyway',
      isTaken: false,
    });
    // Given beforehand it waits for what the checks say.
    assert.deepEqual(next({ phase: 'Checking' }, { decision }), { do: 'check' });
    assert.equal(next({ phase: 'Running' }, { decision }).do, 'drop');
  });

  test('a raised number begins another run, unless one is at work', () => {
    const again = { run: 2 };
    assert.deepEqual(next({ phase: 'Done' }, again), { do: 'begin' });
    assert.deepEqual(next({ phase: 'Stopped' }, again), { do: 'begin' });
    assert.deepEqual(next({ phase: 'Halted', incompatible: 1 }, again), { do: 'begin' });
    assert.deepEqual(next({ phase: 'Running' }, again), { do: 'advance' });
  });

  test('a continuous one begins when it is due, and not when it was stopped', () => {
    const early = { continuous: '30s' };
    const due = { continuous: '15s' };
    const untilMs = beganMs + 30_000;
    assert.deepEqual(next({ phase: 'Waiting', startTime }, early), { do: 'rest', untilMs });
    assert.deepEqual(next({ phase: 'Waiting', startTime }, due), { do: 'begin' });
    assert.deepEqual(next({ phase: 'Halted', incompatible: 1, startTime }, due), { do: 'begin' });
    assert.deepEqual(next({ phase: 'Stopped', startTime }, due), { do: 'rest' });
  });

  test('what was only checked goes on when it may, if nothing was in the way', () => {
    const checked = { phase: 'Halted', actionable: 0, incompatible: 0 } as const;
    assert.deepEqual(next(checked, { onlyCheck: true }), { do: 'rest' });
    assert.deepEqual(next(checked), { do: 'begin' });
    assert.deepEqual(next({ ...checked, actionable: 1 }), { do: 'rest' });
  });
});

const check = (name: string, result: CheckResult['result']): CheckResult => ({ name, result });

test('decisions are offered only where they make sense', () => {
  const good = check('PlanConflict', 'Compatible');
  assert.deepEqual(offersFor([good], {}), []);
  assert.deepEqual(offersFor([good, check('NamespaceMissing', 'Actionable')], {}), [
    'Remediate',
    'Recheck',
    'ProceedAnyway',
    'Stop',
  ]);
  assert.deepEqual(offersFor([check('ExistingObjects', 'Incompatible')], {}), [
    'Recheck',
    'ProceedAnyway',
    'Stop',
  ]);
  assert.deepEqual(offersFor([check('DestinationClusterNotReady', 'Incompatible')], {}), [
    'Recheck',
    'Stop',
  ]);
  assert.deepEqual(offersFor([good], { onlyCheck: true }), ['Recheck', 'Stop']);
});

test('whoever was queued first goes first, of the same two clusters in the same direction', () => {
  const at = (second: number) => `2026-01-01T00:00:0${second}Z`;
  const queued = (name: string, second: number, spec: Partial<ReplicationSpec> = {}) =>
    replication({ phase: 'Queued', startTime: at(second) }, spec, name);
  const [first, second] = [queued('a', 1), queued('b', 2)];
  const back = queued('c', 0, { source: 'west', destination: 'east' });
  const halted = replication({ phase: 'Halted', startTime: at(0) }, {}, 'd');
  const all = [second, back, halted, first];
  assert.equal(aheadOf(first, all), undefined);
  assert.equal(aheadOf(second, all), first);
  const running = replication({ phase: 'Running', startTime: at(9) }, {}, 'e');
  assert.equal(aheadOf(first, [...all, running]), running);
  assert.equal(aheadOf(back, [...all, running]), undefined);
});
