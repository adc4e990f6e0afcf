import assert from 'node:assert/strict';
import { test } from 'node:test';
import { kinds } from './all.ts';
import { resourceOf } from './kind.ts';
import { resources } from './resources.ts';

test('the places of kinds are those of the table of kinds', () => {
  for (const resource of Object.values(resources)) {
    const kind = kinds.find((one) => one.kind === resource.kind);
    assert.ok(kind !== undefined, resource.kind);
    assert.deepEqual(resource, resourceOf(kind));
  }
});
