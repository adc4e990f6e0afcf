/** Custom kinds: being defined, pruned, filled in, checked; their sub-resources; their end. */
import assert from 'node:assert/strict';
import { type CaseContext, cases } from '../case.ts';
import { at, changed, type Doc, has, listAt, textAt } from '../document.ts';
import { type Answer, namesOf, refused } from '../rest.ts';
import { widget, widgets } from './made.ts';

const crds = '/apis/apiextensions.k8s.io/v1/customresourcedefinitions';
const schemaPath = 'spec.versions.0.schema.openAPIV3Schema';

function sent(t: CaseContext, definition: Doc): Promise<Answer> {
  const group = `${t.namespace}.example.com`;
  const crd = changed(
    { apiVersion: 'apiextensions.k8s.io/v1', kind: 'CustomResourceDefinition', ...definition },
    { 'metadata.name': `${textAt(definition, 'spec.names.plural')}.${group}`, 'spec.group': group },
  );
  return t.rest.send('POST', crds, crd);
}

/** Refusals of many bad specs, in one recording each. */
async function refusals(t: CaseContext, schema: Doc, specs: readonly unknown[]): Promise<void> {
  const { path, apiVersion } = await t.define(widgets(schema));
  for (const spec of specs) {
    const body = { apiVersion, kind: 'Widget', metadata: { name: 'a' }, spec };
    const answer = await t.rest.send('POST', path, body);
    refused(answer, 422, 'Invalid', /^Widget\.case-\d+\.example\.com "a" is invalid: /);
    t.recorded(JSON.stringify(spec), causesOf(answer));
  }
}

/** By field, without what a real server says a second time in other words. */
function causesOf(answer: Answer): readonly string[] {
  return listAt(answer.body, 'details.causes')
    .map((one) => `${one['field']}: ${one['reason']}: ${one['message']}`)
    .filter((one) => !one.includes('Checked value must be of type'))
    .toSorted();
}

const object = (properties: Doc, more: Doc = {}): Doc => ({ type: 'object', properties, ...more });

export const definitionCases = cases('definitions', {
  'a definition is established, with names and stored versions': async (t) => {
    const { crdPath } = await t.define(widgets());
    const crd = await t.rest.get(crdPath);
    const conditions = listAt(crd, 'status.conditions').map(
      (one) => `${one['type']} ${one['status']} ${one['reason']}: ${one['message']}`,
    );
    assert.deepEqual(conditions.toSorted(), [
      'Established True InitialNamesAccepted: the initial names have been accepted',
      'NamesAccepted True NoConflicts: no conflicts found',
    ]);
    has(crd, { 'status.storedVersions': ['v1'], 'spec.conversion': { strategy: 'None' } });
    assert.deepEqual(at(crd, 'status.acceptedNames'), at(crd, 'spec.names'));
  },
  'names left out are filled in': async (t) => {
    const names = { plural: 'widgets', kind: 'Widget' };
    const { crdPath } = await t.define(changed(widgets(), { 'spec.names': names }));
    const crd = await t.rest.get(crdPath);
    has(crd, { 'spec.names': { ...names, singular: 'widget', listKind: 'WidgetList' } });
  },
  'the name must be plural.group': async (t) => {
    const crd = changed(widgets(), {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      'metadata.name': 'gadgets.example.com',
      'spec.group': 'example.com',
    });
    const answer = await t.rest.send('POST', crds, crd);
    refused(answer, 422, 'Invalid');
    t.recorded('refusal', answer.body);
  },
  'schemas that are not structural are refused': async (t) => {
    const bad: Record<string, Doc> = {
      'no type': { [`${schemaPath}.properties.spec`]: { properties: {} } },
      'no schema': { 'spec.versions.0.schema': undefined },
      'default of the wrong type': {
        [`${schemaPath}.properties.spec.properties.size.default`]: 'big',
      },
      'reserved ref': { [`${schemaPath}.properties.spec`]: { type: 'object', $ref: '#/a' } },
      'no storage version': { 'spec.versions.0.storage': false },
      'bad scope': { 'spec.scope': 'Galaxy' },
    };
    for (const [label, change] of Object.entries(bad)) {
      const answer = await sent(t, changed(widgets(), change));
      refused(answer, 422, 'Invalid');
      const causes = listAt(answer.body, 'details.causes');
      t.recorded(
        label,
        causes.map((one) => `${one['field']}: ${one['reason']}`),
      );
    }
  },
  'CEL that does not compile is refused': async (t) => {
    const rule = { rule: 'self.nonsense > 3', message: 'no' };
    const definition = widgets(
      object(
        { size: { type: 'integer' } },
        {
          'x-kubernetes-validations': [rule],
        },
      ),
    );
    const answer = await sent(t, definition);
    refused(answer, 422, 'Invalid', /compilation failed: .*undefined field 'nonsense'/s);
    assert.ok(textAt(answer.body, 'details.causes.0.field').includes('x-kubernetes-validations'));
  },
  'unknown fields are pruned': async (t) => {
    const { path, apiVersion } = await t.define(widgets());
    const body = changed(widget(apiVersion, 'a'), { 'spec.odd': 1, odd: { a: 1 } });
    const made = await t.rest.post(path, body);
    has(made, { spec: { size: 1, note: 'none' }, odd: undefined });
  },
  'x-kubernetes-preserve-unknown-fields keeps them': async (t) => {
    const schema = object(
      { known: object({ a: { type: 'string' } }) },
      { 'x-kubernetes-preserve-unknown-fields': true },
    );
    const { path, apiVersion } = await t.define(widgets(schema));
    const spec = { odd: { deep: [1] }, known: { a: 'b', odd: 1 } };
    const made = await t.rest.post(path, widget(apiVersion, 'a', spec));
    has(made, { spec: { odd: { deep: [1] }, known: { a: 'b' } } });
  },
  'int-or-string and embedded resources': async (t) => {
    const schema = object({
      port: { 'x-kubernetes-int-or-string': true },
      inner: {
        type: 'object',
        'x-kubernetes-embedded-resource': true,
        'x-kubernetes-preserve-unknown-fields': true,
      },
    });
    const { path, apiVersion } = await t.define(widgets(schema));
    const inner = { apiVersion: 'v1', kind: 'Thing', metadata: { name: 'x' }, data: { a: 1 } };
    has(await t.rest.post(path, widget(apiVersion, 'a', { port: 80, inner })), {
      spec: { port: 80, inner },
    });
    has(await t.rest.post(path, widget(apiVersion, 'b', { port: 'http' })), {
      spec: { port: 'http' },
    });
    const bad = await t.rest.send('POST', path, widget(apiVersion, 'c', { port: true }));
    refused(bad, 422, 'Invalid');
    t.recorded('port', bad.body);
    const body = widget(apiVersion, 'd', { inner: { data: {} } });
    const nameless = await t.rest.send('POST', path, body);
    refused(nameless, 422, 'Invalid');
    t.recorded('inner', nameless.body);
  },
  'defaults are filled in, in lists and after patches too': async (t) => {
    const { path, apiVersion } = await t.define(widgets());
    const made = await t.rest.post(path, widget(apiVersion, 'a', { parts: [{ name: 'x' }] }));
    has(made, { spec: { note: 'none', parts: [{ name: 'x', weight: 1 }] } });
    const now = await t.rest.patch(`${path}/a`, { spec: { note: null } });
    has(now, { 'spec.note': 'none' });
  },
  'null is pruned unless it is allowed': async (t) => {
    const schema = object({
      a: { type: 'string', default: 'x' },
      b: { type: 'string', nullable: true },
      c: { type: 'string' },
    });
    const { path, apiVersion } = await t.define(widgets(schema));
    const made = await t.rest.post(path, widget(apiVersion, 'a', { a: null, b: null }));
    has(made, { spec: { a: 'x', b: null } });
    const other = await t.rest.post(path, widget(apiVersion, 'b', { c: null }));
    has(other, { spec: { a: 'x' } });
  },
  'an object without a spec gets no defaults below it': async (t) => {
    const { path, apiVersion } = await t.define(widgets());
    const made = await t.rest.post(path, { apiVersion, kind: 'Widget', metadata: { name: 'a' } });
    has(made, { spec: undefined });
  },
  'words of validation: numbers, enums and types': (t) =>
    refusals(
      t,
      object({
        n: { type: 'integer', minimum: 1, maximum: 5 },
        open: { type: 'number', minimum: 0, exclusiveMinimum: true },
        step: { type: 'number', multipleOf: 0.5 },
        colour: { type: 'string', enum: ['red', 'green'] },
        flag: { type: 'boolean' },
        list: { type: 'array', items: { type: 'integer' } },
        map: { type: 'object', additionalProperties: { type: 'string' } },
      }),
      [
        { n: 0 },
        { n: 6 },
        { n: 'two' },
        { n: 1.5 },
        { open: 0 },
        { step: 0.7 },
        { colour: 'blue' },
        { flag: 'yes' },
        { list: 'x' },
        { list: ['x'] },
        { map: { a: 1 } },
        { n: 9, colour: 'x' },
        'text',
        [],
      ],
    ),
  'words of validation: texts, lists and objects': (t) =>
    refusals(
      t,
      object({
        s: { type: 'string', minLength: 2, maxLength: 4 },
        p: { type: 'string', pattern: '^[a-z]+$' },
        when: { type: 'string', format: 'date-time' },
        l: { type: 'array', minItems: 1, maxItems: 2, items: { type: 'string' } },
        set: { type: 'array', items: { type: 'string' }, 'x-kubernetes-list-type': 'set' },
        o: object(
          {},
          {
            additionalProperties: { type: 'string' },
            properties: undefined,
            minProperties: 1,
            maxProperties: 1,
          },
        ),
        need: object({ a: { type: 'string' }, b: { type: 'string' } }, { required: ['a', 'b'] }),
      }),
      [
        { s: 'a' },
        { s: 'abcde' },
        { p: 'A1' },
        { when: 'yesterday' },
        { l: [] },
        { l: ['a', 'b', 'c'] },
        { set: ['a', 'b', 'a'] },
        { o: {} },
        { o: { a: 'x', b: 'y' } },
        { need: {} },
        { need: { a: 'x' } },
      ],
    ),
  'words of validation: allOf, oneOf, anyOf, not, keys of lists': (t) =>
    refusals(
      t,
      object(
        {
          a: { type: 'string' },
          b: { type: 'string' },
          c: { type: 'integer', anyOf: [{ minimum: 10 }, { maximum: 2 }] },
          d: { type: 'integer', not: { enum: [3] } },
          parts: {
            type: 'array',
            items: object({ name: { type: 'string' } }, { required: ['name'] }),
            'x-kubernetes-list-type': 'map',
            'x-kubernetes-list-map-keys': ['name'],
          },
        },
        { oneOf: [{ required: ['a'] }, { required: ['b'] }] },
      ),
      [
        {},
        { a: 'x', b: 'y' },
        { a: 'x', c: 5 },
        { a: 'x', d: 3 },
        { a: 'x', parts: [{ name: 'n' }, { name: 'n' }] },
        { a: 'x', parts: [{}] },
      ],
    ),
  'a required spec is named': async (t) => {
    const change = { [`${schemaPath}.required`]: ['spec'] };
    const { path, apiVersion } = await t.define(changed(widgets(), change));
    const body = { apiVersion, kind: 'Widget', metadata: { name: 'a' } };
    const answer = await t.rest.send('POST', path, body);
    refused(answer, 422, 'Invalid');
    t.recorded('refusal', answer.body);
  },
  'the name of a custom object is checked': async (t) => {
    const { path, apiVersion } = await t.define(widgets());
    const answer = await t.rest.send('POST', path, widget(apiVersion, 'Bad_Name'));
    refused(answer, 422, 'Invalid');
    t.recorded('refusal', answer.body);
  },
  'a metadata schema may bound the name': async (t) => {
    const metadata = object({ name: { type: 'string', maxLength: 3 } });
    const definition = changed(widgets(), { [`${schemaPath}.properties.metadata`]: metadata });
    const { path, apiVersion } = await t.define(definition);
    await t.rest.post(path, widget(apiVersion, 'abc'));
    const answer = await t.rest.send('POST', path, widget(apiVersion, 'abcd'));
    refused(answer, 422, 'Invalid');
    t.recorded('refusal', answer.body);
  },
  'cluster-scoped kinds have no namespace': async (t) => {
    const { path, apiVersion } = await t.define(changed(widgets(), { 'spec.scope': 'Cluster' }));
    const made = await t.rest.post(path, widget(apiVersion, 'a'));
    has(made, { 'metadata.namespace': undefined });
    assert.deepEqual(namesOf(await t.rest.get(path)), ['a']);
  },
  'a kind without a status sub-resource has none': async (t) => {
    const { path, apiVersion } = await t.define(widgets(undefined, { subresources: undefined }));
    const made = await t.rest.post(path, changed(widget(apiVersion, 'a'), { 'status.count': 2 }));
    has(made, { 'status.count': 2, 'metadata.generation': 1 });
    assert.equal((await t.rest.send('GET', `${path}/a/status`)).status, 404);
    const now = await t.rest.patch(`${path}/a`, { status: { count: 3 } });
    has(now, { 'metadata.generation': 2 });
  },
  'scale shows and sets the replicas': async (t) => {
    const schema = object({ replicas: { type: 'integer' }, size: { type: 'integer' } });
    const status = object({ replicas: { type: 'integer' }, selector: { type: 'string' } });
    const scale = {
      specReplicasPath: '.spec.replicas',
      statusReplicasPath: '.status.replicas',
      labelSelectorPath: '.status.selector',
    };
    const definition = widgets(schema, { subresources: { status: {}, scale } });
    const change = { [`${schemaPath}.properties.status`]: status };
    const { path, apiVersion } = await t.define(changed(definition, change));
    await t.rest.post(path, widget(apiVersion, 'a', { replicas: 2 }));
    const reported = { status: { replicas: 1, selector: 'a=b' } };
    await t.rest.patch(`${path}/a/status`, reported);
    const shown = await t.rest.get(`${path}/a/scale`);
    has(shown, { kind: 'Scale', apiVersion: 'autoscaling/v1', spec: { replicas: 2 } });
    has(shown, { status: { replicas: 1, selector: 'a=b' }, 'metadata.name': 'a' });
    const now = await t.rest.put(`${path}/a/scale`, changed(shown, { 'spec.replicas': 5 }));
    has(now, { 'spec.replicas': 5 });
    await t.rest.patch(`${path}/a/scale`, { spec: { replicas: 7 } });
    has(await t.rest.get(`${path}/a`), { 'spec.replicas': 7, 'metadata.generation': 3 });
  },
  'selectable fields select, in lists and watches': async (t) => {
    const selectableFields = [{ jsonPath: '.spec.colour' }, { jsonPath: '.spec.size' }];
    const { path, apiVersion } = await t.define(widgets(undefined, { selectableFields }));
    await t.rest.post(path, widget(apiVersion, 'a', { colour: 'red', size: 1 }));
    await t.rest.post(path, widget(apiVersion, 'b', { colour: 'green', size: 1 }));
    const query = (text: string): string => `fieldSelector=${encodeURIComponent(text)}`;
    const names = async (text: string): Promise<readonly string[]> =>
      namesOf(await t.rest.get(`${path}?${query(text)}`));
    assert.deepEqual(await names('spec.colour=red'), ['a']);
    assert.deepEqual(await names('spec.size=1,spec.colour!=red'), ['b']);
    const list = await t.rest.get(path);
    const version = textAt(list, 'metadata.resourceVersion');
    const watch = await t.rest.watch(
      `${path}?${query('spec.colour=green')}&resourceVersion=${version}`,
    );
    await t.rest.patch(`${path}/a`, { spec: { colour: 'green' } });
    await t.rest.patch(`${path}/b`, { spec: { colour: 'red' } });
    const events = await watch.until((event) => event.type === 'DELETED');
    assert.deepEqual(
      events.map((event) => `${event.type} ${textAt(event.object, 'metadata.name')}`),
      ['ADDED a', 'DELETED b'],
    );
  },
  'a changed schema holds for later writes': async (t) => {
    const { path, apiVersion, crdPath } = await t.define(widgets());
    await t.rest.post(path, widget(apiVersion, 'a'));
    const place = '/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/extra';
    const value = { type: 'string', default: 'new' };
    await t.rest.patch(crdPath, [{ op: 'add', path: place, value }], 'json');
    await t.until('the new schema', async () => {
      const made = await t.rest.post(`${path}?dryRun=All`, widget(apiVersion, 'b'));
      return at(made, 'spec.extra') === 'new' ? true : undefined;
    });
    // What was stored before is filled in when it is read.
    has(await t.rest.get(`${path}/a`), { 'spec.extra': 'new' });
  },
  'two versions of one kind show the same objects': async (t) => {
    const first = at(widgets(), 'spec.versions.0');
    const versions = [first, changed(first, { name: 'v2', storage: false })];
    const { path, group } = await t.define(changed(widgets(), { 'spec.versions': versions }));
    await t.rest.post(path, widget(`${group}/v1`, 'a'));
    const other = path.replace('/v1/', '/v2/');
    const shown = await t.rest.get(`${other}/a`);
    has(shown, { apiVersion: `${group}/v2`, 'spec.size': 1 });
    await t.rest.patch(`${other}/a`, { spec: { size: 4 } });
    has(await t.rest.get(`${path}/a`), { apiVersion: `${group}/v1`, 'spec.size': 4 });
  },
  'the end of a definition ends its objects': async (t) => {
    const { path, apiVersion, crdPath } = await t.define(widgets());
    const finalizers = ['example.com/hold'];
    const body = changed(widget(apiVersion, 'a'), { 'metadata.finalizers': finalizers });
    await t.rest.post(path, body);
    await t.rest.delete(crdPath);
    await t.until('the object to be marked', async () =>
      at(await t.rest.get(`${path}/a`), 'metadata.deletionTimestamp') === undefined
        ? undefined
        : true,
    );
    has(await t.rest.get(crdPath), {
      'metadata.finalizers': ['customresourcecleanup.apiextensions.k8s.io'],
    });
    await t.rest.patch(`${path}/a`, { metadata: { finalizers: null } });
    await t.until('the definition to be gone', async () =>
      (await t.rest.send('GET', crdPath)).status === 404 ? true : undefined,
    );
    await t.until('its path to be gone', async () =>
      (await t.rest.send('GET', path)).status === 404 ? true : undefined,
    );
  },
  'a name that another definition has is not accepted': async (t) => {
    const { group } = await t.define(widgets());
    const crd = changed(widgets(), {
      apiVersion: 'apiextensions.k8s.io/v1',
      kind: 'CustomResourceDefinition',
      'metadata.name': `others.${group}`,
      'spec.group': group,
      'spec.names': { plural: 'others', singular: 'other', kind: 'Widget', listKind: 'OtherList' },
    });
    await t.rest.post(crds, crd);
    const condition = await t.until('NamesAccepted to be said', async () => {
      const now = await t.rest.get(`${crds}/others.${group}`);
      const all = (at(now, 'status.conditions') ?? []) as readonly Doc[];
      return all.find((one) => one['type'] === 'NamesAccepted');
    });
    has(condition, { status: 'False', reason: 'KindConflict' });
    t.recorded('condition', condition);
  },
});
