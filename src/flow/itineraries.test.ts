// The shipped itineraries keep every rule of order, and fit the schema of Migration.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkItinerary } from './invariants.ts';
import {
  backup,
  backupEnded,
  endings,
  itineraries,
  replicated,
  replication,
  restoring,
} from './itineraries.ts';

const all = [
  ...Object.values(itineraries),
  ...Object.values(endings),
  replication,
  replicated,
  backup,
  backupEnded,
  restoring,
];

for (const itinerary of all) {
  test(`${itinerary.name} keeps the rules`, () => {
    assert.deepEqual(checkItinerary(itinerary), []);
  });
}
