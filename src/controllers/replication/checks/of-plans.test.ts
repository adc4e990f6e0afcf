import assert from 'node:assert/strict';
import { test } from 'node:test';
import { replicationKind } from '../../../api/kinds/replication.ts';
import { allChecks } from '../../plan/checks/all.ts';
import { isLeftOut, remedyOf } from './of-plans.ts';

const fields = Object.keys((replicationKind.spec as { properties: object }).properties);
/** A field of a Cluster, and it says so. */
const ofClusters = /spec\.registry of the destination Cluster/;

test('a remedy names fields that a replication has, and speaks of no plan but another one', () => {
  const checks = allChecks.filter(({ id }) => !isLeftOut(id));
  assert.ok(checks.length > 25);
  for (const check of checks) {
    const remedy = remedyOf(check);
    assert.ok(remedy.length > 10, check.id);
    const named = remedy.replace(ofClusters, '').matchAll(/spec\.(\w+)/g);
    for (const [, field = ''] of named) assert.ok(fields.includes(field), `${check.id}: ${remedy}`);
    assert.doesNotMatch(remedy, /resources\.exclude|patch the|map |status\.|cutover/, check.id);
    if (check.id !== 'PlanConflict') assert.doesNotMatch(remedy, /\bplans?\b/, check.id);
  }
});
