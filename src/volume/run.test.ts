import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodePlace } from './record.ts';
import { runsOf } from './run.ts';

const at = (segment: number, position: number, storedBytes = 1000) => {
  return { segment, place: encodePlace(position, storedBytes) };
};

test('neighbours are one run, in the order in which they lie', () => {
  const [a, b, c] = [at(1, 64), at(1, 64 + 1088), at(1, 64 + 2 * 1088)];
  assert.deepEqual(runsOf([c, a, b]), [[a, b, c]]);
});

test('far apart or in another segment are different runs', () => {
  const [a, far, other] = [at(1, 64), at(1, 64 * 1024), at(2, 1152)];
  assert.deepEqual(runsOf([other, far, a]), [[a], [far], [other]]);
});

test('a run is bounded', () => {
  const many = Array.from({ length: 100 }, (_, i) => at(1, 64 + i * 32_064, 32_000));
  const runs = runsOf(many);
  assert.ok(runs.length > 5);
  assert.deepEqual(runs.flat(), many);
});
