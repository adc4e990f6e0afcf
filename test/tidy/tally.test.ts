import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tallyOf } from '../tally.ts';

test('the last closing line counts', () => {
  const lines = ['a.ts: 1 passed, 1 failed, 0 skipped (3 ms)', '9 passed, 0 failed'];
  const output = [...lines, '7 passed, 2 failed, 1 skipped', ''].join('\n');
  assert.deepEqual(tallyOf(output, false), { passed: 7, failed: 2, skipped: 1 });
  assert.deepEqual(tallyOf('3 passed, 0 failed\n', true), { passed: 3, failed: 0, skipped: 0 });
});

test('summaries of node:test are added up', () => {
  const output = 'ℹ pass 3\nℹ fail 1\nℹ cancelled 1\nℹ skipped 2\nℹ todo 1\n# pass 4\n';
  assert.deepEqual(tallyOf(output, false), { passed: 7, failed: 2, skipped: 3 });
});

test('without counts the exit code is one test', () => {
  assert.deepEqual(tallyOf('done\n', true), { passed: 1, failed: 0, skipped: 0 });
  assert.deepEqual(tallyOf('', false), { passed: 0, failed: 1, skipped: 0 });
});
