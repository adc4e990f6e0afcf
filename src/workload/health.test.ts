import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeObject } from '../kube/objects.ts';
import { judgeHealth } from './health.ts';

function of(apiVersion: string, kind: string, spec: object, status: object): KubeObject {
  const metadata = { name: 'web', namespace: 'shop', uid: 'u', generation: 2 };
  return { apiVersion, kind, metadata, spec, status } as KubeObject;
}

const because = (object: KubeObject, pods: readonly KubeObject[] = []): string => {
  const health = judgeHealth(object, pods);
  return health.healthy ? 'healthy' : health.because;
};

const seen = { observedGeneration: 2 };
const labels = { app: 'web' };

function podOf(status: object): KubeObject {
  const object = of('v1', 'Pod', {}, status);
  return { ...object, metadata: { name: 'web-1', namespace: 'shop', uid: 'p', labels } };
}

test('workloads are healthy when all that is wanted is there in the newest version', () => {
  const deployment = (status: object, spec: object = { replicas: 2 }): string =>
    because(of('apps/v1', 'Deployment', spec, status));
  const full = { ...seen, replicas: 2, availableReplicas: 2, updatedReplicas: 2 };
  assert.equal(deployment(full), 'healthy');
  assert.match(deployment({ ...full, observedGeneration: 1 }), /has not seen the last change/);
  assert.equal(deployment({ ...full, availableReplicas: 1 }), '1 of 2 replicas are ready');
  assert.match(deployment({ ...full, updatedReplicas: 1 }), /1 of 2 .* newest version/);
  assert.equal(
    deployment({ ...full, updatedReplicas: 1 }, { replicas: 2, paused: true }),
    'healthy',
  );
  assert.match(deployment(full, { replicas: 0 }), /2 replicas are still running, none is wanted/);
  const failed = { type: 'ReplicaFailure', status: 'True', message: 'exceeded quota: small' };
  const short = { ...seen, conditions: [failed] };
  assert.match(deployment(short), /0 of 2 replicas are ready: exceeded quota: small/);
});

test('the pod that is in trouble gives the cause', () => {
  const spec = { replicas: 1, selector: { matchLabels: labels } };
  const deployment = of('apps/v1', 'Deployment', spec, { ...seen, replicas: 1 });
  const waiting = (reason: string, message?: string): object => ({
    phase: 'Pending',
    containerStatuses: [
      {
        name: 'c',
        restartCount: 4,
        state: { waiting: { reason, message } },
        lastState: { terminated: { exitCode: 137 } },
      },
    ],
  });
  const cases: readonly (readonly [object, RegExp])[] = [
    [
      waiting('ImagePullBackOff', 'no such image'),
      /pod web-1 has container c waiting, ImagePullBackOff: no such image$/,
    ],
    [
      waiting('CrashLoopBackOff'),
      /container c failing again and again \(4 restarts, last with exit code 137\)$/,
    ],
    [waiting('ContainerCreating'), /is Pending, not ready yet$/],
    [
      {
        phase: 'Pending',
        conditions: [{ type: 'PodScheduled', status: 'False', message: '0/3 nodes fit' }],
      },
      /finds no node: 0\/3 nodes fit$/,
    ],
    [{ phase: 'Unknown' }, /on a node that does not answer$/],
    [{ phase: 'Failed', reason: 'Evicted' }, /has failed: Evicted$/],
  ];
  for (const [status, expected] of cases) {
    assert.match(because(deployment, [podOf(status)]), expected);
  }
  const foreign = { ...podOf({ phase: 'Failed' }), metadata: { name: 'x', namespace: 'shop' } };
  assert.equal(because(deployment, [foreign]), '0 of 1 replicas are ready');
});

test('jobs, claims, daemons and kinds with conditions', () => {
  const failed = {
    conditions: [{ type: 'Failed', status: 'True', reason: 'BackoffLimitExceeded' }],
  };
  assert.match(because(of('batch/v1', 'Job', {}, failed)), /it has failed: BackoffLimitExceeded/);
  assert.equal(because(of('batch/v1', 'Job', {}, {})), 'healthy');
  const claim = { storageClassName: 'fast' };
  const pending = of('v1', 'PersistentVolumeClaim', claim, { phase: 'Pending' });
  assert.equal(because(pending), 'it waits for a volume of fast');
  const lost = of('v1', 'PersistentVolumeClaim', claim, { phase: 'Lost' });
  assert.match(because(lost), /does not exist any more/);
  const counts = { ...seen, desiredNumberScheduled: 3, numberReady: 2 };
  assert.equal(because(of('apps/v1', 'DaemonSet', {}, counts)), 'it is ready on 2 of 3 nodes');
  const conditions = [{ type: 'Ready', status: 'False', message: 'no leader' }];
  const widget = of('acme.example.com/v1', 'Widget', {}, { conditions });
  assert.equal(because(widget), 'it is not Ready: no leader');
});
