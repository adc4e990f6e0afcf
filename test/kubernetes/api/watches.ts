/** Watches: from a version, through selectors, with bookmarks, as streaming lists. */
import assert from 'node:assert/strict';
import { cases } from '../case.ts';
import { at, type Doc, has, textAt } from '../document.ts';
import { refused, type WatchEvent } from '../rest.ts';
import { configMap, widget, widgets } from './made.ts';

const short = (events: readonly WatchEvent[]): readonly string[] =>
  events.map((event) => `${event.type} ${textAt(event.object, 'metadata.name')}`);

const named =
  (type: string, name: string) =>
  (event: WatchEvent): boolean =>
    event.type === type && at(event.object, 'metadata.name') === name;

const mine = 'labelSelector=mine%3Dyes';
const labels = { mine: 'yes' };

export const watchCases = cases('watches', {
  'from a version: every change after it, in order': async (t) => {
    const before = await t.rest.post(t.path('configmaps'), configMap('a', {}, { labels }));
    const version = textAt(before, 'metadata.resourceVersion');
    await t.rest.post(t.path('configmaps'), configMap('b', {}, { labels }));
    await t.rest.patch(t.path('configmaps/a'), { data: { x: '1' } });
    await t.rest.delete(t.path('configmaps/b'));
    const watch = await t.rest.watch(`${t.path('configmaps')}?${mine}&resourceVersion=${version}`);
    const events = await watch.until(named('DELETED', 'b'));
    assert.deepEqual(short(events), ['ADDED b', 'MODIFIED a', 'DELETED b']);
    const versions = events.map((one) => Number(at(one.object, 'metadata.resourceVersion')));
    assert.deepEqual(
      versions,
      versions.toSorted((x, y) => x - y),
    );
    // A deletion carries the last state, at the version of the deletion.
    has(events[2]?.object, { 'metadata.labels': labels, kind: 'ConfigMap' });
  },
  'live changes follow': async (t) => {
    const list = await t.rest.get(t.path('secrets'));
    const version = textAt(list, 'metadata.resourceVersion');
    const watch = await t.rest.watch(`${t.path('secrets')}?resourceVersion=${version}`);
    for (const name of ['a', 'b', 'c']) {
      await t.rest.post(t.path('secrets'), { metadata: { name } });
    }
    const events = await watch.until(named('ADDED', 'c'));
    assert.deepEqual(short(events), ['ADDED a', 'ADDED b', 'ADDED c']);
  },
  'without a version: first what is there, then changes': async (t) => {
    await t.rest.post(t.path('configmaps'), configMap('a', {}, { labels }));
    await t.rest.post(t.path('configmaps'), configMap('b', {}, { labels }));
    const watch = await t.rest.watch(`${t.path('configmaps')}?${mine}`);
    assert.deepEqual(short(await watch.until(named('ADDED', 'b'))), ['ADDED a', 'ADDED b']);
    await t.rest.delete(t.path('configmaps/a'));
    assert.deepEqual(short(await watch.until(() => true)), ['DELETED a']);
  },
  'resourceVersion=0 begins with what is there too': async (t) => {
    await t.rest.post(t.path('configmaps'), configMap('a', {}, { labels }));
    // A cache may still be behind; a write that it must have seen brings it up.
    await t.rest.get(`${t.path('configmaps')}?${mine}`);
    const watch = await t.rest.watch(`${t.path('configmaps')}?${mine}&resourceVersion=0`);
    assert.deepEqual(short(await watch.until(named('ADDED', 'a'))), ['ADDED a']);
  },
  'objects enter and leave a selection as if made and deleted': async (t) => {
    const list = await t.rest.get(`${t.path('configmaps')}?${mine}`);
    const version = textAt(list, 'metadata.resourceVersion');
    const watch = await t.rest.watch(`${t.path('configmaps')}?${mine}&resourceVersion=${version}`);
    const path = t.path('configmaps/a');
    await t.rest.post(t.path('configmaps'), configMap('a'));
    await t.rest.patch(path, { metadata: { labels } });
    await t.rest.patch(path, { data: { x: '1' } });
    const left = await t.rest.patch(path, { metadata: { labels: { mine: 'no' } } });
    await t.rest.patch(path, { data: { x: '2' } });
    await t.rest.patch(path, { metadata: { labels } });
    const events = [
      ...(await watch.until(named('DELETED', 'a'))),
      ...(await watch.until(named('ADDED', 'a'))),
    ];
    assert.deepEqual(short(events), ['ADDED a', 'MODIFIED a', 'DELETED a', 'ADDED a']);
    // What left is shown as it was while it belonged, at the version of the change.
    has(events[2]?.object, {
      'metadata.labels': labels,
      'data.x': '1',
      'metadata.resourceVersion': at(left, 'metadata.resourceVersion'),
    });
  },
  'a field selector watches one object': async (t) => {
    const list = await t.rest.get(t.path('configmaps'));
    const version = textAt(list, 'metadata.resourceVersion');
    const query = `fieldSelector=metadata.name%3Db&resourceVersion=${version}`;
    const watch = await t.rest.watch(`${t.path('configmaps')}?${query}`);
    for (const name of ['a', 'b', 'c']) await t.rest.post(t.path('configmaps'), configMap(name));
    await t.rest.delete(t.path('configmaps/b'));
    const events = await watch.until(named('DELETED', 'b'));
    assert.deepEqual(short(events), ['ADDED b', 'DELETED b']);
  },
  'a write that changes nothing is no event': async (t) => {
    const made = await t.rest.post(t.path('configmaps'), configMap('a'));
    const version = textAt(made, 'metadata.resourceVersion');
    const query = `fieldSelector=metadata.name%3Da&resourceVersion=${version}`;
    const watch = await t.rest.watch(`${t.path('configmaps')}?${query}`);
    await t.rest.put(t.path('configmaps/a'), made);
    await t.rest.delete(t.path('configmaps/a'));
    assert.deepEqual(short(await watch.until(() => true)), ['DELETED a']);
  },
  'the end of a finalized object is one DELETED': async (t) => {
    const finalizers = ['example.com/a'];
    const made = await t.rest.post(
      t.path('configmaps'),
      configMap('a', {}, { finalizers, labels }),
    );
    const version = textAt(made, 'metadata.resourceVersion');
    const watch = await t.rest.watch(`${t.path('configmaps')}?${mine}&resourceVersion=${version}`);
    await t.rest.delete(t.path('configmaps/a'));
    await t.rest.patch(t.path('configmaps/a'), { metadata: { finalizers: null } });
    const events = await watch.until(named('DELETED', 'a'));
    assert.deepEqual(short(events), ['MODIFIED a', 'DELETED a']);
  },
  'timeoutSeconds ends a watch in good order': async (t) => {
    const list = await t.rest.get(t.path('secrets'));
    const version = textAt(list, 'metadata.resourceVersion');
    const query = `resourceVersion=${version}&timeoutSeconds=1`;
    const watch = await t.rest.watch(`${t.path('secrets')}?${query}`);
    assert.equal(await watch.next(), undefined);
  },
  'bookmarks come before the end, where they are wanted': async (t) => {
    const made = await t.rest.post(t.path('configmaps'), configMap('a'));
    const version = textAt(made, 'metadata.resourceVersion');
    const query = `resourceVersion=${version}&allowWatchBookmarks=true&timeoutSeconds=4`;
    const watch = await t.rest.watch(`${t.path('configmaps')}?${query}`);
    const events = await watch.until((event) => event.type === 'BOOKMARK');
    const bookmark = events.at(-1);
    has(bookmark?.object, { kind: 'ConfigMap', apiVersion: 'v1' });
    assert.ok(Number(at(bookmark?.object, 'metadata.resourceVersion')) >= Number(version));
    has(bookmark?.object, { 'metadata.name': undefined });
  },
  'sendInitialEvents: what is there, then a bookmark that says so': async (t) => {
    await t.rest.post(t.path('configmaps'), configMap('a', {}, { labels }));
    await t.rest.post(t.path('configmaps'), configMap('b', {}, { labels }));
    const query =
      `${mine}&sendInitialEvents=true&allowWatchBookmarks=true` +
      '&resourceVersionMatch=NotOlderThan';
    const watch = await t.rest.watch(`${t.path('configmaps')}?${query}`);
    const events = await watch.until((event) => event.type === 'BOOKMARK');
    assert.deepEqual(short(events.slice(0, -1)), ['ADDED a', 'ADDED b']);
    const annotations = { 'k8s.io/initial-events-end': 'true' };
    has(events.at(-1)?.object, { 'metadata.annotations': annotations, kind: 'ConfigMap' });
    await t.rest.delete(t.path('configmaps/a'));
    assert.deepEqual(short(await watch.until(() => true)), ['DELETED a']);
  },
  'sendInitialEvents of custom objects': async (t) => {
    const { path, apiVersion } = await t.define(widgets());
    await t.rest.post(path, widget(apiVersion, 'a'));
    const query =
      'sendInitialEvents=true&allowWatchBookmarks=true&resourceVersionMatch=NotOlderThan';
    const watch = await t.rest.watch(`${path}?${query}`);
    const events = await watch.until((event) => event.type === 'BOOKMARK');
    assert.equal(events.length, 2);
    has(events[1]?.object, { kind: 'Widget', apiVersion });
  },
  'sendInitialEvents needs resourceVersionMatch': async (t) => {
    const path = `${t.path('configmaps')}?watch=1&sendInitialEvents=true`;
    const answer = await t.rest.send('GET', path);
    refused(answer, 422, 'Invalid');
    t.recorded('refusal', answer.body);
  },
  'a version too old is 410, as an event or as the answer': async (t) => {
    const { path, apiVersion } = await t.define(widgets());
    await t.rest.post(path, widget(apiVersion, 'a'));
    const answer = await t.rest.send('GET', `${path}?watch=1&resourceVersion=1&timeoutSeconds=5`);
    const expired = answer.status === 200 ? at(answer.body, 'object') : answer.body;
    has(expired, { kind: 'Status', status: 'Failure', code: 410, reason: 'Expired' });
    assert.match(textAt(expired, 'message'), /too old resource version: 1 \(\d+\)/);
  },
  'a version that is none is refused': async (t) => {
    const answer = await t.rest.send('GET', `${t.path('configmaps')}?watch=1&resourceVersion=x`);
    assert.equal(answer.status, 500);
    t.recorded('refusal', answer.body);
  },
  'watch of one object by its older path': async (t) => {
    await t.rest.post(t.path('configmaps'), configMap('a'));
    const watch = await t.rest.watch(`/api/v1/watch/namespaces/${t.namespace}/configmaps/a`);
    assert.deepEqual(short(await watch.until(() => true)), ['ADDED a']);
    await t.rest.delete(t.path('configmaps/a'));
    assert.deepEqual(short(await watch.until(() => true)), ['DELETED a']);
  },
  'the older path of watches': async (t) => {
    await t.rest.post(t.path('configmaps'), configMap('a', {}, { labels }));
    const path = `/api/v1/watch/namespaces/${t.namespace}/configmaps?${mine}`;
    const watch = await t.rest.watch(path);
    assert.deepEqual(short(await watch.until(() => true)), ['ADDED a']);
  },
  'two hundred changes reach ten watches, each once and in order': async (t) => {
    const list = await t.rest.get(t.path('configmaps'));
    const version = textAt(list, 'metadata.resourceVersion');
    const path = `${t.path('configmaps')}?${mine}&resourceVersion=${version}`;
    const watches = await Promise.all(Array.from({ length: 10 }, () => t.rest.watch(path)));
    await t.rest.post(t.path('configmaps'), configMap('a', {}, { labels }));
    const written: Doc[] = [];
    for (let i = 0; i < 200; i++) {
      written.push(await t.rest.patch(t.path('configmaps/a'), { data: { i: `${i}` } }));
    }
    const expected = ['added', ...written.map((_, i) => `${i}`)];
    for (const watch of watches) {
      const events = await watch.until((event) => at(event.object, 'data.i') === '199');
      assert.deepEqual(
        events.map((event) => at(event.object, 'data.i') ?? 'added'),
        expected,
      );
    }
  },
});
