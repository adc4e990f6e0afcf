import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import type { KubeClient } from '../../src/kube/api.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { configMaps } from '../../src/kube/resources.ts';
import { applyPrepared, compareExisting } from '../../src/workload/existing-run.ts';
import type { Comparison, ExistingPolicy } from '../../src/workload/existing.ts';
import { preparedFor } from '../../src/workload/transform-context.ts';
import { gather, put, startServer } from './shop.ts';

const library = createSchemaLibrary();
const key = { namespace: 'shop', name: 'settings' };

function settings(data: Record<string, string>): KubeObject {
  const metadata = { ...key, annotations: { [preparedFor]: 'move-1' } };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata, data } as KubeObject;
}

async function compare(
  client: KubeClient,
  object: KubeObject,
  policies: Record<string, ExistingPolicy> = {},
): Promise<Comparison> {
  const [found] = await gather(compareExisting(client, [object], { id: 'move-1', policies }));
  return found!;
}

async function start(): Promise<KubeClient> {
  const client = startServer(library, 'west');
  await put(client, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'shop' } });
  return client;
}

async function dataOf(client: KubeClient): Promise<unknown> {
  return (await client.get(configMaps, key))?.data;
}

test('what is not there is made; the same again is left and told', async () => {
  const client = await start();
  const object = settings({ color: 'red' });
  const made = await applyPrepared(client, object, await compare(client, object));
  assert.equal(made.happened, 'Created');
  const again = await applyPrepared(client, object, await compare(client, object));
  assert.equal(again.happened, 'Unchanged');
  const newer = settings({ color: 'blue' });
  const updated = await applyPrepared(client, newer, await compare(client, newer));
  assert.equal(updated.happened, 'Updated');
  assert.deepEqual(await dataOf(client), { color: 'blue' });
});

test('what somebody else made fails, stays or is updated, and never silently', async () => {
  const client = await start();
  await put(client, {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: key,
    data: { color: 'red', shape: 'round' },
  });
  const object = settings({ color: 'blue' });
  await assert.rejects(
    applyPrepared(client, object, await compare(client, object)),
    /already exists and differs: data.color is "red", not "blue"/,
  );
  const keep = await compare(client, object, { ConfigMap: 'Keep' });
  const kept = await applyPrepared(client, object, keep);
  assert.equal(kept.happened, 'Kept');
  assert.match(kept.message, /data.shape is "round", not \(none\)/);
  assert.deepEqual(await dataOf(client), { color: 'red', shape: 'round' });
  const update = await compare(client, object, { ConfigMap: 'Update' });
  const updated = await applyPrepared(client, object, update);
  assert.equal(updated.message, 'ConfigMap shop/settings was updated; still different: data.shape');
  assert.deepEqual(await dataOf(client), { color: 'blue', shape: 'round' });
});

test('what changed or came to be after the comparison is not overwritten', async () => {
  const client = await start();
  const object = settings({ color: 'blue' });
  const absent = await compare(client, object);
  await put(client, { ...settings({ color: 'red' }), metadata: key });
  await assert.rejects(applyPrepared(client, object, absent), { reason: 'AlreadyExists' });
  const seen = await compare(client, object, { ConfigMap: 'Update' });
  await client.patch(configMaps, key, { data: { color: 'green' } });
  await assert.rejects(applyPrepared(client, object, seen), { reason: 'Conflict' });
  assert.deepEqual(await dataOf(client), { color: 'green' });
});
