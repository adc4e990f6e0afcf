import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { ApplyResult, Json, JsonObject, ManagedField } from './api.ts';
import { type FieldSet, readFieldsV1, writeFieldsV1 } from './field-set.ts';
import { at, equal } from './json.ts';
import { createSchemaLibrary } from './library.ts';

const library = createSchemaLibrary();
const schema = library.builtIns().find(({ kind }) => kind === 'Service')?.schema;
assert.ok(schema);

const apiVersion = 'v1';
const timeOf = (second: number): string => new Date(second * 1000).toISOString();

interface State {
  readonly live: JsonObject | undefined;
  readonly second: number;
}

function service(spec: JsonObject, labels?: JsonObject): JsonObject {
  const metadata = { name: 'x', ...(labels === undefined ? {} : { labels }) };
  return { apiVersion, kind: 'Service', metadata, spec };
}

function withManaged(object: JsonObject, managed: readonly ManagedField[]): JsonObject {
  const metadata = { ...(object['metadata'] as JsonObject), managedFields: managed };
  return { ...object, metadata: metadata as unknown as JsonObject };
}

function apply(state: State, manager: string, applied: JsonObject, force = true): ApplyResult {
  const time = timeOf(state.second);
  const request = { live: state.live, applied, manager, force, time, apiVersion };
  return schema!.apply({ ...request, subresource: undefined });
}

function applied(state: State, manager: string, object: JsonObject): State {
  const result = apply(state, manager, object);
  assert.ok(!('conflicts' in result), 'forced');
  const prepared = schema!.prepare(result.object).object;
  return { live: withManaged(prepared, result.managed), second: state.second + 1 };
}

function updated(state: State, manager: string, patch: JsonObject): State {
  const now = schema!.prepare(library.mergePatch(state.live ?? {}, patch)).object;
  const request = { before: state.live, now, manager, apiVersion, subresource: undefined };
  const managed = schema!.track({ ...request, time: timeOf(state.second) });
  return { live: withManaged(now, managed), second: state.second + 1 };
}

const nothing: State = { live: undefined, second: 0 };

function managersOf(state: State): readonly ManagedField[] {
  return (at(state.live, 'metadata', 'managedFields') ?? []) as unknown as ManagedField[];
}

function setOf(entry: ManagedField): FieldSet {
  const set = readFieldsV1(entry.fieldsV1);
  assert.ok(set);
  return set;
}

const port = fc.record(
  { port: fc.integer({ min: 1, max: 4 }), name: fc.constantFrom('a', 'b') },
  { requiredKeys: ['port'] },
);
const spec = fc.record(
  {
    ports: fc.uniqueArray(port, { selector: (one) => one.port, maxLength: 4 }),
    selector: fc.dictionary(fc.constantFrom('x', 'y'), fc.constantFrom('1', '2')),
    sessionAffinity: fc.constantFrom('None', 'ClientIP'),
    externalIPs: fc.uniqueArray(fc.constantFrom('1.1.1.1', '2.2.2.2'), { maxLength: 2 }),
  },
  { requiredKeys: [] },
) as fc.Arbitrary<JsonObject>;
const labels = fc.dictionary(fc.constantFrom('l', 'm'), fc.constantFrom('1', '2'));
const draft = fc.tuple(spec, labels).map(([one, two]) => service(one, two));
const manager = fc.constantFrom('m1', 'm2', 'm3');
const steps = fc.array(fc.tuple(manager, draft), { minLength: 1, maxLength: 6 });

const runAll = (list: readonly (readonly [string, JsonObject])[]): State =>
  list.reduce<State>((state, [who, object]) => applied(state, who, object), nothing);

describe('server-side apply, whatever is applied by whom', () => {
  test('the same again changes nothing, not even the time', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const once = runAll(list);
        // With nobody left the next apply begins with `before-first-apply`.
        fc.pre(managersOf(once).length > 0);
        const [who, object] = list.at(-1) ?? ['', {}];
        const again = applied(once, who, object);
        assert.ok(equal(again.live, once.live));
      }),
    );
  });

  test('what was applied last is there', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const state = runAll(list);
        const object = list.at(-1)?.[1] ?? {};
        for (const [key, value] of Object.entries(
          (at(object, 'spec', 'selector') ?? {}) as JsonObject,
        )) {
          // The selector of a service is atomic: it is there as a whole.
          assert.equal(at(state.live, 'spec', 'selector', key), value);
        }
        for (const one of (at(object, 'spec', 'ports') ?? []) as JsonObject[]) {
          const ports = at(state.live, 'spec', 'ports') as JsonObject[];
          const found = ports.find((other) => other['port'] === one['port']);
          assert.ok(found);
          if (one['name'] !== undefined) assert.equal(found['name'], one['name']);
        }
      }),
    );
  });

  test('a manager that applies nothing owns nothing, and nobody else loses a field', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const state = runAll(list);
        fc.pre(managersOf(state).length > 0);
        const who = list.at(-1)?.[0] ?? '';
        const bare = { apiVersion, kind: 'Service', metadata: { name: 'x' } };
        const after = applied(state, who, bare);
        assert.ok(!managersOf(after).some((entry) => entry.manager === who));
        const others = managersOf(state).filter((entry) => entry.manager !== who);
        assert.deepEqual(managersOf(after), others);
      }),
    );
  });

  test('without force a change of what others own is refused, and names them', () => {
    fc.assert(
      fc.property(steps, draft, (list, object) => {
        const state = runAll(list);
        const result = apply(state, 'new', object, false);
        if (!('conflicts' in result)) return;
        const owners = managersOf(state).map((entry) => entry.manager);
        assert.ok(result.conflicts.every((conflict) => owners.includes(conflict.manager)));
        const forced = applied(state, 'new', object);
        const rest = managersOf(forced).filter((entry) => entry.manager !== 'new');
        const before = managersOf(state);
        // Force takes from others what it changes; nobody gains anything.
        for (const entry of rest) {
          const earlier = before.find((one) => one.manager === entry.manager);
          assert.ok(earlier);
          assert.ok(setOf(entry).difference(setOf(earlier)).isEmpty);
        }
      }),
    );
  });

  test('sets of fields are written as they were read', () => {
    fc.assert(
      fc.property(steps, (list) => {
        for (const entry of managersOf(runAll(list))) {
          assert.deepEqual(writeFieldsV1(setOf(entry)), entry.fieldsV1);
        }
      }),
    );
  });
});

test('whoever gives up the only label leaves the rest of the metadata alone', () => {
  const metadata = { name: 'x', uid: 'u', creationTimestamp: '1970-01-01T00:00:00Z' };
  const made = applied(nothing, 'm1', service({}, { l: '1' }));
  const live = withManaged({ ...made.live, metadata }, managersOf(made));
  const labelled = {
    ...live,
    metadata: { ...(live['metadata'] as JsonObject), labels: { l: '1' } },
  };
  const after = applied({ live: labelled, second: 2 }, 'm1', service({}));
  const { managedFields: _, ...rest } = at(after.live, 'metadata') as JsonObject;
  assert.deepEqual(rest, metadata);
});

describe('updates', () => {
  test('one that changes nothing keeps every entry and its time', () => {
    fc.assert(
      fc.property(steps, (list) => {
        const state = runAll(list);
        const after = updated(state, 'somebody', {});
        assert.deepEqual(managersOf(after), managersOf(state));
      }),
    );
  });

  test('a changed field goes to the one who changed it', () => {
    const made = applied(nothing, 'm1', service({ sessionAffinity: 'None' }, { l: '1' }));
    const after = updated(made, 'editor', { metadata: { labels: { l: '2' } } });
    const owned = managersOf(after).map((entry): Json => [entry.manager, entry.fieldsV1]);
    assert.deepEqual(owned, [
      ['m1', { 'f:spec': { 'f:sessionAffinity': {} } }],
      ['editor', { 'f:metadata': { 'f:labels': { 'f:l': {} } } }],
    ]);
  });

  test('an object that nobody tracks stays so, until it is applied', () => {
    const live = schema.prepare(service({ ports: [{ port: 1 }] })).object;
    const untracked = updated({ live, second: 1 }, 'editor', { metadata: { labels: { a: 'b' } } });
    assert.deepEqual(managersOf(untracked), []);
    const tracked = applied(untracked, 'm1', service({}, { c: 'd' }));
    const names = managersOf(tracked).map((entry) => `${entry.operation} ${entry.manager}`);
    assert.deepEqual(names, ['Apply m1', 'Update before-first-apply']);
  });

  test('an empty list of managers makes the server forget them', () => {
    const made = applied(nothing, 'm1', service({}, { l: '1' }));
    const forgotten = updated(made, 'editor', { metadata: { managedFields: [] } });
    assert.deepEqual(managersOf(forgotten), []);
  });

  test('more than ten updaters become ten, and what they own is kept', () => {
    let state = applied(nothing, 'm1', service({}, { l: '1' }));
    for (let i = 0; i < 14; i++) {
      state = updated(state, `editor-${i}`, { metadata: { labels: { [`k${i}`]: 'v' } } });
    }
    const updaters = managersOf(state).filter((entry) => entry.operation === 'Update');
    assert.equal(updaters.length, 10);
    const ancient = updaters.find((entry) => entry.manager === 'ancient-changes');
    assert.ok(ancient);
    assert.ok([...setOf(ancient).paths()].some((path) => path.at(-1) === 'f:k0'));
  });

  test('metadata that the server keeps belongs to nobody', () => {
    const object = { ...service({}), metadata: { name: 'x', uid: 'u', resourceVersion: '1' } };
    const managed = schema.track({
      before: undefined,
      now: object,
      manager: 'm',
      time: timeOf(0),
      apiVersion,
      subresource: undefined,
    });
    assert.deepEqual(managed, []);
  });
});

test('an applied object with fields that nobody knows is refused', () => {
  assert.throws(() => apply(nothing, 'm', service({ nope: 1 })), {
    message: /\.spec\.nope: field not declared in schema/,
  });
});
