// Embedded clusters of several nodes: pods on all of them, nodes that are lost and come back,
// volumes that move between clusters whichever agent has them.
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { test } from 'node:test';
import { resources } from '../../../src/api/kinds/resources.ts';
import { type Node, nodes } from '../../../src/kube/resources.ts';
import { type Pod, pods } from '../../../src/embedded/runtime/kinds/pods.ts';
import type { KubeClient } from '../../../src/kube/api.ts';
import type { ResourceType } from '../../../src/kube/objects.ts';
import { type Cloud, runCli, startCloud, until } from '../cloud.ts';

const deployments: ResourceType = {
  group: 'apps',
  version: 'v1',
  plural: 'deployments',
  kind: 'Deployment',
  namespaced: true,
};
const three = ['east', 'east-2', 'east-3'];
/** Starts and losses of several nodes beside everything else that runs here. */
const timeout = 400_000;

async function clientOf(cloud: Cloud, cluster: string): Promise<KubeClient> {
  return (await cloud.planes.open({ cluster })).client;
}

async function all<T extends Node | Pod>(
  client: KubeClient,
  type: ResourceType<T>,
): Promise<readonly T[]> {
  const found: T[] = [];
  for await (const one of client.list(type)) found.push(one);
  return found;
}

/** Names of nodes by whether they are ready and take pods. */
async function readyNodes(client: KubeClient): Promise<readonly string[]> {
  return (await all(client, nodes))
    .filter(({ spec, status }) => {
      const ready = status?.conditions?.find(({ type }) => type === 'Ready');
      return ready?.status === 'True' && (spec?.taints ?? []).length === 0;
    })
    .map(({ metadata }) => metadata.name ?? '')
    .toSorted((a, b) => a.localeCompare(b));
}

async function ready(client: KubeClient, names: readonly string[]): Promise<void> {
  await until(`nodes ${names.join(', ')} to be ready, and no others`, async () => {
    return (await readyNodes(client)).join() === names.join();
  });
}

/** Where pods run that are to stay, one word each. */
async function placesOf(client: KubeClient): Promise<readonly string[]> {
  return (await all(client, pods))
    .filter(({ metadata, status }) => {
      return metadata.deletionTimestamp === undefined && status?.phase === 'Running';
    })
    .map(({ spec }) => spec.nodeName ?? '')
    .toSorted((a, b) => a.localeCompare(b));
}

function sleepers(name: string, replicas: number, spec: object = {}) {
  const labels = { app: name };
  return {
    metadata: { namespace: 'default', name },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          ...spec,
          containers: [{ name: 'c', image: 'none', command: ['sleep', 'infinity'] }],
        },
      },
    },
  } as never;
}

test('three nodes: pods on each; a lost one is emptied, and takes pods again', {
  timeout,
}, async () => {
  await using cloud = await startCloud([]);
  const agents = await cloud.upNodes('east', 3);
  const client = await clientOf(cloud, 'east');
  await ready(client, three);
  for (const agent of agents) {
    for (const name of three) if (name !== agent.name) await agent.connected(name);
  }
  const known: string[] = [];
  for await (const { metadata } of client.list(resources.clusters)) known.push(metadata.name ?? '');
  assert.deepEqual(known, ['east'], 'agents of one cluster are no clusters');
  await client.create(deployments, sleepers('web', 3));
  await until('a pod on each node', async () => (await placesOf(client)).join() === three.join());

  const lost = cloud.agent('east-2');
  await lost.kill();
  await ready(client, ['east', 'east-3']);
  await until('its pod to run elsewhere', async () => {
    const places = await placesOf(client);
    return places.length === 3 && !places.includes('east-2');
  });
  await cloud.must('up', 'east', '--detach');
  await ready(client, three);
  const nodeSelector = { 'kubernetes.io/hostname': 'east-2' };
  await client.create(deployments, sleepers('there', 1, { nodeSelector }));
  await until('a pod on it again', async () => (await placesOf(client)).includes('east-2'));

  await client.patch(nodes, { namespace: '', name: 'east-3' }, { spec: { unschedulable: true } });
  await client.create(deployments, sleepers('more', 4));
  await until('eight pods', async () => (await placesOf(client)).length === 8);
  const onCordoned = (await placesOf(client)).filter((place) => place === 'east-3').length;
  assert.ok(onCordoned <= 2, 'only what was there before');
});

test('the number of nodes is remembered, grows while nothing runs, and never shrinks', {
  timeout,
}, async () => {
  await using cloud = await startCloud([]);
  await cloud.upNodes('east', 1);
  const more = await cloud.cli('up', 'east', '--nodes', '2', '--detach');
  assert.equal(more.code, 6);
  assert.match(more.stderr, /transship down east/);
  await cloud.must('down', 'east');
  await cloud.upNodes('east', 2);
  await cloud.must('down', 'east');
  const fewer = await cloud.cli('up', 'east', '--nodes', '1', '--detach');
  assert.equal(fewer.code, 6);
  assert.match(fewer.stderr, /pools may have data/);
  const taken = await cloud.cli('up', 'east-2', '--detach');
  assert.equal(taken.code, 6);
  assert.match(taken.stderr, /a node of cluster east/);
  await cloud.must('up', 'east', '--detach');
  await ready(await clientOf(cloud, 'east'), ['east', 'east-2']);
  const own = await cloud.cli('cluster', 'remove', 'east-2', '--yes', '-c', 'east');
  assert.equal(own.code, 2);
  assert.match(own.stderr, /a node of this cluster/);
});

test('up that stays starts a killed agent again, and ends all when it is told to', {
  timeout,
}, async () => {
  await using cloud = await startCloud([]);
  let interrupt = (): void => undefined;
  let said = '';
  const up = runCli(cloud.home, ['up', 'east', '--nodes', '2'], (child) => {
    interrupt = () => void child.kill('SIGINT');
    child.stderr?.on('data', (text: string) => {
      said += text;
    });
  });
  await until('the cluster', () => said.includes('Running until Ctrl-C'));
  const node = cloud.adopt('east-2', 'east');
  const first = cloud.adopt('east');
  await ready(await clientOf(cloud, 'east'), ['east', 'east-2']);
  const { pid } = node;
  await node.kill();
  await until('the agent to be back', async () => {
    if (!existsSync(node.paths.pid) || node.pid === pid) return false;
    return node.call('agent.status', {}).then(
      () => true,
      () => false,
    );
  });
  interrupt();
  const { code, stderr } = await up;
  assert.equal(code, 0, stderr);
  assert.match(stderr, /Node east-2 ended; it is started again/);
  assert.equal(existsSync(node.paths.pid) || existsSync(first.paths.pid), false);
  assert.equal(cloud.planes.isRunning('east'), false);
});

test('volumes teleport from and to whichever agent has them', { timeout }, async () => {
  await using cloud = await startCloud([]);
  await cloud.upNodes('east', 2);
  await cloud.upNodes('west', 2);
  await cloud.must('up', 'east', 'west', '--detach');
  const client = await clientOf(cloud, 'east');
  const sizeBytes = 8 * 2 ** 20;
  const written = Buffer.alloc(sizeBytes, 'moved whole');
  for (const pool of ['main', 'east-2-main']) {
    const name = `of-${pool}`;
    const spec = { size: '8Mi', replicas: [{ pool }] };
    await until(`pool ${pool}`, async () => {
      return (await client.get(resources.pools, { namespace: '', name: pool })) !== undefined;
    });
    await client.create(resources.volumes, { metadata: { name }, spec });
    const holder = cloud.agent(pool === 'main' ? 'east' : 'east-2');
    await until(`volume ${name}`, async () => (await holder.volumeNames()).includes(name));
    using door = await holder.connect(name);
    await door.write(written, 0);
    await door.flush();
  }
  for (const name of ['of-main', 'of-east-2-main']) {
    const out = await cloud.must('teleport', name, '--from', 'east', '--to', 'west', '--wait');
    assert.equal(out, `teleport/${name} Available\n`);
    const found = ['west', 'west-2'].map((agent) => cloud.agent(agent));
    const holders = [];
    for (const agent of found) if ((await agent.volumeNames()).includes(name)) holders.push(agent);
    assert.equal(holders.length, 1);
    using door = await holders[0]!.connect(name);
    const read = Buffer.alloc(sizeBytes);
    await door.read(read, 0);
    assert.ok(read.equals(written), name);
    const uri = await cloud.must('volume', 'uri', name, '-c', 'west');
    assert.ok(uri.includes(holders[0]!.paths.nbdSocket), uri);
  }
});
