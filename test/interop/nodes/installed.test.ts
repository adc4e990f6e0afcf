// Agents as pods start them: the controllers make fellows of those of one cluster, and a token
// makes peers of two clusters.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ControlClient } from '../../../src/api/control-client.ts';
import type { ClusterObject } from '../../../src/api/objects.ts';
import { type Cluster, clusters } from '../../../src/api/kinds/cluster.ts';
import { Fellows } from '../../../src/controllers/cluster/fellows.ts';
import { systemNamespace } from '../../../src/controllers/installation.ts';
import { createClock } from '../../../src/host/clock.ts';
import { createControlClient } from '../../../src/host/control-client.ts';
import { secrets } from '../../../src/kube/resources.ts';
import { control, Nodes, until } from './cluster-of-nodes.ts';

const options = { timeout: 600_000 };

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
