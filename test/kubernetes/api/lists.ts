/** Lists: pages that belong together, selectors, old versions. */
import assert from 'node:assert/strict';
import { type CaseContext, cases } from '../case.ts';
import { at, type Doc, has, textAt } from '../document.ts';
import { namesOf, refused } from '../rest.ts';
import { configMap, deployment, pod, widget, widgets } from './made.ts';

async function many(t: CaseContext, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await t.rest.post(t.path('configmaps'), configMap(name, {}, { labels: { mine: 'yes', name } }));
  }
}

const mine = 'labelSelector=mine%3Dyes';

async function select(t: CaseContext, query: string): Promise<readonly string[]> {
  return namesOf(await t.rest.get(`${t.path('configmaps')}?${query}`));
}

export const listCases = cases('lists', {
  'a list has a version, its kind, and items in order of their names': async (t) => {
    await many(t, ['c', 'a', 'b']);
    const list = await t.rest.get(`${t.path('configmaps')}?${mine}`);
    has(list, { kind: 'ConfigMapList', apiVersion: 'v1' });
    assert.match(textAt(list, 'metadata.resourceVersion'), /^\d+$/);
    assert.deepEqual(namesOf(list), ['a', 'b', 'c']);
    // Items of a typed list carry no kind of their own.
    assert.equal(at(list, 'items.0.kind'), undefined);
  },
  'an empty list has items': async (t) => {
    const list = await t.rest.get(`${t.path('secrets')}?labelSelector=no%3Done`);
    has(list, { kind: 'SecretList', items: [] });
  },
  'items of custom objects carry their kind': async (t) => {
    const { path, apiVersion } = await t.define(widgets());
    await t.rest.post(path, widget(apiVersion, 'a'));
    const list = await t.rest.get(path);
    has(list, { kind: 'WidgetList', apiVersion, 'items.0.kind': 'Widget' });
    has(list, { 'items.0.apiVersion': apiVersion });
  },
  'a list over all namespaces': async (t) => {
    await many(t, ['a', 'b']);
    const list = await t.rest.get(`/api/v1/configmaps?${mine}`);
    const items = at(list, 'items') as readonly Doc[];
    const here = items.filter((one) => at(one, 'metadata.namespace') === t.namespace);
    assert.equal(here.length, 2);
  },
  'pages join to the whole, and count what remains': async (t) => {
    const names = Array.from({ length: 7 }, (_, i) => `m${i}`);
    for (const name of names) {
      await t.rest.post(t.path('secrets'), { metadata: { name } });
    }
    const seen: string[] = [];
    const remaining: unknown[] = [];
    const versions = new Set<unknown>();
    let next = '';
    do {
      const query = `limit=3&continue=${encodeURIComponent(next)}`;
      const page = await t.rest.get(`${t.path('secrets')}?${query}`);
      seen.push(...namesOf(page));
      remaining.push(at(page, 'metadata.remainingItemCount'));
      versions.add(at(page, 'metadata.resourceVersion'));
      next = String(at(page, 'metadata.continue') ?? '');
    } while (next !== '');
    assert.deepEqual(seen, names);
    assert.deepEqual(remaining, [4, 1, undefined]);
    assert.equal(versions.size, 1);
  },
  'pages show the moment of the first, whatever is written between': async (t) => {
    await many(t, ['a', 'b', 'c', 'd', 'e']);
    const path = `${t.path('configmaps')}?${mine}&limit=2`;
    const first = await t.rest.get(path);
    await t.rest.delete(t.path('configmaps/d'));
    await t.rest.patch(t.path('configmaps/e'), { data: { new: 'yes' } });
    await many(t, ['bb', 'z']);
    const token = encodeURIComponent(textAt(first, 'metadata.continue'));
    const second = await t.rest.get(`${path}&continue=${token}`);
    const next = encodeURIComponent(textAt(second, 'metadata.continue'));
    const third = await t.rest.get(`${path}&continue=${next}`);
    const all = [first, second, third].flatMap((page) => namesOf(page));
    assert.deepEqual(all, ['a', 'b', 'c', 'd', 'e']);
    has(third, { 'items.0.data': undefined });
  },
  'a page with a selector does not count what remains': async (t) => {
    await many(t, ['a', 'b', 'c']);
    const page = await t.rest.get(`${t.path('configmaps')}?${mine}&limit=2`);
    assert.deepEqual(namesOf(page), ['a', 'b']);
    has(page, { 'metadata.remainingItemCount': undefined });
    assert.ok(textAt(page, 'metadata.continue') !== '');
  },
  'a continue that is none is BadRequest': async (t) => {
    const answer = await t.rest.send('GET', `${t.path('configmaps')}?limit=2&continue=nonsense`);
    refused(answer, 400, 'BadRequest', /continue key is not valid/);
  },
  'continue with a resourceVersion is BadRequest': async (t) => {
    await many(t, ['a', 'b', 'c']);
    const page = await t.rest.get(`${t.path('configmaps')}?limit=2`);
    const token = encodeURIComponent(textAt(page, 'metadata.continue'));
    const query = `limit=2&continue=${token}&resourceVersion=5`;
    const answer = await t.rest.send('GET', `${t.path('configmaps')}?${query}`);
    refused(answer, 400, 'BadRequest', /specifying resource version is not allowed when using/);
  },
  'label selectors: equal, unequal, in, notin, there, not there': async (t) => {
    await many(t, ['a', 'b', 'c']);
    const s = (text: string): Promise<readonly string[]> =>
      select(t, `labelSelector=${encodeURIComponent(`mine,${text}`)}`);
    assert.deepEqual(await s('name=a'), ['a']);
    assert.deepEqual(await s('name==a'), ['a']);
    assert.deepEqual(await s('name!=a'), ['b', 'c']);
    assert.deepEqual(await s('name in (a, c)'), ['a', 'c']);
    assert.deepEqual(await s('name notin (a,c)'), ['b']);
    assert.deepEqual(await s('other notin (a)'), ['a', 'b', 'c']);
    assert.deepEqual(await s('name'), ['a', 'b', 'c']);
    assert.deepEqual(await s('!name'), []);
    assert.deepEqual(await s('name=a,name=b'), []);
  },
  'a label selector that is none is BadRequest': async (t) => {
    const query = `labelSelector=${encodeURIComponent('a in (b')}`;
    const answer = await t.rest.send('GET', `${t.path('configmaps')}?${query}`);
    refused(answer, 400, 'BadRequest', /^unable to parse requirement: /);
  },
  'field selectors: name and namespace of every kind': async (t) => {
    await many(t, ['a', 'b']);
    assert.deepEqual(await select(t, `${mine}&fieldSelector=metadata.name%3Da`), ['a']);
    assert.deepEqual(await select(t, `${mine}&fieldSelector=metadata.name!%3Da`), ['b']);
    const here = `fieldSelector=metadata.namespace%3D${t.namespace}`;
    const everywhere = `/api/v1/configmaps?${mine}&${here}`;
    assert.deepEqual(namesOf(await t.rest.get(everywhere)), ['a', 'b']);
  },
  'field selectors of pods and secrets': async (t) => {
    await t.until('the default service account', async () =>
      (await t.rest.send('GET', t.path('serviceaccounts/default'))).status === 200
        ? true
        : undefined,
    );
    const bound = { ...pod('b'), spec: { ...(pod('b')['spec'] as object), nodeName: 'n1' } };
    await t.rest.post(t.path('pods'), pod('a'));
    await t.rest.post(t.path('pods'), bound);
    const names = async (selector: string): Promise<readonly string[]> =>
      namesOf(await t.rest.get(`${t.path('pods')}?fieldSelector=${encodeURIComponent(selector)}`));
    assert.deepEqual(await names('spec.nodeName=n1'), ['b']);
    assert.deepEqual(await names('spec.nodeName='), ['a']);
    assert.deepEqual(await names('status.phase=Pending,metadata.name!=a'), ['b']);
    assert.deepEqual(await names('spec.restartPolicy=Never'), []);
    await t.rest.post(t.path('secrets'), { metadata: { name: 's' }, type: 'example.com/t' });
    const typed = await t.rest.get(`${t.path('secrets')}?fieldSelector=type%3Dexample.com/t`);
    assert.deepEqual(namesOf(typed), ['s']);
  },
  'a field that cannot be selected by is BadRequest': async (t) => {
    const query = 'fieldSelector=data.a%3Db';
    const answer = await t.rest.send('GET', `${t.path('configmaps')}?${query}`);
    refused(answer, 400, 'BadRequest');
    t.recorded('built-in', answer.body);
    const { path } = await t.define(widgets());
    const custom = await t.rest.send('GET', `${path}?fieldSelector=spec.size%3D1`);
    refused(custom, 400, 'BadRequest');
    t.recorded('custom', custom.body);
  },
  'resourceVersion=0 lists, Exact needs the version': async (t) => {
    await many(t, ['a']);
    const list = await t.rest.get(`${t.path('configmaps')}?${mine}`);
    await many(t, ['b']);
    const version = textAt(list, 'metadata.resourceVersion');
    const exact = `resourceVersion=${version}&resourceVersionMatch=Exact`;
    assert.deepEqual(await select(t, `${mine}&${exact}`), ['a']);
    const least = `resourceVersion=${version}&resourceVersionMatch=NotOlderThan`;
    assert.deepEqual(await select(t, `${mine}&${least}`), ['a', 'b']);
    assert.equal(
      at(await t.rest.get(`${t.path('configmaps')}?resourceVersion=0`), 'code'),
      undefined,
    );
  },
  'resourceVersionMatch without a version is refused': async (t) => {
    const query = 'resourceVersionMatch=Exact';
    const answer = await t.rest.send('GET', `${t.path('configmaps')}?${query}`);
    refused(answer, 422, 'Invalid');
    t.recorded('refusal', answer.body);
  },
  'a version that does not exist yet times out': async (t) => {
    const query = 'resourceVersion=999999999&resourceVersionMatch=NotOlderThan';
    const answer = await t.rest.send('GET', `${t.path('configmaps')}?${query}`);
    refused(answer, 504, 'Timeout', /Too large resource version: 999999999, current: \d+/);
    has(answer.body, { 'details.causes.0.reason': 'ResourceVersionTooLarge' });
  },
  'a get of a version that does not exist yet times out': async (t) => {
    await many(t, ['a']);
    const answer = await t.rest.send('GET', t.path('configmaps/a?resourceVersion=999999999'));
    refused(answer, 504, 'Timeout', /Too large resource version: 999999999, current: \d+/);
  },
  'lists of a group name it': async (t) => {
    await t.rest.post(t.path('apps/v1/deployments'), deployment('a'));
    const list = await t.rest.get(t.path('apps/v1/deployments'));
    has(list, { kind: 'DeploymentList', apiVersion: 'apps/v1', 'items.0.metadata.name': 'a' });
  },
});
