/** The forms an answer can have, and how strictly requests are read. */
import assert from 'node:assert/strict';
import { cases } from '../case.ts';
import { at, changed, type Doc, has, listAt, textAt } from '../document.ts';
import { refused, type Answer } from '../rest.ts';
import { configMap, deployment, pod, widget, widgets } from './made.ts';

const table = 'application/json;as=Table;v=v1;g=meta.k8s.io';
const partial = 'application/json;as=PartialObjectMetadata;v=v1;g=meta.k8s.io';
const partialList = 'application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io';

/** Columns without the words for people, and the cells. */
function shape(answer: Doc): unknown {
  const columns = listAt(answer, 'columnDefinitions').map((column) =>
    changed(column, { description: undefined }),
  );
  // No rows are null on a real server; readers take both.
  const rows = ((answer['rows'] ?? []) as readonly Doc[]).map((row) => ({
    cells: (row['cells'] as readonly unknown[]).map((cell) =>
      typeof cell === 'string' && /^(\d+[smhd])+$|^<invalid>$/.test(cell) ? 'AGE' : cell,
    ),
    object: at(row, 'object.kind') ?? null,
  }));
  return { columns, rows };
}

const warnings = (answer: Answer): string => answer.headers['warning'] ?? '';

export const formatCases = cases('formats', {
  'a Table of config maps': async (t) => {
    await t.rest.post(t.path('configmaps'), configMap('a', { x: '1', y: '2' }));
    const path = `${t.path('configmaps')}?fieldSelector=metadata.name%3Da`;
    const answer = await t.rest.get(path, { accept: table });
    has(answer, { kind: 'Table', apiVersion: 'meta.k8s.io/v1' });
    assert.ok(at(answer, 'metadata.resourceVersion') !== undefined);
    has(answer, { 'rows.0.object.kind': 'PartialObjectMetadata' });
    has(answer, { 'rows.0.object.apiVersion': 'meta.k8s.io/v1' });
    t.recorded('table', shape(answer));
  },
  'Tables of the usual kinds': async (t) => {
    await t.rest.post(t.path('apps/v1/deployments'), deployment('a'));
    await t.rest.post(t.path('secrets'), { metadata: { name: 'a' }, stringData: { a: 'b' } });
    const kinds = [
      'apps/v1/deployments',
      'secrets',
      'pods',
      'services',
      'persistentvolumeclaims',
      'apps/v1/statefulsets',
      'apps/v1/daemonsets',
      'apps/v1/replicasets',
      'batch/v1/jobs',
      'batch/v1/cronjobs',
      'events',
      'serviceaccounts',
      'coordination.k8s.io/v1/leases',
      'rbac.authorization.k8s.io/v1/roles',
    ];
    for (const kind of kinds) {
      const path = `${t.path(kind)}?fieldSelector=metadata.name%3Da`;
      t.recorded(kind, shape(await t.rest.get(path, { accept: table })));
    }
  },
  'Tables of what has no namespace': async (t) => {
    const kinds = ['/api/v1/namespaces', '/api/v1/persistentvolumes', '/api/v1/nodes'];
    for (const kind of [...kinds, '/apis/storage.k8s.io/v1/storageclasses']) {
      const path = `${kind}?fieldSelector=metadata.name%3Dnone-such`;
      t.recorded(kind, shape(await t.rest.get(path, { accept: table })));
    }
  },
  'a Table of one object, and of one that is not there': async (t) => {
    await t.rest.post(t.path('configmaps'), configMap('a'));
    const answer = await t.rest.get(t.path('configmaps/a'), { accept: table });
    t.recorded('table', shape(answer));
    const none = await t.rest.send('GET', t.path('configmaps/b'), undefined, { accept: table });
    refused(none, 404, 'NotFound', 'configmaps "b" not found');
  },
  'includeObject=None and Object': async (t) => {
    await t.rest.post(t.path('configmaps'), configMap('a'));
    const path = t.path('configmaps/a');
    const none = await t.rest.get(`${path}?includeObject=None`, { accept: table });
    has(none, { 'rows.0.object': null });
    const whole = await t.rest.get(`${path}?includeObject=Object`, { accept: table });
    has(whole, { 'rows.0.object.kind': 'ConfigMap', 'rows.0.object.data': { a: '1' } });
  },
  'a Table of custom objects has their columns': async (t) => {
    const additionalPrinterColumns = [
      { name: 'Size', type: 'integer', jsonPath: '.spec.size', description: 'How large' },
      { name: 'Ready', type: 'boolean', jsonPath: '.status.ready' },
      { name: 'Wide', type: 'string', jsonPath: '.spec.note', priority: 1 },
      { name: 'Part', type: 'string', jsonPath: '.spec.parts[?(@.name=="x")].weight' },
      { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
    ];
    const defined = await t.define(widgets(undefined, { additionalPrinterColumns }));
    const spec = { size: 3, parts: [{ name: 'x', weight: 5 }] };
    await t.rest.post(defined.path, widget(defined.apiVersion, 'a', spec));
    await t.rest.post(defined.path, widget(defined.apiVersion, 'b', {}));
    t.recorded('table', shape(await t.rest.get(defined.path, { accept: table })));
  },
  'a Table of custom objects without columns has name and age': async (t) => {
    const { path, apiVersion } = await t.define(widgets());
    await t.rest.post(path, widget(apiVersion, 'a'));
    t.recorded('table', shape(await t.rest.get(path, { accept: table })));
  },
  'a watch of Tables has columns in its first event only': async (t) => {
    await t.rest.post(t.path('configmaps'), configMap('a'));
    const path = `${t.path('configmaps')}?fieldSelector=metadata.name%3Da`;
    const watch = await t.rest.watch(path, { accept: table });
    const first = await watch.next();
    has(first, { type: 'ADDED', 'object.kind': 'Table', 'object.rows.0.cells.0': 'a' });
    assert.equal(listAt(first, 'object.columnDefinitions').length, 3);
    await t.rest.patch(t.path('configmaps/a'), { data: { b: '2' } });
    const second = await watch.next();
    has(second, { type: 'MODIFIED', 'object.rows.0.cells.1': 2 });
    assert.deepEqual(at(second, 'object.columnDefinitions') ?? [], []);
  },
  'PartialObjectMetadata of one and of a list': async (t) => {
    await t.rest.post(t.path('configmaps'), configMap('a', {}, { labels: { b: 'c' } }));
    const one = await t.rest.get(t.path('configmaps/a'), { accept: partial });
    has(one, { kind: 'PartialObjectMetadata', apiVersion: 'meta.k8s.io/v1', data: undefined });
    has(one, { 'metadata.name': 'a', 'metadata.labels': { b: 'c' } });
    const path = `${t.path('configmaps')}?fieldSelector=metadata.name%3Da`;
    const list = await t.rest.get(path, { accept: partialList });
    has(list, { kind: 'PartialObjectMetadataList', apiVersion: 'meta.k8s.io/v1' });
    has(list, { 'items.0.metadata.name': 'a', 'items.0.data': undefined });
    has(list, { 'items.0.kind': 'PartialObjectMetadata' });
  },
  'a watch of PartialObjectMetadata': async (t) => {
    const { path, apiVersion } = await t.define(widgets());
    await t.rest.post(path, widget(apiVersion, 'a'));
    const watch = await t.rest.watch(path, { accept: partial });
    const event = await watch.next();
    has(event, { type: 'ADDED', 'object.kind': 'PartialObjectMetadata' });
    has(event, { 'object.spec': undefined, 'object.metadata.name': 'a' });
  },
  'an accept list takes the first that can be had': async (t) => {
    await t.rest.post(t.path('configmaps'), configMap('a'));
    const accept = `application/x-nonsense,${table},application/json`;
    has(await t.rest.get(t.path('configmaps/a'), { accept }), { kind: 'Table' });
    const whatever = await t.rest.get(t.path('configmaps/a'), { accept: '*/*' });
    has(whatever, { kind: 'ConfigMap' });
  },
  'answers in YAML': async (t) => {
    await t.rest.post(t.path('configmaps'), configMap('a'));
    const accept = 'application/yaml';
    const answer = await t.rest.send('GET', t.path('configmaps/a'), undefined, { accept });
    assert.equal(answer.headers['content-type'], 'application/yaml');
    assert.match(answer.text, /^apiVersion: v1\ndata:\n {2}a: "1"\nkind: ConfigMap\n/);
  },
  'fieldValidation=Strict names every unknown and doubled field': async (t) => {
    const body = changed(deployment('a'), { 'spec.nonsense': 1, 'spec.template.spec.wrong': {} });
    const path = `${t.path('apps/v1/deployments')}?fieldValidation=Strict`;
    const answer = await t.rest.send('POST', path, body);
    refused(answer, 400, 'BadRequest');
    t.recorded('unknown', answer.body);
    const twice = '{"metadata":{"name":"a"},"data":{"x":"1","x":"2"}}';
    const maps = `${t.path('configmaps')}?fieldValidation=Strict`;
    const doubled = await t.rest.send('POST', maps, twice);
    refused(doubled, 400, 'BadRequest');
    t.recorded('doubled', doubled.body);
  },
  'fieldValidation=Warn takes the object and warns': async (t) => {
    const body = changed(deployment('a'), { 'spec.nonsense': 1 });
    const path = `${t.path('apps/v1/deployments')}?fieldValidation=Warn`;
    const answer = await t.rest.send('POST', path, body);
    assert.equal(answer.status, 201);
    assert.equal(warnings(answer), '299 - "unknown field \\"spec.nonsense\\""');
    has(answer.body, { 'spec.nonsense': undefined });
  },
  'without fieldValidation the server warns, with Ignore it is silent': async (t) => {
    const body = changed(configMap('a'), { nonsense: 1 });
    const first = await t.rest.send('POST', t.path('configmaps'), body);
    assert.equal(warnings(first), '299 - "unknown field \\"nonsense\\""');
    const path = `${t.path('configmaps/a')}?fieldValidation=Ignore`;
    assert.equal(warnings(await t.rest.send('PUT', path, body)), '');
  },
  'fieldValidation of custom objects, and of patches': async (t) => {
    const { path, apiVersion } = await t.define(widgets());
    const body = changed(widget(apiVersion, 'a'), { 'spec.nonsense': 1, 'spec.deep': { a: 1 } });
    const answer = await t.rest.send('POST', `${path}?fieldValidation=Strict`, body);
    refused(answer, 400, 'BadRequest');
    t.recorded('create', answer.body);
    await t.rest.post(path, widget(apiVersion, 'a'));
    const type = 'application/merge-patch+json';
    const one = `${path}/a?fieldValidation=Strict`;
    const patched = await t.rest.send('PATCH', one, { spec: { odd: 1 } }, { type });
    refused(patched, 422, 'Invalid');
    t.recorded('patch', patched.body);
  },
  'a field of the wrong type is refused with its place': async (t) => {
    const body = changed(deployment('a'), { 'spec.replicas': 'many' });
    const answer = await t.rest.send('POST', t.path('apps/v1/deployments'), body);
    refused(answer, 400, 'BadRequest');
    assert.match(textAt(answer.body, 'message'), /^Deployment in version "v1" cannot be handled/);
    assert.match(textAt(answer.body, 'message'), /spec\.replicas/);
  },
  'answers say what they are': async (t) => {
    const answer = await t.rest.send('GET', t.path('configmaps'));
    assert.equal(answer.headers['content-type'], 'application/json');
    assert.ok((answer.headers['audit-id'] ?? '') !== '');
    assert.match(answer.headers['cache-control'] ?? '', /no-cache, private/);
  },
  'a request is read whether or not it asks for compression': async (t) => {
    const headers = { 'accept-encoding': 'identity' };
    const answer = await t.rest.send('GET', t.path('pods'), undefined, { headers });
    has(answer.body, { kind: 'PodList' });
    await t.until('the default service account', async () =>
      (await t.rest.send('GET', t.path('serviceaccounts/default'))).status === 200
        ? true
        : undefined,
    );
    const made = await t.rest.post(t.path('pods'), pod('a'));
    has(made, { 'status.phase': 'Pending' });
  },
});
