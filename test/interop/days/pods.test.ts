// Pods of an embedded cluster outlive a killed control plane, once each; nothing outlives `down`.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { recordedProcess } from '../../../src/host/background.ts';
import { processesWith } from '../../../src/host/control-plane/processes-table.ts';
import { planePaths } from '../../../src/host/control-plane/paths.ts';
import { createPlanes } from '../../../src/host/control-planes.ts';
import type { KubeObject, ResourceType } from '../../../src/kube/objects.ts';
import { persistentVolumeClaims } from '../../../src/kube/resources.ts';
import { startCloud, until } from '../cloud.ts';
import { missing, mountsBelow } from '../tools.ts';

const deployments: ResourceType = {
  group: 'apps',
  version: 'v1',
  plural: 'deployments',
  kind: 'Deployment',
  namespaced: true,
};
const key = { namespace: 'default', name: 'writer' };
const dataKey = { namespace: 'default', name: 'data' };
const dataSpec = {
  storageClassName: 'transship',
  accessModes: ['ReadWriteOnce'],
  resources: { requests: { storage: '64Mi' } },
} as const;
const isRoot = process.getuid?.() === 0 && existsSync('/dev/fuse');

function writer(mark: string): object {
  const command = ['sh', '-c', 'while :; do date >>/data/log; sync; sleep 0.2; done'];
  const volumeMounts = [{ name: 'data', mountPath: '/data' }];
  const env = [{ name: 'TEST_MARK', value: mark }];
  return {
    replicas: 1,
    selector: { matchLabels: { app: 'writer' } },
    template: {
      metadata: { labels: { app: 'writer' } },
      spec: {
        containers: [{ name: 'writer', image: 'none', command, volumeMounts, env }],
        volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }],
      },
    },
  };
}

function isAvailable(object: KubeObject | undefined): boolean {
  const { status } = (object ?? {}) as {
    readonly status?: { readonly availableReplicas?: number };
  };
  return status?.availableReplicas === 1;
}

const reason = isRoot
  ? missing('nbdfuse', 'losetup', 'mkfs.ext4')
  : 'needs root and /dev/fuse to mount volumes';

test('a pod with a claim, its control plane killed, and the end', { skip: reason }, async () => {
  await using cloud = await startCloud(['east'], { planes: true });
  const planes = createPlanes({ home: cloud.home, mainPath: '' });
  const { client } = await planes.open({ cluster: 'east' });
  const mark = `pods-${process.pid}`;
  await client.create(persistentVolumeClaims, { metadata: dataKey, spec: dataSpec });
  await client.create(deployments, { metadata: key, spec: writer(mark) } as never);
  const available = async () => isAvailable(await client.get(deployments, key));
  await until('the pod to run', available);
  const before = shellsOf(mark);
  assert.ok(before.length > 0);

  const { pid } = planePaths(cloud.home, 'east');
  const plane = recordedProcess(pid)!;
  process.kill(plane, 'SIGKILL');
  await until('the control plane to end', () => recordedProcess(pid) === undefined);
  await cloud.must('up', 'east', '--detach');
  await until('the pod to be looked after again', available);
  assert.deepEqual(shellsOf(mark), before, 'the same process, and no other');

  await cloud.must('down', 'east');
  assert.deepEqual(processesWith(`TEST_MARK=${mark}`), []);
  assert.deepEqual(mountsBelow(cloud.home), []);
});

test('a volume that was mounted before is mounted again, as it was', { skip: reason }, async () => {
  await using cloud = await startCloud(['east'], { planes: true });
  const planes = createPlanes({ home: cloud.home, mainPath: '' });
  const { client } = await planes.open({ cluster: 'east' });
  await client.create(persistentVolumeClaims, { metadata: dataKey, spec: dataSpec });
  const spec = writer(`again-${process.pid}`);
  await client.create(deployments, { metadata: key, spec } as never);
  const log = async () => {
    const claim = await client.get(persistentVolumeClaims, dataKey);
    const [mount] = mountsBelow(cloud.home).filter((path) =>
      path.endsWith(claim?.spec?.volumeName ?? '?'),
    );
    return mount === undefined ? undefined : join(mount, 'log');
  };
  const firstLine = async () => {
    const path = await log();
    return path === undefined || !existsSync(path)
      ? undefined
      : /^.*\n/.exec(readFileSync(path, 'utf8'))?.[0];
  };
  await until('the pod to write', async () => (await firstLine()) !== undefined);
  const first = await firstLine();
  await client.patch(deployments, key, { spec: { replicas: 0 } } as never);
  await until('the volume to be let go of', async () => (await log()) === undefined);
  await client.patch(deployments, key, { spec: { replicas: 1 } } as never);
  await until('the pod to write again', async () => (await firstLine()) !== undefined);
  assert.equal(await firstLine(), first);
  await cloud.must('down', 'east');
});

/** The containers' own shells: what one of them is about to run is for a moment a copy of it. */
function shellsOf(mark: string): readonly number[] {
  const shells = processesWith(`TEST_MARK=${mark}`).filter((pid) => isShell(pid));
  return shells.filter((pid) => !shells.includes(parentOf(pid)));
}

function isShell(pid: number): boolean {
  return textOf(`/proc/${pid}/cmdline`).includes('while :');
}

function parentOf(pid: number): number {
  return Number(/^PPid:\s+(\d+)$/m.exec(textOf(`/proc/${pid}/status`))?.[1] ?? 0);
}

/** Nothing, when the process has ended meanwhile. */
function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}
