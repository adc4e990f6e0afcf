// In memory; the same on two real API servers belongs into test/kubernetes/fleet, which has shop.ts
// to fill one and prepareObjects for the other.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import type { KubeClient } from '../../src/kube/api.ts';
import { createDiscovery } from '../../src/kube/discovery.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { fieldsAt, listAt, textAt, valueAt } from '../../src/workload/fields.ts';
import { nameText } from '../../src/workload/names.ts';
import {
  prepareObjects,
  type Prepared,
  servesKind,
  surveyNamespaces,
} from '../../src/workload/workload.ts';
import { fillShop, gather, outside, put, startServer, widgets } from './shop.ts';

const library = createSchemaLibrary();

async function start(): Promise<{ east: KubeClient; west: KubeClient }> {
  const east = startServer(library, 'east');
  const west = startServer(library, 'westward');
  await fillShop(east);
  await put(west, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'store' } });
  for (const object of outside) await put(west, object);
  return { east, west };
}

async function prepareAll(east: KubeClient, west: KubeClient): Promise<Prepared[]> {
  const { inventory } = await surveyNamespaces(east, { namespaces: ['shop'], destination: west });
  const served = await createDiscovery(west).resources();
  return gather(
    prepareObjects(east, inventory.items, {
      id: 'move-1',
      namespaces: { shop: 'store' },
      storageClasses: { fast: 'quick' },
      images: [{ from: 'registry.old.example.com:5000/', to: 'registry.new.example.com/old' }],
      hosts: { '.old.example.com': '.new.example.com' },
      serviceNames: true,
      serves: servesKind(served),
    }),
  );
}

test('a survey tells what is copied, what is not and why, and what is needed outside', async () => {
  const { east, west } = await start();
  const { inventory, needs } = await surveyNamespaces(east, {
    namespaces: ['shop'],
    destination: west,
  });
  assert.deepEqual(inventory.unreadable, []);
  const copied = inventory.items.map(({ name }) => nameText(name).replace(' shop/', ' '));
  assert.deepEqual(copied.toSorted(), [
    'ConfigMap settings',
    'CronJob nightly',
    'Deployment web',
    'Ingress front',
    'PersistentVolumeClaim data-database-0',
    'Role selling',
    'RoleBinding sellers',
    'Secret keys',
    'Secret pull',
    'Service database',
    'Service web',
    'ServiceAccount seller',
    'StatefulSet database',
    'Widget first',
  ]);
  const whyNot = new Map(
    inventory.leftOut.map(({ name, why }) => [nameText(name).replace(' shop/', ' '), why]),
  );
  assert.equal(whyNot.get('ReplicaSet web-1'), 'it is made by Deployment shop/web');
  assert.equal(whyNot.get('Pod web-1-a'), 'it is made by ReplicaSet shop/web-1');
  assert.equal(whyNot.get('Endpoints web'), 'made from a service and its pods');
  assert.equal(whyNot.get('Job migrate-schema'), 'it has ended; a copy would run again');
  assert.match(whyNot.get('ConfigMap kube-root-ca.crt') ?? '', /certificates of its cluster/);
  const texts = (list: readonly { readonly name: { readonly name: string } }[]): string[] =>
    list.map(({ name }) => name.name);
  assert.deepEqual(texts(needs.definitions), [widgets.metadata.name]);
  assert.deepEqual(
    needs.storageClasses.map(({ provisioner }) => provisioner),
    ['disk.example.com'],
  );
  assert.deepEqual(texts(needs.priorityClasses), ['gold']);
  assert.deepEqual(texts(needs.ingressClasses), ['nginx']);
  assert.deepEqual(texts(needs.clusterRoles), ['node-viewer']);
  assert.deepEqual(texts(needs.clusterRoleBindings), ['sellers-view-nodes']);
  assert.deepEqual(
    needs.volumes.map(({ volume, driver, capacity }) => [volume, driver, capacity]),
    [['pv-1', 'disk.example.com', '1Gi']],
  );
  assert.deepEqual(
    needs.missing.map(({ from, reference }) => [nameText(from), reference.to.name]),
    [['Deployment shop/web', 'never-made']],
  );
  assert.deepEqual(
    needs.registries.map(({ host, count }) => [host, count]),
    [
      ['docker.io', 3],
      ['registry.old.example.com:5000', 1],
    ],
  );
});

test('a namespace goes to another cluster under another name, and runs as it was', async () => {
  const { east, west } = await start();
  const prepared = await prepareAll(east, west);
  const made = new Map<string, KubeObject>();
  for (const { item, object } of prepared) {
    assert(object !== undefined, nameText(item.name));
    made.set(nameText(item.name), await put(west, object));
  }
  const get = (name: string): KubeObject => made.get(name)!;
  const web = get('Deployment shop/web');
  const spec = fieldsAt(web, 'spec', 'template', 'spec');
  const [container] = listAt(spec, 'containers');
  assert.equal(textAt(container, 'image'), 'registry.new.example.com/old/shop/web:1.2');
  assert.equal(
    textAt(listAt(container, 'env')[0], 'value'),
    'postgres://database.store.svc.cluster.local:5432/shop',
  );
  assert.equal(valueAt(web, ['spec', 'replicas']), 2);
  assert.equal(web.metadata.namespace, 'store');
  const [subject] = listAt(get('RoleBinding shop/sellers'), 'subjects');
  assert.equal(textAt(subject, 'namespace'), 'store');
  const claim = get('PersistentVolumeClaim shop/data-database-0');
  assert.equal(textAt(claim, 'spec', 'storageClassName'), 'quick');
  assert.equal(textAt(claim, 'spec', 'volumeName'), undefined);
  const widget = get('Widget shop/first');
  assert.equal(textAt(widget, 'spec', 'targetRef', 'namespace'), 'store');
  assert.deepEqual(widget.metadata.finalizers ?? [], []);
  const [rule] = listAt(get('Ingress shop/front'), 'spec', 'rules');
  assert.equal(textAt(rule, 'host'), 'shop.new.example.com');
  assert.equal(textAt(get('Service shop/database'), 'spec', 'clusterIP'), 'None');
});

test('objects come after what they name', async () => {
  const { east, west } = await start();
  const order = (await prepareAll(east, west)).map(({ item }) => nameText(item.name));
  const before = (a: string, b: string): void =>
    assert(order.indexOf(a) < order.indexOf(b), `${a} before ${b}: ${order.join(', ')}`);
  before('ServiceAccount shop/seller', 'Deployment shop/web');
  before('Secret shop/keys', 'Deployment shop/web');
  before('ConfigMap shop/settings', 'Deployment shop/web');
  before('PersistentVolumeClaim shop/data-database-0', 'CronJob shop/nightly');
  before('Service shop/database', 'StatefulSet shop/database');
  before('Role shop/selling', 'RoleBinding shop/sellers');
  before('Deployment shop/web', 'Ingress shop/front');
});

test('a second copy of the copy says the same: nothing of it is of the first cluster', async () => {
  const { east, west } = await start();
  const first = await prepareAll(east, west);
  for (const { object } of first) await put(west, object!);
  const { inventory } = await surveyNamespaces(west, { namespaces: ['store'] });
  const again = await gather(
    prepareObjects(west, inventory.items, { id: 'move-2', namespaces: { store: 'store' } }),
  );
  const spoken = (all: readonly Prepared[]): unknown =>
    all.map(({ object }) => {
      const text = JSON.stringify(object).replaceAll('move-2', 'move-1');
      return JSON.parse(text) as unknown;
    });
  assert.deepEqual(spoken(again), spoken(first));
});

test('five thousand objects are surveyed in pages, and too many are refused', async () => {
  const east = startServer(library, 'east');
  await put(east, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: 'big' } });
  const type = (await createDiscovery(east).find('', 'ConfigMap'))!;
  for (let i = 0; i < 5000; i++) {
    await east.create(type, { metadata: { name: `c${i}`, namespace: 'big' } });
  }
  const { inventory } = await surveyNamespaces(east, { namespaces: ['big'] });
  assert.equal(inventory.items.length, 5000);
  const prepared = await gather(
    prepareObjects(east, inventory.items, { id: 'move', namespaces: {} }),
  );
  assert.equal(prepared.filter(({ object }) => object !== undefined).length, 5000);
  await assert.rejects(
    surveyNamespaces(east, { namespaces: ['big'], objectsMax: 4999 }),
    /more than 4999 objects/,
  );
});
