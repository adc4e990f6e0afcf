import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Type } from 'typebox';
import { limits } from '../../base/limits.ts';
import { parseDuration } from '../../base/units.ts';
import { kinds } from './all.ts';
import { crdOf, type StructuralSchema, structural } from './crd.ts';
import { retentionText } from './retention.ts';

interface Node {
  readonly path: string;
  readonly schema: StructuralSchema;
}

function* nodes(schema: StructuralSchema, path: string): Generator<Node> {
  yield { path, schema };
  for (const [name, child] of Object.entries(schema.properties ?? {})) {
    yield* nodes(child, `${path}.${name}`);
  }
  if (schema.items !== undefined) yield* nodes(schema.items, `${path}[]`);
  const { additionalProperties } = schema;
  if (additionalProperties !== undefined) yield* nodes(additionalProperties, `${path}.*`);
}

/** What a structural schema may not have (Kubernetes, "Specifying a structural schema"). */
const forbidden = [
  '$ref',
  '$id',
  'definitions',
  'dependencies',
  'deprecated',
  'discriminator',
  'id',
  'patternProperties',
  'readOnly',
  'writeOnly',
  'uniqueItems',
  'allOf',
  'anyOf',
  'oneOf',
  'not',
  'const',
];

function fits(schema: StructuralSchema, value: unknown): boolean {
  if (schema.enum !== undefined) return schema.enum.includes(value as string);
  if (schema.type === 'boolean') return typeof value === 'boolean';
  if (schema.type === 'integer') return Number.isSafeInteger(value);
  if (schema.type !== 'string' || typeof value !== 'string') return false;
  if (value.length > (schema.maxLength ?? 0) || value.length < (schema.minLength ?? 0))
    return false;
  return schema.pattern === undefined || new RegExp(schema.pattern).test(value);
}

function checkBounds({ path, schema }: Node): void {
  if (schema.type === 'array') assert.ok(schema.maxItems !== undefined, `${path} is bounded`);
  if (schema.type === 'string' && schema.enum === undefined) {
    assert.ok(schema.maxLength !== undefined, `${path} has a length`);
  }
  if (schema.type === 'integer') {
    assert.ok(schema.maximum !== undefined && schema.maximum <= Number.MAX_SAFE_INTEGER, path);
  }
  if (schema.additionalProperties !== undefined) {
    assert.ok(schema.maxProperties !== undefined, `${path} is bounded`);
  }
}

function checkMap({ path, schema }: Node): void {
  const keys = schema['x-kubernetes-list-map-keys'];
  assert.equal(keys !== undefined, schema['x-kubernetes-list-type'] === 'map', path);
  for (const key of keys ?? []) {
    assert.ok(schema.items?.required?.includes(key), `${path}: ${key} is required`);
  }
}

/** The node that a simple JSON path leads to. */
function reached(schema: StructuralSchema, jsonPath: string): StructuralSchema | undefined {
  const steps = jsonPath
    .replaceAll(/\[[^\]]*\]/g, '.[]')
    .split('.')
    .slice(1);
  let at: StructuralSchema | undefined = schema;
  for (const step of steps) at = step === '[]' ? at?.items : at?.properties?.[step];
  return at;
}

const columnTypes: Readonly<Record<string, readonly string[]>> = {
  string: ['string'],
  integer: ['integer'],
  boolean: ['boolean'],
  date: ['string'],
};

for (const definition of kinds) {
  const { kind } = definition;
  const crd = crdOf(definition);
  const [served] = crd.spec.versions;
  const whole = served.schema.openAPIV3Schema;
  const all = [...nodes(whole, kind)];
  const own = all.filter(({ path }) => path !== `${kind}.metadata`);

  test(`${kind}: the schema is structural, bounded and explained`, () => {
    for (const node of own) {
      const { path, schema } = node;
      assert.ok(schema.type !== undefined, `${path} has a type`);
      for (const keyword of forbidden) assert.ok(!(keyword in schema), `${path}: ${keyword}`);
      assert.match(schema.description ?? '', /^[A-Z`0-9].*\.$/s, `${path} is explained`);
      const isRoot = /^\w+(\.(apiVersion|kind))?$/.test(path);
      if (!isRoot) checkBounds(node);
      checkMap(node);
    }
  });

  test(`${kind}: defaults are valid, and only where a field may be absent`, () => {
    for (const { path, schema } of own) {
      for (const [name, child] of Object.entries(schema.properties ?? {})) {
        if (child.default === undefined) continue;
        assert.ok(fits(child, child.default), `${path}.${name}`);
        assert.ok(!schema.required?.includes(name), `${path}.${name} is never absent`);
      }
    }
  });

  test(`${kind}: columns show fields that exist, and fit a terminal`, () => {
    const columns = served.additionalPrinterColumns;
    assert.equal(columns.at(-1)?.name, 'AGE');
    for (const { name, jsonPath, type } of columns.slice(0, -1)) {
      assert.match(name, /^[A-Z][A-Z-]*$/);
      const to = reached(whole, jsonPath);
      assert.ok(to !== undefined, `${name}: ${jsonPath}`);
      assert.ok(columnTypes[type]!.includes(to.type), `${name} is a ${type}`);
      if (type === 'date') assert.equal(to.format, 'date-time', name);
      // kubectl reads only the type of the condition in such filters.
      const condition = /@\.type=="(\w+)"/.exec(jsonPath)?.[1];
      if (condition === undefined) continue;
      assert.ok(
        definition.conditions.some(({ type: one }) => one === condition),
        condition,
      );
    }
    const narrow = columns.filter(({ priority }) => priority === undefined);
    // Three spaces between columns.
    const headers = narrow.reduce((sum, { name }) => sum + 3 + name.length, 'NAME'.length);
    assert.ok(headers <= 80, `${headers} characters of headers`);
  });

  test(`${kind}: names, rules and selectable fields are well-formed`, () => {
    const { names, scope } = crd.spec;
    assert.equal(crd.metadata.name, `${names.plural}.transship.dev`);
    assert.equal(scope === 'Namespaced', definition.namespaced);
    assert.equal(names.singular, kind.toLowerCase());
    assert.deepEqual(names.categories, ['transship']);
    for (const { schema, path } of own) {
      for (const { rule, message } of schema['x-kubernetes-validations'] ?? []) {
        assert.ok(rule.includes('self'), `${path}: ${rule}`);
        assert.doesNotMatch(message, /\n|\.$/, `${path}: a fragment of one line`);
      }
    }
    for (const path of definition.selectable ?? []) {
      const { type } = reached(whole, path) ?? {};
      assert.ok(type === 'string' || type === 'boolean' || type === 'integer', path);
    }
    assert.ok(definition.conditions.some(({ type }) => type === 'Ready'));
  });
}

test('names are taken once, and not by kinds of Kubernetes', () => {
  const names = kinds.flatMap(({ plural, singular, shortNames }) => [
    plural,
    singular,
    ...shortNames,
  ]);
  assert.equal(new Set(names).size, names.length);
  // Short names of kubectl's own resources that are near ours.
  const taken = ['cm', 'pv', 'pvc', 'po', 'rc', 'rs', 'sa', 'sc', 'sts', 'svc', 'no', 'ns', 'vs'];
  for (const { shortNames } of kinds) {
    for (const name of shortNames) assert.ok(!taken.includes(name), name);
  }
});

test('what runs to an end can be waited for', () => {
  const ending = [
    'SavedVersion',
    'Teleport',
    'Migration',
    'VolumeTransfer',
    'ImageTransfer',
    'Replication',
  ];
  const found = kinds.filter(({ conditions }) =>
    conditions.some((one) => one.type === 'Succeeded'),
  );
  assert.deepEqual(
    found.map(({ kind }) => kind),
    ending,
  );
});

test('a keyword that API servers do not take is refused', () => {
  const union = Type.Union([Type.String(), Type.Integer()]);
  assert.throws(() => structural(union), /anyOf/);
  assert.throws(() => structural(Type.Object({ a: union })), /anyOf/);
});

test('a record becomes additional properties', () => {
  const record = Type.Record(Type.String(), Type.Integer());
  const expected = { type: 'object', additionalProperties: { type: 'integer' } };
  assert.deepEqual(structural(record), expected);
});

test('retention is written with one unit, and reads back', () => {
  assert.equal(retentionText(0), '0');
  assert.equal(retentionText(5_400_000), '90m');
  assert.equal(retentionText(1), '1s');
  for (const ms of [limits.historySecondsMaxMs, limits.historyDaysMaxMs, 90_061_000]) {
    assert.match(retentionText(ms), /^[0-9]+[smhd]$/);
    assert.equal(parseDuration(retentionText(ms)), ms);
  }
});
