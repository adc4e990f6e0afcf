import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { generated } from './main.ts';

for (const [path, render] of generated) {
  test(`${path} is fresh`, () => {
    const there = readFileSync(join(import.meta.dirname, '../..', path), 'utf8');
    assert.equal(there, render(), 'run npm run gen');
  });
}
