import assert from 'node:assert/strict';
import { test } from 'node:test';
import { canonicalTime, timeTrouble } from './times.ts';

test('times are kept in UTC, to the second', () => {
  assert.equal(canonicalTime('2026-01-02T03:04:05Z', false), '2026-01-02T03:04:05Z');
  assert.equal(canonicalTime('2026-01-02T03:04:05.678Z', false), '2026-01-02T03:04:05Z');
  assert.equal(canonicalTime('2026-01-02T00:04:05+02:00', false), '2026-01-01T22:04:05Z');
});

test('microseconds are written in full', () => {
  assert.equal(canonicalTime('2026-01-02T03:04:05.678901Z', true), '2026-01-02T03:04:05.678901Z');
  assert.equal(
    canonicalTime('2026-01-02T03:04:05.678901-01:00', true),
    '2026-01-02T04:04:05.678901Z',
  );
  assert.equal(canonicalTime('2026-01-02T03:04:05.678Z', true), undefined);
  assert.equal(canonicalTime('2026-01-02T03:04:05Z', true), undefined);
  assert.match(timeTrouble('2026-01-02T03:04:05.6Z', true), /cannot parse "\.6Z" as "\.000000"$/);
});

test('what is no time is told as Go tells it', () => {
  for (const text of ['yesterday', '2026-02-30T00:00:00Z', '2026-01-02', '2026-01-02T25:00:00Z']) {
    assert.equal(canonicalTime(text, false), undefined, text);
  }
  assert.equal(
    timeTrouble('yesterday', false),
    'parsing time "yesterday" as "2006-01-02T15:04:05Z07:00": cannot parse "yesterday" as "2006"',
  );
});
