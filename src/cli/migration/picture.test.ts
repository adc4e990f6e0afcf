import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Migration, MigrationStatus } from '../../api/kinds/migration.ts';
import { newLines } from './logs.ts';
import { pictureOf } from './picture.ts';
import { adviceFor, hasEnded, percentNow, standingOf } from './standing.ts';

const began = '2026-01-01T00:00:00Z';
const nowMs = Date.parse('2026-01-01T00:01:30Z');

type Condition = readonly ['True' | 'False' | 'Unknown', string, string?];

function migration(
  status: MigrationStatus,
  [is, reason, message = 'so it is']: Condition = ['Unknown', 'Running'],
  spec: Partial<Migration['spec']> = {},
): Migration {
  const condition = { type: 'Succeeded', status: is, reason, message, observedGeneration: 1 };
  return {
    apiVersion: 'transship.dev/v1alpha1',
    kind: 'Migration',
    metadata: { namespace: 'default', name: 'm', generation: 1 },
    spec: { plan: 'shop', type: 'Cutover', ...spec },
    status: { ...status, conditions: [{ ...condition, lastTransitionTime: began }] },
  };
}

const failure = 'PoolFull: no space';

test('a picture has what is done, what runs and on what, and what follows', () => {
  const state = { state: 'Succeeded', startTime: began, completionTime: began } as const;
  const progress = Array.from({ length: 10 }, (_, at) => `shop/v${at}: 1%`);
  const one = migration({
    percent: 47,
    itinerary: [
      { name: 'checkPlan', ...state },
      { name: 'copyLast', state: 'Running', startTime: began, message: 'copies', progress },
      { name: 'makeObjects', state: 'Pending' },
    ],
  });
  const lines = pictureOf(one, nowMs).lines(60);
  assert.match(lines[0]!, /^m {2}copyLast .* 47%/);
  assert.deepEqual(lines.slice(1, 4), [
    '  done     1 of 3 steps',
    '  now      copyLast 90s: copies',
    '           shop/v0: 1%',
  ]);
  assert.deepEqual(lines.slice(-2), ['           and 2 more', '  next     makeObjects']);
  for (const line of lines) assert.ok(line.length < 60, line);
  assert.match(pictureOf(one, nowMs).line(), /47%, copies \(shop\/v0: 1%; .*; and 7 more\)$/);
});

test('why it is taken back is not said with every step', () => {
  const itinerary = [
    { name: 'stopSource', state: 'Running', message: 'Taking back: stopSource' },
    { name: 'copyLast', state: 'Undone', failure },
  ] as const;
  const one = migration({ itinerary, percent: 20 }, ['Unknown', 'TakingBack']);
  assert.equal(standingOf(one), 'TakingBack');
  assert.equal(pictureOf(one, nowMs).line(), 'm TakingBack 20%, Taking back: stopSource');
});

test('what was asked since the last word is not over', () => {
  const failed = {
    itinerary: [{ name: 'copyLast', state: 'Failed', failure }],
    percent: 100,
  } as const;
  const words = (line: string): string => line;
  const before = migration(failed, ['False', 'PoolFull']);
  assert.equal(standingOf(before), 'Failed');
  assert.equal(percentNow(before), 99);
  assert.match(adviceFor(before, words).join(), /migration retry m,.*migration cancel m/);
  const metadata = { ...before.metadata, generation: 2 };
  const retried = { ...before, metadata, spec: { ...before.spec, retry: 1 } };
  assert.ok(!hasEnded(retried));
  const past = { itinerary: [{ name: 'startDestination', state: 'Failed', failure }] } as const;
  const stuck = migration(past, ['False', 'NeedsRollback']);
  assert.match(adviceFor(stuck, words).join(), /migration retry m,.*migrate rollback shop/);
  const late = migration(past, ['False', 'NeedsRollback'], { canceled: true });
  assert.equal(standingOf(late), 'NeedsRollback');
  assert.doesNotMatch(adviceFor(late, words).join(), /retry/);
});

test('a condition about a step that is over does not make the next one wait', () => {
  const itinerary = [
    { name: 'findWay', state: 'Succeeded' },
    { name: 'copyAhead', state: 'Running' },
  ] as const;
  const stale = migration({ itinerary }, ['Unknown', 'Waiting', 'findWay: no way yet']);
  assert.equal(standingOf(stale), 'Running');
  const other = migration({ itinerary }, ['Unknown', 'ApiUnreachable', 'east does not answer']);
  assert.equal(standingOf(other), 'Waiting');
});

test('of a log that rolls, only what is new is printed', () => {
  assert.deepEqual(newLines([], ['a', 'b']), ['a', 'b']);
  assert.deepEqual(newLines(['a', 'b'], ['a', 'b']), []);
  assert.deepEqual(newLines(['a', 'b', 'c'], ['b', 'c', 'd']), ['d']);
  assert.deepEqual(newLines(['a', 'b'], ['x', 'y']), ['x', 'y']);
});
