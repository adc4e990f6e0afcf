import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  type Condition,
  conditionOf,
  dropCondition,
  isSettled,
  isTrue,
  notImplemented,
  type Observation,
  readyOf,
  setCondition,
  setConditions,
} from './conditions.ts';
import { poolKind } from './pool.ts';

const observation: fc.Arbitrary<Observation> = fc.record(
  {
    type: fc.constantFrom('Ready', 'Succeeded', 'Online', 'Complete'),
    status: fc.constantFrom('True', 'False', 'Unknown'),
    reason: fc.constantFrom('Ready', 'Pending', 'DiskFailed'),
    message: fc.constantFrom('a', 'b'),
    observedGeneration: fc.nat(2),
  },
  { noNullPrototype: true },
);

const moment = (at: number) => new Date(at * 1000).toISOString();

function played(observations: readonly Observation[]): readonly Condition[] {
  let list: readonly Condition[] = [];
  for (const [at, one] of observations.entries()) list = setCondition(list, one, moment(at));
  return list;
}

test('a list of conditions has each type once, in order, as last observed', () => {
  fc.assert(
    fc.property(fc.array(observation), (observations) => {
      const list = played(observations);
      const types = list.map(({ type }) => type);
      assert.deepEqual(types, [...new Set(observations.map(({ type }) => type))].toSorted());
      for (const { lastTransitionTime, ...known } of list) {
        assert.ok(lastTransitionTime !== '');
        assert.deepEqual(
          known,
          observations.findLast(({ type }) => type === known.type),
        );
      }
    }),
  );
});

test('the time of a condition is that of the first observation of its present status', () => {
  fc.assert(
    fc.property(fc.array(observation, { minLength: 1 }), (observations) => {
      for (const { type, status, lastTransitionTime } of played(observations)) {
        const own = [...observations.entries()].filter(([, one]) => one.type === type);
        const other = own.findLastIndex(([, one]) => one.status !== status);
        assert.equal(lastTransitionTime, moment(own[other + 1]![0]));
      }
    }),
  );
});

test('observing the same again gives the same list, not an equal one', () => {
  fc.assert(
    fc.property(fc.array(observation, { minLength: 1 }), (observations) => {
      const list = played(observations);
      const again = list.map(({ lastTransitionTime, ...known }) => {
        assert.ok(lastTransitionTime !== '');
        return known;
      });
      assert.equal(setConditions(list, again, moment(1_000_000)), list);
    }),
  );
});

test('a new message or generation changes the list but not the time', () => {
  const ready = { type: 'Ready', status: 'True', reason: 'Ready', message: 'a' } as const;
  const before = setCondition(undefined, ready, moment(1));
  const message = setCondition(before, { ...ready, message: 'b' }, moment(2));
  assert.deepEqual(message, [{ ...ready, message: 'b', lastTransitionTime: moment(1) }]);
  const generation = setCondition(before, { ...ready, observedGeneration: 2 }, moment(2));
  assert.notEqual(generation, before);
  assert.equal(generation[0]!.lastTransitionTime, moment(1));
});

test('a list is never changed in place', () => {
  const ready = { type: 'Ready', status: 'True', reason: 'Ready', message: '' } as const;
  const before = Object.freeze(setCondition(undefined, ready, moment(1)).map(Object.freeze));
  setCondition(before as readonly Condition[], { ...ready, status: 'False' }, moment(2));
  assert.deepEqual(before, [{ ...ready, lastTransitionTime: moment(1) }]);
});

test('a condition that no longer applies is dropped; one that is not there changes nothing', () => {
  const list = setConditions(
    undefined,
    [
      { type: 'Ready', status: 'True', reason: 'Ready', message: '' },
      { type: 'Complete', status: 'False', reason: 'Filling', message: '' },
    ],
    moment(1),
  );
  assert.deepEqual(
    dropCondition(list, 'Complete').map(({ type }) => type),
    ['Ready'],
  );
  assert.equal(dropCondition(list, 'Online'), list);
  assert.deepEqual(dropCondition(undefined, 'Online'), []);
});

test('conditions are read from objects with or without a status', () => {
  const known = { reason: 'Running', message: '', lastTransitionTime: moment(1) };
  const of = (status: Condition['status']) => ({
    status: { conditions: [{ type: 'Succeeded', status, ...known }] },
  });
  assert.equal(isTrue({}, 'Succeeded'), false);
  assert.equal(isTrue(of('Unknown'), 'Succeeded'), false);
  assert.equal(isTrue(of('True'), 'Succeeded'), true);
  assert.equal(isTrue(of('True'), 'Ready'), false);
  assert.equal(isSettled({ status: {} }, 'Succeeded'), false);
  assert.equal(isSettled(of('Unknown'), 'Succeeded'), false);
  assert.equal(isSettled(of('False'), 'Succeeded'), true);
  assert.equal(conditionOf(of('False'), 'Succeeded')?.reason, 'Running');
});

const online = {
  type: 'Online',
  status: 'True',
  reason: 'Opened',
  message: 'It is open.',
} as const;
const full = { type: 'ReadOnly', status: 'True', reason: 'PoolFull', message: 'Full.' } as const;

test('Ready is True when all that is needed is, and nothing blocks', () => {
  assert.equal(readyOf(poolKind, [online]).status, 'True');
  assert.equal(readyOf(poolKind, [online, { ...full, status: 'False' }]).status, 'True');
  const damaged = { ...full, type: 'DataDamaged' };
  assert.equal(readyOf(poolKind, [online, damaged]).status, 'True', 'it changes nothing');
});

test('Ready is False with the reason of what stands in the way', () => {
  const readOnly = readyOf(poolKind, [online, full]);
  assert.deepEqual(readOnly, { ...full, type: 'Ready', status: 'False' });
  const gone = { ...online, status: 'False', reason: 'AgentUnreachable', message: 'No.' } as const;
  assert.deepEqual(readyOf(poolKind, [gone]), { ...gone, type: 'Ready' });
  assert.equal(readyOf(poolKind, [gone], ['Online']).status, 'True', 'does not apply');
});

test('Ready is Unknown while something needed is', () => {
  assert.equal(readyOf(poolKind, []).status, 'Unknown');
  assert.equal(readyOf(poolKind, []).reason, 'Pending');
  const asked = { ...online, status: 'Unknown', reason: 'Opening' } as const;
  assert.deepEqual(readyOf(poolKind, [asked]), { ...asked, type: 'Ready' });
  assert.equal(readyOf(poolKind, [asked, full]).status, 'False', 'what blocks comes first');
});

test('a kind without a controller says so', () => {
  const { type, status, message, observedGeneration } = notImplemented('Plan', 3);
  assert.deepEqual([type, status, observedGeneration], ['Ready', 'Unknown', 3]);
  assert.match(message, /Plan/);
});
