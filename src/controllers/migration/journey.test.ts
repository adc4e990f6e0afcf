import assert from 'node:assert/strict';
import { test } from 'node:test';
import { itineraries } from '../../flow/flow.ts';
import { journeyOf } from './journey.ts';

const dayMs = 24 * 3_600_000;

test('every step has an end to its patience, and words for it', () => {
  for (const type of Object.keys(itineraries) as (keyof typeof itineraries)[]) {
    const { main, canceled, failed } = journeyOf(type);
    const steps = [main, canceled, failed].flatMap((route) => route.steps);
    assert.ok(steps.length > main.steps.length);
    for (const { name, deadlineMs, description } of steps) {
      assert.ok(deadlineMs > 0 && deadlineMs <= dayMs, `${name}: ${deadlineMs} ms`);
      assert.match(description, /^[A-Z].*\.$/, name);
    }
  }
});
