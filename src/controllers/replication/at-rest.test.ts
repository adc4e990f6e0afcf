import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '../../kube/objects.ts';
import { valueAt } from '../../workload/fields.ts';
import { atRest } from './at-rest.ts';

const template = { spec: { containers: [{ name: 'x', image: 'y' }] } };

function made(apiVersion: string, kind: string, spec: object = { replicas: 3, template }) {
  return { apiVersion, kind, metadata: { namespace: 'shop', name: 'one' }, spec } as KubeObject;
}

test('what runs is made so that it does not', () => {
  for (const [apiVersion, kind] of [
    ['apps/v1', 'Deployment'],
    ['apps/v1', 'StatefulSet'],
    ['apps/v1', 'ReplicaSet'],
    ['v1', 'ReplicationController'],
  ] as const) {
    assert.equal(valueAt(atRest(made(apiVersion, kind)), ['spec', 'replicas']), 0, kind);
  }
  assert.equal(valueAt(atRest(made('batch/v1', 'CronJob', {})), ['spec', 'suspend']), true);
  assert.equal(valueAt(atRest(made('batch/v1', 'Job', { template })), ['spec', 'suspend']), true);
  const path = ['spec', 'template', 'spec', 'nodeSelector', 'transship.dev/stopped'];
  assert.equal(valueAt(atRest(made('apps/v1', 'DaemonSet', { template })), path), 'true');
});

test('what cannot be stopped is left out, and what runs nothing stays as it is', () => {
  assert.equal(atRest(made('v1', 'Pod', template.spec)), undefined);
  assert.equal(atRest(made('example.com/v1', 'Database', { size: 3 })), undefined);
  const service = made('v1', 'Service', { ports: [] });
  assert.equal(atRest(service), service);
  const ingress = made('networking.k8s.io/v1', 'Ingress', {});
  assert.equal(atRest(ingress), ingress);
});
