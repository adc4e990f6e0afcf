import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apiVersion, listOf, type ApiObject } from '../../api/objects.ts';
import { fail, TransshipError } from '../../base/errors.ts';
import { createFakeClient, type FakeAnswers, type FakeCall } from '../fake-ports.ts';
import { createClusterClient } from './cluster-client.ts';

const named = (kind: string, name: string, more: object = {}): ApiObject => {
  return { kind, apiVersion, metadata: { name }, ...more };
};

/** Each has the pool `main`, and of the volumes those that are given. */
function agentsWith(volumes: Readonly<Record<string, readonly string[]>>, leader = '') {
  const calls: FakeCall[] = [];
  const agents = Object.entries(volumes).map(([agent, names]) => {
    const answers: FakeAnswers = {
      'agent.status': () => named('Cluster', agent),
      'volume.list': () =>
        listOf(
          'Volume',
          names.map((name) => named('Volume', name)),
        ),
      'volume.show': (request) => {
        const { name } = request as { readonly name: string };
        return names.includes(name) ? named('Volume', name) : fail('NotFound', `no ${name}`);
      },
      'volume.attach': () => named('Attachment', agent),
      'replica.show': () =>
        named('ReplicaSet', agent, { role: agent === leader ? 'Leader' : 'Follower' }),
      'pool.list': () => listOf('Pool', [named('Pool', 'main')]),
      'pool.show': (request) => named('Pool', `${agent} ${JSON.stringify(request)}`),
    };
    return createFakeClient(agent, answers, calls);
  });
  return { agents, calls };
}

const down = createFakeClient(
  'down',
  new Proxy({}, { get: () => () => fail('AgentUnreachable', 'down is not running') }),
  [],
);
const reasonIs = (reason: string) => (error: unknown) =>
  error instanceof TransshipError && error.reason === reason;

test('what is about a volume goes to the agent that has it, or leads it', async () => {
  const { agents } = agentsWith({ a: ['one'], b: ['two', 'both'], c: ['both'] }, 'c');
  const client = createClusterClient('a', agents);
  const attached = async (volume: string) =>
    (await client.call('volume.attach', { volume })).metadata.name;
  assert.equal(await attached('one'), 'a');
  assert.equal(await attached('two'), 'b');
  assert.equal(await attached('both'), 'c');
  const { items } = await client.call('volume.list', {});
  assert.deepEqual(items.map(({ metadata }) => metadata.name).toSorted(), ['both', 'one', 'two']);
});

test("agents that do not answer are in nobody else's way", async () => {
  const { agents } = agentsWith({ a: ['one'], b: [] });
  const client = createClusterClient('down', [down, ...agents]);
  assert.equal((await client.call('agent.status', {})).metadata.name, 'a');
  assert.equal((await client.call('volume.show', { name: 'one' })).metadata.name, 'one');
  assert.equal((await client.call('volume.list', {})).items.length, 1);
  // It may have been there.
  await assert.rejects(client.call('volume.show', { name: 'x' }), reasonIs('AgentUnreachable'));
  const all = createClusterClient('down', [down, down]);
  await assert.rejects(all.call('agent.status', {}), reasonIs('AgentUnreachable'));
  await assert.rejects(all.call('volume.list', {}), reasonIs('AgentUnreachable'));
  const both = createClusterClient('a', agents);
  await assert.rejects(both.call('volume.show', { name: 'x' }), reasonIs('NotFound'));
});

test('pools are named with their agent, or as their objects', async () => {
  const { agents } = agentsWith({ a: [], 'a-2': [] });
  const client = createClusterClient('a', agents);
  const shown = async (pool: string) => (await client.call('pool.show', { pool })).metadata.name;
  assert.equal(await shown('main'), 'a {"pool":"main"}');
  assert.equal(await shown('a/main'), 'a {"pool":"main"}');
  assert.equal(await shown('a-2/main'), 'a-2 {"pool":"main"}');
  assert.equal(await shown('a-2-main'), 'a-2 {"pool":"main"}');
  await assert.rejects(client.call('pool.show', {}), reasonIs('BadArgument'));
  await assert.rejects(shown('a-3-main'), reasonIs('NotFound'));
});
