import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { FieldError, Json, JsonObject, ServedResource } from './api.ts';
import { createSchemaLibrary } from './library.ts';

const library = createSchemaLibrary();
const at = 'spec.validation.openAPIV3Schema';

function crdOf(spec: JsonObject, more: JsonObject = {}): JsonObject {
  const schema = { openAPIV3Schema: { type: 'object', properties: { spec } } };
  return {
    metadata: { name: 'things.test.dev' },
    spec: {
      group: 'test.dev',
      scope: 'Namespaced',
      names: { plural: 'things', kind: 'Thing' },
      versions: [{ name: 'v1', served: true, storage: true, schema, ...more }],
    },
  };
}

function errorsOf(spec: JsonObject): readonly FieldError[] {
  const result = library.ofDefinition(crdOf(spec));
  return 'errors' in result ? result.errors : [];
}

function thingOf(spec: JsonObject, more: JsonObject = {}): ServedResource {
  const result = library.ofDefinition(crdOf(spec, more));
  assert.ok(!('errors' in result), JSON.stringify(result));
  const [thing] = result;
  assert.ok(thing);
  return thing;
}

const object = (properties: JsonObject, more: JsonObject = {}): JsonObject => ({
  type: 'object',
  properties,
  ...more,
});
const text = { type: 'string' };
const rule = (expression: string): JsonObject => ({
  ...text,
  'x-kubernetes-validations': [{ rule: expression }],
});

describe('schemas that are not structural are refused', () => {
  for (const [name, spec, field] of [
    ['no type', object({ a: {} }), 'properties[spec].properties[a].type'],
    ['a list of nothing', object({ a: { type: 'array' } }), 'properties[spec].properties[a].items'],
    ['a reference', object({ a: { ...text, $ref: '#/x' } }), 'properties[spec].properties[a].$ref'],
    ['an unknown type', object({ a: { type: 'thing' } }), 'properties[spec].properties[a].type'],
    [
      'a type inside of anyOf',
      object({ a: { ...text, anyOf: [text] } }),
      'properties[spec].properties[a].anyOf[0].type',
    ],
    [
      'a field that only anyOf has',
      object({ a: text }, { anyOf: [{ properties: { b: {} } }] }),
      'properties[spec].anyOf[0].properties[b]',
    ],
    [
      'a list-map without keys',
      object({ a: { type: 'array', 'x-kubernetes-list-type': 'map', items: object({}) } }),
      'properties[spec].properties[a].x-kubernetes-list-map-keys',
    ],
    [
      'unique items',
      object({ a: { type: 'array', uniqueItems: true, items: text } }),
      'properties[spec].properties[a].uniqueItems',
    ],
    [
      'a default of another type',
      object({ a: { ...text, default: 1 } }),
      'properties[spec].properties[a].default',
    ],
    [
      'a rule that is no expression',
      object({ a: rule('self ==') }),
      'properties[spec].properties[a].x-kubernetes-validations[0].rule',
    ],
    [
      'a rule with an unknown function',
      object({ a: rule("frobnicate(self) == 'x'") }),
      'properties[spec].properties[a].x-kubernetes-validations[0].rule',
    ],
    [
      'a rule that is no question',
      object({ a: rule('self.size()') }),
      'properties[spec].properties[a].x-kubernetes-validations[0].rule',
    ],
  ] as const) {
    test(name, () => {
      assert.deepEqual(
        errorsOf(spec).map((error) => error.field),
        [`${at}.${field}`],
      );
    });
  }

  test('a definition whose name is not plural.group, and two versions stored', () => {
    const crd = crdOf(object({}));
    const [version] = (crd['spec'] as { versions: JsonObject[] }).versions;
    const spec = { ...(crd['spec'] as JsonObject), versions: [version ?? {}, version ?? {}] };
    const result = library.ofDefinition({ metadata: { name: 'other' }, spec });
    assert.ok('errors' in result);
    assert.deepEqual(
      result.errors.map((error) => error.field),
      ['metadata.name', 'spec.versions'],
    );
  });
});

describe('pruning and defaults', () => {
  const schema = thingOf(
    object({
      a: { ...text, default: 'x' },
      n: { ...text, nullable: true },
      inner: object({ b: { type: 'integer', default: 1 } }, { default: {} }),
      open: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
      any: { 'x-kubernetes-preserve-unknown-fields': true },
    }),
  ).schema;
  const prepare = (spec: Json, more: JsonObject = {}): ReturnType<typeof schema.prepare> =>
    schema.prepare({ apiVersion: 'test.dev/v1', kind: 'Thing', metadata: {}, spec, ...more });

  test('unknown fields go, and are named', () => {
    const { object: prepared, unknown } = prepare(
      { a: 'y', zzz: 1, inner: { b: 2, c: 3 }, open: { free: 1 }, any: [1] },
      { top: 1, metadata: { name: 'q', wrong: 1 } },
    );
    assert.deepEqual(prepared['spec'], { a: 'y', inner: { b: 2 }, open: { free: 1 }, any: [1] });
    assert.deepEqual(unknown, ['metadata.wrong', 'spec.zzz', 'spec.inner.c', 'top']);
  });

  test('defaults come in nested, and null counts as absent unless it may be null', () => {
    const { object: prepared } = prepare({ a: null, n: null });
    assert.deepEqual(prepared['spec'], { a: 'x', n: null, inner: { b: 1 } });
  });

  test('an object that is as it should be is given back as it is', () => {
    const whole = { metadata: {}, spec: { a: 'x', inner: { b: 1 } } };
    assert.equal(schema.prepare(whole).object, whole);
  });
});

describe('rules', () => {
  const words = (spec: Json, old: Json | undefined, properties: JsonObject): readonly string[] => {
    const { schema } = thingOf(object(properties));
    const of = (value: Json): JsonObject => ({
      apiVersion: 'v',
      kind: 'k',
      metadata: {},
      spec: value,
    });
    const before = old === undefined ? undefined : of(old);
    return schema.validate(of(spec), before).map((error) => `${error.field}: ${error.message}`);
  };

  test('oldSelf: only on updates, found again by the key of a list-map', () => {
    const items = object({ name: text, v: rule('self == oldSelf') }, { required: ['name'] });
    const list = {
      type: 'array',
      'x-kubernetes-list-type': 'map',
      'x-kubernetes-list-map-keys': ['name'],
      items,
    };
    const before = {
      list: [
        { name: 'a', v: '1' },
        { name: 'b', v: '1' },
      ],
    };
    const now = {
      list: [
        { name: 'b', v: '2' },
        { name: 'c', v: '2' },
      ],
    };
    assert.deepEqual(words(now, undefined, { list }), []);
    const expected = ['spec.list[0].v: Invalid value: "2": failed rule: self == oldSelf'];
    assert.deepEqual(words(now, before, { list }), expected);
  });

  test('functions of Kubernetes: quantities, lists, texts, URLs, reserved names', () => {
    const holds = (expression: string, value: Json): boolean =>
      words({ a: value }, undefined, {
        a: {
          'x-kubernetes-preserve-unknown-fields': true,
          type: 'object',
          properties: { namespace: text, 'x-y': { type: 'integer' } },
          'x-kubernetes-validations': [{ rule: expression }],
        },
      }).length === 0;
    const value = { q: '2Gi', list: [1, 2, 3], url: 'https://a.b:1/c', namespace: 'n', 'x-y': 7 };
    for (const [expression, expected] of [
      ["quantity(self.q).isGreaterThan(quantity('1Gi'))", true],
      ["quantity(self.q).add(quantity('1Gi')).compareTo(quantity('3Gi')) == 0", true],
      ["isQuantity('nope')", false],
      ['self.list.isSorted() && self.list.sum() == 6 && self.list.max() == 3', true],
      ['self.list.indexOf(2) == 1', true],
      ["url(self.url).getHost() == 'a.b:1'", true],
      ["self.__namespace__ == 'n' && self.x__dash__y == 7", true],
      ["'abcabc'.replace('b', 'x') == 'axcaxc' && 'a1b2'.findAll('[0-9]').size() == 2", true],
      ["isIP('1.2.3.4') && !isIP('1.2.3')", true],
      ["duration('90s') > duration('1m')", true],
    ] as const) {
      assert.equal(holds(expression, value), expected, expression);
    }
  });

  test('what the message says, and where', () => {
    const a = {
      ...object({ n: { type: 'integer' } }),
      'x-kubernetes-validations': [
        {
          rule: 'self.n > 1',
          messageExpression: "'n is ' + string(self.n)",
          fieldPath: '.n',
          reason: 'FieldValueForbidden',
        },
      ],
    };
    assert.deepEqual(words({ a: { n: 1 } }, undefined, { a }), ['spec.a.n: Forbidden: n is 1']);
  });
});

test('columns and scale of a definition', () => {
  const thing = thingOf(object({ n: { type: 'integer' } }), {
    subresources: {
      status: {},
      scale: { specReplicasPath: '.spec.n', statusReplicasPath: '.status.n' },
    },
    additionalPrinterColumns: [
      { name: 'N', type: 'integer', jsonPath: '.spec.n' },
      { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' },
      { name: 'Wide', type: 'string', jsonPath: '.spec.none', priority: 1 },
    ],
  });
  const created = { name: 'x', creationTimestamp: '2024-01-01T00:00:00Z' };
  const cells = thing.columns.map(({ value }) =>
    typeof value === 'function'
      ? value({ metadata: created, spec: { n: 3 } }, Date.parse('2024-01-01T01:00:00Z'))
      : value,
  );
  assert.deepEqual(cells, ['x', 3, '60m', null]);
  assert.deepEqual(thing.subresources.status, true);
  assert.equal(thing.subresources.scale?.specReplicasPath, '.spec.n');
  assert.equal(thing.singular, 'thing');
});
