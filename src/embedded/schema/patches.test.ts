import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { Json, JsonObject } from './api.ts';
import { createSchemaLibrary } from './library.ts';
import { equal, isObject } from './json.ts';
import { jsonPatch, mergePatch } from './patches.ts';

const library = createSchemaLibrary();
const podSchema = library.builtIns().find(({ kind }) => kind === 'Pod')?.schema;
assert.ok(podSchema);

const leaf = fc.oneof(fc.integer(), fc.string(), fc.boolean());
const tree = fc.letrec<{ value: Json; object: JsonObject }>((tie) => ({
  value: fc.oneof({ maxDepth: 3 }, leaf, fc.array(leaf, { maxLength: 3 }), tie('object')),
  object: fc.dictionary(fc.constantFrom('a', 'b', 'c', '__proto__'), tie('value')),
})).object;

/** The patch that turns one object into another. */
function difference(from: JsonObject, to: JsonObject): JsonObject {
  const out = new Map<string, Json>();
  for (const key of Object.keys(from)) if (!Object.hasOwn(to, key)) out.set(key, null);
  for (const [key, value] of Object.entries(to)) {
    const before = Object.hasOwn(from, key) ? from[key] : undefined;
    if (equal(before, value)) continue;
    out.set(key, isObject(before) && isObject(value) ? difference(before, value) : value);
  }
  return Object.fromEntries(out);
}

describe('merge patch', () => {
  test('turns one object into another, and changes neither of its arguments', () => {
    fc.assert(
      fc.property(tree, tree, (from, to) => {
        const [before, patch] = [JSON.stringify(from), difference(from, to)];
        assert.ok(equal(mergePatch(from, patch), to));
        assert.equal(JSON.stringify(from), before);
      }),
    );
  });

  test('done twice is done once', () => {
    fc.assert(
      fc.property(tree, tree, (object, patch) => {
        const once = mergePatch(object, patch);
        assert.ok(equal(mergePatch(once, patch), once));
      }),
    );
  });

  test('a key named __proto__ is a key', () => {
    const patched = mergePatch({}, JSON.parse('{"__proto__":{"polluted":true}}') as JsonObject);
    assert.equal(Object.hasOwn(patched, '__proto__'), true);
    assert.equal(({} as { polluted?: boolean }).polluted, undefined);
  });
});

describe('JSON patch', () => {
  test('does all operations or none', () => {
    const object = { a: 1, list: [1, 2] };
    const operations = [
      { op: 'test', path: '/a', value: 1 },
      { op: 'add', path: '/list/-', value: 3 },
      { op: 'move', from: '/a', path: '/b' },
      { op: 'copy', from: '/list/0', path: '/c' },
    ];
    assert.deepEqual(jsonPatch(object, operations), { b: 1, c: 1, list: [1, 2, 3] });
    const last = { op: 'remove', path: '/nowhere' };
    assert.throws(
      () => jsonPatch(object, [...operations, last]),
      /doc is missing path: "\/nowhere"/,
    );
    assert.deepEqual(object, { a: 1, list: [1, 2] });
  });

  for (const [name, operation] of Object.entries<JsonObject>({
    'a test that fails': { op: 'test', path: '/a', value: 2 },
    'an unknown operation': { op: 'burn', path: '/a' },
    'no pointer': { op: 'remove', path: 'a' },
    'no value': { op: 'add', path: '/b' },
    'the whole object': { op: 'replace', path: '', value: {} },
    'a prototype': { op: 'add', path: '/__proto__/x', value: 1 },
  })) {
    test(`refuses ${name}`, () => {
      assert.throws(() => jsonPatch({ a: 1 }, [operation]), { reason: 'Invalid' });
    });
  }
});

describe('strategic merge patch', () => {
  const pod = (containers: Json, more: JsonObject = {}): JsonObject => ({
    spec: { containers, ...more },
  });
  const ab = [
    { name: 'a', image: '1' },
    { name: 'b', image: '1' },
  ];
  const merge = (current: JsonObject, patch: JsonObject): Json | undefined =>
    podSchema.strategicMerge(current, patch)['spec'];

  test('lists are merged by their key', () => {
    const merged = merge(pod(ab), pod([{ name: 'b', image: '2' }, { name: 'c' }]));
    const containers = [ab[0] ?? null, { name: 'b', image: '2' }, { name: 'c' }];
    assert.deepEqual(merged, { containers });
  });

  test('directives: delete an item, replace the list, set its order', () => {
    const gone = merge(pod(ab), pod([{ name: 'a', $patch: 'delete' }]));
    assert.deepEqual(gone, { containers: [ab[1]] });
    const replaced = merge(pod(ab), pod([{ $patch: 'replace' }, { name: 'z' }]));
    assert.deepEqual(replaced, { containers: [{ name: 'z' }] });
    const order = [{ name: 'b' }, { name: 'c' }, { name: 'a' }];
    const patch = { spec: { containers: [{ name: 'c' }], '$setElementOrder/containers': order } };
    const names = (merge(pod(ab), patch) as { containers: { name: string }[] }).containers;
    assert.deepEqual(
      names.map(({ name }) => name),
      ['b', 'c', 'a'],
    );
  });

  test('maps: null takes a field away, replace takes all, retainKeys keeps some', () => {
    const volumes = [{ name: 'v', hostPath: { path: '/' } }];
    const retained = merge(
      pod(ab, { volumes }),
      pod([], { volumes: [{ name: 'v', emptyDir: {}, $retainKeys: ['name', 'emptyDir'] }] }),
    );
    assert.deepEqual((retained as JsonObject)['volumes'], [{ name: 'v', emptyDir: {} }]);
    const current = pod(ab, { nodeSelector: { x: '1', y: '2' } });
    const nodeSelector = (value: Json): Json | undefined =>
      (merge(current, { spec: { nodeSelector: value } }) as JsonObject)['nodeSelector'];
    assert.deepEqual(nodeSelector({ x: null, z: '3' }), { y: '2', z: '3' });
    assert.deepEqual(nodeSelector({ $patch: 'replace', z: '3' }), { z: '3' });
  });

  test('lists of texts: items are added before the others, and deleted', () => {
    const current = { metadata: { finalizers: ['a', 'b'] } };
    const patch = { metadata: { finalizers: ['c'], '$deleteFromPrimitiveList/finalizers': ['a'] } };
    const merged = podSchema.strategicMerge(current, patch);
    assert.deepEqual(merged, { metadata: { finalizers: ['c', 'b'] } });
  });

  test('refuses an item without its key and a directive nobody knows', () => {
    assert.throws(() => merge(pod(ab), pod([{ image: 'x' }])), /declared merge key: name/);
    assert.throws(() => merge(pod(ab), { spec: { $patch: 'burn' } }), { reason: 'Invalid' });
  });
});
