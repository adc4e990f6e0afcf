import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ObjectSchema, ServedResource } from './api.ts';
import { createSchemaLibrary } from './library.ts';

const text = { type: 'string' };

function schemaOf(spec: object): ObjectSchema {
  const resources = createSchemaLibrary().ofDefinition({
    metadata: { name: 'things.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural: 'things', kind: 'Thing' },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          schema: { openAPIV3Schema: { type: 'object', properties: { spec } } },
        },
      ],
    },
  } as never);
  assert.ok(Array.isArray(resources));
  const [resource] = resources as readonly ServedResource[];
  assert.ok(resource !== undefined);
  return resource.schema;
}

function object(spec: object) {
  return {
    apiVersion: 'example.com/v1',
    kind: 'Thing',
    metadata: { name: 'a' },
    spec: spec as { readonly [key: string]: string | string[] },
  };
}

test('an update is refused for what it changes, not for what was wrong before', () => {
  const rules = [{ rule: 'self.startsWith("a")' }];
  const schema = schemaOf({
    type: 'object',
    required: ['name'],
    properties: {
      name: { ...text, maxLength: 10, 'x-kubernetes-validations': rules },
      short: { ...text, maxLength: 2 },
      list: { type: 'array', items: { ...text, maxLength: 1 } },
      other: text,
    },
  });
  const fields = (now: object, old?: object): readonly string[] =>
    schema
      .validate(object(now), old === undefined ? undefined : object(old))
      .filter((error) => error.field !== '<nil>')
      .map((error) => error.field);
  const before = { name: 'xyz', short: 'long', list: ['long'] };
  assert.deepEqual(fields({ ...before, other: 'new' }, before), []);
  assert.deepEqual(fields({ ...before, short: 'longer' }, before), ['spec.short']);
  assert.deepEqual(fields({ ...before, list: ['long', 'x'] }, before), ['spec.list[0]']);
  assert.deepEqual(fields({ ...before, name: 'z' }, before), ['spec.name']);
  // What is missing is looked at again when anything beside it changes.
  assert.deepEqual(fields({ short: 'x' }, { short: 'y' }), ['spec.name']);
  assert.deepEqual(fields({ short: 'x' }, { short: 'x' }), []);
  assert.deepEqual(fields(before).toSorted(), ['spec.list[0]', 'spec.short']);
});
