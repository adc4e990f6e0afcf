import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failedFiles, withSecond } from '../second.ts';

const output = [
  'test/a.test.ts: 3 passed, 0 failed, 0 skipped (10 ms)',
  'FAILED test/b.test.ts: something',
  'test/b.test.ts: 4 passed, 2 failed, 1 skipped (10 ms)',
  '7 passed, 2 failed, 1 skipped',
].join('\n');

test('files that failed are found with their counts', () => {
  const found = failedFiles(output);
  assert.deepEqual([...found], [['test/b.test.ts', { passed: 4, failed: 2, skipped: 1 }]]);
});

test('of what ran twice the second time counts', () => {
  const all = { passed: 7, failed: 2, skipped: 1 };
  const first = [...failedFiles(output).values()];
  const better = withSecond(all, first, { passed: 6, failed: 0, skipped: 1 });
  assert.deepEqual(better, { passed: 9, failed: 0, skipped: 1 });
  const same = withSecond(all, first, { passed: 5, failed: 1, skipped: 1 });
  assert.deepEqual(same, { passed: 8, failed: 1, skipped: 1 });
});

test('a failure outside of files stays one', () => {
  const all = { passed: 1, failed: 1, skipped: 0 };
  assert.deepEqual(withSecond(all, [], { passed: 0, failed: 0, skipped: 0 }), all);
});
