import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import { duplicateKeys } from './duplicates.ts';

test('keys that are there twice are named with their place', () => {
  const inner = String.raw`{"x": "}\"", "x": [1, {"y": 1, "y" : 2}]}`;
  const text = String.raw`{"a": 1, "b": ${inner}, "a": null, "\u0061": 2}`;
  assert.deepEqual([...duplicateKeys(text)].toSorted(), ['a', 'b.x', 'b.x[1].y']);
  assert.deepEqual(duplicateKeys('  {} '), []);
});

test('what JSON writes has no key twice', () => {
  fc.assert(
    fc.property(fc.json(), (text) => {
      const again = JSON.stringify(JSON.parse(text), undefined, 1);
      assert.deepEqual(duplicateKeys(again), []);
    }),
  );
});
