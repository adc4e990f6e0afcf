import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ConditionView } from '../api/objects.ts';
import { trouble } from './columns.ts';

function condition(type: string, status: ConditionView['status']): ConditionView {
  return { type, status, reason: `${type}Is${status}`, message: '', lastTransitionTime: '' };
}

test('trouble is what is not as it should be, whichever way a condition counts', () => {
  const fine = [
    condition('Ready', 'True'),
    condition('Succeeded', 'Unknown'),
    condition('DataDamaged', 'False'),
  ];
  assert.equal(trouble(fine), undefined);
  assert.equal(trouble([...fine, condition('Writable', 'False')]), 'WritableIsFalse');
  assert.equal(trouble([...fine, condition('DataDamaged', 'True')]), 'DataDamagedIsTrue');
  assert.equal(trouble([condition('JournalDamaged', 'True')]), 'JournalDamagedIsTrue');
});
