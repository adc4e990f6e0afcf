// Thousands of objects: what the controllers ask for at once, and have in memory, does not grow.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import { createHash } from 'node:crypto';
import { replications } from '../../src/api/kinds/replication.ts';
import { configMaps, namespaces } from '../../src/kube/resources.ts';
import {
  change,
  makeReplication,
  makeStore,
  namespace,
  reached,
  saidBy,
  there,
} from './replication-world.ts';
import { openWorld, saveWorld, type World } from './world.ts';

const objects = 5_000;
/** As many as clients ask for at once (`KubeClient.list`). */
const pageMax = 500;

const minutes15 = { timeout: 15 * 60_000 };
const withinMs = 3_600_000;

/** Texts that differ and do not shrink. */
const textOf = (n: number): string => createHash('sha512').update(`${n}`).digest('hex');

async function openFilled(): Promise<World> {
  const library = createSchemaLibrary();
  const world = await openWorld(library, await saveWorld(library, async () => undefined));
  const east = world.admin('east');
  for (let n = 0; n < objects; n++) {
    const metadata = { namespace: 'shop', name: `many-${n}` };
    await east.create(configMaps, { metadata, data: { text: textOf(n) } });
  }
  return world;
}

/** How many there are as they were made. */
async function copiesAt(world: World, at: string): Promise<number> {
  let copies = 0;
  for await (const { metadata, data } of world.admin('west').list(configMaps, { namespace: at })) {
    const [, n] = /^many-(\d+)$/.exec(metadata.name ?? '') ?? [];
    if (n !== undefined && data?.['text'] === textOf(Number(n))) copies += 1;
  }
  return copies;
}

/** How many are asked for at once, in each list. */
function limitsOf(world: World): readonly number[] {
  const limits: number[] = [];
  world.onRequest = async (_cluster, { method, path }) => {
    const isList = method === 'GET' && /\/configmaps(\?|$)/.test(path);
    if (!isList || path.includes('watch=true')) return;
    limits.push(Number(/[?&]limit=(\d+)/.exec(path)?.[1] ?? Number.POSITIVE_INFINITY));
  };
  return limits;
}

const name = 'a namespace with thousands of objects is replicated page by page, and again';

test(name, minutes15, async () => {
  const world = await openFilled();
  await world.admin('west').create(namespaces, { metadata: { name: there } });
  const limits = limitsOf(world);
  await makeReplication(world, { volumes: 'Exclude' });
  const first = await reached(world, 'Done', { withinMs });
  assert.equal(first.status?.state, 'Success', saidBy(first));
  const counted = () => first.status?.resources?.find(({ resource }) => resource === 'configmaps');
  assert.equal(counted()?.replicated, objects);
  assert.equal(await copiesAt(world, there), objects);
  const east = world.admin('east');
  await east.patch(configMaps, { namespace: 'shop', name: 'many-7' }, { data: { text: 'new' } });
  await change(world, { run: 2 });
  const second = await reached(world, 'Done', { runs: 2, withinMs });
  assert.equal(second.status?.state, 'Success', saidBy(second));
  const seven = { namespace: there, name: 'many-7' };
  assert.equal((await world.find('west', configMaps, seven))?.data?.['text'], 'new');
  assert.ok(limits.length > 10);
  assert.ok(Math.max(...limits) <= pageMax, `${Math.max(...limits)} at once`);
  await world.stop();
});

test('a namespace with thousands of objects is backed up, and restored', minutes15, async () => {
  const world = await openFilled();
  const hub = world.admin('east');
  await makeStore(world);
  const make = (one: string, spec: object) =>
    hub.create(replications, {
      metadata: { namespace, name: one },
      spec: { repository: 'store', volumes: 'Exclude', ...spec },
    } as never);
  const limits = limitsOf(world);
  await make('nightly', { source: 'east', namespaces: [{ name: 'shop' }] });
  const saved = await reached(world, 'Done', { name: 'nightly', withinMs });
  assert.equal(saved.status?.state, 'Success', saidBy(saved));
  assert.ok((saved.status?.backups?.[0]?.objects ?? 0) >= objects);
  assert.ok(world.cloud.backups.parts.size > 2, 'more than one part beside the head');
  assert.ok(Math.max(...limits) <= pageMax, `${Math.max(...limits)} at once`);
  await make('back', { destination: 'west', namespaces: [{ name: 'shop', to: there }] });
  const back = await reached(world, 'Done', { name: 'back', withinMs });
  assert.equal(back.status?.state, 'Success', saidBy(back));
  assert.equal(await copiesAt(world, there), objects);
  await world.stop();
});
