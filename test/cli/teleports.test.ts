import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { resources } from '../../src/api/kinds/resources.ts';
import type { Teleport } from '../../src/api/kinds/teleport.ts';
import { createFakeTerminal } from '../../src/cli/fake-ports.ts';
import { persistentVolumeClaims } from '../../src/kube/resources.ts';
import { condition, impatient, startWorld, type World } from './world.ts';

const { teleports, volumes } = resources;
const at = (name: string) => ({ namespace: 'default', name });
const key = (name: string) => ({ namespace: '', name });
const line = 'teleport db --from east --to west';
const GiB = 2 ** 30;

/** Volume `db` at east. */
async function twoClusters(): Promise<World> {
  const world = await startWorld(['east', 'west']);
  await world.client('east').create(volumes, { metadata: { name: 'db' }, spec: { size: '1Gi' } });
  return world;
}

const accessible = () => ({
  phase: 'Accessible',
  volume: 'db',
  accessibleTime: '2026-01-01T00:00:01Z',
  accessibleAfterMilliseconds: 67,
  progress: {
    percent: 55,
    totalBytes: 10 * GiB,
    missingBytes: 4.5 * GiB,
    demandBytes: GiB / 2,
    backgroundBytes: 4 * GiB,
    presentBytes: GiB,
    bytesPerSecond: 105 * 2 ** 20,
    etaSeconds: 44,
  },
  conditions: [
    condition('Ready', 'True', 'Accessible'),
    condition('Succeeded', 'Unknown', 'Accessible'),
  ],
});

const available = () => ({
  ...accessible(),
  phase: 'Available',
  progress: { percent: 100, fetchedBytes: 9 * GiB, wireBytes: 3 * GiB },
  conditions: [
    condition('Ready', 'True', 'Available'),
    condition('Succeeded', 'True', 'Available'),
  ],
});

const failed = (reason: string) => ({
  phase: 'Failed',
  conditions: [
    condition('Ready', 'False', reason, 'it cannot be'),
    condition('Succeeded', 'False', reason, 'it cannot be'),
  ],
});

async function madeAt(world: World, hub: string, name = 'db'): Promise<Teleport | undefined> {
  return world.client(hub).get(teleports, at(name));
}

suite('teleport start', () => {
  test('the object is at the destination, and the command returns when it is usable', async () => {
    await using world = await twoClusters();
    await world.control('west', teleports, accessible);
    const words = `${line} --thin --rate 100MiB/s --history-policy one-hour --snapshot s`;
    const { code, out, err } = await world.run(words);
    assert.equal(code, 0, err);
    assert.equal(out, 'teleport/db Accessible\n');
    assert.match(err, /transship teleport watch db --cluster west/);
    assert.deepEqual((await madeAt(world, 'west'))!.spec, {
      source: { cluster: 'east', volume: 'db' },
      destination: { cluster: 'west', volume: 'db', historyPolicy: 'one-hour' },
      snapshot: 's',
      thin: true,
      bandwidth: '100Mi',
    });
    const shown = await world.run('teleport show db -c west');
    assert.match(shown.out, /^Name: +db\n[^]*Accessible: +after 67 ms\n/);
    const listed = await world.run('teleport list -c west');
    assert.match(listed.out, /^NAME +SOURCE +DESTINATION +PHASE +PROGRESS +AGE\ndb /);
  });

  test('--hub names whose API has it; --claim moves a claim', async () => {
    await using world = await twoClusters();
    await world.control('east', teleports, accessible);
    await world.client('east').create(persistentVolumeClaims, {
      metadata: { name: 'data', namespace: 'default' },
      spec: {
        accessModes: ['ReadWriteOnce'],
        resources: { requests: { storage: '1Gi' } },
        storageClassName: 'transship',
      },
    });
    const words = 'teleport --claim default/data --from east --to west --name copy --hub east';
    const { code, err } = await world.run(words);
    assert.equal(code, 0, err);
    const { spec } = (await madeAt(world, 'east', 'copy'))!;
    assert.deepEqual(spec.source, { cluster: 'east', namespace: 'default', claim: 'data' });
    assert.deepEqual(spec.destination, { cluster: 'west', claim: 'copy' });
    const no = await world.run('teleport --claim no --from east --to west');
    assert.equal(no.code, 1);
    assert.match(no.err, /PersistentVolumeClaim default\/no/);
  });

  test('what is not there, or in the way, is said before an object is made', async () => {
    await using world = await twoClusters();
    const west = world.client('west');
    for (const [words, code, says] of [
      ['teleport no --from east --to west', 1, /east has no volume no\n.*NotFound/],
      ['teleport db --from est --to west', 1, /knows no cluster est \(known: east, west\)/],
      ['teleport db --to west', 2, /--from CLUSTER \(peers: east\)/],
    ] as const) {
      const ran = await world.run(words);
      assert.equal(ran.code, code, ran.err);
      assert.match(ran.err, says);
    }
    await west.create(volumes, { metadata: { name: 'db' }, spec: { size: '1Gi' } });
    const taken = await world.run(line);
    assert.equal(taken.code, 6);
    assert.match(taken.err, /volume db exists at west already; choose another --name/);
    assert.equal(await madeAt(world, 'west'), undefined);
  });

  test('a refused one fails with its reason and leaves no object', async () => {
    await using world = await twoClusters();
    await world.control('west', teleports, () => failed('ClassMismatch'));
    const { code, err } = await world.run(line);
    assert.equal(code, 3);
    assert.match(err, /error: it cannot be\n {2}reason: ClassMismatch/);
    assert.equal(await madeAt(world, 'west'), undefined);
  });

  test('an ended one whose copy is gone is replaced, any other is in the way', async () => {
    await using world = await twoClusters();
    const west = world.client('west');
    const source = { cluster: 'east', volume: 'db' };
    const spec = { source, destination: { cluster: 'west' } };
    const old = await west.create(teleports, { metadata: at('db'), spec });
    const running = await world.run(line);
    assert.equal(running.code, 6);
    assert.match(running.err, /has a teleport db already \(Pending\)/);
    await west.patchStatus(teleports, at('db'), { status: available() });
    await world.control('west', teleports, available);
    const again = await world.run(line);
    assert.equal(again.code, 0, again.err);
    assert.notEqual((await madeAt(world, 'west'))!.metadata.uid, old.metadata.uid);
    await west.create(volumes, { metadata: { name: 'db' }, spec: { size: '1Gi' } });
    assert.equal((await world.run(line)).code, 6);
  });
});

suite('waiting for a teleport', () => {
  test('--wait shows both lanes and ends when all data is there', async () => {
    await using world = await twoClusters();
    const seen = new Set<string>();
    await world.control('west', teleports, ({ metadata, status }) => {
      const isFirst = !seen.has(metadata.uid ?? '') || status?.phase !== 'Accessible';
      seen.add(metadata.uid ?? '');
      return isFirst && status?.phase !== 'Available' ? accessible() : available();
    });
    const { code, out, err } = await world.run(`${line} --wait`);
    assert.equal(code, 0, err);
    assert.equal(out, 'teleport/db Available\n');
    assert.match(err, /db Accessible 55%, 5\.5 GiB of 10\.0 GiB, on demand 512\.0 MiB, backg/);
    assert.match(err, /accessible after 67 ms, fetched 9\.0 GiB as 3\.0 GiB on the wire/);
  });

  test('one that fails later fails the command, and stays to be looked at', async () => {
    await using world = await twoClusters();
    const lost = { ...failed('SourceGone'), accessibleTime: '2026-01-01T00:00:01Z' };
    await world.control('west', teleports, () => lost);
    const { code, err } = await world.run(`${line} --wait`);
    assert.equal(code, 1);
    assert.match(err, /reason: SourceGone/);
    assert.notEqual(await madeAt(world, 'west'), undefined);
  });

  test('a time-out exits 5, Ctrl-C 130; both say that it goes on', async () => {
    await using world = await twoClusters();
    await world.control('west', teleports, accessible);
    const late = await world.run(`${line} --wait --timeout 10s`, { ports: impatient() });
    assert.equal(late.code, 5, late.err);
    assert.match(late.err, /not done in time; the teleport goes on.*\n {2}reason: TimedOut/);
    const terminal = createFakeTerminal();
    const { err } = terminal;
    terminal.err = (text) => {
      err(text);
      if (text.includes('Accessible')) queueMicrotask(() => terminal.interrupt());
    };
    const stopped = await world.run('teleport watch db -c west', { terminal });
    assert.equal(stopped.code, 130);
    assert.match(stopped.err, /Interrupted; the teleport goes on; see it again with/);
    assert.equal(stopped.out, '');
  });
});

suite('changing a teleport', () => {
  test('cancel deletes what it made, and waits until it is canceled', async () => {
    await using world = await twoClusters();
    const west = world.client('west');
    const spec = { source: { cluster: 'east', volume: 'db' }, destination: { cluster: 'west' } };
    const { metadata } = await west.create(teleports, { metadata: at('db'), spec });
    await west.patchStatus(teleports, at('db'), { status: accessible() });
    const labels = { 'transship.dev/teleport-uid': metadata.uid ?? '' };
    await west.create(volumes, {
      metadata: { name: 'db', labels, finalizers: ['transship.dev/volume'] },
      spec: { size: '1Gi' },
    });
    await world.control('west', volumes, (volume) => {
      if (volume.metadata.deletionTimestamp === undefined) return undefined;
      void west.patchStatus(teleports, at('db'), { status: failed('Canceled') });
      return 'release';
    });
    const asks = await world.run('teleport cancel db -c west');
    assert.equal(asks.code, 2);
    assert.match(asks.err, /deletes volume db at west,\n.*volume db at east stays as it is/);
    const { code, out, err } = await world.run('teleport cancel db -c west --yes');
    assert.equal(code, 0, err);
    assert.equal(out, 'teleport/db canceled\n');
    assert.equal(await west.get(volumes, key('db')), undefined);
    assert.notEqual(await world.client('east').get(volumes, key('db')), undefined);
  });

  test('one that had made nothing is gone; a volume of others with its name stays', async () => {
    await using world = await twoClusters();
    const west = world.client('west');
    const spec = { source: { cluster: 'east', volume: 'db' }, destination: { cluster: 'west' } };
    await west.create(teleports, { metadata: at('db'), spec });
    await west.patchStatus(teleports, at('db'), { status: { volume: 'db' } });
    await west.create(volumes, { metadata: { name: 'db' }, spec: { size: '1Gi' } });
    const { code, out, err } = await world.run('teleport cancel db -c west --yes');
    assert.equal(code, 0, err);
    assert.equal(out, 'teleport/db canceled\n');
    assert.notEqual(await west.get(volumes, key('db')), undefined);
  });

  test('fill makes it thin no more, at a new rate', async () => {
    await using world = await twoClusters();
    await world.control('west', teleports, ({ spec }) => {
      return spec.thin === false ? available() : accessible();
    });
    assert.equal((await world.run(`${line} --thin`)).code, 0);
    const { code, out, err } = await world.run('teleport fill db -c west --rate 1GiB/s --wait');
    assert.equal(code, 0, err);
    assert.equal(out, 'teleport/db Available\n');
    const { spec } = (await madeAt(world, 'west'))!;
    assert.deepEqual([spec.thin, spec.bandwidth], [false, '1Gi']);
    const ended = await world.run('teleport cancel db -c west --yes');
    assert.equal(ended.code, 6);
    assert.match(ended.err, /has ended \(Available\)/);
  });
});
