import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { type ReplicationSpec, replications } from '../../src/api/kinds/replication.ts';
import { repositories } from '../../src/api/kinds/repository.ts';
import { volumes } from '../../src/api/kinds/volume.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import { secrets } from '../../src/kube/resources.ts';
import { type Beginning, firstDifference } from './crashes.ts';
import { change, claimsAt, namespace, reached, replication, there } from './replication-world.ts';
import { makeSettings, type Scenario, type Step, withData } from './scenarios.ts';
import { saveWorld, type World } from './world.ts';

const library = createSchemaLibrary();
const atOnce = async (): Promise<boolean> => true;

async function make(world: World, name: string, spec: Partial<ReplicationSpec>): Promise<void> {
  await world.admin('east').create(replications, {
    metadata: { namespace, name },
    spec: { repository: 'store', namespaces: [{ name: 'shop' }], ...spec },
  } as never);
}

async function isDone(world: World, name: string, runs = 1): Promise<boolean> {
  const { status } = (await replication(world, name)) ?? {};
  return status?.phase === 'Done' && status.state === 'Success' && status.runs === runs;
}

async function withRepository(world: World): Promise<void> {
  await withData(world);
  await makeSettings(world);
  const keys = { namespace, name: 'keys' };
  const data = { accessKeyId: 'aWQ=', secretAccessKey: 'c2VjcmV0' };
  await world.admin('east').create(secrets, { metadata: keys, data } as never);
  const s3 = { endpoint: 'https://s3.example.org', bucket: 'store', credentialsSecretRef: keys };
  const metadata = { name: 'store' };
  await world.admin('east').create(repositories, { metadata, spec: { s3 } } as never);
}

const fresh = await saveWorld(library, withRepository);
const kept = await saveWorld(library, async (world) => {
  await withRepository(world);
  await make(world, 'nightly', { source: 'east', keep: 1 });
  await reached(world, 'Done', { name: 'nightly' });
  await world.run(20_000);
});

const begin: Step = {
  when: atOnce,
  act: (world) => make(world, 'nightly', { source: 'east', keep: 1 }),
};
const again: Step = { when: atOnce, act: (world) => change(world, { run: 2 }, 'nightly') };
const end: Step = {
  when: atOnce,
  act: async (world) => {
    await world.admin('east').delete(replications, { namespace, name: 'nightly' });
  },
};
const restore: Step = {
  when: atOnce,
  act: (world) =>
    make(world, 'back', { destination: 'west', namespaces: [{ name: 'shop', to: there }] }),
};

const scenarios: readonly (Scenario & Pick<Beginning, 'saved' | 'every'>)[] = [
  {
    name: 'a backup, to its end',
    saved: fresh,
    every: 2,
    steps: [begin],
    isOver: (world) => isDone(world, 'nightly'),
  },
  {
    name: 'one that takes the place of the one before',
    saved: kept,
    every: 2,
    steps: [again],
    isOver: async (world) => (await isDone(world, 'nightly', 2)) && partsOf(world) === 1,
  },
  {
    name: 'backups that are deleted',
    saved: kept,
    every: 2,
    steps: [end],
    isOver: async (world) => (await replication(world, 'nightly')) === undefined,
  },
  {
    name: 'what is restored, to its end',
    saved: kept,
    every: 4,
    steps: [restore],
    isOver: async (world) => {
      const claims = (await claimsAt(world, 'west')).join();
      const [volume] = await world.list('west', volumes);
      const isWhole = volume?.status?.phase === 'Available';
      return (await isDone(world, 'back')) && claims === 'market/db Bound' && isWhole;
    },
  },
];

/** Backups of which something is in the repository. */
function partsOf({ cloud }: World): number {
  return new Set([...cloud.backups.parts.values()].map(({ spec }) => spec.backup)).size;
}

const differences = new Map<string, string | undefined>();
for (const scenario of scenarios) {
  const { saved, every = 1 } = scenario;
  const difference = await firstDifference({ library, saved, every }, scenario).catch(String);
  differences.set(scenario.name, difference);
}

suite('backups whose controllers die, or lose an answer', () => {
  for (const { name } of scenarios) {
    test(name, () => assert.equal(differences.get(name), undefined));
  }
});
