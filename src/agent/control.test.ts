import assert from 'node:assert/strict';
import { test } from 'node:test';
import { operations } from '../api/control.ts';
import { TransshipError } from '../base/errors.ts';
import { createFakeAgent, createMemoryDisk } from './fake-agent.ts';
import { createFakePool } from './fake-pool.ts';

const MiB = 2 ** 20;

async function reasonOf(work: Promise<unknown>): Promise<string> {
  const error = await work.then(
    () => undefined,
    (problem: unknown) => problem,
  );
  return error instanceof TransshipError ? error.reason : String(error);
}

test('a volume lives from create to delete', async () => {
  const { call, pool } = await createFakeAgent();
  const made = await call('volume.create', {
    name: 'db',
    sizeBytes: 4 * MiB,
    historyPolicy: 'one-hour',
  });
  assert.equal(made.kind, 'Volume');
  assert.equal(made.spec.size, '4Mi');
  assert.equal(made.spec.historyPolicy, 'one-hour');
  assert.equal((await call('volume.list', {})).items.length, 1);
  const bigger = await call('volume.resize', { name: 'db', sizeBytes: 8 * MiB });
  assert.equal(bigger.spec.size, '8Mi');
  const snapshot = await call('volume.snapshot', { volume: 'db' });
  assert.match(snapshot.metadata.name, /^s19700101-001640$/);
  const clone = await call('volume.clone', { volume: 'db' });
  assert.equal(clone.metadata.name, 'db-1000');
  const history = await call('volume.history', { volume: 'db' });
  assert.equal(history.status.snapshots.length, 1);
  await call('volume.delete', { name: 'db' });
  assert.equal(pool.volume('db'), undefined);
  const reasons = await call('volume.list', {});
  assert.equal(reasons.items[0]!.metadata.name, 'db-1000');
});

test('what is wrong has a reason, and HTTP a matching status', async () => {
  const { call, raw } = await createFakeAgent();
  await call('volume.create', { name: 'db', sizeBytes: 4 * MiB });
  assert.equal(await reasonOf(call('volume.show', { name: 'x' })), 'NotFound');
  const again = call('volume.create', { name: 'db', sizeBytes: 4 * MiB });
  assert.equal(await reasonOf(again), 'AlreadyExists');
  const unknown = { name: 'd', sizeBytes: MiB, historyPolicy: 'no' };
  assert.equal(await reasonOf(call('volume.create', unknown)), 'NotFound');
  for (const [method, path, body, status] of [
    ['POST', '/v1alpha1/volume.frobnicate', '{}', 404],
    ['GET', '/v1alpha1/volume.list', '', 400],
    ['POST', '/', '{}', 404],
    ['POST', '/v1alpha1/volume.show', '{', 400],
    ['POST', '/v1alpha1/volume.show', '[]', 400],
    ['POST', '/v1alpha1/volume.show', '{}', 400],
    ['POST', '/v1alpha1/volume.show', '{"name":1}', 400],
    ['POST', '/v1alpha1/volume.show', '{"name":"db","more":1}', 400],
    ['POST', '/v1alpha1/volume.create', '{"name":"y","sizeBytes":-1}', 400],
    ['POST', '/v1alpha1/volume.create', '{"name":"y","sizeBytes":1.5}', 400],
    ['POST', '/v1alpha1/__proto__', '{}', 404],
    ['GET', '/metrics', '', 200],
  ] as const) {
    const answer = await raw(method, path, body);
    assert.equal(answer.status, status, `${method} ${path} ${body}`);
    if (status !== 200) assert.equal(JSON.parse(answer.body).kind, 'Error');
  }
});

test('every operation of the table has a handler', async () => {
  const { agent } = await createFakeAgent();
  assert.deepEqual(Object.keys(agent.handlers).toSorted(), Object.keys(operations).toSorted());
});

test('an import makes a volume of the image, and one that changes leaves nothing', async () => {
  const { stream, pool, images, call } = await createFakeAgent();
  const bytes = Uint8Array.from({ length: 3 * MiB + 512 }, (_, index) => index % 251);
  const ranges = [
    { offset: 0, lengthBytes: 70_000 },
    { offset: 2 * MiB, lengthBytes: MiB + 512 },
  ];
  images.set('/good', { bytes, ranges });
  images.set('/moving', { bytes, changes: true });
  const { events, result } = await stream('volume.import', { name: 'db', path: '/good' });
  assert.equal(result.status.phase, 'Succeeded');
  assert.equal(events[0]!.status.phase, 'Running');
  const { bytes: stored } = pool.volume('db');
  assert.deepEqual(stored.subarray(0, 70_000), bytes.subarray(0, 70_000));
  assert.deepEqual(stored.subarray(2 * MiB, 3 * MiB + 512), bytes.subarray(2 * MiB));
  assert.deepEqual(pool.volume('db').doors(), []);

  const moved = await stream('volume.import', { name: 'no', path: '/moving' });
  assert.equal(moved.result.status.reason, 'BadImage');
  assert.equal(pool.volume('no'), undefined);
  const missing = await stream('volume.import', { name: 'no', path: '/none' });
  assert.equal(missing.result.status.reason, 'BadImage');
  const taken = stream('volume.import', { name: 'db', path: '/good' });
  assert.equal(await reasonOf(taken), 'AlreadyExists');
  assert.equal((await call('job.list', {})).items.length, 3);
});

test('an update brings an existing volume to the image, or leaves it as it was', async () => {
  const { stream, pool, images, call } = await createFakeAgent();
  await call('volume.create', { name: 'db', sizeBytes: 2 * MiB });
  pool.volume('db').bytes.fill(7);
  images.set('/small', { bytes: new Uint8Array(MiB) });
  const small = await stream('volume.import', { name: 'db', path: '/small', update: true });
  assert.equal(small.result.status.reason, 'BadImage');
  const bytes = new Uint8Array(2 * MiB).fill(1, 0, 65536);
  images.set('/next', { bytes, ranges: [{ offset: 0, lengthBytes: 65536 }] });
  const { result } = await stream('volume.import', { name: 'db', path: '/next', update: true });
  assert.equal(result.status.phase, 'Succeeded');
  assert.deepEqual(pool.volume('db').bytes, bytes);
  assert.deepEqual(pool.volume('db').listSnapshots(), []);
});

test('an export writes what is there and leaves no clone', async () => {
  const { stream, pool, written, call } = await createFakeAgent();
  await call('volume.create', { name: 'db', sizeBytes: 2 * MiB });
  pool.volume('db').bytes.fill(3, 1000, 2000);
  const { result } = await stream('volume.export', { volume: 'db', path: '/out' });
  assert.equal(result.status.phase, 'Succeeded');
  assert.deepEqual(written.get('/out'), pool.volume('db').bytes);
  assert.equal((await call('volume.list', {})).items.length, 1);
});

test('what an import of a killed agent left is removed at the next start', async () => {
  const files = new Map<string, Uint8Array>();
  const first = await createFakeAgent({ home: createMemoryDisk(files) });
  first.images.set('/slow', { bytes: new Uint8Array(MiB), hangs: true });
  void first.stream('volume.import', { name: 'half', path: '/slow' });
  while (first.pool.volume('half') === undefined) await Promise.resolve();

  // The pool as the dead agent left it.
  const pool = createFakePool();
  await pool.api.createVolume({ name: 'half', sizeBytes: MiB });
  await pool.api.createVolume({ name: 'whole', sizeBytes: MiB });
  const second = await createFakeAgent({ home: createMemoryDisk(files), pool });
  assert.equal(pool.volume('half'), undefined);
  assert.notEqual(pool.volume('whole'), undefined);
  const { events } = await second.stream('agent.events', {});
  assert.match(events[0]!.note, /volume half was being imported or exported/);
});

test('history policies: presets, own ones, limits, users', async () => {
  const files = new Map<string, Uint8Array>();
  const { call, pool } = await createFakeAgent({ home: createMemoryDisk(files) });
  const hour = 3_600_000;
  const long = { name: 'p', secondsMs: 25 * hour, minutesMs: 0, hoursMs: 0, daysMs: 0 };
  assert.equal(await reasonOf(call('policy.create', long)), 'BadPolicy');
  await call('policy.create', { ...long, secondsMs: 2 * hour });
  assert.equal(await reasonOf(call('policy.create', long)), 'AlreadyExists');
  await call('volume.create', { name: 'db', sizeBytes: MiB, historyPolicy: 'p' });
  assert.equal(await reasonOf(call('policy.delete', { name: 'p' })), 'InUse');
  const changed = await call('policy.set', { name: 'p', hoursMs: 24 * hour });
  assert.deepEqual(changed.status.volumes, ['db']);
  assert.deepEqual(changed.spec, { seconds: '2h', minutes: '0', hours: '1d', days: '0' });
  assert.equal(pool.volume('db').policy.hoursMs, 24 * hour);
  assert.equal(await reasonOf(call('policy.set', { name: 'none', daysMs: 1 })), 'NotAllowed');
  assert.equal(await reasonOf(call('policy.delete', { name: 'one-hour' })), 'NotAllowed');

  const again = await createFakeAgent({ home: createMemoryDisk(files) });
  const { items } = await again.call('policy.list', {});
  assert.ok(items.some(({ metadata }) => metadata.name === 'p'));
});

test('a used or attached volume cannot be deleted', async () => {
  const { call, agent } = await createFakeAgent();
  await call('volume.create', { name: 'db', sizeBytes: MiB });
  const close = agent.onOpen('db');
  assert.deepEqual((await call('volume.show', { name: 'db' })).status.doors, ['nbd']);
  assert.equal(await reasonOf(call('volume.delete', { name: 'db' })), 'InUse');
  close();
  await call('volume.attach', { volume: 'db', mount: '/mnt' });
  assert.equal((await call('volume.show', { name: 'db' })).status.attachedTo, '/mnt');
  assert.equal(await reasonOf(call('volume.delete', { name: 'db' })), 'InUse');
  const elsewhere = call('volume.attach', { volume: 'db', mount: '/other' });
  assert.equal(await reasonOf(elsewhere), 'InUse');
  await call('volume.detach', { volume: 'db' });
  await call('volume.delete', { name: 'db' });
});

test('events tell what happened, and equal ones count up', async () => {
  const { call, stream, agent } = await createFakeAgent();
  await call('volume.create', { name: 'db', sizeBytes: MiB });
  const happening = {
    type: 'Warning',
    reason: 'X',
    kind: 'Pool',
    name: 'main',
    note: 'n',
  } as const;
  agent.parts.events.add(happening);
  agent.parts.events.add(happening);
  const { events } = await stream('agent.events', {});
  assert.deepEqual(
    events.map(({ reason, count }) => [reason, count]),
    [
      ['Created', 1],
      ['X', 2],
    ],
  );
});

test('a scrub that finds damage says so as a critical event', async () => {
  const { stream } = await createFakeAgent();
  const { result } = await stream('pool.scrub', {});
  assert.equal(result.status.result?.['corrupt'], 1);
  const { events } = await stream('agent.events', {});
  assert.deepEqual([events[0]!.type, events[0]!.reason], ['Critical', 'DataCorrupt']);
});

test('the cluster tells its health, its address and its sockets', async () => {
  const { call } = await createFakeAgent();
  const { spec, status } = await call('agent.status', {});
  assert.deepEqual([spec.local, spec.address], [true, '127.0.0.1:1']);
  assert.deepEqual([status.health, status.volumes], ['None', 0]);
  assert.equal((await call('agent.doctor', {})).passed, true);
  assert.equal((await call('cluster.token', {})).token, 'transship1-x');
  assert.equal(await reasonOf(call('cluster.check', { name: 'west' })), 'NotFound');
});
