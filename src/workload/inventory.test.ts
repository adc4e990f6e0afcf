import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jsonResponse, statusObject, testClient, TestTime } from '../kube/testing.ts';
import type { KubeRequest, KubeResponse } from '../kube/transport.ts';
import type { ServedResource } from '../kube/discovery.ts';
import { takeInventory } from './inventory.ts';
import { createChooser } from './selection.ts';
import { readableTypes } from './versions.ts';
import { webhooksTouching } from './webhooks.ts';

function served(group: string, version: string, kind: string): ServedResource {
  const plural = `${kind.toLowerCase()}s`;
  const verbs = ['get', 'list'];
  const more = { namespaced: true, verbs, shortNames: [], subresources: [] };
  return { group, version, plural, kind, ...more };
}

const configMaps = served('', 'v1', 'ConfigMap');
const widgets = served('acme.example.com', 'v1', 'Widget');

const item = (name: string, more: object = {}): object => ({
  metadata: { name, namespace: 'shop', uid: `u-${name}`, ...more },
});

function clientOf(answer: (request: KubeRequest) => KubeResponse) {
  return testClient(new TestTime(), (request) => Promise.resolve(answer(request)));
}

test('a kind that may not be listed is told, and hides nothing else', async () => {
  const client = clientOf(({ path }) =>
    path.includes('widgets')
      ? jsonResponse(403, statusObject(403, 'Forbidden', { message: 'widgets is forbidden' }))
      : jsonResponse(200, { metadata: {}, items: [item('a')] }),
  );
  const inventory = await takeInventory(client, {
    namespaces: ['shop'],
    served: [widgets, configMaps],
  });
  assert.deepEqual(
    inventory.items.map(({ name }) => name.name),
    ['a'],
  );
  assert.deepEqual(
    inventory.unreadable.map(({ plural, namespace, reason }) => [plural, namespace, reason]),
    [['widgets', 'shop', 'Forbidden']],
  );
});

test('a list that grew too old on the way begins again, and nothing is counted twice', async () => {
  let cuts = 1;
  const client = clientOf(({ path }) => {
    if (!path.includes('continue=')) {
      return jsonResponse(200, { metadata: { continue: 't' }, items: [item('a')] });
    }
    if (cuts-- > 0) return jsonResponse(410, statusObject(410, 'Expired'));
    return jsonResponse(200, { metadata: {}, items: [item('b')] });
  });
  const inventory = await takeInventory(client, { namespaces: ['shop'], served: [configMaps] });
  assert.deepEqual(
    inventory.items.map(({ name }) => name.name),
    ['a', 'b'],
  );
});

test('a claim stays for itself whoever owns it; a pod made its own for a while', async () => {
  const owner = (kind: string, uid: string): object => ({
    ownerReferences: [{ apiVersion: 'v1', kind, name: 'x', uid, controller: true }],
  });
  const claims = [item('data', owner('Widget', 'u-x')), item('scratch', owner('Pod', 'u-p'))];
  const kinds: Readonly<Record<string, readonly object[]>> = {
    widgets: [item('x')],
    pods: [item('p')],
    persistentvolumeclaims: claims,
  };
  const client = clientOf(({ path }) => {
    const plural = /\/([a-z]+)\?/.exec(path)?.[1] ?? '';
    return jsonResponse(200, { metadata: {}, items: kinds[plural] ?? [] });
  });
  const inventory = await takeInventory(client, {
    namespaces: ['shop'],
    served: [widgets, served('', 'v1', 'Pod'), served('', 'v1', 'PersistentVolumeClaim')],
  });
  assert.deepEqual(
    inventory.items.map(({ name }) => name.name),
    ['data', 'p', 'x'],
  );
  assert.equal(inventory.leftOut[0]?.why, 'it is made by Pod shop/p');
});

test('versions are chosen that both sides serve; what has none is said', () => {
  const source = [
    served('acme.example.com', 'v2', 'Widget'),
    served('acme.example.com', 'v1', 'Widget'),
    served('extensions', 'v1beta1', 'Ingress'),
    served('networking.k8s.io', 'v1', 'Ingress'),
    served('old.example.com', 'v1alpha1', 'Gadget'),
    { ...served('', 'v1', 'Binding'), verbs: ['create'] },
  ];
  const there = [
    served('acme.example.com', 'v1', 'Widget'),
    served('networking.k8s.io', 'v1', 'Ingress'),
    served('old.example.com', 'v1', 'Gadget'),
  ];
  const chosen = readableTypes(source, there);
  assert.deepEqual(
    chosen.map(({ type }) => `${type.group}/${type.version} ${type.kind}`),
    [
      'acme.example.com/v1 Widget',
      'networking.k8s.io/v1 Ingress',
      'old.example.com/v1alpha1 Gadget',
    ],
  );
  assert.deepEqual(
    chosen.map(({ unserved }) => unserved?.message),
    [
      undefined,
      undefined,
      'the source serves Gadget of old.example.com in v1alpha1 only, the destination in v1',
    ],
  );
});

test('a selection includes, excludes and selects by labels', () => {
  const labels = { tier: 'web' };
  const object = { apiVersion: 'v1', kind: 'X', metadata: { name: 'x', labels } };
  const apps = { group: 'apps', plural: 'deployments' };
  const why = (selection: Parameters<typeof createChooser>[0]): string | undefined =>
    createChooser(selection)(apps, object);
  assert.equal(why({}), undefined);
  assert.equal(why({ include: ['deployments'] }), undefined);
  assert.equal(why({ include: ['deployments.apps'] }), undefined);
  assert.match(why({ include: ['deployments.extensions'] }) ?? '', /does not include/);
  assert.match(why({ include: ['*'], exclude: ['*.apps'] }) ?? '', /excludes/);
  assert.match(why({ labelSelector: { matchLabels: { tier: 'db' } } }) ?? '', /labels/);
  assert.throws(() => createChooser({ include: ['a..b'] }), /selects no resources/);
});

test('webhooks are found by rule, namespace and labels', async () => {
  const client = clientOf(() => jsonResponse(200, { metadata: {}, items: [item('a')] }));
  const { items } = await takeInventory(client, { namespaces: ['shop'], served: [configMaps] });
  const rule = {
    operations: ['CREATE'],
    apiGroups: [''],
    apiVersions: ['v1'],
    resources: ['configmaps'],
  };
  const touching = (webhook: object): number => {
    const kind = 'ValidatingWebhookConfiguration';
    const webhooks = [{ name: 'w', rules: [rule], ...webhook }];
    const configuration = { apiVersion: 'v1', kind, metadata: { name: 'c' }, webhooks };
    return webhooksTouching([configuration], items, () => ({ team: 'shop' })).length;
  };
  assert.equal(touching({}), 1);
  assert.equal(touching({ rules: [{ ...rule, operations: ['DELETE'] }] }), 0);
  assert.equal(touching({ rules: [{ ...rule, resources: ['pods'] }] }), 0);
  assert.equal(touching({ rules: [{ ...rule, scope: 'Cluster' }] }), 0);
  assert.equal(touching({ namespaceSelector: { matchLabels: { team: 'shop' } } }), 1);
  assert.equal(touching({ namespaceSelector: { matchLabels: { team: 'other' } } }), 0);
  assert.equal(touching({ objectSelector: { matchLabels: { app: 'x' } } }), 0);
});
