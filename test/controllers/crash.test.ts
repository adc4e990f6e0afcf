import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import { firstDifference } from './crashes.ts';
import { scenarios, withData } from './scenarios.ts';
import { saveWorld } from './world.ts';

const library = createSchemaLibrary();

// Before the first test is declared: from then on the test runner follows every promise, and all
// this takes three times as long.
const beginning = { library, saved: await saveWorld(library, withData) };
const differences = new Map<string, string | undefined>();
for (const scenario of scenarios) {
  const difference = await firstDifference(beginning, scenario).catch(String);
  differences.set(scenario.name, difference);
}

suite('controllers that die, or lose an answer', () => {
  for (const { name } of scenarios) {
    test(name, () => assert.equal(differences.get(name), undefined));
  }
});
