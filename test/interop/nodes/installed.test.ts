// Agents as pods start them: the controllers make fellows of those of one cluster, and a token
// makes peers of two clusters.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ControlClient } from '../../../src/api/control-client.ts';
import type { ClusterObject } from '../../../src/api/objects.ts';
import { kinds } from '../../../src/api/kinds/all.ts';
import { type Cluster, clusters } from '../../../src/api/kinds/cluster.ts';
import { crdOf } from '../../../src/api/kinds/crd.ts';
import { applyObjects } from '../../../src/controllers/install.ts';
import { installationObjects, systemNamespace } from '../../../src/controllers/installation.ts';
import { startControllers } from '../../../src/controllers/manager.ts';
import { createSchemaLibrary } from '../../../src/embedded/schema/library.ts';
import { createApiServer } from '../../../src/embedded/server/server.ts';
import { admin, countingRandom, MemoryPersistence } from '../../../src/embedded/server/testing.ts';
import { controllerPorts } from '../../../src/host/controllers.ts';
import { createMetrics } from '../../../src/host/metrics.ts';
import { createKubeClient } from '../../../src/kube/client.ts';
import type { KubeClient } from '../../../src/kube/api.ts';
import type { KubeObject } from '../../../src/kube/objects.ts';
import { secrets } from '../../../src/kube/resources.ts';
import { Fellows } from '../../../src/controllers/cluster/fellows.ts';
import { agentPaths } from '../../../src/host/agent-paths.ts';
import { createClock } from '../../../src/host/clock.ts';
import { createControlClient } from '../../../src/host/control-client.ts';

const mainPath = join(import.meta.dirname, '../../../src/main.ts');
const patienceMs = 120_000;
const options = { timeout: 600_000 };

class Nodes implements AsyncDisposable {
  readonly home = mkdtempSync(join(tmpdir(), 'ts-'));
  readonly #children: ChildProcess[] = [];

  async start(name: string, cluster: string): Promise<ControlClient> {
    const home = join(this.home, name);
    const pool = join(this.home, `${name}-pool`);
    const words = ['node-agent', name, '--of', cluster, '--pool', pool];
    const child = spawn(process.execPath, ['--no-warnings', mainPath, ...words], {
      env: { ...process.env, TRANSSHIP_HOME: home },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#children.push(child);
    await new Promise<void>((resolve, reject) => {
      let said = '';
      child.stderr?.setEncoding('utf8').on('data', (text: string) => {
        said += text;
        if (said.includes('agent ready')) resolve();
      });
      child.once('close', () => reject(new Error(`agent ${name} ended: ${said}`)));
    });
    return createControlClient(name, this.socketOf(name));
  }

  socketOf(name: string): string {
    return agentPaths(join(this.home, name), name).controlSocket;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      const ended = new Promise((resolve) => child.once('close', resolve));
      if (child.exitCode === null && child.kill('SIGKILL')) await ended;
    }
    rmSync(this.home, { recursive: true, force: true });
  }
}

async function peersOf(agent: ControlClient): Promise<readonly ClusterObject[]> {
  const { items } = await agent.call('cluster.list', {});
  return items.filter(({ spec }) => !spec.local);
}

/** As controllers see an agent, as it is now. */
async function mirrorOf(agent: ControlClient) {
  const { items } = await agent.call('cluster.list', {});
  return {
    place: { name: agent.cluster, address: '' },
    usable: true,
    clusters: new Map(items.map((one) => [one.metadata.name, one])),
    call: agent.call,
  };
}

async function until(what: string, test: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (!(await test())) {
    assert.ok(performance.now() < deadline, `waited in vain for ${what}`);
    await sleep(100);
  }
}

test(
  'agents of an installed cluster become fellows, and peers by their cluster',
  options,
  async () => {
    await using nodes = new Nodes();
    const east = [await nodes.start('e1', 'east'), await nodes.start('e2', 'east')] as const;
    const e3 = await nodes.start('e3', 'east');
    const west = await nodes.start('w1', 'west');
    const messages: string[] = [];
    const log = { log: (_level: string, text: string) => void messages.push(text) };
    const all = [...east, e3];
    const join = async () => {
      const fellows = new Fellows(createClock(), log);
      await fellows.join(await Promise.all(all.map(mirrorOf)));
    };
    await join();
    for (const agent of all) {
      await until(`${agent.cluster} to know the others`, async () => {
        const peers = await peersOf(agent);
        return peers.length === 2 && peers.every(({ status }) => status.connected);
      });
      for (const { spec } of await peersOf(agent)) assert.equal(spec.memberOf, 'east');
    }
    await join();
    assert.deepEqual(messages, []);
    const { token } = await west.call('cluster.token', {});
    const peer = await east[0].call('cluster.join', { token });
    assert.deepEqual([peer.metadata.name, peer.spec.memberOf], ['w1', 'west']);
    // A stranger is no fellow, whatever controllers ask for.
    const member = await west.call('cluster.token', { member: true });
    await assert.rejects(e3.call('cluster.join', { token: member.token, member: true }));
  },
);

/** The controllers of a cluster whose agents these are, over an API server in memory. */
async function control(
  name: string,
  agents: readonly { readonly name: string; readonly address: string }[],
): Promise<{ readonly client: KubeClient; stop(): Promise<void> }> {
  const clock = createClock();
  const log = { log: () => undefined };
  const random = countingRandom();
  const persistence = new MemoryPersistence();
  const library = createSchemaLibrary();
  const server = createApiServer({ clock, random, log, library, persistence });
  const client = createKubeClient({
    cluster: name,
    transport: (request) => server.handle(request, admin),
    clock,
    random,
    log,
    fieldManager: 'transship-controller',
  });
  await applyObjects(client, kinds.map(crdOf) as unknown as readonly KubeObject[]);
  await applyObjects(client, installationObjects({ defaultClass: true, migrations: true }));
  const agentPods = { namespace: systemNamespace, selector: 'a=b', port: 1 };
  await client.create(clusters, { metadata: { name }, spec: { local: true, agents, agentPods } });
  const ports = controllerPorts(client, { metrics: createMetrics(), identity: name });
  const controllers = startControllers(ports, { identity: name, leaderElection: false });
  const stop = async (): Promise<void> => {
    await controllers.stop();
    await ports.close();
    await server.close();
  };
  return { client, stop };
}

test('controllers join fellows, and another cluster by its token', options, async (t) => {
  await using nodes = new Nodes();
  const west = await nodes.start('w1', 'west');
  for (const name of ['e1', 'e2']) await nodes.start(name, 'east');
  const agents = ['e1', 'e2'].map((name) => {
    return { name, address: `unix://${nodes.socketOf(name)}` };
  });
  const { client, stop } = await control('east', agents);
  t.after(stop);
  const find = (name: string) => client.get<Cluster>(clusters, { namespace: '', name });
  const isTrue = async (name: string, type: string): Promise<boolean> => {
    const found = await find(name);
    return found?.status?.conditions?.find((one) => one.type === type)?.status === 'True';
  };
  await until('fellows', async () => {
    const e1 = createControlClient('e1', nodes.socketOf('e1'));
    const peers = await peersOf(e1);
    return peers.some(({ metadata, status }) => metadata.name === 'e2' && status.connected);
  });
  const place = { namespace: systemNamespace, name: 'join-west' };
  const { token } = await west.call('cluster.token', {});
  const data = { token: Buffer.from(token).toString('base64') };
  await client.create(secrets, { metadata: place, data });
  const spec = { joinTokenSecretRef: { ...place, key: 'token' } };
  await client.create(clusters, { metadata: { name: 'west' }, spec });
  for (const type of ['Trusted', 'Connected', 'Checked']) {
    await until(`west to be ${type}`, () => isTrue('west', type));
  }
  await until('east to tell of it', async () => {
    const { peers = [] } = (await find('east'))?.status ?? {};
    return peers.map(({ name }) => name).join() === 'west';
  });
  // Agents are no clusters.
  for (const name of ['e1', 'e2', 'w1']) assert.equal(await find(name), undefined);
});
