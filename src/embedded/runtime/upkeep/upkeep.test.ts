import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { KubeObject, ObjectMeta, OwnerReference } from '../../../kube/objects.ts';
import {
  configMaps,
  resourceQuotas,
  namespaces,
  nodes,
  serviceAccounts,
} from '../../../kube/resources.ts';
import { pods } from '../kinds/pods.ts';
import { MemoryWorld } from '../testing.ts';
import {
  type OwnerState,
  foregroundFinalizer,
  orphanFinalizer,
  verdict,
} from './garbage-verdict.ts';
import { createPodCollector } from './nodes.ts';
import { createQuotaController } from './quotas.ts';
import { createNamespaceBasics, rootCertificates } from './service-accounts.ts';

const owner = (name: string, blockOwnerDeletion = true): OwnerReference => {
  return { apiVersion: 'v1', kind: 'ConfigMap', name, uid: name, blockOwnerDeletion };
};
const object = (metadata: ObjectMeta = {}): KubeObject => {
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'x', uid: 'x', ...metadata } };
};
const state = (name: string, is: OwnerState['state']): OwnerState => ({
  reference: owner(name),
  state: is,
});
const gone = { deletionTimestamp: '2026-01-01T00:00:00Z' };
const child = object({ name: 'child', ownerReferences: [owner('x')] });

suite('the collector', () => {
  const cases: Readonly<Record<string, readonly [ReturnType<typeof verdict>, object]>> = {
    'keeps what nobody owns': [verdict(object(), [], []), { kind: 'keep', isUncertain: false }],
    'keeps what an owner holds': [
      verdict(object(), [state('a', 'solid')], []),
      { kind: 'keep', isUncertain: false },
    ],
    'deletes when the last owner is gone': [
      verdict(object(), [state('a', 'absent')], []),
      { kind: 'delete', propagation: 'Background' },
    ],
    'takes gone owners out while another holds': [
      verdict(object(), [state('a', 'absent'), state('b', 'solid')], []),
      { kind: 'disown', owners: [owner('b')] },
    ],
    'waits where it does not know the kind': [
      verdict(object(), [state('a', 'unknown'), state('b', 'absent')], []),
      { kind: 'keep', isUncertain: true },
    ],
    'lets dependents of a waited-for object go first': [
      verdict(object(), [state('a', 'waiting')], [child]),
      { kind: 'delete', propagation: 'Foreground' },
    ],
    'deletes at once what has none': [
      verdict(object(), [state('a', 'waiting')], []),
      { kind: 'delete', propagation: 'Background' },
    ],
    'orphans first': [
      verdict(object({ ...gone, finalizers: [orphanFinalizer] }), [], [child]),
      { kind: 'orphan' },
    ],
    'awaits dependents that block': [
      verdict(object({ ...gone, finalizers: [foregroundFinalizer] }), [], [child]),
      { kind: 'await' },
    ],
    'does not await others': [
      verdict(
        object({ ...gone, finalizers: [foregroundFinalizer] }),
        [],
        [object({ ownerReferences: [owner('x', false)] })],
      ),
      { kind: 'finish' },
    ],
  };
  for (const [title, [is, wanted]] of Object.entries(cases))
    test(title, () => assert.deepEqual(is, wanted));
});

test('every namespace has its account and the certificates, again when they change', () => {
  const world = new MemoryWorld();
  const controller = createNamespaceBasics('pem');
  const key = { namespace: '', name: 'n' };
  world.put(namespaces, { metadata: { name: 'n' } });
  world.settle(controller, key);
  assert.equal(world.list(serviceAccounts, 'n')[0]?.metadata.name, 'default');
  const place = { namespace: 'n', name: rootCertificates };
  world.change(configMaps, place, { data: { 'ca.crt': 'other' } });
  world.settle(controller, key);
  assert.equal(world.get(configMaps, place)?.data?.['ca.crt'], 'pem');
});

test('pods of a node that is gone are deleted, unless they are new', () => {
  const world = new MemoryWorld();
  world.put(nodes, { metadata: { name: 'a' } });
  for (const nodeName of ['a', 'b']) {
    world.put(pods, { metadata: { name: nodeName }, spec: { containers: [], nodeName } });
    world.step(createPodCollector(), { namespace: 'default', name: nodeName });
  }
  assert.deepEqual(world.done, []);
  world.nowMs += 40_000;
  for (const name of ['a', 'b']) {
    world.step(createPodCollector(), { namespace: 'default', name });
  }
  assert.deepEqual(world.done, ['delete /pods b']);
});

test('a quota tells how many pods there are, and how many have not ended', () => {
  const world = new MemoryWorld();
  const key = { namespace: 'default', name: 'few' };
  world.put(resourceQuotas, {
    metadata: key,
    spec: { hard: { pods: '2', 'count/pods': '9', 'requests.cpu': '4' } },
  });
  for (const [name, phase] of Object.entries({ a: 'Running', b: 'Succeeded', c: 'Pending' })) {
    world.put(pods, { metadata: { name }, spec: { containers: [] }, status: { phase } } as never);
  }
  world.settle(createQuotaController(), key);
  const told = () => world.get(resourceQuotas, key)?.status;
  assert.deepEqual(told(), {
    hard: { pods: '2', 'count/pods': '9', 'requests.cpu': '4' },
    used: { pods: '2', 'count/pods': '3', 'requests.cpu': '0' },
  });
  world.drop(pods, { namespace: 'default', name: 'a' });
  world.settle(createQuotaController(), key);
  assert.deepEqual(world.done, []);
  assert.match(JSON.stringify(told()), /"pods":"1","count\/pods":"2"/);
});
