// Thousands of objects: what the controllers ask for at once, and have in memory, does not grow.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import { configMaps, namespaces } from '../../src/kube/resources.ts';
import { change, makeReplication, reached, saidBy, there } from './replication-world.ts';
import { openWorld, saveWorld } from './world.ts';

const objects = 5_000;
/** As many as clients ask for at once (`KubeClient.list`). */
const pageMax = 500;

const name = 'a namespace with thousands of objects is replicated page by page, and again';

test(name, { timeout: 15 * 60_000 }, async () => {
  const library = createSchemaLibrary();
  const saved = await saveWorld(library, async () => undefined);
  const world = await openWorld(library, saved);
  const east = world.admin('east');
  await world.admin('west').create(namespaces, { metadata: { name: there } });
  const data = { text: 'x'.repeat(200) };
  for (let n = 0; n < objects; n++) {
    await east.create(configMaps, { metadata: { namespace: 'shop', name: `many-${n}` }, data });
  }
  const limits: number[] = [];
  world.onRequest = async (_cluster, { method, path }) => {
    const isList = method === 'GET' && /\/configmaps(\?|$)/.test(path);
    if (!isList || path.includes('watch=true')) return;
    limits.push(Number(/[?&]limit=(\d+)/.exec(path)?.[1] ?? Number.POSITIVE_INFINITY));
  };
  await makeReplication(world, { volumes: 'Exclude' });
  const first = await reached(world, 'Done', { withinMs: 3_600_000 });
  assert.equal(first.status?.state, 'Success', saidBy(first));
  const counted = () => first.status?.resources?.find(({ resource }) => resource === 'configmaps');
  assert.equal(counted()?.replicated, objects);
  let copies = 0;
  for await (const one of world.admin('west').list(configMaps, { namespace: there })) {
    if (one.data?.['text'] === data.text) copies += 1;
  }
  assert.equal(copies, objects);
  await east.patch(configMaps, { namespace: 'shop', name: 'many-7' }, { data: { text: 'new' } });
  await change(world, { run: 2 });
  const second = await reached(world, 'Done', { runs: 2, withinMs: 3_600_000 });
  assert.equal(second.status?.state, 'Success', saidBy(second));
  const seven = { namespace: there, name: 'many-7' };
  assert.equal((await world.find('west', configMaps, seven))?.data?.['text'], 'new');
  assert.ok(limits.length > 10);
  assert.ok(Math.max(...limits) <= pageMax, `${Math.max(...limits)} at once`);
  await world.stop();
});
