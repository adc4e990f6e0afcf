/** What every object of every kind does: create, read, replace, versions, generations, status. */
import assert from 'node:assert/strict';
import { cases } from '../case.ts';
import { at, changed, has, textAt } from '../document.ts';
import { refused } from '../rest.ts';
import { configMap, deployment, widget, widgets } from './made.ts';

export const objectCases = cases('objects', {
  'create answers 201 with what the server sets': async (t) => {
    const answer = await t.rest.send('POST', t.path('configmaps'), configMap('a'));
    assert.equal(answer.status, 201);
    has(answer.body, {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      'metadata.name': 'a',
      'metadata.namespace': t.namespace,
      data: { a: '1' },
    });
    assert.match(
      textAt(answer.body, 'metadata.uid'),
      /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/,
    );
    assert.match(textAt(answer.body, 'metadata.creationTimestamp'), /^\d{4}-.*T[\d:]+Z$/);
    assert.match(textAt(answer.body, 'metadata.resourceVersion'), /^\d+$/);
    assert.equal(at(answer.body, 'metadata.generation'), undefined);
    t.recorded('object', answer.body);
  },
  'get gives what create gave': async (t) => {
    const made = await t.rest.post(t.path('configmaps'), configMap('a'));
    assert.deepEqual(await t.rest.get(t.path('configmaps/a')), made);
  },
  'apiVersion and kind may be left out of a body': async (t) => {
    const made = await t.rest.post(t.path('configmaps'), { metadata: { name: 'a' } });
    has(made, { apiVersion: 'v1', kind: 'ConfigMap' });
  },
  'another kind in the body is refused': async (t) => {
    const body = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'a' } };
    const answer = await t.rest.send('POST', t.path('configmaps'), body);
    refused(
      answer,
      400,
      'BadRequest',
      /^Secret in version "v1" cannot be handled as a ConfigMap: /,
    );
  },
  'another group in the body is refused': async (t) => {
    const body = { ...deployment('a'), apiVersion: 'apps/v2' };
    const answer = await t.rest.send('POST', t.path('apps/v1/deployments'), body);
    refused(answer, 400, 'BadRequest', /^Deployment in version "v2" cannot be handled as a Deploy/);
  },
  'a second create is AlreadyExists': async (t) => {
    await t.rest.post(t.path('configmaps'), configMap('a'));
    const answer = await t.rest.send('POST', t.path('configmaps'), configMap('a'));
    refused(answer, 409, 'AlreadyExists', 'configmaps "a" already exists');
    has(answer.body, { details: { name: 'a', kind: 'configmaps' } });
  },
  'a second create in a group names the group': async (t) => {
    await t.rest.post(t.path('apps/v1/deployments'), deployment('a'));
    const answer = await t.rest.send('POST', t.path('apps/v1/deployments'), deployment('a'));
    refused(answer, 409, 'AlreadyExists', 'deployments.apps "a" already exists');
    has(answer.body, { details: { name: 'a', group: 'apps', kind: 'deployments' } });
  },
  'what is not there is NotFound, for every verb': async (t) => {
    const path = t.path('configmaps/none');
    const words = 'configmaps "none" not found';
    refused(await t.rest.send('GET', path), 404, 'NotFound', words);
    refused(await t.rest.send('DELETE', path), 404, 'NotFound', words);
    refused(await t.rest.send('PUT', path, configMap('none')), 404, 'NotFound', words);
    const type = 'application/merge-patch+json';
    const patched = await t.rest.send('PATCH', path, {}, { type });
    refused(patched, 404, 'NotFound', words);
    has(patched.body, { details: { name: 'none', kind: 'configmaps' } });
  },
  'an unknown resource is 404': async (t) => {
    const answer = await t.rest.send('GET', t.path('nonsenses'));
    refused(answer, 404, 'NotFound', 'the server could not find the requested resource');
    t.recorded('resource', answer.body);
    const other = await t.rest.send('GET', '/apis/no.such.group/v1/things');
    assert.equal(other.status, 404);
  },
  'create in a namespace that is not there is NotFound': async (t) => {
    const path = `/api/v1/namespaces/${t.namespace}-none/configmaps`;
    const answer = await t.rest.send('POST', path, configMap('a'));
    refused(answer, 404, 'NotFound', `namespaces "${t.namespace}-none" not found`);
    has(answer.body, { 'details.kind': 'namespaces' });
  },
  'a namespace in the body must be that of the path': async (t) => {
    const body = configMap('a', {}, { namespace: 'default' });
    const answer = await t.rest.send('POST', t.path('configmaps'), body);
    refused(answer, 400, 'BadRequest');
    t.recorded('refusal', answer.body);
  },
  'a name in the body must be that of the path': async (t) => {
    await t.rest.post(t.path('configmaps'), configMap('a'));
    const answer = await t.rest.send('PUT', t.path('configmaps/a'), configMap('b'));
    refused(answer, 400, 'BadRequest');
    t.recorded('refusal', answer.body);
  },
  'a body that is no JSON is BadRequest': async (t) => {
    const answer = await t.rest.send('POST', t.path('configmaps'), '{"metadata": ');
    refused(answer, 400, 'BadRequest');
  },
  'a YAML body is read': async (t) => {
    const yaml = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  b: "2"\n';
    const type = 'application/yaml';
    const answer = await t.rest.send('POST', t.path('configmaps'), yaml, { type });
    assert.equal(answer.status, 201);
    has(answer.body, { 'metadata.name': 'a', data: { b: '2' } });
  },
  'a body of unknown type is 415': async (t) => {
    const type = 'application/x-nonsense';
    const answer = await t.rest.send('POST', t.path('configmaps'), configMap('a'), { type });
    refused(answer, 415, 'UnsupportedMediaType', /unknown format - accepted media types include:/);
  },
  'an answer of unknown type is 406': async (t) => {
    const accept = 'application/x-nonsense';
    const answer = await t.rest.send('GET', t.path('configmaps'), undefined, { accept });
    // Which ones differs: an embedded server speaks no protobuf.
    refused(answer, 406, 'NotAcceptable', /Available representations: application\/json/);
  },
  'generateName makes names': async (t) => {
    const body = { metadata: { generateName: 'many-' } };
    const first = await t.rest.post(t.path('configmaps'), body);
    const second = await t.rest.post(t.path('configmaps'), body);
    assert.match(textAt(first, 'metadata.name'), /^many-[bcdfghjklmnpqrstvwxz2456789]{5}$/);
    assert.notEqual(at(first, 'metadata.name'), at(second, 'metadata.name'));
    has(first, { 'metadata.generateName': 'many-' });
  },
  'create without any name is Invalid': async (t) => {
    const answer = await t.rest.send('POST', t.path('configmaps'), { data: {} });
    refused(answer, 422, 'Invalid');
    t.recorded('refusal', answer.body);
  },
  'a name that is none is Invalid': async (t) => {
    const answer = await t.rest.send('POST', t.path('configmaps'), configMap('Not_A Name'));
    refused(answer, 422, 'Invalid');
    t.recorded('refusal', answer.body);
  },
  'a label that is none is Invalid': async (t) => {
    // One mistake at a time: the real server tells those of a map in random order.
    const send = async (labels: Record<string, string>) => {
      const answer = await t.rest.send(
        'POST',
        t.path('configmaps'),
        configMap('a', {}, { labels }),
      );
      refused(answer, 422, 'Invalid');
      return answer.body;
    };
    t.recorded('key', await send({ 'x y': 'z' }));
    t.recorded('value', await send({ good: '-bad-' }));
  },
  'dryRun=All answers and stores nothing': async (t) => {
    const path = `${t.path('configmaps')}?dryRun=All`;
    const answer = await t.rest.send('POST', path, configMap('a'));
    assert.equal(answer.status, 201);
    has(answer.body, { 'metadata.name': 'a' });
    assert.ok(at(answer.body, 'metadata.uid') !== undefined);
    assert.equal((await t.rest.send('GET', t.path('configmaps/a'))).status, 404);
  },
  'dryRun of replace, patch and delete stores nothing': async (t) => {
    const made = await t.rest.post(t.path('configmaps'), configMap('a'));
    const path = `${t.path('configmaps/a')}?dryRun=All`;
    has(await t.rest.put(path, configMap('a', { a: '2' })), { data: { a: '2' } });
    has(await t.rest.patch(path, { data: { b: '3' } }), { data: { a: '1', b: '3' } });
    await t.rest.delete(path);
    assert.deepEqual(await t.rest.get(t.path('configmaps/a')), made);
  },
  'an unknown dryRun is refused': async (t) => {
    const path = `${t.path('configmaps')}?dryRun=Some`;
    const answer = await t.rest.send('POST', path, configMap('a'));
    refused(answer, 422, 'Invalid');
    t.recorded('refusal', answer.body);
  },
  'replace keeps uid and creationTimestamp': async (t) => {
    const made = await t.rest.post(t.path('configmaps'), configMap('a'));
    const now = await t.rest.put(t.path('configmaps/a'), configMap('a', { a: '2' }));
    has(now, {
      'metadata.uid': at(made, 'metadata.uid'),
      'metadata.creationTimestamp': at(made, 'metadata.creationTimestamp'),
      data: { a: '2' },
    });
    const version = (doc: unknown): number => Number(at(doc, 'metadata.resourceVersion'));
    assert.ok(version(now) > version(made));
  },
  'replace with an old resourceVersion is a Conflict': async (t) => {
    const made = await t.rest.post(t.path('configmaps'), configMap('a'));
    await t.rest.patch(t.path('configmaps/a'), { data: { a: '2' } });
    const answer = await t.rest.send('PUT', t.path('configmaps/a'), made);
    const words =
      'Operation cannot be fulfilled on configmaps "a": the object has been modified; ' +
      'please apply your changes to the latest version and try again';
    refused(answer, 409, 'Conflict', words);
    has(answer.body, { details: { name: 'a', kind: 'configmaps' } });
  },
  'replace with another uid is a Conflict': async (t) => {
    await t.rest.post(t.path('configmaps'), configMap('a'));
    const body = configMap('a', {}, { uid: '7d2f6a9e-0000-4000-8000-000000000000' });
    const answer = await t.rest.send('PUT', t.path('configmaps/a'), body);
    const words = /Precondition failed: UID in precondition: 7d2f6a9e-.*, UID in object meta: /;
    refused(answer, 409, 'Conflict', words);
  },
  'create with a resourceVersion is refused': async (t) => {
    const body = configMap('a', {}, { resourceVersion: '1' });
    const answer = await t.rest.send('POST', t.path('configmaps'), body);
    assert.equal(answer.status, 500);
    t.recorded('refusal', answer.body);
  },
  'a resourceVersion that is none is refused': async (t) => {
    await t.rest.post(t.path('configmaps'), configMap('a'));
    const body = configMap('a', {}, { resourceVersion: 'x' });
    const answer = await t.rest.send('PUT', t.path('configmaps/a'), body);
    t.recorded('refusal', answer.body);
  },
  'a write that changes nothing keeps the resourceVersion': async (t) => {
    const made = await t.rest.post(t.path('configmaps'), configMap('a'));
    const put = await t.rest.put(t.path('configmaps/a'), made);
    assert.equal(at(put, 'metadata.resourceVersion'), at(made, 'metadata.resourceVersion'));
    const patched = await t.rest.patch(t.path('configmaps/a'), { data: { a: '1' } });
    assert.equal(at(patched, 'metadata.resourceVersion'), at(made, 'metadata.resourceVersion'));
  },
  'generation grows with the spec alone': async (t) => {
    const path = t.path('apps/v1/deployments/a');
    const made = await t.rest.post(t.path('apps/v1/deployments'), deployment('a'));
    has(made, { 'metadata.generation': 1 });
    const labelled = await t.rest.patch(path, { metadata: { labels: { b: 'c' } } });
    has(labelled, { 'metadata.generation': 1 });
    has(await t.rest.patch(path, { spec: { paused: true } }), { 'metadata.generation': 2 });
    const forced = await t.rest.patch(path, { metadata: { generation: 77 } });
    has(forced, { 'metadata.generation': 2 });
  },
  'generation of a custom object grows with all but metadata and status': async (t) => {
    const { path, apiVersion } = await t.define(widgets());
    has(await t.rest.post(path, widget(apiVersion, 'a')), { 'metadata.generation': 1 });
    const one = `${path}/a`;
    const annotated = await t.rest.patch(one, { metadata: { annotations: { b: 'c' } } });
    has(annotated, { 'metadata.generation': 1 });
    const reported = await t.rest.patch(`${one}/status`, { status: { ready: true } });
    has(reported, { 'metadata.generation': 1 });
    has(await t.rest.patch(one, { spec: { size: 2 } }), { 'metadata.generation': 2 });
  },
  'the status cannot be written through the object': async (t) => {
    const { path, apiVersion } = await t.define(widgets());
    const body = changed(widget(apiVersion, 'a'), { 'status.ready': true });
    has(await t.rest.post(path, body), { status: undefined });
    await t.rest.patch(`${path}/a/status`, { status: { count: 3 } });
    const now = await t.rest.patch(`${path}/a`, { status: { count: 4 }, spec: { size: 2 } });
    has(now, { status: { count: 3 }, 'spec.size': 2 });
  },
  'the spec cannot be written through the status': async (t) => {
    const { path, apiVersion } = await t.define(widgets());
    await t.rest.post(path, widget(apiVersion, 'a'));
    const patch = { status: { count: 4 }, spec: { size: 5 }, metadata: { labels: { b: 'c' } } };
    const now = await t.rest.patch(`${path}/a/status`, patch);
    has(now, { 'status.count': 4, 'spec.size': 1, 'metadata.labels': undefined });
    const again = await t.rest.get(`${path}/a/status`);
    assert.deepEqual(again, await t.rest.get(`${path}/a`));
  },
  'the status of a built-in kind is apart too': async (t) => {
    const path = t.path('apps/v1/deployments');
    const body = changed(deployment('a'), { 'status.readyReplicas': 7, 'spec.paused': true });
    has(await t.rest.post(path, body), { 'status.readyReplicas': undefined });
    const patch = { spec: { replicas: 9 }, status: { collisionCount: 3 } };
    const now = await t.rest.patch(`${path}/a/status`, patch);
    has(now, { 'spec.replicas': 0, 'status.collisionCount': 3 });
  },
  'a collection has no PUT': async (t) => {
    const answer = await t.rest.send('PUT', t.path('configmaps'), configMap('a'));
    refused(answer, 405, 'MethodNotAllowed');
    t.recorded('refusal', answer.body);
  },
  'secrets keep stringData as data': async (t) => {
    const body = { metadata: { name: 'a' }, stringData: { word: 'hello' } };
    const made = await t.rest.post(t.path('secrets'), body);
    has(made, { data: { word: 'aGVsbG8=' }, stringData: undefined, type: 'Opaque' });
  },
});
