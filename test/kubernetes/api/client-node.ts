/** @kubernetes/client-node as its users use it: configuration, typed calls, watches, informers. */
import assert from 'node:assert/strict';
import {
  ApiException,
  AppsV1Api,
  CoreV1Api,
  CustomObjectsApi,
  KubeConfig,
  KubernetesObjectApi,
  makeInformer,
  PatchStrategy,
  setHeaderOptions,
  VersionApi,
  Watch,
} from '@kubernetes/client-node';
import { type CaseContext, cases } from '../case.ts';
import { at, has } from '../document.ts';
import { configMap, deployment, widgets } from './made.ts';

function config(t: CaseContext): KubeConfig {
  const made = new KubeConfig();
  made.loadFromFile(t.kubeconfigPath);
  return made;
}

export const clientNodeCases = cases('client-node', {
  'typed calls: create, read, list, replace, delete': async (t) => {
    const { namespace } = t;
    const core = config(t).makeApiClient(CoreV1Api);
    const body = { metadata: { name: 'a' }, data: { x: '1' } };
    const made = await core.createNamespacedConfigMap({ namespace, body });
    assert.ok(made.metadata?.creationTimestamp instanceof Date);
    const read = await core.readNamespacedConfigMap({ namespace, name: 'a' });
    assert.deepEqual(read.data, { x: '1' });
    const list = await core.listNamespacedConfigMap({ namespace, limit: 50 });
    assert.ok(list.items.some((one) => one.metadata?.name === 'a'));
    // With its metadata, whose times are written with milliseconds.
    read.data = { x: '2' };
    const replaced = await core.replaceNamespacedConfigMap({ namespace, name: 'a', body: read });
    assert.deepEqual(replaced.data, { x: '2' });
    await core.deleteNamespacedConfigMap({ namespace, name: 'a' });
    await assert.rejects(core.readNamespacedConfigMap({ namespace, name: 'a' }), (error) => {
      assert.ok(error instanceof ApiException);
      assert.equal(error.code, 404);
      return true;
    });
  },
  'patches by strategy': async (t) => {
    const { namespace } = t;
    const apps = config(t).makeApiClient(AppsV1Api);
    await t.rest.post(t.path('apps/v1/deployments'), deployment('a'));
    const containers = [{ name: 'main', image: 'image:3' }];
    const patched = await apps.patchNamespacedDeployment(
      { namespace, name: 'a', body: { spec: { template: { spec: { containers } } } } },
      setHeaderOptions('Content-Type', PatchStrategy.StrategicMergePatch),
    );
    assert.equal(patched.spec?.template.spec?.containers[0]?.image, 'image:3');
  },
  'custom objects and objects of any kind': async (t) => {
    const { namespace } = t;
    const { group, plural, apiVersion } = await t.define(widgets());
    const custom = config(t).makeApiClient(CustomObjectsApi);
    const body = { apiVersion, kind: 'Widget', metadata: { name: 'a' }, spec: { size: 2 } };
    const place = { group, version: 'v1', namespace, plural };
    has(await custom.createNamespacedCustomObject({ ...place, body }), { 'spec.note': 'none' });
    const list: unknown = await custom.listNamespacedCustomObject(place);
    has(list, { kind: 'WidgetList', 'items.0.metadata.name': 'a' });
    const objects = KubernetesObjectApi.makeApiClient(config(t));
    const read = await objects.read({
      apiVersion,
      kind: 'Widget',
      metadata: { name: 'a', namespace },
    });
    assert.equal(at(read, 'spec.size'), 2);
  },
  'a watch': async (t) => {
    const list = await t.rest.get(t.path('configmaps'));
    const resourceVersion = String(at(list, 'metadata.resourceVersion'));
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const controller = await new Watch(config(t)).watch(
      t.path('configmaps'),
      { resourceVersion, fieldSelector: 'metadata.name=seen' },
      (phase, object: unknown) => resolve(`${phase} ${String(at(object, 'metadata.name'))}`),
      (error: unknown) => reject(error instanceof Error ? error : new Error(String(error))),
    );
    await t.rest.post(t.path('configmaps'), configMap('seen'));
    assert.equal(await promise, 'ADDED seen');
    controller.abort();
  },
  'an informer': async (t) => {
    const { namespace } = t;
    const core = config(t).makeApiClient(CoreV1Api);
    await t.rest.post(t.path('secrets'), { metadata: { name: 'before' } });
    const informer = makeInformer(config(t), t.path('secrets'), () =>
      core.listNamespacedSecret({ namespace }),
    );
    const seen: string[] = [];
    informer.on('add', (object) => seen.push(`add ${object.metadata?.name}`));
    informer.on('delete', (object) => seen.push(`delete ${object.metadata?.name}`));
    informer.on('error', () => undefined);
    await informer.start();
    await t.rest.post(t.path('secrets'), { metadata: { name: 'after' } });
    await t.rest.delete(t.path('secrets/before'));
    await t.until('its events', async () => (seen.length === 3 ? true : undefined));
    await informer.stop();
    assert.deepEqual(seen, ['add before', 'add after', 'delete before']);
  },
  'the version': async (t) => {
    const { gitVersion } = await config(t).makeApiClient(VersionApi).getCode();
    assert.match(gitVersion, /^v1\./);
  },
});
