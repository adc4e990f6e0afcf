import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { replications } from '../../src/api/kinds/replication.ts';
import { teleports } from '../../src/api/kinds/teleport.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import { configMaps, persistentVolumes } from '../../src/kube/resources.ts';
import { type Beginning, firstDifference } from './crashes.ts';
import { change, makeReplication, reached, replication } from './replication-world.ts';
import { type Scenario, type Step, withData } from './scenarios.ts';
import { saveWorld, type World } from './world.ts';

const library = createSchemaLibrary();
const key = { namespace: 'shop', name: 'copy' };
const atOnce = async (): Promise<boolean> => true;

/** In that phase, and nothing of its volumes goes on by itself. */
async function isDone(world: World, runs: number): Promise<boolean> {
  const { status } = (await replication(world)) ?? {};
  const isOver = status?.phase === 'Done' && status.runs === runs;
  const isAlone = (await world.list('west', persistentVolumes)).length <= 1;
  return isOver && isAlone && (await world.list('east', teleports)).length === 0;
}

const begin: Step = {
  when: atOnce,
  act: (world) => makeReplication(world, { decision: 'Remediate' }),
};

const again: Step = { when: atOnce, act: (world) => change(world, { run: 2 }) };

const remove: Step = {
  when: async (world) => {
    const { status } = (await replication(world)) ?? {};
    return (
      status?.itinerary?.some(({ name, state }) => {
        return name === 'copyAhead' && state === 'Running';
      }) === true
    );
  },
  act: async (world) => void (await world.admin('east').delete(replications, key)),
};

const isGone = async (world: World): Promise<boolean> =>
  (await replication(world)) === undefined &&
  (await world.list('west', persistentVolumes)).length === 0;

const fresh = await saveWorld(library, async (world) => {
  await withData(world);
  await world.admin('east').create(configMaps, {
    metadata: { namespace: 'shop', name: 'settings' },
    data: { a: '1' },
  });
});
const copied = await saveWorld(library, async (world) => {
  world.fetchBytes = 4 * 1024 * 1024;
  await withData(world);
  await makeReplication(world, { decision: 'Remediate' });
  await reached(world, 'Done');
  await world.run(20_000);
});

const scenarios: readonly (Scenario & Pick<Beginning, 'saved' | 'every'>)[] = [
  {
    name: 'a replication whose checks are remediated, to its end',
    saved: fresh,
    every: 4,
    steps: [begin],
    isOver: (world) => isDone(world, 1),
  },
  {
    name: 'a repeated one, to its end',
    saved: copied,
    every: 4,
    steps: [again],
    isOver: (world) => isDone(world, 2),
  },
  {
    name: 'one that is deleted while it copies',
    saved: fresh,
    every: 6,
    steps: [begin, remove],
    isOver: isGone,
  },
];

const differences = new Map<string, string | undefined>();
for (const scenario of scenarios) {
  const { saved, every = 1 } = scenario;
  const difference = await firstDifference({ library, saved, every }, scenario).catch(String);
  differences.set(scenario.name, difference);
}

suite('replications whose controllers die, or lose an answer', () => {
  for (const { name } of scenarios) {
    test(name, () => assert.equal(differences.get(name), undefined));
  }
});
