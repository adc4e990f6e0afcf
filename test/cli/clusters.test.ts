import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { resources } from '../../src/api/kinds/resources.ts';
import { apiVersion, listOf, type ClusterObject } from '../../src/api/objects.ts';
import type { FakeAnswers } from '../../src/cli/fake-ports.ts';
import { TransshipError } from '../../src/base/errors.ts';
import { secrets } from '../../src/kube/resources.ts';
import { clusterRoleBindings } from '../../src/kube/rights.ts';
import { condition, startWorld } from './world.ts';

const { clusters, historyPolicies, teleports, volumes } = resources;
const key = (name: string) => ({ namespace: '', name });
const peer = { kind: 'Cluster', apiVersion, metadata: { name: 'east' } } as ClusterObject;

const agents: FakeAnswers = {
  'cluster.list': () => listOf<ClusterObject>('Cluster', []),
  'cluster.token': () => ({ token: 'transship1-abc' }),
  'cluster.join': () => peer,
  'cluster.remove': () => peer,
};

suite('clusters are objects', () => {
  test('two of one machine get to know each other, and forget', async () => {
    await using world = await startWorld(['east', 'west'], agents);
    const { code, out, err } = await world.run('cluster add east --cluster west');
    assert.equal(code, 0, err);
    assert.equal(out, 'cluster/east trusted by west\n');
    const system = 'transship-system';
    for (const [hub, other] of [
      ['west', 'east'],
      ['east', 'west'],
    ] as const) {
      const object = (await world.client(hub).get(clusters, key(other)))!;
      assert.equal(object.spec.kubeconfigSecretRef?.name, `cluster-${other}`);
      const place = { namespace: system, name: `cluster-${other}` };
      const secret = (await world.client(hub).get(secrets, place))!;
      const text = Buffer.from(secret.data?.['kubeconfig'] ?? '', 'base64').toString('utf8');
      assert.equal(
        JSON.parse(text).clusters[0].cluster.server,
        `https://${other}.example.net:6443`,
      );
    }
    const joined = world.calls.filter(({ name }) => name === 'cluster.join');
    assert.deepEqual(
      joined.map(({ cluster, request }) => [cluster, request]),
      [['west', { token: 'transship1-abc' }]],
    );
    const removed = await world.run('cluster remove east --cluster west --yes');
    assert.equal(removed.code, 0, removed.err);
    assert.equal(removed.out, 'cluster/east removed\n');
    assert.equal(await world.client('west').get(clusters, key('east')), undefined);
    const place = { namespace: system, name: 'cluster-east' };
    assert.equal(await world.client('west').get(secrets, place), undefined);
  });

  test('one that a running teleport needs is kept, unless forced; so is the own one', async () => {
    await using world = await startWorld(['east', 'west'], agents);
    const spec = { source: { cluster: 'east', volume: 'db' }, destination: { cluster: 'west' } };
    const metadata = { namespace: 'default', name: 'db' };
    await world.client('west').create(teleports, { metadata, spec });
    const refused = await world.run('cluster remove east --cluster west --yes');
    assert.equal(refused.code, 6);
    assert.match(refused.err, /teleport db still needs east/);
    assert.notEqual(await world.client('west').get(clusters, key('east')), undefined);
    assert.deepEqual(world.calls, []);
    assert.equal((await world.run('cluster remove west --cluster west --yes')).code, 2);
    assert.equal((await world.run('cluster remove east -c west --yes --force')).code, 0);
  });

  test('a refusal of the agent changes nothing in the API', async () => {
    const refuse = () => {
      throw new TransshipError('InUse', 'east still fetches volume db');
    };
    await using world = await startWorld(['east', 'west'], { ...agents, 'cluster.remove': refuse });
    assert.equal((await world.run('cluster remove east --cluster west --yes')).code, 6);
    assert.notEqual(await world.client('west').get(clusters, key('east')), undefined);
  });

  test('a cluster of a kubeconfig is introduced to this one', async () => {
    await using world = await startWorld(['east', 'west'], agents);
    await world.client('west').delete(clusters, key('east'));
    const words = 'cluster add prod --context east --cluster west';
    const { code, out, err } = await world.run(words);
    assert.equal(code, 0, err);
    assert.equal(out, 'cluster/prod trusted by west\n');
    assert.deepEqual(world.calls, [], 'agents join with a token only');
    const object = await world.client('west').get(clusters, key('prod'));
    assert.equal(object?.spec.kubeconfigSecretRef?.name, 'cluster-prod');
    const other = await world.run(`${words} --token transship1-abc`);
    assert.equal(other.code, 6);
    assert.match(other.err, /the token is of cluster east, not of prod/);
  });

  test('one elsewhere gives the right to move namespaces only when that is asked for', async () => {
    await using world = await startWorld(['east', 'west'], agents);
    await world.client('west').delete(clusters, key('east'));
    const name = key('transship-migrate-west');
    const binding = () => world.client('east').get(clusterRoleBindings, name);
    const words = 'cluster add prod --context east --cluster west';
    assert.equal((await world.run(words)).code, 0);
    assert.equal(await binding(), undefined);
    const { code, err } = await world.run(`${words} --migrations`);
    assert.equal(code, 0, err);
    assert.equal((await binding())?.roleRef.name, 'transship-migrate');
    const token = await world.run('cluster add --token transship1-abc --migrations -c west');
    assert.equal(token.code, 2);
    assert.match(token.err, /give its name and --context/);
  });

  test('two clusters of kubeconfigs: an account, its kubeconfig, and the token', async () => {
    await using world = await startWorld(['east', 'west'], agents);
    await world.client('west').delete(clusters, key('east'));
    await world.client('east').delete(clusters, key('west'));
    const words = 'cluster introduce --context east --to-context west';
    const { code, out, err } = await world.run(
      `${words} --token transship1-abc --server https://10.1.2.3:6443`,
    );
    assert.equal(code, 0, err);
    assert.equal(out, 'cluster/east introduced to west\n');
    const object = await world.client('west').get(clusters, key('east'));
    const place = { namespace: 'transship-system', name: 'join-east', key: 'token' };
    assert.deepEqual(object?.spec.joinTokenSecretRef, place);
    const secret = await world.client('west').get(secrets, place);
    assert.equal(Buffer.from(secret?.data?.['token'] ?? '', 'base64').toString(), 'transship1-abc');
    const { name = '', namespace = '' } = object?.spec.kubeconfigSecretRef ?? {};
    const kubeconfig = await world.client('west').get(secrets, { namespace, name });
    const text = Buffer.from(kubeconfig?.data?.['kubeconfig'] ?? '', 'base64').toString();
    assert.match(text, /https:\/\/10\.1\.2\.3:6443/);
    assert.equal((await world.run(words)).code, 0, 'again, without a token');
    const again = await world.client('west').get(clusters, key('east'));
    assert.deepEqual(again?.spec.joinTokenSecretRef, place);
    const twice = await world.run('cluster introduce --context east --to-context east');
    assert.match(twice.err, /both clusters are called east/);
  });

  test('check asks the agent, and the controller too', async () => {
    const report = { kind: 'Report', apiVersion, metadata: { name: 'east' }, passed: true };
    const check = () => ({ ...report, findings: [] });
    await using world = await startWorld(['east', 'west'], { 'cluster.check': check });
    assert.equal((await world.run('cluster check east -c west')).code, 0);
    const object = await world.client('west').get(clusters, key('east'));
    assert.match(object?.metadata.annotations?.['transship.dev/check-requested'] ?? '', /^20/);
    world.down.add('west');
    assert.equal((await world.run('cluster check east -c west')).code, 0);
  });
});

suite('history policies are objects', () => {
  test('made, changed, assigned, refused, deleted', async () => {
    await using world = await startWorld();
    const client = world.client('east');
    const ready = { conditions: [condition('Ready', 'True', 'Ready')] };
    await world.control('east', historyPolicies, ({ metadata }) => {
      return { ...ready, observedGeneration: metadata.generation };
    });
    await world.control('east', volumes, ({ metadata }) => ({
      observedGeneration: metadata.generation,
      conditions: [condition('Synced', 'True', 'Synced')],
    }));
    const made = await world.run('history-policy create careful --seconds 2h --minutes 90m');
    assert.equal(made.code, 0, made.err);
    assert.deepEqual((await client.get(historyPolicies, key('careful')))!.spec, {
      seconds: '2h',
      minutes: '90m',
      hours: '0',
      days: '0',
    });
    assert.equal((await world.run('history-policy set careful --days 30d')).code, 0);
    const { spec } = (await client.get(historyPolicies, key('careful')))!;
    assert.deepEqual([spec.days, spec.seconds], ['30d', '2h']);
    const absurd = await world.run('history-policy set careful --seconds 9999d');
    assert.equal(absurd.code, 2);
    assert.match(absurd.err, /seconds reach back 1d at most/);
    await client.create(volumes, { metadata: { name: 'db' }, spec: { size: '8Mi' } });
    const assigned = await world.run('history-policy assign db careful');
    assert.equal(assigned.out, 'volume/db has policy careful\n');
    assert.equal((await client.get(volumes, key('db')))!.spec.historyPolicy, 'careful');
    assert.equal((await world.run('history-policy assign db no')).code, 1);
    assert.equal((await world.run('history-policy delete careful --yes')).code, 0);
  });

  test('what comes with Transship, and what is used, stays', async () => {
    await using world = await startWorld();
    const client = world.client('east');
    const labels = { 'transship.dev/preset': 'true' };
    await client.create(historyPolicies, { metadata: { name: 'one-hour', labels }, spec: {} });
    for (const words of ['set one-hour --days 1d', 'delete one-hour --yes']) {
      const { code, err } = await world.run(`history-policy ${words}`);
      assert.equal(code, 6);
      assert.match(err, /reason: NotAllowed/);
    }
    await client.create(historyPolicies, { metadata: { name: 'mine' }, spec: { days: '1d' } });
    await client.patchStatus(historyPolicies, key('mine'), { status: { volumes: ['db'] } });
    const used = await world.run('history-policy delete mine --yes');
    assert.equal(used.code, 6);
    assert.match(used.err, /volume db has policy mine\n {2}reason: InUse/);
  });
});

test('completion knows the objects, and never fails', async () => {
  await using world = await startWorld(['east', 'west']);
  const client = world.client('east');
  for (const name of ['db', 'logs']) {
    await client.create(volumes, { metadata: { name }, spec: { size: '8Mi' } });
  }
  const complete = async (...words: readonly string[]) => {
    const { code, out, err } = await world.run(['__complete', '--', ...words]);
    assert.deepEqual([code, err], [0, '']);
    return out
      .trimEnd()
      .split('\n')
      .map((line) => line.split('\t')[0]);
  };
  assert.deepEqual(await complete('volume', 'show', '-c', 'east', ''), ['db', 'logs', ':4']);
  assert.deepEqual(await complete('volume', 'delete', '-c', 'east', 'db', 'l'), ['logs', ':4']);
  assert.deepEqual(await complete('teleport', '--from', 'east', 'd'), ['db', ':4']);
  assert.deepEqual(await complete('cluster', 'check', '-c', 'west', ''), ['east', ':4']);
  assert.deepEqual(await complete('volume', 'show', ''), [':4'], 'two clusters: which one?');
  world.down.add('east');
  assert.deepEqual(await complete('volume', 'show', '-c', 'east', ''), [':4']);
});
