import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, suite, test } from 'node:test';
import type { PodSpec } from '../../kube/pod-spec.ts';
import { configMaps, services, namespaces, endpoints } from '../../kube/resources.ts';
import { type Pod, pods } from '../../embedded/runtime/kinds/pods.ts';
import { claims, persistentVolumes } from '../../embedded/runtime/kinds/storage.ts';
import {
  deployments,
  jobs,
  replicaSets,
  statefulSets,
} from '../../embedded/runtime/kinds/workloads.ts';
import { processesWith } from './processes-table.ts';
import { TestCluster, eventually } from './runtime-fixture.ts';

const cluster = new TestCluster();
const timeout = 60_000;

before(() => cluster.start());
after(() => cluster.end());

function specOf(script: string, more: Partial<PodSpec> = {}): PodSpec {
  return {
    containers: [{ name: 'main', image: 'none', command: ['sh', '-c', script] }],
    terminationGracePeriodSeconds: 5,
    ...more,
  };
}

const sleeper = specOf('echo up; exec sleep 100000');
const labels = (app: string) => ({ labels: { app } });
const named = (name: string, namespace = 'default') => ({ metadata: { name, namespace } });

function workload(app: string, spec: PodSpec, more: object = {}) {
  const rest = { selector: { matchLabels: { app } }, template: { metadata: labels(app), spec } };
  return { ...named(app), spec: { ...rest, ...more } };
}

async function logOf(pod: string): Promise<string> {
  let text = '';
  const rest = {
    tailLines: undefined,
    sinceTime: undefined,
    limitBytes: undefined,
    signal: undefined,
  };
  const flags = { follow: false, previous: false, timestamps: false };
  const request = { namespace: 'default', pod, container: undefined, ...rest, ...flags };
  for await (const bytes of await cluster.runtime.readLog(request)) {
    text += Buffer.from(bytes).toString();
  }
  return text;
}

async function podsOf(app: string): Promise<Pod[]> {
  return (await cluster.list(pods)).filter((pod) => pod.metadata.labels?.['app'] === app);
}

const isReady = (pod: Pod): boolean =>
  pod.status?.conditions?.some((one) => one.type === 'Ready' && one.status === 'True') === true;

suite('an embedded cluster', { timeout }, () => {
  test('runs a pod with its configuration, and reports how it ended', async () => {
    await cluster.client.create(configMaps, {
      ...named('settings'),
      data: { a: 'one', file: 'text' },
    });
    const target = path.join(cluster.root, 'etc/settings');
    await cluster.client.create(pods, {
      ...named('once'),
      spec: specOf('', {
        restartPolicy: 'Never',
        volumes: [{ name: 'config', configMap: { name: 'settings' } }],
        containers: [
          {
            name: 'main',
            image: 'none',
            command: ['sh', '-c', 'echo "$A $NAME $(cat "$TRANSSHIP_MOUNT_CONFIG/file")"; exit 3'],
            env: [
              { name: 'A', valueFrom: { configMapKeyRef: { name: 'settings', key: 'a' } } },
              { name: 'NAME', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } },
            ],
            volumeMounts: [{ name: 'config', mountPath: target }],
          },
        ],
      }),
    });
    const pod = await eventually(async () => {
      const now = await cluster.get(pods, 'once');
      return now?.status?.phase === 'Failed' && now;
    });
    const status = pod.status?.containerStatuses?.[0];
    assert.equal(status?.state.terminated?.exitCode, 3);
    assert.equal(status?.state.terminated?.reason, 'Error');
    assert.equal(await logOf('once'), 'one once text\n');
    assert.equal(pod.spec.nodeName, 'node-1');
  });

  test('says why a container without a command waits', async () => {
    const spec = specOf('', { containers: [{ name: 'main', image: 'nginx' }] });
    await cluster.client.create(pods, { ...named('image-only'), spec });
    const waiting = await eventually(async () => {
      const now = await cluster.get(pods, 'image-only');
      return now?.status?.containerStatuses?.[0]?.state.waiting?.message !== undefined && now;
    });
    const state = waiting.status?.containerStatuses?.[0]?.state.waiting;
    assert.equal(state?.reason, 'CreateContainerConfigError');
    assert.match(state?.message ?? '', /embedded clusters run host programs: give a command/);
    assert.equal(waiting.status?.phase, 'Pending');
    await cluster.client.delete(pods, { namespace: 'default', name: 'image-only' });
    await eventually(async () => (await cluster.get(pods, 'image-only')) === undefined);
  });

  test('rolls a deployment from one template to the next, and collects it', async () => {
    await cluster.client.create(services, {
      ...named('web'),
      spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 8080 }] },
    });
    await cluster.client.create(deployments, workload('web', sleeper, { replicas: 2 }));
    const isDone = async (revision: string) => {
      const now = await cluster.get(deployments, 'web');
      const { status, metadata } = now ?? {};
      const isWhole =
        status?.observedGeneration === metadata?.generation &&
        status?.availableReplicas === 2 &&
        status.updatedReplicas === 2 &&
        status.replicas === 2;
      return isWhole && metadata?.annotations?.['deployment.kubernetes.io/revision'] === revision;
    };
    await eventually(() => isDone('1'));
    const first = await podsOf('web');
    const template = { metadata: { annotations: { 'kubectl.kubernetes.io/restartedAt': 'now' } } };
    const key = { namespace: 'default', name: 'web' };
    await cluster.client.patch(deployments, key, { spec: { template } });
    await eventually(() => isDone('2'));
    const second = (await podsOf('web')).filter(
      (pod) => pod.metadata.deletionTimestamp === undefined,
    );
    assert.equal(second.length, 2);
    const before = new Set(first.map((pod) => pod.metadata.uid));
    assert.ok(second.every((pod) => !before.has(pod.metadata.uid)));
    await eventually(async () => {
      const found = await cluster.get(endpoints, 'web');
      return JSON.stringify(found?.subsets).match(/"ip"/g)?.length === 2;
    });
    await cluster.client.delete(deployments, key, { propagation: 'Background' });
    await eventually(async () => (await podsOf('web')).length === 0);
    assert.equal((await cluster.list(replicaSets)).length, 0);
    for (const pod of second) assertNothingOf(pod);
  });

  test('completes a job, counting each pod once', async () => {
    const spec = specOf('test -n "$JOB_COMPLETION_INDEX"', { restartPolicy: 'Never' });
    const template = { metadata: labels('work'), spec };
    const more = { completions: 3, parallelism: 2, completionMode: 'Indexed' } as const;
    await cluster.client.create(jobs, { ...named('work'), spec: { template, ...more } });
    const job = await eventually(async () => {
      const now = await cluster.get(jobs, 'work');
      return now?.status?.conditions?.some((one) => one.type === 'Complete') && now;
    });
    assert.equal(job.status?.succeeded, 3);
    assert.equal(job.status?.completedIndexes, '0-2');
    await cluster.client.delete(
      jobs,
      { namespace: 'default', name: 'work' },
      { propagation: 'Foreground' },
    );
    await eventually(async () => (await cluster.get(jobs, 'work')) === undefined);
    assert.deepEqual(await podsOf('work'), []);
  });

  test('gives pods of a stateful set names and volumes that stay', async () => {
    const csi = { driver: 'transship.dev', volumeHandle: 'v1' };
    const size = { capacity: { storage: '1Gi' }, accessModes: ['ReadWriteOnce'] as const };
    await cluster.client.create(persistentVolumes, {
      metadata: { name: 'v1' },
      spec: { ...size, csi, storageClassName: 'manual', persistentVolumeReclaimPolicy: 'Retain' },
    });
    const target = path.join(cluster.root, 'srv/db');
    const spec = specOf('', {
      containers: [
        {
          name: 'main',
          image: 'none',
          command: [
            'sh',
            '-c',
            'echo "$HOSTNAME" >> "$TRANSSHIP_MOUNT_DATA/log"; ' +
              'echo "$TRANSSHIP_NBD_DATA_DB_0"; exec sleep 100000',
          ],
          volumeMounts: [{ name: 'data', mountPath: target }],
        },
      ],
    });
    const resources = { requests: { storage: '1Gi' } };
    const template = {
      metadata: { name: 'data' },
      spec: { accessModes: ['ReadWriteOnce'], storageClassName: 'manual', resources },
    };
    const more = { serviceName: 'db', replicas: 1, volumeClaimTemplates: [template] };
    await cluster.client.create(statefulSets, workload('db', spec, more));
    const file = path.join(cluster.root, 'volumes/v1/log');
    const up = () =>
      eventually(async () => {
        const pod = await cluster.get(pods, 'db-0');
        return pod !== undefined && isReady(pod) && fs.existsSync(file) && pod;
      });
    const first = await up();
    assert.equal((await cluster.get(claims, 'data-db-0'))?.status?.phase, 'Bound');
    assert.equal(await logOf('db-0'), 'nbd+unix:///v1\n');
    await cluster.client.delete(pods, { namespace: 'default', name: 'db-0' });
    await eventually(async () => {
      const pod = await cluster.get(pods, 'db-0');
      return pod !== undefined && pod.metadata.uid !== first.metadata.uid && isReady(pod);
    });
    await eventually(() => Promise.resolve(fs.readFileSync(file, 'utf8') === 'db-0\ndb-0\n'));
    await cluster.client.delete(statefulSets, { namespace: 'default', name: 'db' });
    await eventually(async () => (await podsOf('db')).length === 0);
    await eventually(() => Promise.resolve(cluster.volumes.mounted.size === 0));
  });

  test('takes processes over after a crash, and leaves exactly one of each', async () => {
    await cluster.client.create(deployments, workload('keep', sleeper));
    const [pod] = await eventually(async () => {
      const all = await podsOf('keep');
      return all.length === 1 && all.every(isReady) && all;
    });
    assert.ok(pod !== undefined);
    const pids = processesWith(markOf(pod));
    await cluster.stop('crash');
    assert.deepEqual(processesWith(markOf(pod)), pids);
    await cluster.start();
    const again = await cluster.get(pods, pod.metadata.name ?? '');
    assert.equal(again?.metadata.uid, pod.metadata.uid);
    assert.deepEqual(processesWith(markOf(pod)), pids);
    cluster.processes.signal(
      { pod: pod.metadata.uid ?? '', container: 'main', number: 0 },
      'SIGKILL',
    );
    const restarted = await eventually(async () => {
      const now = await cluster.get(pods, pod.metadata.name ?? '');
      return now?.status?.containerStatuses?.[0]?.restartCount === 1 && isReady(now) && now;
    });
    const status = restarted.status?.containerStatuses?.[0];
    assert.equal(status?.lastState.terminated?.exitCode, 137);
    await cluster.stop('down');
    assertNothingOf(pod);
    await cluster.start();
    await cluster.client.delete(deployments, { namespace: 'default', name: 'keep' });
    await eventually(async () => (await podsOf('keep')).length === 0);
  });

  test('ends a namespace with everything in it', async () => {
    await cluster.client.create(namespaces, { metadata: { name: 'short' } });
    const there = await eventually(() => cluster.get(configMaps, 'kube-root-ca.crt', 'short'));
    assert.equal(there.data?.['ca.crt'], 'certificates');
    await cluster.client.create(pods, { ...named('in-it', 'short'), spec: sleeper });
    const pod = await eventually(async () => {
      const now = await cluster.get(pods, 'in-it', 'short');
      return now !== undefined && isReady(now) && now;
    });
    await cluster.client.delete(namespaces, { namespace: '', name: 'short' });
    await eventually(async () => (await cluster.get(namespaces, 'short')) === undefined);
    assertNothingOf(pod);
  });
});

function markOf(pod: Pod): string {
  const count = pod.status?.containerStatuses?.[0]?.restartCount ?? 0;
  return `TRANSSHIP_CONTAINER=${pod.metadata.uid}/main/${count}`;
}

function assertNothingOf(pod: Pod): void {
  for (const count of [0, 1, 2]) {
    assert.deepEqual(processesWith(`TRANSSHIP_CONTAINER=${pod.metadata.uid}/main/${count}`), []);
  }
}
