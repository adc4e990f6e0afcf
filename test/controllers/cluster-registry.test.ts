import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clusters } from '../../src/api/kinds/cluster.ts';
import { registryOf } from '../../src/controllers/image-transfer/place.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import { customResourceDefinitions } from '../../src/kube/resources.ts';
import { World } from './world.ts';

const group = 'image.openshift.io';
const streams = { group, version: 'v1', plural: 'imagestreams', kind: 'ImageStream' };
const type = { ...streams, namespaced: true };

test('the registry of OpenShift is found, and what people say is stronger', async () => {
  const world = new World(createSchemaLibrary());
  await world.prepare();
  const west = world.admin('west');
  const openAPIV3Schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  await west.create(customResourceDefinitions, {
    metadata: { name: `imagestreams.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural: streams.plural, kind: streams.kind },
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema } }],
    },
  } as never);
  await west.create(type, {
    metadata: { namespace: 'shop', name: 'web' },
    status: {
      dockerImageRepository: 'registry.svc:5000/shop/web',
      publicDockerImageRepository: 'registry.west.example/shop/web',
    },
  } as never);
  world.startAll();
  const find = () => world.find('east', clusters, { name: 'west' });
  await world.until('the registry is found', async () => {
    return (await find())?.status?.registry !== undefined;
  });
  const found = (await find())!;
  const hosts = ['registry.svc:5000', 'registry.west.example'];
  assert.deepEqual(registryOf(found)?.hosts, hosts);
  assert.equal(registryOf(found)?.address, 'registry.west.example');
  const said = { ...found, spec: { ...found.spec, registry: { exposedHost: 'mine.example' } } };
  assert.equal(registryOf(said)?.address, 'mine.example');
  assert.equal(registryOf(said)?.host, 'registry.svc:5000');
  const east = await world.find('east', clusters, { name: 'east' });
  assert.equal(east && registryOf(east), undefined);
  await world.stop();
});
