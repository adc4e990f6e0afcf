import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { teleports } from '../../src/api/kinds/teleport.ts';
import { repositories } from '../../src/api/kinds/repository.ts';
import { savedVersions } from '../../src/api/kinds/saved-version.ts';
import { volumeTransfers } from '../../src/api/kinds/volume-transfer.ts';
import { conditionOf } from '../../src/controllers/status.ts';
import { configMaps, namespaces, secrets } from '../../src/kube/resources.ts';
import {
  change,
  checkOf,
  claimsAt,
  decide,
  makeReplication,
  reached,
  replication,
  resultOf,
  saidBy,
  there,
} from './replication-world.ts';
import { makeSettings, withData } from './scenarios.ts';
import { soonBytes, type World, worldsAfter } from './world.ts';

suite('replications', () => {
  const open = worldsAfter(async (world) => {
    await withData(world);
    await makeSettings(world);
  });

  const settingsThere = (world: World) =>
    world.find('west', configMaps, { namespace: there, name: 'settings' });

  test('a missing namespace halts it; remediated it starts by itself and ends well', async () => {
    const world = await open();
    await makeReplication(world);
    const halted = await reached(world, 'Halted');
    assert.equal(resultOf(halted, 'NamespaceMissing'), 'Actionable');
    assert.match(checkOf(halted, 'NamespaceMissing')?.fix ?? '', /namespace market is made/);
    assert.deepEqual(
      [halted.status?.actionable, halted.status?.incompatible, halted.status?.state],
      [1, 0, 'Error'],
    );
    assert.deepEqual(halted.status?.offers, ['Remediate', 'Recheck', 'ProceedAnyway', 'Stop']);
    assert.equal(await world.find('west', namespaces, { name: there }), undefined);
    await decide(world, 'Remediate');
    const done = await reached(world, 'Done');
    assert.equal(done.status?.state, 'Success', saidBy(done));
    assert.equal(done.spec.decision, undefined);
    assert.deepEqual(await claimsAt(world, 'west'), ['market/db Bound']);
    assert.equal((await settingsThere(world))?.data?.['a'], '1');
    // The source runs on, and nothing of the run is left but what it made.
    assert.deepEqual(await claimsAt(world, 'east'), ['shop/db Bound']);
    assert.deepEqual(await world.list('east', volumeTransfers), []);
    assert.deepEqual(await world.list('east', teleports), []);
    const left = (await world.list('west', secrets)).map(({ metadata }) => metadata.name);
    assert.deepEqual(
      left.filter((name) => name?.startsWith('transship-')),
      [],
    );
    assert.deepEqual(
      done.status?.resources?.map(({ resource, replicated }) => [resource, replicated]),
      [['configmaps', 1]],
    );
    assert.equal(done.status?.report?.volumes, 1);
    assert.match(done.status?.jobId ?? '', /^[0-9a-f]{8}-1$/);
    await world.stop();
  });

  test('of two clusters one runs at a time, and the next says whom it waits for', async () => {
    const world = await open();
    world.fetchBytes = 0;
    const decision = 'Remediate' as const;
    await makeReplication(world, { decision });
    await makeReplication(world, { decision, namespaces: [{ name: 'shop', to: 'other' }] }, 'next');
    await reached(world, 'Running');
    const waiting = await reached(world, 'Queued', { name: 'next' });
    await world.run(5_000);
    assert.match(
      saidBy(await replication(world, 'next')),
      /WaitsForOther: it waits for replication shop\/copy: between east and west one runs/,
    );
    assert.equal(waiting.status?.itinerary, undefined);
    world.fetchBytes = soonBytes;
    await reached(world, 'Done');
    const done = await reached(world, 'Done', { name: 'next' });
    assert.equal(done.status?.state, 'Success', saidBy(done));
    await world.stop();
  });

  test('a continuous one begins again by itself, and tells when it falls behind', async () => {
    const world = await open();
    await makeReplication(world, { decision: 'Remediate', continuous: '30s' });
    const first = await reached(world, 'Waiting');
    assert.equal(first.status?.state, 'Success', saidBy(first));
    await world.admin('east').patch(
      configMaps,
      { namespace: 'shop', name: 'settings' },
      {
        data: { a: '2' },
      },
    );
    const second = await reached(world, 'Waiting', { runs: 2 });
    assert.equal((await settingsThere(world))?.data?.['a'], '2');
    assert.notEqual(second.status?.dataTime, first.status?.dataTime);
    assert.equal(conditionOf(await replication(world), 'InSync')?.status, 'True');
    // Nothing arrives any more: the copy grows old.
    world.cloud.find('west').isCut = true;
    world.fetchBytes = 0;
    await world.until('it is out of sync', async () => {
      return conditionOf(await replication(world), 'InSync')?.status === 'False';
    });
    const behind = await replication(world);
    assert.match(conditionOf(behind, 'InSync')?.message ?? '', /the data at west is .* old/);
    assert.equal(world.events.filter(({ reason }) => reason === 'OutOfSync').length, 1);
    world.cloud.find('west').isCut = false;
    world.fetchBytes = soonBytes;
    await world.until('it is in sync again', async () => {
      return conditionOf(await replication(world), 'InSync')?.status === 'True';
    });
    // No longer continuous it ends with the run that it is at.
    await change(world, { continuous: null });
    const last = await reached(world, 'Done', { runs: 2 });
    await world.run(40_000);
    assert.equal(conditionOf(await replication(world), 'InSync'), undefined);
    assert.equal((await replication(world))?.status?.runs, last.status?.runs);
    await world.stop();
  });

  test('where no way leads from one cluster to the other it goes by a repository', async () => {
    const world = await open();
    const hub = world.admin('east');
    const keys = { namespace: 'shop', name: 'keys' };
    const data = { accessKeyId: 'aWQ=', secretAccessKey: 'c2VjcmV0' };
    await hub.create(secrets, { metadata: keys, data } as never);
    const s3 = { endpoint: 'https://s3.example.org', bucket: 'moves', credentialsSecretRef: keys };
    await hub.create(repositories, {
      metadata: { name: 'between', annotations: { 'transship.dev/no-direct-way': 'true' } },
      spec: { s3 },
    } as never);
    const decision = 'Remediate' as const;
    await makeReplication(world, { decision, repository: 'between' });
    const routes = new Set<string | undefined>();
    world.onStep = async () => {
      for (const { status } of await world.list('east', volumeTransfers)) routes.add(status?.route);
    };
    const done = await reached(world, 'Done');
    assert.equal(done.status?.state, 'Success', saidBy(done));
    assert.ok(routes.has('repository between (chunks)'), [...routes].join());
    assert.deepEqual(await claimsAt(world, 'west'), ['market/db Bound']);
    // What is in the repository only helped.
    assert.deepEqual(await world.list('east', savedVersions), []);
    await world.stop();
  });

  test('within one cluster it is a backup under another name', async () => {
    const world = await open();
    await makeReplication(world, { destination: 'east', decision: 'Remediate' });
    const done = await reached(world, 'Done');
    assert.equal(done.status?.state, 'Success', saidBy(done));
    assert.deepEqual(await claimsAt(world, 'east'), ['market/db Bound', 'shop/db Bound']);
    await change(world, { run: 2 });
    const again = await reached(world, 'Done', { runs: 2 });
    assert.equal(again.status?.state, 'Success', saidBy(again));
    assert.deepEqual(await claimsAt(world, 'east'), ['market/db Bound', 'shop/db Bound']);
    await world.stop();
  });

  test('checks alone change nothing, until they may go on', async () => {
    const world = await open();
    await makeReplication(world, { onlyCheck: true });
    const halted = await reached(world, 'Halted');
    assert.deepEqual(halted.status?.offers, ['Recheck', 'Stop']);
    await world.admin('west').create(namespaces, { metadata: { name: there } });
    await decide(world, 'Recheck');
    await world.until('it is compatible', async () => {
      const { status } = (await replication(world)) ?? {};
      return status?.phase === 'Halted' && status.actionable === 0;
    });
    await world.run(5_000);
    assert.deepEqual(await claimsAt(world, 'west'), []);
    await change(world, { onlyCheck: false });
    const done = await reached(world, 'Done');
    assert.equal(done.status?.state, 'Success', saidBy(done));
    await world.stop();
  });

  test('without volumes claims are made, and nothing is in them', async () => {
    const world = await open();
    await makeReplication(world, { decision: 'Remediate', volumes: 'Exclude' });
    const done = await reached(world, 'Done');
    assert.equal(done.status?.state, 'Success', saidBy(done));
    assert.equal(done.status?.report?.volumes, undefined);
    const { state } = world.cloud.find('west');
    assert.deepEqual(
      [...state.volumes.values()].map(({ dataBytes }) => dataBytes),
      [0],
    );
    await world.stop();
  });
});
