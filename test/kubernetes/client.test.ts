// Our client and informers against the embedded API server, through good and bad weather.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { asTransshipError } from '../../src/base/errors.ts';
import type { UserInfo } from '../../src/embedded/server/api.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import { createApiServer } from '../../src/embedded/server/server.ts';
import { MemoryPersistence } from '../../src/embedded/server/testing.ts';
import type { KubeClient } from '../../src/kube/api.ts';
import { createKubeClient } from '../../src/kube/client.ts';
import { createDiscovery } from '../../src/kube/discovery.ts';
import { createEventRecorder } from '../../src/kube/events.ts';
import { ensureFinalizer, removeFinalizer } from '../../src/kube/finalizers.ts';
import { createInformer } from '../../src/kube/informer.ts';
import * as jobs from '../../src/kube/jobs.ts';
import { createLeaderElection } from '../../src/kube/lease.ts';
import { keyOf, type ResourceType } from '../../src/kube/objects.ts';
import * as resources from '../../src/kube/resources.ts';
import * as rights from '../../src/kube/rights.ts';
import { writeStatus } from '../../src/kube/status.ts';
import { RecordingLog, testRandom, TestTime } from '../../src/kube/testing.ts';
import type { KubeTransport } from '../../src/kube/transport.ts';
import * as workloads from '../../src/kube/workloads.ts';
import { badWeather, createFaultyTransport, type Faults } from './faulty-transport.ts';

const { configMaps, events, namespaces } = resources;
const admin: UserInfo = { name: 'admin', groups: ['system:masters'] };
const library = createSchemaLibrary();

interface World {
  readonly time: TestTime;
  readonly transport: KubeTransport;
  weather: Faults | undefined;
  /** Another way to the server, with weather of its own. */
  client(name: string, worse?: Partial<Faults>): KubeClient;
}

function startWorld(seed = 1, historyMax = 1000): World {
  const time = new TestTime();
  const persistence = new MemoryPersistence();
  const [clock, log] = [time.clock(), new RecordingLog()];
  const random = testRandom(seed);
  const ports = { clock, log, random, persistence, library, historyMax };
  const server = createApiServer(ports);
  const transport: KubeTransport = (request) => server.handle(request, admin);
  let clients = 0;
  const world: World = {
    time,
    transport,
    weather: undefined,
    client: (name, worse = {}) =>
      createKubeClient({
        cluster: 'east',
        transport: createFaultyTransport({
          inner: transport,
          clock,
          random: testRandom(seed * 100 + ++clients),
          faults: () => world.weather && { ...world.weather, ...worse },
        }),
        clock,
        random,
        log,
        fieldManager: name,
        namespace: 'default',
      }),
  };
  return world;
}

suite('the client and the embedded server', () => {
  test('agree on every verb', async () => {
    const world = startWorld();
    const client = world.client('test');
    const draft = { metadata: { name: 'a' }, data: { x: '1' } };
    const made = await client.create(configMaps, draft);
    await assert.rejects(client.create(configMaps, draft), { reason: 'AlreadyExists' });
    assert.deepEqual(await client.get(configMaps, keyOf(made)), made);
    const replaced = await client.replace(configMaps, { ...made, data: { x: '2' } });
    await assert.rejects(client.replace(configMaps, made), { reason: 'Conflict' });
    const patched = await client.patch(configMaps, keyOf(made), { data: { y: '3' } });
    assert.deepEqual(patched.data, { ...replaced.data, y: '3' });
    const applied = await client.apply(configMaps, { metadata: { name: 'a' }, data: { z: '4' } });
    assert.deepEqual(applied.data, { x: '2', y: '3', z: '4' });
    const released = await client.apply(configMaps, { metadata: { name: 'a' }, data: {} });
    assert.deepEqual(released.data, { x: '2', y: '3' });
    const names: unknown[] = [];
    for await (const one of client.list(configMaps, { fields: 'metadata.name=a' })) {
      names.push(one.metadata.name);
    }
    assert.deepEqual(names, ['a']);
    await assert.rejects(client.delete(configMaps, keyOf(made), { uid: 'other' }), {
      reason: 'Conflict',
    });
    assert.equal(await client.delete(configMaps, keyOf(made)), true);
    assert.equal(await client.delete(configMaps, keyOf(made)), false);
    assert.equal(await client.get(configMaps, keyOf(made)), undefined);
    const bad = { metadata: { name: 'Not_A_Name' }, data: { x: '1' } };
    await assert.rejects(client.create(configMaps, bad), {
      reason: 'Invalid',
      message: /metadata\.name/,
    });
  });

  test('agree on finalizers and statuses', async () => {
    const client = startWorld().client('test');
    const object = await client.create(configMaps, { metadata: { name: 'a' } });
    const held = await ensureFinalizer(client, configMaps, object, 'transship.dev/x');
    await client.delete(configMaps, keyOf(object));
    const leaving = await client.get(configMaps, keyOf(object));
    assert.ok(leaving?.metadata.deletionTimestamp !== undefined);
    await removeFinalizer(client, configMaps, held, 'transship.dev/x');
    assert.equal(await client.get(configMaps, keyOf(object)), undefined);
    const space = await client.create(namespaces, { metadata: { name: 'n' } });
    const written = await writeStatus(client, namespaces, space, { phase: 'Active' });
    assert.equal(written.status?.phase, 'Active');
  });

  test('agree on events and leases', async () => {
    const { time, client: clientOf } = startWorld();
    const client = clientOf('test');
    const regarding = await client.create(configMaps, { metadata: { name: 'a' } });
    const recorder = createEventRecorder({ client, reporter: 'transship.dev/t', instance: 'h' });
    for (let i = 0; i < 3; i++) {
      const [reason, action] = ['PoolFull', 'Fill'];
      recorder.record({ regarding, type: 'Normal', reason, action, note: 'full' });
      await time.settle();
    }
    await time.finish(recorder.stop());
    const told: unknown[] = [];
    for await (const event of client.list(events)) told.push(event.series?.count);
    assert.deepEqual(told, [3]);
    const election = createLeaderElection({
      client,
      namespace: 'default',
      name: 'controller',
      identity: 'one',
      onStarted: (signal) =>
        new Promise((resolve) => signal.addEventListener('abort', () => resolve())),
    });
    await time.advance(30_000);
    assert.equal(election.isLeader(), true);
    await time.finish(election.stop());
    const lease = await client.get(resources.leases, { namespace: 'default', name: 'controller' });
    assert.equal(lease?.spec?.holderIdentity ?? '', '');
  });

  test('agree on where every kind is', async () => {
    const discovery = createDiscovery(startWorld().client('test'));
    const served = await discovery.resources();
    const types = [resources, workloads, jobs, rights].flatMap(
      (file) => Object.values(file) as ResourceType[],
    );
    assert.ok(types.length >= 27);
    for (const { group, version, plural, kind, namespaced } of types) {
      const found = served.find(
        (one) => one.group === group && one.version === version && one.plural === plural,
      );
      assert.deepEqual(
        { plural, kind: found?.kind, namespaced: found?.namespaced },
        { plural, kind, namespaced },
      );
    }
  });
});

/** Writers that go on whatever happens; each error must be one that such weather explains. */
async function write(client: KubeClient, seed: number, rounds: number): Promise<void> {
  const random = testRandom(seed);
  const allowed = ['ApiUnreachable', 'ApiFailed', 'TooManyRequests'];
  const expected = [...allowed, 'Conflict', 'AlreadyExists', 'NotFound'];
  for (let round = 0; round < rounds; round++) {
    const key = { namespace: 'default', name: `c${Math.floor(random.fraction() * 8)}` };
    const data = { round: `${seed}-${round}` };
    try {
      const kind = random.fraction();
      if (kind < 0.4) await client.create(configMaps, { metadata: key, data });
      else if (kind < 0.7) await client.patch(configMaps, key, { data });
      else await client.delete(configMaps, key);
    } catch (error) {
      const { reason, message } = asTransshipError(error);
      assert.ok(expected.includes(reason), `${reason}: ${message}`);
    }
  }
}

test('an informer ends with what the server has, whatever the weather was (seeds)', async () => {
  let relists = 0;
  for (let seed = 1; seed <= 8; seed++) {
    // A short memory of the server: watches that come back late have to list again.
    const world = startWorld(seed, 12);
    const { time } = world;
    const reader = world.client('reader', { cut: 0.2, delayMsMax: 15_000 });
    const informer = createInformer(reader, configMaps, { selectors: { namespace: 'default' } });
    const known = new Map<string, string>();
    informer.onChange(({ key, before, now }) => {
      const version = (object: typeof now): string =>
        `${object?.metadata.uid}@${object?.metadata.resourceVersion}`;
      assert.equal(known.get(key.name), before && version(before), 'before is what was told last');
      if (now === undefined) known.delete(key.name);
      else known.set(key.name, version(now));
    });
    world.weather = badWeather;
    const writers = [1, 2, 3].map((n) => write(world.client(`writer-${n}`), seed * 10 + n, 40));
    await time.finish(Promise.all(writers));
    await time.finish(informer.synced);
    world.weather = undefined;
    const truth = async (): Promise<string[]> => {
      const all: string[] = [];
      for await (const { metadata } of world.client('truth').list(configMaps)) {
        all.push(`${metadata.name} ${metadata.uid}@${metadata.resourceVersion}`);
      }
      return all.sort();
    };
    const wanted = (await time.finish(truth())).join('\n');
    const have = (): string =>
      [...known]
        .map(([name, version]) => `${name} ${version}`)
        .sort()
        .join('\n');
    await time.until(() => have() === wanted, 900_000);
    await time.until(() => informer.trouble === undefined, 60_000);
    relists += (reader.counts.get('list') ?? 0) - 1;
    await informer.stop();
  }
  assert.ok(relists >= 8, `${relists} lists: the weather was too kind`);
});
