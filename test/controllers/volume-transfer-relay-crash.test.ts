// Copies through a repository whose controllers die at any moment; before the first test is
// declared, as in crash.test.ts.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { repositories } from '../../src/api/kinds/repository.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import { secrets } from '../../src/kube/resources.ts';
import { firstDifference } from './crashes.ts';
import { begin } from './mover-transfers.ts';
import { type Scenario, withData } from './scenarios.ts';
import { isCleanedUp, phaseOf } from './transfers.ts';
import { saveWorld, type World } from './world.ts';

const library = createSchemaLibrary();

async function withRepository(world: World): Promise<void> {
  await withData(world);
  const hub = world.admin('west');
  const key = { namespace: 'shop', name: 'keys' };
  const data = { accessKeyId: 'aWQ=', secretAccessKey: 'c2VjcmV0' };
  await hub.create(secrets, { metadata: key, data } as never);
  const s3 = { endpoint: 'https://s3.example.org', bucket: 'moves', credentialsSecretRef: key };
  const annotations = { 'transship.dev/no-direct-way': 'true' };
  await hub.create(repositories, {
    metadata: { name: 'between', annotations },
    spec: { s3 },
  } as never);
}

const saved = await saveWorld(library, withRepository);

const scenario: Scenario = {
  name: 'a last copy',
  steps: [
    {
      when: async () => true,
      act: (world) => begin(world, undefined, { pass: 'Last', repository: 'between' }),
    },
  ],
  isOver: async (world) => (await isCleanedUp(world)) && (await phaseOf(world)) === 'Succeeded',
};

const difference = await firstDifference({ library, saved }, scenario).catch(String);

suite('copies through a repository whose controllers die, or lose an answer', () => {
  test(scenario.name, () => assert.equal(difference, undefined));
});
