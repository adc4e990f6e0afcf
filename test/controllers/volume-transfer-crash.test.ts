import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import { firstDifference } from './crashes.ts';
import { withData } from './scenarios.ts';
import { transferScenarios } from './transfer-scenarios.ts';
import { saveWorld } from './world.ts';

const library = createSchemaLibrary();

// Before the first test is declared, as in crash.test.ts.
const beginning = { library, saved: await saveWorld(library, withData) };
const differences = new Map<string, string | undefined>();
for (const scenario of transferScenarios) {
  const difference = await firstDifference(beginning, scenario).catch(String);
  differences.set(scenario.name, difference);
}

suite('copies of volumes whose controllers die, or lose an answer', () => {
  for (const { name } of transferScenarios) {
    test(name, () => assert.equal(differences.get(name), undefined));
  }
});
