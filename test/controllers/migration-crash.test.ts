import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { teleports } from '../../src/api/kinds/teleport.ts';
import { volumeTransfers } from '../../src/api/kinds/volume-transfer.ts';
import { finalizers } from '../../src/controllers/labels.ts';
import { isTrue } from '../../src/controllers/status.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import { firstDifference } from './crashes.ts';
import { change, endOf, makeMigration, makePlan, migration, stepOf } from './migration-world.ts';
import { makeSettings, type Scenario, type Step, withData } from './scenarios.ts';
import { saveWorld, type World } from './world.ts';

const library = createSchemaLibrary();
const go = (world: World) => migration(world, 'go');
const atOnce = async (): Promise<boolean> => true;

const begin: Step = {
  when: atOnce,
  act: (world) => makeMigration(world, 'go', { type: 'Cutover' }),
};

/** Bytes that come in the background afterwards are a part of it. */
async function isOver(world: World): Promise<boolean> {
  const one = await go(world);
  const transfers = await world.list('east', volumeTransfers);
  const isWhole = transfers.every((transfer) => isTrue(transfer, 'Complete'));
  const hasOld = (await world.list('east', teleports)).length > 1;
  const isFree = one?.metadata.finalizers?.includes(finalizers.migration) !== true;
  return endOf(one) !== 'open' && isFree && isWhole && !hasOld;
}

const scenarios: readonly Scenario[] = [
  { name: 'a cutover to its end', steps: [begin], isOver },
  {
    name: 'a cutover that is canceled while it copies',
    steps: [
      begin,
      {
        when: async (world) => stepOf(await go(world), 'copyAhead')?.state === 'Running',
        act: (world) => change(world, 'go', { canceled: true }),
      },
    ],
    isOver,
  },
];

const saved = await saveWorld(library, async (world) => {
  await withData(world);
  await makeSettings(world);
  await makePlan(world, { namespaces: [{ name: 'shop', to: 'market' }], images: 'Skip' });
  await world.run(5_000);
});
const differences = new Map<string, string | undefined>();
for (const scenario of scenarios) {
  const difference = await firstDifference({ library, saved, every: 4 }, scenario).catch(String);
  differences.set(scenario.name, difference);
}

suite('migrations whose controllers die, or lose an answer', () => {
  for (const { name } of scenarios) {
    test(name, () => assert.equal(differences.get(name), undefined));
  }
});
