import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '../schema/api.ts';
import { createSchemaLibrary } from '../schema/library.ts';
import { metaOf, objectAt, objectsAt, textAt, textsAt } from './json.ts';
import { type Answer, startTestServer } from './testing.ts';

const library = createSchemaLibrary();
const configMaps = '/api/v1/namespaces/default/configmaps';
const definitions = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const widgets = '/apis/example.com/v1/namespaces/default/widgets';
const merge = { 'content-type': 'application/merge-patch+json' };
const messageOf = ({ object }: Answer): string => textAt(object, 'message');

function definition(spec: JsonObject, extra: JsonObject = {}): JsonObject {
  const properties = {
    spec: { type: 'object', properties: spec },
    status: { type: 'object', properties: { phase: { type: 'string' } } },
  };
  const schema = { openAPIV3Schema: { type: 'object', properties } };
  const version = { name: 'v1', served: true, storage: true, subresources: { status: {} }, schema };
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'widgets.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural: 'widgets', kind: 'Widget' },
      versions: [{ ...version, ...extra }],
    },
  };
}

function widget(name: string, rest: object = {}): object {
  return { apiVersion: 'example.com/v1', kind: 'Widget', metadata: { name }, ...rest };
}

test('the specification and the status are written apart, and only one counts', async () => {
  const { ask } = startTestServer({ library });
  await ask('POST', definitions, { body: definition({ size: { type: 'integer' } }) });
  const body = widget('a', { spec: { size: 1 }, status: { phase: 'Made up' } });
  const made = await ask('POST', widgets, { body });
  assert.equal(made.status, 201, made.text);
  assert.equal(made.object['status'], undefined);
  const both = { spec: { size: 2 }, status: { phase: 'Running' } };
  const status = await ask('PATCH', `${widgets}/a/status`, { body: both, headers: merge });
  assert.deepEqual(status.object['spec'], { size: 1 });
  assert.deepEqual(status.object['status'], { phase: 'Running' });
  assert.equal(metaOf(status.object)['generation'], 1);
  const other = { ...both, status: { phase: 'Gone' } };
  const spec = await ask('PATCH', `${widgets}/a`, { body: other, headers: merge });
  assert.deepEqual(spec.object['spec'], { size: 2 });
  assert.deepEqual(spec.object['status'], { phase: 'Running' });
  assert.equal(metaOf(spec.object)['generation'], 2);
  const labels = { metadata: { labels: { a: 'b' }, generation: 77 } };
  const labelled = await ask('PATCH', `${widgets}/a`, { body: labels, headers: merge });
  assert.equal(metaOf(labelled.object)['generation'], 2);
  const { resourceVersion: _version, ...unversioned } = metaOf(labelled.object);
  const blind = await ask('PUT', `${widgets}/a`, {
    body: { ...labelled.object, metadata: unversioned },
  });
  assert.match(messageOf(blind), /metadata.resourceVersion: .* must be specified for an update/);
});

test('a changed schema holds for what is stored, too', async () => {
  const { ask } = startTestServer({ library });
  await ask('POST', definitions, {
    body: definition({ size: { type: 'integer' }, old: { type: 'string' } }),
  });
  await ask('POST', widgets, { body: widget('a', { spec: { size: 1, old: 'x' } }) });
  const { object } = await ask('GET', `${definitions}/widgets.example.com`);
  const next = definition({
    size: { type: 'integer' },
    colour: { type: 'string', default: 'red' },
  });
  const put = await ask('PUT', `${definitions}/widgets.example.com`, {
    body: { ...next, metadata: metaOf(object) },
  });
  assert.equal(put.status, 200, put.text);
  const read = await ask('GET', `${widgets}/a`);
  assert.deepEqual(read.object['spec'], { size: 1, colour: 'red' });
  const list = await ask('GET', widgets);
  assert.deepEqual(objectsAt(list.object, 'items')[0]?.['spec'], { size: 1, colour: 'red' });
});

test('objects go with their definition, and it waits for their finalizers', async () => {
  const server = startTestServer({ library });
  const { ask } = server;
  await ask('POST', definitions, { body: definition({}) });
  await ask('POST', widgets, { body: widget('plain') });
  const held = { apiVersion: 'example.com/v1', kind: 'Widget' };
  await ask('POST', widgets, {
    body: { ...held, metadata: { name: 'held', finalizers: ['example.com/x'] } },
  });
  await ask('DELETE', `${definitions}/widgets.example.com`);
  assert.equal((await ask('GET', `${widgets}/plain`)).status, 404);
  const waiting = await ask('GET', `${definitions}/widgets.example.com`);
  assert.notEqual(textAt(metaOf(waiting.object), 'deletionTimestamp'), '');
  const late = await ask('POST', widgets, { body: widget('late') });
  assert.equal(late.status, 405);
  // A server that begins in the middle of it goes on.
  const next = startTestServer({ library, persistence: server.persistence });
  const body = { metadata: { finalizers: null } };
  await next.ask('PATCH', `${widgets}/held`, { body, headers: merge });
  assert.equal((await next.ask('GET', `${definitions}/widgets.example.com`)).status, 404);
  assert.equal((await next.ask('GET', widgets)).status, 404);
  assert.equal(
    [...server.persistence.entries.keys()].filter((key) => key.includes('widget')).length,
    0,
  );
});

test('finalizers hold an object; the last one that goes is its end', async () => {
  const { ask } = startTestServer({ library });
  const finalizers = ['example.com/a', 'example.com/b'];
  await ask('POST', configMaps, { body: { metadata: { name: 'a', finalizers } } });
  const deleted = await ask('DELETE', `${configMaps}/a`, {
    body: { kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: 'Foreground' },
  });
  assert.deepEqual(textsAt(metaOf(deleted.object), 'finalizers'), [
    ...finalizers,
    'foregroundDeletion',
  ]);
  const again = await ask('DELETE', `${configMaps}/a`);
  assert.deepEqual(metaOf(again.object), metaOf(deleted.object));
  const more = await ask('PATCH', `${configMaps}/a`, {
    body: { metadata: { finalizers: [...finalizers, 'example.com/c'] } },
    headers: merge,
  });
  assert.match(messageOf(more), /no new finalizers can be added if the object is being deleted/);
  const last = await ask('PATCH', `${configMaps}/a`, {
    body: { metadata: { finalizers: [] } },
    headers: merge,
  });
  assert.equal(last.status, 200);
  assert.equal((await ask('GET', `${configMaps}/a`)).status, 404);
});

test('a pod on a node gets its time to stop; who says zero confirms it', async () => {
  const { ask, clock } = startTestServer({ library });
  const pods = '/api/v1/namespaces/default/pods';
  const spec = { containers: [{ name: 'c', image: 'i' }], terminationGracePeriodSeconds: 20 };
  for (const name of ['bound', 'free'])
    await ask('POST', pods, { body: { metadata: { name }, spec } });
  const target = { apiVersion: 'v1', kind: 'Node', name: 'n1' };
  const bound = await ask('POST', `${pods}/bound/binding`, { body: { target } });
  assert.equal(bound.status, 201, bound.text);
  const twice = await ask('POST', `${pods}/bound/binding`, { body: { target } });
  assert.equal(twice.status, 409);
  assert.equal(textAt((await ask('DELETE', `${pods}/free`)).object, 'status'), 'Success');
  const going = metaOf((await ask('DELETE', `${pods}/bound`)).object);
  assert.equal(going['deletionGracePeriodSeconds'], 20);
  const ends = Date.parse(textAt(going, 'deletionTimestamp'));
  assert.equal(ends, clock.wallMs() + 20_000);
  const shorter = metaOf((await ask('DELETE', `${pods}/bound?gracePeriodSeconds=5`)).object);
  assert.equal(Date.parse(textAt(shorter, 'deletionTimestamp')), ends - 15_000);
  const longer = metaOf((await ask('DELETE', `${pods}/bound?gracePeriodSeconds=90`)).object);
  assert.equal(longer['deletionGracePeriodSeconds'], 5);
  await ask('DELETE', `${pods}/bound?gracePeriodSeconds=0`);
  assert.equal((await ask('GET', `${pods}/bound`)).status, 404);
});

test('a namespace ends when it is finalized, not before', async () => {
  const { ask } = startTestServer({ library });
  const path = '/api/v1/namespaces/other';
  await ask('POST', '/api/v1/namespaces', { body: { metadata: { name: 'other' } } });
  const going = await ask('DELETE', path);
  assert.equal(objectAt(going.object, 'status')['phase'], 'Terminating');
  const patch = await ask('PATCH', path, { body: { spec: { finalizers: [] } }, headers: merge });
  assert.deepEqual(objectAt(patch.object, 'spec')['finalizers'], ['kubernetes']);
  const body = { ...going.object, metadata: { name: 'other' }, spec: { finalizers: [] } };
  assert.equal((await ask('PUT', `${path}/finalize`, { body })).status, 200);
  assert.equal((await ask('GET', path)).status, 404);
});

test('a dry run says what would be, and does nothing', async () => {
  const { ask, persistence } = startTestServer({ library });
  const { version } = persistence;
  const made = await ask('POST', `${configMaps}?dryRun=All`, { body: { metadata: { name: 'a' } } });
  assert.equal(made.status, 201);
  assert.equal((await ask('GET', `${configMaps}/a`)).status, 404);
  await ask('POST', configMaps, { body: { metadata: { name: 'a' } } });
  for (const [method, body] of [
    ['PATCH', { data: { a: 'b' } }],
    ['DELETE', {}],
  ] as const) {
    const headers = method === 'PATCH' ? merge : {};
    const { status } = await ask(method, `${configMaps}/a?dryRun=All`, { body, headers });
    assert.equal(status, 200);
  }
  assert.equal(persistence.version, version + 1);
});

test('a storage that fails is an error of the server, and changes nothing', async () => {
  const { ask, persistence } = startTestServer({ library });
  persistence.beforeCommit = () => {
    throw new Error('no space');
  };
  const failed = await ask('POST', configMaps, { body: { metadata: { name: 'a' } } });
  assert.equal(failed.status, 500);
  assert.equal(messageOf(failed), 'Internal error occurred: no space');
  persistence.beforeCommit = () => undefined;
  assert.equal((await ask('GET', `${configMaps}/a`)).status, 404);
});
