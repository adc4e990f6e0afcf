import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSchemaLibrary } from '../schema/library.ts';
import { isObject, metaOf, objectAt, objectsAt, textAt } from './json.ts';
import { startTestServer } from './testing.ts';

const library = createSchemaLibrary();
const configMaps = '/api/v1/namespaces/default/configmaps';

const merge = { 'content-type': 'application/merge-patch+json' };

test('an object can be made, read, changed and deleted', async () => {
  const { ask } = startTestServer({ library });
  const body = { metadata: { name: 'a' }, data: { x: '1' } };
  const made = await ask('POST', configMaps, { body });
  assert.equal(made.status, 201);
  assert.equal(textAt(made.object, 'kind'), 'ConfigMap');
  const again = await ask('POST', configMaps, { body });
  assert.equal(again.status, 409);
  assert.equal(textAt(again.object, 'message'), 'configmaps "a" already exists');
  const changed = await ask('PATCH', `${configMaps}/a`, {
    body: { data: { y: '2' } },
    headers: merge,
  });
  assert.deepEqual(changed.object['data'], { x: '1', y: '2' });
  const same = await ask('PATCH', `${configMaps}/a`, {
    body: { data: { y: '2' } },
    headers: merge,
  });
  const versionOf = (object: typeof same.object): string =>
    textAt(metaOf(object), 'resourceVersion');
  assert.equal(versionOf(same.object), versionOf(changed.object));
  const stale = await ask('PUT', `${configMaps}/a`, { body: made.object });
  assert.equal(stale.status, 409);
  assert.match(textAt(stale.object, 'message'), /^Operation cannot be fulfilled on configmaps "a"/);
  const gone = await ask('DELETE', `${configMaps}/a`);
  assert.equal(textAt(gone.object, 'status'), 'Success');
  const missing = await ask('GET', `${configMaps}/a`);
  assert.equal(textAt(missing.object, 'message'), 'configmaps "a" not found');
});

test('a namespace that is not there, or going, takes nothing in', async () => {
  const { ask } = startTestServer({ library });
  const body = { metadata: { name: 'a' } };
  const nowhere = await ask('POST', '/api/v1/namespaces/nowhere/configmaps', { body });
  assert.equal(textAt(nowhere.object, 'message'), 'namespaces "nowhere" not found');
  await ask('POST', '/api/v1/namespaces', { body: { metadata: { name: 'other' } } });
  await ask('DELETE', '/api/v1/namespaces/other');
  const going = await ask('POST', '/api/v1/namespaces/other/configmaps', { body });
  assert.equal(going.status, 403);
  assert.match(textAt(going.object, 'message'), /because it is being terminated$/);
});

test('pages of a list are of one moment', async () => {
  const { ask } = startTestServer({ library });
  for (const name of ['a', 'b', 'c'])
    await ask('POST', configMaps, { body: { metadata: { name } } });
  const first = await ask('GET', `${configMaps}?limit=2`);
  const meta = metaOf(first.object);
  assert.equal(meta['remainingItemCount'], 1);
  await ask('DELETE', `${configMaps}/c`);
  await ask('POST', configMaps, { body: { metadata: { name: 'd' } } });
  const second = await ask('GET', `${configMaps}?limit=2&continue=${textAt(meta, 'continue')}`);
  const names = objectsAt(second.object, 'items').map((item) => textAt(metaOf(item), 'name'));
  assert.deepEqual(names, ['c']);
  assert.equal(metaOf(second.object)['resourceVersion'], meta['resourceVersion']);
});

test('a watch tells of changes, and of objects that leave its selection', async () => {
  const { ask, watch } = startTestServer({ library });
  const labels = { app: 'x' };
  await ask('POST', configMaps, { body: { metadata: { name: 'a', labels } } });
  const lines = watch(`${configMaps}?watch=1&labelSelector=app%3Dx`);
  const types: string[] = [];
  const take = async (): Promise<void> => {
    const { value } = await lines.next();
    assert(isObject(value));
    types.push(`${textAt(value, 'type')} ${textAt(metaOf(objectAt(value, 'object')), 'name')}`);
  };
  await take();
  const patch = { metadata: { labels: { app: 'y' } } };
  await ask('PATCH', `${configMaps}/a`, { body: patch, headers: merge });
  await take();
  await ask('POST', configMaps, { body: { metadata: { name: 'b', labels } } });
  await take();
  await lines.return?.();
  assert.deepEqual(types, ['ADDED a', 'DELETED a', 'ADDED b']);
});
