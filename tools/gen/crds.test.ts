import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { Value } from 'typebox/value';
import { kinds } from '../../src/api/kinds/all.ts';
import { crdOf } from '../../src/api/kinds/crd.ts';
import type { JsonObject } from '../../src/embedded/schema/api.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import { readSamples } from '../../test/kubernetes/samples/samples.ts';
import { crdFiles } from './crds.ts';

test('deploy/crds has a manifest of every kind and nothing else', () => {
  const there = readdirSync(join(import.meta.dirname, '../../deploy/crds')).toSorted();
  const files = crdFiles.map(([path]) => path.replace('deploy/crds/', ''));
  assert.deepEqual(there, files.toSorted());
});

const samples = readSamples();
const library = createSchemaLibrary();

for (const definition of kinds) {
  test(`${definition.kind}: the embedded server takes the manifest and its samples`, () => {
    const served = library.ofDefinition(crdOf(definition) as unknown as JsonObject);
    assert.ok(!('errors' in served), JSON.stringify(served));
    const [{ schema }] = served as unknown as readonly [(typeof served)[number]];
    const taken = new Map<string, JsonObject>();
    for (const { title, object: sent, refused } of samples.filter(
      ({ object }) => object.kind === definition.kind,
    )) {
      const { object, unknown } = schema.prepare(sent as unknown as JsonObject);
      const { name } = sent.metadata;
      const errors = schema.validate(object, taken.get(name));
      assert.deepEqual(unknown, [], title);
      if (refused === undefined) {
        assert.deepEqual(errors, [], title);
        taken.set(name, object);
      } else {
        const said = errors.map(({ field, message }) => `${field}: ${message}`);
        assert.ok(
          said.some((one) => one.includes(refused)),
          `${title}: ${said.join(', ')}`,
        );
      }
    }
  });
}

for (const { title, definition, object, refused } of samples) {
  test(`${title}, as the schema says`, () => {
    const fits = Value.Check(definition.spec, object.spec);
    if (refused === undefined) {
      assert.ok(fits, JSON.stringify(Value.Errors(definition.spec, object.spec)));
      return;
    }
    // Refused by the schema, as a duplicate in a list, or by a rule with just this message.
    const isDuplicate = /^spec\.\w+\[\d+\]$/.test(refused);
    const rules = JSON.stringify(crdOf(definition));
    if (fits && !isDuplicate) assert.ok(rules.includes(`"message":"${refused}"`), refused);
    if (!fits) assert.match(refused, /^spec\./);
  });
}

test('every kind has samples of both sorts, and changes refer to what was made before', () => {
  for (const { kind } of kinds) {
    const own = samples.filter(({ object }) => object.kind === kind);
    assert.ok(
      own.some(({ refused }) => refused === undefined),
      kind,
    );
    assert.ok(
      own.some(({ refused }) => refused !== undefined),
      kind,
    );
    const made = own.filter(({ refused, change }) => refused === undefined && !change);
    for (const { change, object, title } of own) {
      const { name } = object.metadata;
      const isMade = made.some((one) => one.object.metadata.name === name);
      if (change) assert.ok(isMade, title);
    }
  }
});

test('every rule of a kind has a sample that it refuses', () => {
  const wanted = kinds.flatMap((definition) => {
    const found = [...JSON.stringify(crdOf(definition)).matchAll(/"message":"([^"]+)"/g)];
    return found.map(([, message]) => `${definition.kind}: ${message}`);
  });
  const refused = samples.map(({ object, refused: text }) => `${object.kind}: ${text}`);
  // The same rule in several kinds is tried in one of them.
  // A rule about the status is tried by controllers' tests: samples have none.
  const once = /a name has at most 63|cannot be changed|cannot become|would be Healthy/;
  const missing = wanted.filter((one) => !refused.includes(one) && !once.test(one));
  assert.deepEqual([...new Set(missing)], []);
});
