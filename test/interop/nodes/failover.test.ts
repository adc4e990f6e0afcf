// A pod with a claim, and its node: lost, cordoned, back. What the pod wrote and synced is there.
import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { resources } from '../../../src/api/kinds/resources.ts';
import { pods } from '../../../src/embedded/runtime/kinds/pods.ts';
import type { KubeClient } from '../../../src/kube/api.ts';
import type { ResourceType } from '../../../src/kube/objects.ts';
import { persistentVolumeClaims, nodes } from '../../../src/kube/resources.ts';
import { type Agent, startCloud, until } from '../cloud.ts';
import { missing } from '../tools.ts';

const deployments: ResourceType = {
  group: 'apps',
  version: 'v1',
  plural: 'deployments',
  kind: 'Deployment',
  namespaced: true,
};
const timeout = 400_000;
/** A node is lost for twenty seconds before its pods go elsewhere. */
const lossMs = 180_000;
const namespace = 'default';
const isRoot = process.getuid?.() === 0 && existsSync('/dev/fuse');
const skip = isRoot
  ? missing('nbdfuse', 'losetup', 'mkfs.ext4')
  : 'needs root and /dev/fuse to mount volumes';

/** Numbers go on where the last line ended: a line that was lost would be missed. */
const script = [
  'n=$(tail -n 1 /data/log 2>/dev/null || echo 0)',
  'while :; do n=$((n + 1)); echo $n >>/data/log; sync /data/log; sleep 0.1; done',
].join('\n');

async function makeWriter(client: KubeClient): Promise<void> {
  const claim = {
    accessModes: ['ReadWriteOnce'],
    resources: { requests: { storage: '64Mi' } },
  } as const;
  await client.create(persistentVolumeClaims, {
    metadata: { namespace, name: 'data' },
    spec: claim,
  });
  const labels = { app: 'writer' };
  const volumeMounts = [{ name: 'data', mountPath: '/data' }];
  const container = { name: 'c', image: 'none', command: ['sh', '-c', script], volumeMounts };
  const volume = { name: 'data', persistentVolumeClaim: { claimName: 'data' } };
  const template = { metadata: { labels }, spec: { containers: [container], volumes: [volume] } };
  const spec = { replicas: 1, selector: { matchLabels: labels }, template };
  await client.create(deployments, { metadata: { namespace, name: 'writer' }, spec } as never);
}

/** Name and node of the writer's pod that is not being deleted. */
async function podOf(client: KubeClient) {
  for await (const pod of client.list(pods, { namespace })) {
    if (pod.metadata.deletionTimestamp !== undefined || pod.status?.phase !== 'Running') continue;
    return { name: pod.metadata.name ?? '', node: pod.spec.nodeName ?? '' };
  }
  return undefined;
}

async function volumeOf(client: KubeClient): Promise<string> {
  const claim = await client.get(persistentVolumeClaims, { namespace, name: 'data' });
  return claim?.spec?.volumeName ?? '';
}

/** Lines of the log where the volume is mounted at a node; undefined where it is not. */
function linesAt(agent: Agent, volume: string): readonly string[] | undefined {
  const mounts = readFileSync('/proc/mounts', 'utf8').split('\n');
  const paths = mounts.map((line) => line.split(' ')[1] ?? '');
  const end = agent.name === 'east' ? `/control-plane/volumes/${volume}` : `/volumes/${volume}`;
  const below = agent.name === 'east' ? '/clusters/east/' : `/nodes/${agent.name}/`;
  const path = paths.find((one) => one.includes(below) && one.endsWith(end));
  if (path === undefined || !existsSync(join(path, 'log'))) return undefined;
  return readFileSync(join(path, 'log'), 'utf8').trimEnd().split('\n');
}

/** One line after the other, none missing. */
function assertWhole(lines: readonly string[]): void {
  const wrong = lines.findIndex((line, at) => line !== String(at + 1));
  assert.equal(wrong, -1, `line ${wrong + 1} is '${lines[wrong]}'`);
}

async function writing(agent: Agent, volume: string, atLeast: number): Promise<readonly string[]> {
  await until(
    `${atLeast} lines at ${agent.name}`,
    () => (linesAt(agent, volume)?.length ?? 0) >= atLeast,
    lossMs,
  );
  const lines = linesAt(agent, volume)!;
  assertWhole(lines);
  return lines;
}

test('a pod whose node is lost goes on elsewhere with all it had', { skip, timeout }, async () => {
  await using cloud = await startCloud([]);
  await cloud.upNodes('east', 3);
  const { client } = await cloud.planes.open({ cluster: 'east' });
  await makeWriter(client);
  await until('the writer', async () => (await podOf(client)) !== undefined);
  const before = (await podOf(client))!;
  const volume = await volumeOf(client);
  const others = ['east', 'east-2', 'east-3'].filter((name) => name !== before.node);
  await cloud.must('replica', 'add', volume, ...others.map((name) => poolOf(name)));
  const written = await writing(cloud.agent(before.node), volume, 10);
  await cloud.agent(before.node).kill();
  await until(
    'a pod elsewhere',
    async () => {
      const pod = await podOf(client);
      return pod !== undefined && pod.name !== before.name;
    },
    lossMs,
  );
  const after = (await podOf(client))!;
  assert.notEqual(after.node, before.node);
  await writing(cloud.agent(after.node), volume, written.length + 10);
  // The old node comes back, and has only to catch up.
  await cloud.must('up', 'east', '--detach');
  await until(
    'all replicas to be whole',
    async () => {
      const object = await client.get(resources.volumes, { namespace: '', name: volume });
      return object?.status?.replicaSet?.shown === '3/3';
    },
    lossMs,
  );
});

test('a pod on another node uses a volume that has one replica', { skip, timeout }, async () => {
  await using cloud = await startCloud([]);
  await cloud.upNodes('east', 2);
  const { client } = await cloud.planes.open({ cluster: 'east' });
  await makeWriter(client);
  await until('the writer', async () => (await podOf(client)) !== undefined);
  const before = (await podOf(client))!;
  const volume = await volumeOf(client);
  const written = await writing(cloud.agent(before.node), volume, 10);
  const cordon = { spec: { unschedulable: true } };
  await client.patch(nodes, { namespace: '', name: before.node }, cordon);
  await client.delete(pods, { namespace, name: before.name });
  await until(
    'a pod on the other node',
    async () => ((await podOf(client))?.node ?? before.node) !== before.node,
    lossMs,
  );
  const after = (await podOf(client))!;
  await writing(cloud.agent(after.node), volume, written.length + 10);
});

function poolOf(node: string): string {
  return node === 'east' ? 'main' : `${node}-main`;
}
