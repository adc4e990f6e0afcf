/** Server-side apply: who owns what, who conflicts with whom, what goes when nobody wants it. */
import assert from 'node:assert/strict';
import { type CaseContext, cases } from '../case.ts';
import { at, changed, type Doc, has, listAt } from '../document.ts';
import { type Answer, patchTypes, refused } from '../rest.ts';
import { configMap, deployment, widget, widgets } from './made.ts';

function applied(t: CaseContext, path: string, query: string, body: unknown): Promise<Answer> {
  return t.rest.send('PATCH', `${path}?${query}`, body, { type: patchTypes.apply });
}

/** Without those of controllers, which write when they like, in order of their managers. */
const managed = (doc: Doc): unknown =>
  listAt(doc, 'metadata.managedFields')
    .filter((one) => one['manager'] !== 'kube-controller-manager')
    .toSorted((a, b) => nameOf(a).localeCompare(nameOf(b)));

const nameOf = (entry: Doc): string => `${entry['manager']} ${entry['subresource'] ?? ''}`;

export const applyCases = cases('apply', {
  'apply creates with 201, and again with 200': async (t) => {
    const path = t.path('configmaps/a');
    const first = await applied(t, path, 'fieldManager=one', configMap('a'));
    assert.equal(first.status, 201);
    const second = await applied(t, path, 'fieldManager=one', configMap('a'));
    assert.equal(second.status, 200);
    assert.deepEqual(second.body, first.body);
    t.recorded('managed', managed(first.body));
  },
  'apply takes YAML': async (t) => {
    const yaml = 'apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  b: "2"\n';
    const answer = await applied(t, t.path('configmaps/a'), 'fieldManager=one', yaml);
    has(answer.body, { data: { b: '2' } });
  },
  'apply needs a fieldManager': async (t) => {
    const answer = await applied(t, t.path('configmaps/a'), '', configMap('a'));
    refused(answer, 422, 'Invalid');
    t.recorded('refusal', answer.body);
  },
  'apply needs apiVersion and kind': async (t) => {
    const body = { metadata: { name: 'a' }, data: {} };
    const answer = await applied(t, t.path('configmaps/a'), 'fieldManager=one', body);
    assert.equal(answer.status, 400);
    t.recorded('refusal', answer.body);
  },
  'apply with managedFields in it is refused': async (t) => {
    const made = await t.rest.apply(t.path('configmaps/a'), 'one', configMap('a'));
    const body = configMap('a', { a: '1' }, { managedFields: managed(made) });
    const answer = await applied(t, t.path('configmaps/a'), 'fieldManager=one', body);
    assert.equal(answer.status, 400);
    t.recorded('refusal', answer.body);
  },
  'two managers own what each applied; equal values are shared': async (t) => {
    const path = t.path('configmaps/a');
    await t.rest.apply(path, 'one', configMap('a', { a: '1', both: 'x' }));
    const now = await t.rest.apply(path, 'two', configMap('a', { b: '2', both: 'x' }));
    has(now, { data: { a: '1', b: '2', both: 'x' } });
    t.recorded('managed', managed(now));
  },
  'another value is a conflict that names managers and fields': async (t) => {
    const path = t.path('configmaps/a');
    await t.rest.apply(path, 'one', configMap('a', { a: '1', b: '1' }));
    const answer = await applied(t, path, 'fieldManager=two', configMap('a', { a: '2', b: '2' }));
    refused(answer, 409, 'Conflict');
    t.recorded('several', answer.body);
    const single = await applied(t, path, 'fieldManager=two', configMap('a', { a: '2' }));
    refused(single, 409, 'Conflict');
    t.recorded('single', single.body);
    has(await t.rest.get(path), { data: { a: '1', b: '1' } });
  },
  'force takes fields over': async (t) => {
    const path = t.path('configmaps/a');
    await t.rest.apply(path, 'one', configMap('a', { a: '1', b: '1' }));
    const query = 'fieldManager=two&force=true';
    const answer = await applied(t, path, query, configMap('a', { a: '2' }));
    has(answer.body, { data: { a: '2', b: '1' } });
    t.recorded('managed', managed(answer.body));
  },
  'a conflict with an update names its manager and time': async (t) => {
    const path = t.path('configmaps/a');
    await t.rest.apply(path, 'one', configMap('a', { a: '1' }));
    await t.rest.patch(`${path}?fieldManager=other`, { data: { a: '2' } });
    const answer = await applied(t, path, 'fieldManager=one', configMap('a', { a: '3' }));
    refused(answer, 409, 'Conflict');
    t.recorded('refusal', answer.body);
  },
  'what a manager no longer applies goes, unless another wants it': async (t) => {
    const path = t.path('configmaps/a');
    await t.rest.apply(path, 'one', configMap('a', { a: '1', both: 'x', c: '3' }));
    await t.rest.apply(path, 'two', configMap('a', { both: 'x' }));
    const now = await t.rest.apply(path, 'one', configMap('a', { a: '1' }));
    has(now, { data: { a: '1', both: 'x' } });
    t.recorded('managed', managed(now));
  },
  'what somebody else wrote stays when it is no longer applied': async (t) => {
    const path = t.path('configmaps/a');
    await t.rest.apply(path, 'one', configMap('a', { a: '1', b: '1' }));
    await t.rest.patch(`${path}?fieldManager=other`, { data: { b: '2' } });
    const now = await t.rest.apply(path, 'one', configMap('a', { a: '1' }));
    has(now, { data: { a: '1', b: '2' } });
  },
  'labels and annotations are owned one by one': async (t) => {
    const path = t.path('configmaps/a');
    const one = configMap('a', { a: '1' }, { labels: { x: '1' }, annotations: { y: '1' } });
    await t.rest.apply(path, 'one', one);
    const two = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'a', labels: { z: '2' } },
    };
    const now = await t.rest.apply(path, 'two', two);
    has(now, { 'metadata.labels': { x: '1', z: '2' } });
    t.recorded('managed', managed(now));
    const then = await t.rest.apply(path, 'one', configMap('a', { a: '1' }));
    has(then, { 'metadata.labels': { z: '2' }, 'metadata.annotations': undefined });
  },
  'finalizers are a set': async (t) => {
    const path = t.path('configmaps/a');
    const bare = { apiVersion: 'v1', kind: 'ConfigMap' };
    const body = (finalizer: string): Doc => ({
      ...bare,
      metadata: { name: 'a', finalizers: [finalizer] },
    });
    await t.rest.apply(path, 'one', body('example.com/a'));
    const now = await t.rest.apply(path, 'two', body('example.com/b'));
    has(now, { 'metadata.finalizers': ['example.com/a', 'example.com/b'] });
    t.recorded('managed', managed(now));
    const then = await t.rest.apply(path, 'one', { ...bare, metadata: { name: 'a' } });
    has(then, { 'metadata.finalizers': ['example.com/b'] });
    await t.rest.patch(path, { metadata: { finalizers: null } });
  },
  'containers are owned by name, their fields one by one': async (t) => {
    const path = t.path('apps/v1/deployments/a');
    const made = await t.rest.apply(path, 'one', deployment('a'));
    t.recorded('first', managed(made));
    const containers = [
      { name: 'main', env: [{ name: 'A', value: '1' }] },
      { name: 'side', image: 'side:1', ports: [{ containerPort: 80 }] },
    ];
    const body = {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'a' },
      spec: { template: { spec: { containers } } },
    };
    const now = await t.rest.apply(path, 'two', body);
    t.recorded('second', managed(now));
    const names = listAt(now, 'spec.template.spec.containers').map((one) => one['name']);
    assert.deepEqual(names, ['main', 'side']);
    const less = changed(body, { 'spec.template.spec.containers': [{ name: 'main' }] });
    const then = await t.rest.apply(path, 'two', less);
    has(then, {
      'spec.template.spec.containers.0.env': undefined,
      'spec.template.spec.containers.1': undefined,
    });
    t.recorded('third', managed(then));
  },
  'resources, selectors and key references are atomic or granular as declared': async (t) => {
    const body = changed(deployment('a'), {
      'spec.template.spec.containers': [
        {
          name: 'main',
          image: 'image:1',
          args: ['a', 'b'],
          resources: { limits: { cpu: '1' }, requests: { memory: '1Gi' } },
          env: [{ name: 'S', valueFrom: { secretKeyRef: { name: 's', key: 'k' } } }],
          volumeMounts: [{ name: 'v', mountPath: '/v' }],
        },
      ],
      'spec.template.spec.volumes': [{ name: 'v', emptyDir: {} }],
      'spec.template.spec.tolerations': [{ key: 'a', operator: 'Exists' }],
    });
    const made = await t.rest.apply(t.path('apps/v1/deployments/a'), 'one', body);
    t.recorded('managed', managed(made));
  },
  'lists of custom kinds: by keys, sets, atomic': async (t) => {
    const text = { type: 'string' };
    const schema = {
      type: 'object',
      properties: {
        parts: {
          type: 'array',
          'x-kubernetes-list-type': 'map',
          'x-kubernetes-list-map-keys': ['name'],
          items: {
            type: 'object',
            required: ['name'],
            properties: { name: text, colour: text, size: { type: 'integer' } },
          },
        },
        set: { type: 'array', 'x-kubernetes-list-type': 'set', items: text },
        plain: { type: 'array', items: text },
        whole: {
          type: 'object',
          'x-kubernetes-map-type': 'atomic',
          properties: { a: text, b: text },
        },
      },
    };
    const { path, apiVersion } = await t.define(widgets(schema));
    const one = widget(apiVersion, 'a', {
      parts: [{ name: 'x', colour: 'red' }],
      set: ['a', 'b'],
      plain: ['p'],
      whole: { a: '1' },
    });
    t.recorded('one', managed(await t.rest.apply(`${path}/a`, 'one', one)));
    const two = widget(apiVersion, 'a', {
      parts: [{ name: 'y' }, { name: 'x', size: 3 }],
      set: ['c'],
    });
    const now = await t.rest.apply(`${path}/a`, 'two', two);
    t.recorded('spec', at(now, 'spec'));
    t.recorded('two', managed(now));
    const plain = widget(apiVersion, 'a', { plain: ['q'], whole: { b: '2' } });
    const answer = await applied(t, `${path}/a`, 'fieldManager=two', plain);
    refused(answer, 409, 'Conflict');
    t.recorded('conflict', answer.body);
  },
  'the status is applied apart': async (t) => {
    const { path, apiVersion } = await t.define(widgets());
    await t.rest.apply(`${path}/a`, 'one', widget(apiVersion, 'a'));
    const body = {
      apiVersion,
      kind: 'Widget',
      metadata: { name: 'a' },
      spec: { size: 9 },
      status: { count: 3 },
    };
    const now = await t.rest.apply(`${path}/a/status`, 'reporter', body);
    has(now, { spec: { size: 1, note: 'none' }, status: { count: 3 } });
    t.recorded('managed', managed(now));
    const missing = await applied(t, `${path}/b/status`, 'fieldManager=reporter', body);
    assert.ok(missing.status >= 400);
  },
  'apply of nothing new keeps the version': async (t) => {
    const path = t.path('apps/v1/deployments/a');
    await t.rest.apply(path, 'one', deployment('a'));
    await t.until('the controller to have said all it says', async () => {
      const now = await t.rest.get(path);
      const conditions = (at(now, 'status.conditions') ?? []) as readonly Doc[];
      return at(now, 'status.observedGeneration') === 1 && conditions.length > 1 ? now : undefined;
    });
    const before = await t.rest.get(path);
    const now = await t.rest.apply(path, 'one', deployment('a'));
    assert.equal(at(now, 'metadata.generation'), at(before, 'metadata.generation'));
  },
  'apply with a resourceVersion is conditional': async (t) => {
    const path = t.path('configmaps/a');
    const made = await t.rest.apply(path, 'one', configMap('a'));
    await t.rest.patch(path, { data: { z: '1' } });
    const body = configMap(
      'a',
      { a: '2' },
      {
        resourceVersion: at(made, 'metadata.resourceVersion'),
      },
    );
    const answer = await applied(t, path, 'fieldManager=one', body);
    refused(answer, 409, 'Conflict', /the object has been modified/);
  },
  'apply with a uid creates nothing': async (t) => {
    const body = configMap('a', {}, { uid: '7d2f6a9e-0000-4000-8000-000000000000' });
    const answer = await applied(t, t.path('configmaps/a'), 'fieldManager=one', body);
    refused(answer, 409, 'Conflict');
    assert.equal((await t.rest.send('GET', t.path('configmaps/a'))).status, 404);
  },
  'dryRun of apply stores nothing': async (t) => {
    const query = 'fieldManager=one&dryRun=All';
    const answer = await applied(t, t.path('configmaps/a'), query, configMap('a'));
    assert.equal(answer.status, 201);
    assert.equal((await t.rest.send('GET', t.path('configmaps/a'))).status, 404);
  },
  'unknown fields of an applied object are refused or dropped': async (t) => {
    const body = { ...configMap('a'), nonsense: 1 };
    const strict = 'fieldManager=one&fieldValidation=Strict';
    const answer = await applied(t, t.path('configmaps/a'), strict, body);
    assert.ok(answer.status >= 400, answer.text);
    t.recorded('strict', { code: answer.status, message: at(answer.body, 'message') });
  },
  'updates are tracked: create, replace, patch, status, removal': async (t) => {
    const { path, apiVersion } = await t.define(widgets());
    const q = (manager: string): string => `?fieldManager=${manager}`;
    const body = changed(widget(apiVersion, 'a', { size: 1, colour: 'red' }), {
      'metadata.labels': { a: 'b' },
    });
    t.recorded('create', managed(await t.rest.post(`${path}${q('maker')}`, body)));
    const patch = { spec: { size: 2 }, metadata: { annotations: { c: 'd' } } };
    t.recorded('patch', managed(await t.rest.patch(`${path}/a${q('patcher')}`, patch)));
    const status = { status: { count: 1 } };
    t.recorded('status', managed(await t.rest.patch(`${path}/a/status${q('reporter')}`, status)));
    const drop = { spec: { colour: null } };
    t.recorded('removal', managed(await t.rest.patch(`${path}/a${q('dropper')}`, drop)));
    const current = await t.rest.get(`${path}/a`);
    const put = changed(current, { 'spec.size': 7, 'spec.parts': [{ name: 'p' }] });
    t.recorded('replace', managed(await t.rest.put(`${path}/a${q('putter')}`, put)));
  },
  'an empty managedFields forgets who owned what': async (t) => {
    const path = t.path('configmaps/a');
    await t.rest.apply(path, 'one', configMap('a'));
    const now = await t.rest.patch(path, { metadata: { managedFields: [{}] } });
    has(now, { 'metadata.managedFields': undefined });
    const then = await t.rest.apply(path, 'two', configMap('a'));
    t.recorded('managed', managed(then));
  },
  'the first apply over an unmanaged object shows before-first-apply': async (t) => {
    const path = t.path('configmaps/a');
    await t.rest.post(t.path('configmaps'), configMap('a', { a: '1', b: '2' }));
    const now = await t.rest.patch(path, { metadata: { managedFields: [{}] } });
    has(now, { 'metadata.managedFields': undefined });
    const answer = await applied(t, path, 'fieldManager=two', configMap('a', { a: '9' }));
    t.recorded('answer', { code: answer.status, message: at(answer.body, 'message') });
  },
});
