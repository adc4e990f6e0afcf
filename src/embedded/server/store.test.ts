import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { JsonObject } from '../schema/api.ts';
import { StatusError } from './status.ts';
import { Store } from './store.ts';
import { MemoryPersistence } from './testing.ts';

const pods = '//pods/';
const collections = [pods, '//secrets/'] as const;
const historyMax = 20;

function object(value: number): JsonObject {
  return { metadata: { labels: { value: String(value) } } };
}

interface Step {
  readonly collection: number;
  readonly name: number;
  /** Undefined deletes. */
  readonly value: number | undefined;
}

const step: fc.Arbitrary<Step> = fc.record({
  collection: fc.nat(1),
  name: fc.nat(6),
  value: fc.option(fc.nat(100), { nil: undefined }),
});

/** What is under each key, as its text. */
function stateAt(store: Store, prefix: string, version?: number): Map<string, string> {
  const range = version === undefined ? { prefix } : { prefix, version };
  return new Map([...store.list(range)].map(({ key, text }) => [key, text ?? '']));
}

function applyStep(store: Store, { collection, name, value }: Step): void {
  const key = `${collections[collection]}ns/n${name}`;
  if (value === undefined && store.get(key) === undefined) return;
  store.commit([{ key, object: value === undefined ? undefined : object(value) }]);
}

/** The state at a version with the changes after it; undefined when they are forgotten. */
function replayed(
  store: Store,
  from: number,
  was: Map<string, string>,
): Map<string, string> | undefined {
  const state = new Map(was);
  try {
    let last = from;
    for (const { now, version } of store.changesAfter(from, pods)) {
      assert(version > last, 'versions grow');
      last = version;
      if (now.text === undefined) state.delete(now.key);
      else state.set(now.key, now.text);
    }
    return state;
  } catch (error) {
    assert(error instanceof StatusError && error.code === 410);
    return undefined;
  }
}

const sorted = (state: Map<string, string>): readonly (readonly [string, string])[] =>
  [...state].toSorted(([a], [b]) => (a < b ? -1 : 1));

test('whoever resumes from any version arrives at what a list shows', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const store = new Store(new MemoryPersistence(), historyMax);
      const seen: { readonly version: number; readonly state: Map<string, string> }[] = [];
      for (const one of steps) {
        seen.push({ version: store.version, state: stateAt(store, pods) });
        applyStep(store, one);
      }
      const now = sorted(stateAt(store, pods));
      for (const { version, state } of seen) {
        const isKnown = version >= store.oldestOf(pods);
        const after = replayed(store, version, state);
        assert.equal(after !== undefined, isKnown);
        if (after === undefined) continue;
        assert.deepEqual(sorted(after), now);
        assert.deepEqual(sorted(stateAt(store, pods, version)), sorted(state));
      }
      // Recent changes of the collection are always known: at most `historyMax` are kept in all.
      const recent = seen.slice(-historyMax);
      assert(recent.every(({ version }) => version >= store.oldestOf(pods)));
    }),
    { numRuns: 150 },
  );
});

test('a busy collection does not make a quiet one forget', () => {
  const store = new Store(new MemoryPersistence(), 10);
  store.commit([{ key: '//secrets/ns/a', object: object(1) }]);
  const { version } = store;
  for (let i = 0; i < 100; i++) store.commit([{ key: `${pods}ns/a`, object: object(i) }]);
  assert.deepEqual([...store.changesAfter(version, '//secrets/')], []);
  assert.throws(() => store.changesAfter(version, pods).next(), StatusError);
});

test('what the persistence refuses is not there', () => {
  const persistence = new MemoryPersistence();
  const store = new Store(persistence);
  store.commit([{ key: `${pods}ns/a`, object: object(1) }]);
  const { version } = store;
  let isTold = false;
  store.onCommit(pods, () => {
    isTold = true;
  });
  persistence.beforeCommit = () => {
    assert.equal(store.getObject(`${pods}ns/b`), undefined, 'not seen before it is durable');
    throw new Error('disk is gone');
  };
  const drafts = ['b', 'c'].map((name) => ({ key: `${pods}ns/${name}`, object: object(2) }));
  assert.throws(() => store.commit(drafts), /disk is gone/);
  assert.equal(store.version, version);
  assert.equal(store.get(`${pods}ns/b`), undefined);
  assert.equal(isTold, false);
});

test('a store begins where the one before ended', () => {
  const persistence = new MemoryPersistence();
  const first = new Store(persistence);
  first.commit([
    { key: `${pods}ns/a`, object: object(1) },
    { key: `${pods}ns/b`, object: object(2) },
  ]);
  first.commit([{ key: `${pods}ns/b`, object: undefined }]);
  const second = new Store(persistence);
  assert.equal(second.version, first.version);
  assert.deepEqual(stateAt(second, pods), stateAt(first, pods));
  assert.deepEqual([...second.changesAfter(second.version, pods)], []);
  assert.throws(() => second.changesAfter(second.version - 1, pods).next(), StatusError);
});

test('overwritten versions do not pile up', () => {
  const store = new Store(new MemoryPersistence(), 10);
  const key = `${pods}ns/a`;
  for (let i = 0; i < 1000; i++) store.commit([{ key, object: object(i) }]);
  const oldest = store.oldestOf(pods);
  assert.equal(store.version - oldest, 10);
  store.commit([{ key, object: undefined }]);
  for (let i = 0; i < 20; i++) store.commit([{ key: `${pods}ns/b`, object: object(i) }]);
  assert.equal(store.get(key), undefined);
});
