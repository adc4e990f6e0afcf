// Copies by pods whose controllers die at any moment; before the first test is declared, as in
// crash.test.ts.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import { firstDifference } from './crashes.ts';
import { begin, isCopying, isNothingThere } from './mover-transfers.ts';
import { type Scenario, withData } from './scenarios.ts';
import { change, isCleanedUp, phaseOf } from './transfers.ts';
import { saveWorld } from './world.ts';

const library = createSchemaLibrary();
const saved = await saveWorld(library, withData);

const atOnce = async (): Promise<boolean> => true;

const scenarios: readonly Scenario[] = [
  {
    name: 'a copy ahead and then the last one, over what is there',
    steps: [
      { when: atOnce, act: (world) => begin(world) },
      {
        when: isCleanedUp,
        act: (world) => begin(world, 'last', { pass: 'Last', overwrite: true }),
      },
    ],
    isOver: async (world) =>
      (await isCleanedUp(world, 'last')) && (await phaseOf(world, 'last')) === 'Succeeded',
  },
  {
    name: 'a copy that is canceled and discarded',
    steps: [
      { when: atOnce, act: (world) => begin(world) },
      { when: isCopying, act: (world) => change(world, { canceled: true, discard: true }) },
    ],
    isOver: async (world) => (await phaseOf(world)) === 'Canceled' && isNothingThere(world),
  },
];

const differences = new Map<string, string | undefined>();
for (const scenario of scenarios) {
  differences.set(scenario.name, await firstDifference({ library, saved }, scenario).catch(String));
}

suite('copies by pods whose controllers die, or lose an answer', () => {
  for (const { name } of scenarios) {
    test(name, () => assert.equal(differences.get(name), undefined));
  }
});
