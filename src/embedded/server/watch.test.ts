import assert from 'node:assert/strict';
import { test } from 'node:test';
import * as fc from 'fast-check';
import type { JsonObject } from '../schema/api.ts';
import { createSchemaLibrary } from '../schema/library.ts';
import { isObject, metaOf, nameOf, objectAt, objectsAt, textAt } from './json.ts';
import { startTestServer, type TestServer } from './testing.ts';

const library = createSchemaLibrary();
const configMaps = '/api/v1/namespaces/default/configmaps';
const merge = { 'content-type': 'application/merge-patch+json' };

async function next(lines: AsyncIterator<JsonObject>): Promise<JsonObject> {
  const { value, done } = await lines.next();
  assert(done !== true && isObject(value), 'the watch ended');
  return value;
}

const versionOf = (object: JsonObject): string => textAt(metaOf(object), 'resourceVersion');

interface Write {
  readonly name: number;
  readonly kind: 'put' | 'label' | 'delete';
  readonly on: boolean;
}

const write: fc.Arbitrary<Write> = fc.record({
  name: fc.nat(3),
  kind: fc.constantFrom('put', 'label', 'delete'),
  on: fc.boolean(),
});

async function perform({ ask }: TestServer, { name, kind, on }: Write): Promise<void> {
  const path = `${configMaps}/n${name}`;
  const labels = { on: on ? 'yes' : 'no' };
  if (kind === 'delete') await ask('DELETE', path);
  else if (kind === 'label')
    await ask('PATCH', path, { body: { metadata: { labels } }, headers: merge });
  else await ask('POST', configMaps, { body: { metadata: { name: `n${name}`, labels } } });
}

/** What a client knows after the events. Checks that each event fits what it knew. */
function follow(known: Map<string, string>, event: JsonObject): void {
  const object = objectAt(event, 'object');
  const name = nameOf(object);
  const type = textAt(event, 'type');
  assert.equal(known.has(name), type !== 'ADDED', `${type} of ${name}`);
  if (type === 'DELETED') known.delete(name);
  else known.set(name, versionOf(object));
}

async function selected({ ask }: TestServer, query: string): Promise<[string, string][]> {
  const { object } = await ask('GET', `${configMaps}${query}`);
  return objectsAt(object, 'items').map((item) => [nameOf(item), versionOf(item)]);
}

test('a watch with a selector leads from one list to any later one', async () => {
  const query = '?labelSelector=on%3Dyes';
  await fc.assert(
    fc.asyncProperty(fc.array(write, { maxLength: 25 }), fc.nat(25), async (writes, start) => {
      const server = startTestServer({ library });
      for (const one of writes.slice(0, start)) await perform(server, one);
      const first = await server.ask('GET', `${configMaps}${query}`);
      const known = new Map(
        objectsAt(first.object, 'items').map((one) => [nameOf(one), versionOf(one)]),
      );
      for (const one of writes.slice(start)) await perform(server, one);
      // The last change that the watch has to tell of.
      await server.ask('POST', configMaps, {
        body: { metadata: { name: 'end', labels: { on: 'yes' } } },
      });
      const from = versionOf(first.object);
      const lines = server.watch(`${configMaps}${query}&watch=1&resourceVersion=${from}`);
      while (!known.has('end')) follow(known, await next(lines));
      await lines.return?.();
      const byName = (a: readonly string[], b: readonly string[]): number =>
        `${a[0]}` < `${b[0]}` ? -1 : 1;
      assert.deepEqual(
        [...known].toSorted(byName),
        (await selected(server, query)).toSorted(byName),
      );
    }),
    { numRuns: 40 },
  );
});

test('a version that is forgotten is 410, as the answer and as an event', async () => {
  const { ask, watch } = startTestServer({ library, historyMax: 5 });
  const made = await ask('POST', configMaps, { body: { metadata: { name: 'a' } } });
  const slow = watch(`${configMaps}?watch=1&resourceVersion=${versionOf(made.object)}`);
  const patch = async (i: number): Promise<void> => {
    await ask('PATCH', `${configMaps}/a`, { body: { data: { i: `${i}` } }, headers: merge });
  };
  await patch(0);
  await next(slow);
  // It does not read while more happens than is remembered.
  for (let i = 1; i < 20; i++) await patch(i);
  const last = await next(slow);
  assert.equal(textAt(last, 'type'), 'ERROR');
  assert.equal(objectAt(last, 'object')['code'], 410);
  assert.equal((await slow.next()).done, true);
  const answer = await ask(
    'GET',
    `${configMaps}?watch=1&resourceVersion=${versionOf(made.object)}`,
  );
  assert.equal(answer.status, 410);
  assert.match(textAt(answer.object, 'message'), /^too old resource version: \d+ \(\d+\)$/);
});

test('bookmarks, initial events, and the end of the time', async () => {
  const { ask, watch, clock } = startTestServer({ library });
  await ask('POST', configMaps, { body: { metadata: { name: 'a' } } });
  const query =
    '?watch=1&sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true';
  const lines = watch(`${configMaps}${query}&timeoutSeconds=100`);
  assert.equal(textAt(await next(lines), 'type'), 'ADDED');
  const mark = await next(lines);
  const annotations = objectAt(metaOf(objectAt(mark, 'object')), 'annotations');
  assert.deepEqual(annotations, { 'k8s.io/initial-events-end': 'true' });
  const waiting = next(lines);
  await Promise.resolve();
  clock.advance(60_000);
  assert.equal(textAt(await waiting, 'type'), 'BOOKMARK');
  const end = lines.next();
  await Promise.resolve();
  clock.advance(40_000);
  assert.equal((await end).done, true);
});

test('the end of the server is the end of its watches', async () => {
  const { server, watch, ask } = startTestServer({ library });
  const lines = watch(`${configMaps}?watch=1&resourceVersion=0`);
  await ask('POST', configMaps, { body: { metadata: { name: 'a' } } });
  await next(lines);
  const waiting = lines.next();
  await Promise.resolve();
  await server.close();
  assert.equal((await waiting).done, true);
  assert.equal((await ask('GET', configMaps)).status, 503);
});

test('a continue token that is too old gives one that goes on without the old state', async () => {
  const { ask } = startTestServer({ library, historyMax: 3 });
  const names = ['a', 'b', 'c', 'd'];
  for (const name of names) await ask('POST', configMaps, { body: { metadata: { name } } });
  const first = await ask('GET', `${configMaps}?limit=2`);
  for (const i of [1, 2, 3, 4, 5]) {
    await ask('PATCH', `${configMaps}/d`, { body: { data: { i: `${i}` } }, headers: merge });
  }
  const token = encodeURIComponent(textAt(metaOf(first.object), 'continue'));
  const expired = await ask('GET', `${configMaps}?limit=2&continue=${token}`);
  assert.equal(expired.status, 410);
  const other = encodeURIComponent(textAt(metaOf(expired.object), 'continue'));
  const rest = await ask('GET', `${configMaps}?limit=2&continue=${other}`);
  assert.deepEqual(objectsAt(rest.object, 'items').map(nameOf), ['c', 'd']);
});
