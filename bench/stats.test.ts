import assert from 'node:assert/strict';
import { test } from 'node:test';
import { best, interleave, median, quantile, ratios, spreadOf } from './stats.ts';

test('median and quantiles lie between neighbours', () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  assert.equal(quantile([0, 10], 0.25), 2.5);
  assert.ok(Number.isNaN(median([])));
  assert.deepEqual(spreadOf([5, 1, 3]), { median: 3, min: 1, max: 5 });
});

test('ratios are taken round by round', () => {
  assert.deepEqual(ratios([2, 9], [1, 3]), [2, 3]);
  const rounds = [
    [1, 5],
    [2, 4],
  ];
  assert.deepEqual(best(rounds, 'most'), [2, 5]);
  assert.deepEqual(best(rounds, 'least'), [1, 4]);
});

test('contenders take turns, and turns at beginning', async () => {
  const order: string[] = [];
  const run = (name: string) => async (round: number) => {
    order.push(name);
    return round;
  };
  const results = await interleave(2, { a: run('a'), b: run('b') });
  assert.deepEqual(order, ['a', 'b', 'b', 'a']);
  assert.deepEqual(results, { a: [0, 1], b: [0, 1] });
});
