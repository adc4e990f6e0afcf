/** The four kinds of patches on objects; strategic merge has its own words for lists. */
import assert from 'node:assert/strict';
import { cases } from '../case.ts';
import { at, has, listAt } from '../document.ts';
import { patchTypes, refused } from '../rest.ts';
import { configMap, deployment, widget, widgets } from './made.ts';

export const patchCases = cases('patches', {
  'merge patch adds, replaces and removes with null': async (t) => {
    await t.rest.post(t.path('configmaps'), configMap('a', { a: '1', b: '2' }));
    const now = await t.rest.patch(t.path('configmaps/a'), { data: { a: null, b: '3', c: '4' } });
    has(now, { data: { b: '3', c: '4' } });
  },
  'merge patch replaces lists whole': async (t) => {
    const { path, apiVersion } = await t.define(widgets());
    const parts = [{ name: 'x' }, { name: 'y' }];
    await t.rest.post(path, widget(apiVersion, 'a', { parts }));
    const now = await t.rest.patch(`${path}/a`, { spec: { parts: [{ name: 'z' }] } });
    has(now, { 'spec.parts': [{ name: 'z', weight: 1 }] });
  },
  'merge patch with an old resourceVersion is a Conflict': async (t) => {
    const made = await t.rest.post(t.path('configmaps'), configMap('a'));
    await t.rest.patch(t.path('configmaps/a'), { data: { a: '2' } });
    const patch = {
      metadata: { resourceVersion: at(made, 'metadata.resourceVersion') },
      data: { a: '3' },
    };
    const type = patchTypes.merge;
    const answer = await t.rest.send('PATCH', t.path('configmaps/a'), patch, { type });
    refused(answer, 409, 'Conflict', /the object has been modified/);
  },
  'merge patch with another uid is Invalid': async (t) => {
    await t.rest.post(t.path('configmaps'), configMap('a'));
    const uid = '7d2f6a9e-0000-4000-8000-000000000000';
    const patch = { metadata: { uid } };
    const type = patchTypes.merge;
    const answer = await t.rest.send('PATCH', t.path('configmaps/a'), patch, { type });
    const words = `metadata.uid: Invalid value: "${uid}": field is immutable`;
    refused(answer, 422, 'Invalid', `ConfigMap "a" is invalid: ${words}`);
  },
  'a patch cannot change the name': async (t) => {
    await t.rest.post(t.path('configmaps'), configMap('a'));
    const type = patchTypes.merge;
    const patch = { metadata: { name: 'b' } };
    const answer = await t.rest.send('PATCH', t.path('configmaps/a'), patch, { type });
    t.recorded('refusal', answer.body);
  },
  'a merge patch that is no object is BadRequest': async (t) => {
    await t.rest.post(t.path('configmaps'), configMap('a'));
    const type = patchTypes.merge;
    const answer = await t.rest.send('PATCH', t.path('configmaps/a'), '["a"]', { type });
    refused(answer, 400, 'BadRequest');
  },
  'json patch adds, replaces, removes, moves, copies and tests': async (t) => {
    await t.rest.post(t.path('configmaps'), configMap('a', { a: '1', b: '2', c: '3' }));
    const patch = [
      { op: 'test', path: '/data/a', value: '1' },
      { op: 'replace', path: '/data/a', value: '9' },
      { op: 'remove', path: '/data/b' },
      { op: 'move', from: '/data/c', path: '/data/d' },
      { op: 'copy', from: '/data/a', path: '/data/e' },
      { op: 'add', path: '/metadata/labels', value: { 'a/b': 'c' } },
      { op: 'add', path: '/metadata/labels/d~1e', value: 'f' },
    ];
    const now = await t.rest.patch(t.path('configmaps/a'), patch, 'json');
    has(now, { data: { a: '9', d: '3', e: '9' }, 'metadata.labels': { 'a/b': 'c', 'd/e': 'f' } });
  },
  'json patch on list positions': async (t) => {
    const { path, apiVersion } = await t.define(widgets());
    await t.rest.post(path, widget(apiVersion, 'a', { parts: [{ name: 'x' }, { name: 'y' }] }));
    const patch = [
      { op: 'add', path: '/spec/parts/1', value: { name: 'm' } },
      { op: 'add', path: '/spec/parts/-', value: { name: 'z' } },
      { op: 'remove', path: '/spec/parts/0' },
    ];
    const now = await t.rest.patch(`${path}/a`, patch, 'json');
    const names = listAt(now, 'spec.parts').map((part) => part['name']);
    assert.deepEqual(names, ['m', 'y', 'z']);
  },
  'a json patch whose test fails changes nothing': async (t) => {
    const made = await t.rest.post(t.path('configmaps'), configMap('a'));
    const patch = [
      { op: 'replace', path: '/data/a', value: '2' },
      { op: 'test', path: '/data/a', value: '7' },
    ];
    const type = patchTypes.json;
    const answer = await t.rest.send('PATCH', t.path('configmaps/a'), patch, { type });
    refused(answer, 422, 'Invalid', /^the server rejected our request due to an error in our re/);
    assert.deepEqual(await t.rest.get(t.path('configmaps/a')), made);
  },
  'a json patch that removes what is not there is Invalid': async (t) => {
    await t.rest.post(t.path('configmaps'), configMap('a'));
    const type = patchTypes.json;
    const patch = [{ op: 'remove', path: '/data/none' }];
    const answer = await t.rest.send('PATCH', t.path('configmaps/a'), patch, { type });
    refused(answer, 422, 'Invalid', /^the server rejected our request due to an error in our re/);
  },
  'a json patch that is no list is BadRequest': async (t) => {
    await t.rest.post(t.path('configmaps'), configMap('a'));
    const type = patchTypes.json;
    const answer = await t.rest.send('PATCH', t.path('configmaps/a'), { a: 1 }, { type });
    refused(answer, 400, 'BadRequest');
  },
  'an unknown type of patch is 415': async (t) => {
    await t.rest.post(t.path('configmaps'), configMap('a'));
    const answer = await t.rest.send('PATCH', t.path('configmaps/a'), {});
    refused(answer, 415, 'UnsupportedMediaType');
    t.recorded('refusal', answer.body);
  },
  'strategic merge joins containers by name': async (t) => {
    await t.rest.post(t.path('apps/v1/deployments'), deployment('a'));
    const containers = [
      { name: 'main', env: [{ name: 'A', value: '1' }] },
      { name: 'side', image: 'side:1' },
    ];
    const patch = { spec: { template: { spec: { containers } } } };
    const path = t.path('apps/v1/deployments/a');
    const now = await t.rest.patch(path, patch, 'strategic');
    t.recorded('containers', at(now, 'spec.template.spec.containers'));
    const change = [{ name: 'main', env: [{ name: 'B', value: '2' }], image: 'image:2' }];
    const second = { spec: { template: { spec: { containers: change } } } };
    const then = await t.rest.patch(path, second, 'strategic');
    t.recorded('again', at(then, 'spec.template.spec.containers'));
  },
  'strategic merge deletes by $patch and orders by $setElementOrder': async (t) => {
    const path = t.path('apps/v1/deployments/a');
    await t.rest.post(t.path('apps/v1/deployments'), deployment('a'));
    const template = (spec: object): object => ({ spec: { template: { spec } } });
    const more = ['b', 'c', 'd'].map((name) => ({ name, image: `${name}:1` }));
    await t.rest.patch(path, template({ containers: more }), 'strategic');
    const patch = template({
      '$setElementOrder/containers': ['d', 'main', 'c'].map((name) => ({ name })),
      containers: [
        { name: 'b', $patch: 'delete' },
        { name: 'c', image: 'c:2' },
      ],
    });
    const now = await t.rest.patch(path, patch, 'strategic');
    const images = listAt(now, 'spec.template.spec.containers').map((one) => one['image']);
    assert.deepEqual(images, ['d:1', 'image:1', 'c:2']);
  },
  'strategic merge replaces by $patch: replace and $retainKeys': async (t) => {
    const path = t.path('apps/v1/deployments/a');
    await t.rest.post(t.path('apps/v1/deployments'), deployment('a'));
    const patch = {
      spec: {
        strategy: { $retainKeys: ['type'], type: 'Recreate' },
        template: {
          spec: { containers: [{ $patch: 'replace' }, { name: 'only', image: 'only:1' }] },
        },
      },
    };
    const now = await t.rest.patch(path, patch, 'strategic');
    has(now, { 'spec.strategy': { type: 'Recreate' } });
    const names = listAt(now, 'spec.template.spec.containers').map((one) => one['name']);
    assert.deepEqual(names, ['only']);
  },
  'strategic merge of finalizers adds, and deletes by $deleteFromPrimitiveList': async (t) => {
    const path = t.path('configmaps/a');
    const finalizers = ['example.com/a', 'example.com/b'];
    await t.rest.post(t.path('configmaps'), configMap('a', {}, { finalizers }));
    const add = { metadata: { finalizers: ['example.com/c'] } };
    const added = await t.rest.patch(path, add, 'strategic');
    assert.equal(listAt(added, 'metadata.finalizers').length, 3);
    const drop = { metadata: { '$deleteFromPrimitiveList/finalizers': finalizers } };
    const now = await t.rest.patch(path, drop, 'strategic');
    has(now, { 'metadata.finalizers': ['example.com/c'] });
    await t.rest.patch(path, { metadata: { finalizers: null } });
  },
  'strategic merge joins ports of services by port': async (t) => {
    const ports = [{ name: 'a', port: 80 }];
    const body = { metadata: { name: 's' }, spec: { ports, selector: { app: 'x' } } };
    await t.rest.post(t.path('services'), body);
    const patch = { spec: { ports: [{ name: 'b', port: 81, targetPort: 'web' }] } };
    const now = await t.rest.patch(t.path('services/s'), patch, 'strategic');
    t.recorded('ports', at(now, 'spec.ports'));
  },
  'custom objects know no strategic merge': async (t) => {
    const { path, apiVersion } = await t.define(widgets());
    await t.rest.post(path, widget(apiVersion, 'a'));
    const type = patchTypes.strategic;
    const answer = await t.rest.send('PATCH', `${path}/a`, { spec: {} }, { type });
    refused(answer, 415, 'UnsupportedMediaType');
    t.recorded('refusal', answer.body);
  },
  'a patch that makes the object invalid changes nothing': async (t) => {
    const { path, apiVersion } = await t.define(widgets());
    const made = await t.rest.post(path, widget(apiVersion, 'a'));
    const type = patchTypes.merge;
    const answer = await t.rest.send('PATCH', `${path}/a`, { spec: { size: 99 } }, { type });
    refused(answer, 422, 'Invalid');
    assert.deepEqual(await t.rest.get(`${path}/a`), made);
  },
  'patches without a version never conflict with each other': async (t) => {
    await t.rest.post(t.path('configmaps'), configMap('a'));
    const all = Array.from({ length: 12 }, (_, i) => `k${i}`);
    await Promise.all(
      all.map((key) => t.rest.patch(t.path('configmaps/a'), { data: { [key]: 'x' } })),
    );
    const now = await t.rest.get(t.path('configmaps/a'));
    assert.equal(Object.keys(at(now, 'data') as object).length, all.length + 1);
  },
});
