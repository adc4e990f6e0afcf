// The shipped itineraries keep every rule of order, and fit the schema of Migration.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkItinerary } from './invariants.ts';
import { endings, itineraries } from './itineraries.ts';

for (const itinerary of [...Object.values(itineraries), ...Object.values(endings)]) {
  test(`${itinerary.name} keeps the rules`, () => {
    assert.deepEqual(checkItinerary(itinerary), []);
  });
}
