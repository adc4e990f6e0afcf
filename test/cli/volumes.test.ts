import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { resources } from '../../src/api/kinds/resources.ts';
import type { Volume } from '../../src/api/kinds/volume.ts';
import { createFakeTerminal, volumeObject } from '../../src/cli/fake-ports.ts';
import { condition, impatient, startWorld, type World } from './world.ts';

const { volumes, pools } = resources;
const MiB = 2 ** 20;
const key = (name: string) => ({ namespace: '', name });

/** Every volume can be used at once, and is as large as its spec says. */
function ready({ spec, metadata }: Volume) {
  if (metadata.deletionTimestamp !== undefined) return 'release' as const;
  const { generation = 0 } = metadata;
  return {
    observedGeneration: generation,
    phase: 'Available',
    sizeBytes: spec.size === '16Mi' ? 16 * MiB : 8 * MiB,
    size: spec.size ?? '8Mi',
    conditions: [condition('Ready', 'True', 'Available'), condition('Synced', 'True', 'Synced')],
  };
}

async function withVolume(world: World, name: string, status: object = {}): Promise<void> {
  const metadata = { name, finalizers: ['transship.dev/volume'] };
  const client = world.client('east');
  await client.create(volumes, { metadata, spec: { size: '8Mi' } });
  await client.patchStatus(volumes, key(name), {
    status: { sizeBytes: 8 * MiB, size: '8Mi', snapshots: 2, ...status },
  });
}

suite('volumes are objects', () => {
  test('create writes what was asked for, and waits until it can be used', async () => {
    await using world = await startWorld();
    await world.control('east', volumes, ready);
    const line =
      'volume create db --size 1.5Gi --block-size 16k --history-policy one-hour --pool p';
    const { code, out, err } = await world.run(line);
    assert.equal(code, 0, err);
    assert.equal(out, 'volume/db created\n');
    const { spec } = (await world.client('east').get(volumes, key('db')))!;
    assert.deepEqual(spec, {
      size: '1536Mi',
      blockSize: '16Ki',
      historyPolicy: 'one-hour',
      replicas: [{ pool: 'p' }],
    });
    assert.equal((await world.run(line)).code, 6);
  });

  test('what can never be made fails with its reason, and leaves nothing', async () => {
    await using world = await startWorld();
    await world.control('east', volumes, () => ({
      observedGeneration: 1,
      conditions: [condition('Ready', 'False', 'NotFound', 'there is no pool p in this cluster')],
    }));
    const { code, out, err } = await world.run('volume create db --size 8Mi --pool p');
    assert.equal(code, 1);
    assert.match(err, /^error: there is no pool p in this cluster\n {2}reason: NotFound\n/);
    assert.equal(out, '');
    assert.equal(await world.client('east').get(volumes, key('db')), undefined);
  });

  test('what only takes long exits 5 and stays', async () => {
    await using world = await startWorld();
    await world.control('east', volumes, () => ({
      conditions: [condition('Ready', 'False', 'AgentUnreachable')],
    }));
    const { code, err } = await world.run('volume create db --size 8Mi', { ports: impatient() });
    assert.equal(code, 5, err);
    assert.match(err, /transship volume show db --cluster east\n {2}reason: TimedOut/);
    assert.notEqual(await world.client('east').get(volumes, key('db')), undefined);
  });

  test('tables are the server’s, JSON is the object, and nothing is a sentence', async () => {
    await using world = await startWorld();
    const empty = await world.run('volume list');
    assert.deepEqual([empty.code, empty.out], [0, '']);
    assert.match(empty.err, /No volumes yet/);
    await withVolume(world, 'db', { conditions: [condition('Ready', 'True', 'Available')] });
    const table = await world.run('volume list');
    assert.match(table.out, /^NAME +SIZE +STORED +POOL +REPLICAS +STATUS +ATTACHED-TO +AGE\n/);
    assert.match(table.out, /\ndb +8Mi /);
    const json = JSON.parse((await world.run('volume show db -o json')).out);
    assert.deepEqual([json.kind, json.apiVersion], ['Volume', 'transship.dev/v1alpha1']);
    assert.equal(json.metadata.managedFields, undefined);
    assert.equal((await world.run('volume list -o name')).out, 'volume/db\n');
    const list = JSON.parse((await world.run('volume list -o json')).out);
    assert.deepEqual([list.kind, list.items.length], ['VolumeList', 1]);
    const shown = await world.run('volume show db');
    assert.match(shown.out, /^Name: +db\nSize: +8Mi\n/);
    assert.match(shown.out, /Conditions:\n.*\n {2}Ready +True +Available +so it is\n$/);
    const missing = await world.run('volume show no');
    assert.equal(missing.code, 1);
    assert.match(missing.err, /cluster east has no volume no\n {2}reason: NotFound/);
  });

  test('-w prints rows as they come, until Ctrl-C', async () => {
    await using world = await startWorld();
    await withVolume(world, 'db');
    const terminal = createFakeTerminal();
    const client = world.client('east');
    const out = terminal.out;
    let rows = 0;
    terminal.out = (text) => {
      out(text);
      rows += 1;
      if (rows === 1) void client.patchStatus(volumes, key('db'), { status: { size: '9Mi' } });
      else terminal.interrupt();
    };
    const { code, out: text } = await world.run('volume show db -w', { terminal });
    assert.equal(code, 130);
    assert.match(text, /^NAME +SIZE .*\ndb +8Mi .*\ndb +9Mi .*\n$/);
  });

  test('a volume grows and never shrinks', async () => {
    await using world = await startWorld();
    await withVolume(world, 'db');
    const refused = await world.run('volume resize db --size 4Mi');
    assert.equal(refused.code, 2);
    assert.match(refused.err, /has 8Mi, more than 4Mi; a volume can grow but never shrink/);
    await world.control('east', volumes, ready);
    const grown = await world.run('volume resize db --size 16Mi');
    assert.equal(grown.code, 0, grown.err);
    assert.equal(grown.out, 'volume/db resized to 16Mi\n');
    assert.equal((await world.client('east').get(volumes, key('db')))!.spec.size, '16Mi');
  });

  test('a clone is named after its source and its second', async () => {
    await using world = await startWorld();
    await world.control('east', volumes, ready);
    const at = '2026-01-31T12:00:00Z';
    const { code, out, err } = await world.run(`volume clone db --at ${at}`);
    assert.equal(code, 0, err);
    assert.equal(out, 'volume/db-1769860800 created\n');
    const made = await world.client('east').get(volumes, key('db-1769860800'));
    assert.deepEqual(made!.spec.source, { clone: { volume: 'db', time: at } });
  });

  test('pools: the only one is meant', async () => {
    await using world = await startWorld();
    assert.equal((await world.run('pool show')).code, 1);
    for (const name of ['main', 'other']) {
      const spec = { node: 'n', path: `/srv/${name}` };
      await world.client('east').create(pools, { metadata: { name }, spec });
      const { code, out, err } = await world.run('pool show');
      assert.equal(code, name === 'main' ? 0 : 2);
      assert.match(name === 'main' ? out : err, name === 'main' ? /\/srv\/main/ : /main, other/);
    }
  });
});

suite('deleting a volume', () => {
  test('it asks, and no is no', async () => {
    for (const [answer, code] of [
      ['n', 130],
      ['', 130],
      ['y', 0],
      ['YES', 0],
    ] as const) {
      await using world = await startWorld();
      await withVolume(world, 'db');
      await world.control('east', volumes, ready);
      const terminal = createFakeTerminal(true);
      terminal.answer = answer;
      const ran = await world.run('volume delete db', { terminal });
      assert.equal(ran.code, code, answer);
      assert.match(ran.err, /volume\/db \(8Mi, 0 used/);
      const there = (await world.client('east').get(volumes, key('db'))) !== undefined;
      assert.equal(there, code !== 0, answer);
    }
  });

  test('one that is read, or attached, says who has it; --force does not ask', async () => {
    for (const [status, reason, code] of [
      [{ leasedBy: ['west/db'] }, /still read by west\/db\n {2}reason: Leased/, 3],
      [{ attachedTo: '/mnt/db' }, /to \/mnt\/db; detach it first\n {2}reason: InUse/, 6],
    ] as const) {
      await using world = await startWorld();
      await withVolume(world, 'db', status);
      const refused = await world.run('volume delete db --yes');
      assert.equal(refused.code, code);
      assert.match(refused.err, reason);
      const kept = (await world.client('east').get(volumes, key('db')))!;
      assert.equal(kept.metadata.deletionTimestamp, undefined);
      let annotations: object = {};
      await world.control('east', volumes, (volume) => {
        if (volume.metadata.deletionTimestamp === undefined) return undefined;
        annotations = volume.metadata.annotations ?? {};
        return 'release';
      });
      const forced = await world.run('volume delete db --yes --force');
      assert.equal(forced.code, 0, forced.err);
      assert.equal(forced.out, 'volume/db deleted\n');
      assert.deepEqual(annotations, { 'transship.dev/force-delete': 'true' });
    }
  });

  test('the agent’s word is newer than the status', async () => {
    const { status, ...rest } = volumeObject('db');
    const free = { ...rest, status: { ...status, leasedBy: [] } };
    await using world = await startWorld(['east'], { 'volume.show': () => free });
    await withVolume(world, 'db', { leasedBy: ['west/db'] });
    await world.control('east', volumes, ready);
    assert.equal((await world.run('volume delete db --yes')).code, 0);
  });

  test('a deletion that is held up fails with who holds it', async () => {
    await using world = await startWorld();
    await withVolume(world, 'db');
    await world.control('east', volumes, ({ metadata }) => {
      if (metadata.deletionTimestamp === undefined) return undefined;
      return { conditions: [condition('Deleting', 'False', 'InUse', 'pod shop/db uses it')] };
    });
    const { code, err } = await world.run('volume delete db --yes');
    assert.equal(code, 6);
    assert.match(err, /pod shop\/db uses it; it goes as soon as nothing holds it/);
  });
});
