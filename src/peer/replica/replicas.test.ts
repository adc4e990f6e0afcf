import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { TransshipError } from '../../base/errors.ts';
import { noHistory } from '../../volume/api.ts';
import { nameHex } from '../../volume/name.ts';
import { nameOf } from '../../volume/pack.ts';
import { pattern } from '../../volume/testing.ts';
import { createTestSet, mib, sector, type TestSet, volumeBytes } from './fixture.ts';
import type { LedVolume } from './led-volume.ts';

const three = ['a', 'b', 'c'];

async function healthy(set: TestSet, name = 'a'): Promise<void> {
  await set.wait('all replicas are healthy', () => set.view(name).phase === 'Healthy');
}

async function put(set: TestSet, volume: LedVolume, at: number, label: number): Promise<void> {
  await set.until(Promise.resolve(volume.write(sector(label), at * 4096)));
}

async function holds(
  set: TestSet,
  volume: Pick<LedVolume, 'read'>,
  at: number,
  label: number,
): Promise<void> {
  const into = new Uint8Array(4096);
  await set.until(Promise.resolve(volume.read(into, at * 4096)));
  assert.deepEqual(into, sector(label), `sector ${at}`);
}

async function rootsEqual(set: TestSet, names: readonly string[]): Promise<void> {
  const roots = [];
  for (const name of names) {
    const { root } = await set.until(set.agent(name).pool.volume('db').seal());
    roots.push(nameHex(root));
  }
  assert.equal(new Set(roots).size, 1, `roots of ${names.join(', ')} differ`);
}

suite('replicated volumes', () => {
  test('are made on three agents, and every replica gets every write', async () => {
    const set = await createTestSet(three);
    const { volume } = await set.lead('a', {});
    await healthy(set);
    for (let i = 0; i < 50; i++) await put(set, volume, i * 3, i);
    await set.until(volume.flush());
    for (let i = 0; i < 50; i++) await holds(set, volume, i * 3, i);
    await rootsEqual(set, three);
    assert.equal(set.view('a').sequence, 50);
  });

  test('a third replica is added and one removed while writes go on', async () => {
    const set = await createTestSet(three);
    const [a, b, c] = three.map((agent) => ({ agent, pool: 'main' }));
    const { volume } = await set.lead('a', { wanted: [a!, b!] });
    await healthy(set);
    for (let i = 0; i < 200; i++) await put(set, volume, i, i);
    await set.lead('a', { wanted: [a!, b!, c!] });
    let label = 1000;
    const before = label;
    await set.wait('three are healthy', () => {
      void volume.write(sector(label), ((label++ % 300) + 100) * 4096);
      return set.view('a').replicas.length === 3 && set.view('a').phase === 'Healthy';
    });
    assert.ok(label > before + 3);
    await rootsEqual(set, three);
    await set.lead('a', { wanted: [b!, c!] });
    await set.wait('one is gone', () => set.agent('a').pool.volumes().length === 0);
    // Its leader has no replica here any more and goes on.
    await put(set, volume, 7, 4711);
    await holds(set, volume, 7, 4711);
    await rootsEqual(set, ['b', 'c']);
  });

  test('a lost follower costs nothing, comes back, and gets the difference only', async () => {
    const set = await createTestSet(three);
    const { volume } = await set.lead('a', {});
    await healthy(set);
    for (let i = 0; i < 64; i++) await put(set, volume, i * 16, i);
    await set.until(volume.flush());
    set.kill('c');
    for (let i = 0; i < 10; i++) await put(set, volume, 600 + i, 900 + i);
    await set.wait('it is noticed', () => set.view('a').phase === 'Degraded');
    // More than the leader can send again.
    const large = new Uint8Array(mib);
    for (let i = 0; i < 20; i++) {
      large.fill(i + 1);
      await set.until(Promise.resolve(volume.write(large, (i % 4) * mib + 3 * mib)));
    }
    await set.start('c');
    await healthy(set);
    await rootsEqual(set, three);
    const events = set.agent('a').events.join('\n');
    assert.match(events, /ReplicaOffline[\s\S]*ReplicaRebuilding[\s\S]*ReplicaHealthy/);
  });

  test('a follower that was away for a moment only gets what it missed', async () => {
    const set = await createTestSet(three);
    const { volume } = await set.lead('a', {});
    await healthy(set);
    set.kill('c');
    for (let i = 0; i < 10; i++) await put(set, volume, i, i);
    await set.wait('it is noticed', () => set.view('a').phase === 'Degraded');
    await set.start('c');
    await healthy(set);
    assert.equal(
      set.agent('a').events.filter((one) => /Rebuilding: replica c/.test(one)).length,
      1,
    );
    await rootsEqual(set, three);
  });

  test('a lost follower is noticed also while nothing is written', async () => {
    const set = await createTestSet(three);
    const { volume } = await set.lead('a', {});
    await healthy(set);
    for (let i = 0; i < 10; i++) await put(set, volume, i, i);
    set.kill('c');
    await set.wait('it is noticed', () => set.view('a').phase === 'Degraded', 20_000);
    assert.equal(
      set.view('a').replicas.find(({ member }) => member.agent === 'c')?.state,
      'Offline',
    );
    await set.start('c');
    await healthy(set);
    const rebuilt = set.agent('a').events.filter((one) => /Rebuilding: replica c/.test(one));
    assert.equal(rebuilt.length, 1, 'only when it was made');
    await rootsEqual(set, three);
  });

  test('the leader dies: another leads with everything acknowledged', async () => {
    const set = await createTestSet(three);
    const { volume } = await set.lead('a', {});
    await healthy(set);
    for (let i = 0; i < 40; i++) await put(set, volume, i, i);
    set.kill('a');
    const next = await set.lead('b', {});
    for (let i = 0; i < 40; i++) await holds(set, next.volume, i, i);
    for (let i = 0; i < 40; i += 2) await put(set, next.volume, i, i + 500);
    await set.start('a');
    await healthy(set, 'b');
    await rootsEqual(set, three);
    await holds(set, next.volume, 2, 502);
  });

  test('versions and snapshots of a leader are never those of its own stale replica', async () => {
    const set = await createTestSet(three);
    const { volume } = await set.lead('a', {});
    await healthy(set);
    await put(set, volume, 1, 1);
    set.kill('a');
    const second = await set.lead('b', {});
    await put(set, second.volume, 1, 2);
    await set.until(second.volume.snapshot('kept'));
    await set.until(set.agent('b').replicas.yield('db'));
    await set.start('a');
    const third = await set.lead('a', {});
    assert.notEqual(set.view('a').phase, 'Healthy', 'its own replica is behind now');
    assert.deepEqual(
      third.volume.listSnapshots().map(({ name }) => name),
      ['kept'],
    );
    const early = third.volume.seal().catch((error: unknown) => error);
    await healthy(set);
    const { reason } = (await set.until(early)) as TransshipError;
    assert.match(reason, /^(NotAccessible|QuorumLost)$/);
    const { root } = await set.until(third.volume.seal());
    await rootsEqual(set, three);
    assert.equal(nameHex(root), set.agent('b').pool.volume('db').status().root);
    const page = await set.until(third.volume.treePage(root, 0, 0));
    assert.equal(nameHex(nameOf(page)), nameHex(root));
  });

  test('a write as large as doors take reaches a replica at another agent', async () => {
    const set = await createTestSet(three);
    const wanted = [{ agent: 'b', pool: 'main' }];
    const { volume } = await set.lead('a', { wanted, sizeBytes: 24 * mib });
    await healthy(set);
    const data = pattern(1, 12 * mib);
    // Neither begins nor ends with a sector.
    await set.until(Promise.resolve(volume.write(data, 100)));
    const into = new Uint8Array(data.length);
    await set.until(Promise.resolve(volume.read(into, 100)));
    assert.equal(Buffer.compare(into, data), 0);
  });

  test('a version has every write that was acknowledged before it was asked for', async () => {
    const set = await createTestSet(three);
    const { volume } = await set.lead('a', {});
    await healthy(set);
    const writes = [];
    for (let i = 0; i < 40; i++) writes.push(Promise.resolve(volume.write(sector(i), i * 4096)));
    await set.until(Promise.all(writes));
    const { root } = await set.until(volume.seal());
    await rootsEqual(set, three);
    assert.equal(nameHex(root), set.agent('c').pool.volume('db').status().root);
  });

  test('a replica here is given away only when it has all that was acknowledged', async () => {
    const set = await createTestSet(three);
    const { volume, set: led } = await set.lead('a', {});
    await healthy(set);
    await put(set, volume, 1, 1);
    const here = led.leader.quorum.inStepHere()!;
    const all = here.applied;
    here.applied = all - 1;
    let isGiven = false;
    const given = led.replicaHere().finally(() => (isGiven = true));
    await set.clock.advance(100);
    assert.equal(isGiven, false);
    here.applied = all;
    assert.equal(await set.until(given), set.agent('a').pool.volume('db'));
  });

  test('who was not told that another leads gives no version away', async () => {
    const set = await createTestSet(three);
    const { volume } = await set.lead('a', {});
    await healthy(set);
    await put(set, volume, 1, 1);
    set.cutOff('a');
    const next = await set.lead('b', {});
    await put(set, next.volume, 1, 2);
    const stale = volume.seal();
    await assert.rejects(set.until(stale), { reason: 'QuorumLost' });
    set.join('a');
    await healthy(set, 'b');
    await assert.rejects(set.until(volume.seal()), { reason: 'Fenced' });
  });

  test('an old leader is fenced by the replicas, and its writes fail', async () => {
    const set = await createTestSet(three);
    const old = await set.lead('a', {});
    const close = old.volume.openDoor('nbd');
    await healthy(set);
    await put(set, old.volume, 1, 1);
    set.cutOff('a');
    const next = await set.lead('b', {});
    await put(set, next.volume, 1, 2);
    const late = Promise.resolve(old.volume.write(sector(3), 4096));
    set.join('a');
    await assert.rejects(set.until(late), { reason: 'Fenced' });
    await assert.rejects(async () => old.volume.read(new Uint8Array(4096), 4096), {
      reason: 'Fenced',
    });
    await healthy(set, 'b');
    await holds(set, next.volume, 1, 2);
    await rootsEqual(set, three);
    // A client from before must be gone before the volume is led there again.
    await set.until(set.agent('b').replicas.yield('db'));
    await assert.rejects(set.lead('a', {}), { reason: 'InUse' });
    close();
    const again = await set.lead('a', {});
    await holds(set, again.volume, 1, 2);
  });

  test('nothing is acknowledged without a majority, and it goes on when one is back', async () => {
    const set = await createTestSet(['a', 'b']);
    const { volume } = await set.lead('a', {});
    await healthy(set);
    set.cutOff('b');
    let acked = false;
    const write = Promise.resolve(volume.write(sector(5), 0)).then(() => {
      acked = true;
    });
    await set.clock.advance(10_000);
    assert.equal(acked, false);
    set.join('b');
    await set.until(write);
    await rootsEqual(set, ['a', 'b']);
    set.cutOff('b');
    const failing = Promise.resolve(volume.write(sector(6), 0));
    await assert.rejects(set.until(failing), { reason: 'QuorumLost' });
  });

  test('snapshots, sizes and policies are alike on all replicas, and on later ones', async () => {
    const set = await createTestSet(three);
    const [a, b] = three.map((agent) => ({ agent, pool: 'main' }));
    const { volume } = await set.lead('a', { wanted: [a!, b!] });
    await healthy(set);
    await put(set, volume, 3, 33);
    const made = await set.until(volume.snapshot('s1'));
    await put(set, volume, 3, 34);
    await set.until(volume.resize(2 * volumeBytes));
    await set.until(volume.setPolicy({ ...noHistory, minutesMs: 3_600_000 }));
    await set.lead('a', {});
    await healthy(set);
    for (const name of three) {
      const one = set.agent(name).pool.volume('db');
      assert.equal(one.sizeBytes, 2 * volumeBytes, name);
      assert.equal(one.status().policy.minutesMs, 3_600_000);
      assert.deepEqual(
        one.listSnapshots().map(({ name: snapshot, root }) => [snapshot, root]),
        [['s1', made.root]],
      );
      const clone = await set.until(
        set.agent(name).pool.cloneVolume('db', { snapshot: 's1' }, { name: 'copy' }),
      );
      await holds(set, clone, 3, 33);
    }
    await set.until(volume.deleteSnapshot('s1'));
    await rootsEqual(set, three);
    assert.equal(set.agent('c').pool.volume('db').listSnapshots().length, 0);
  });

  test('writes of parts of sectors change nothing beside them', async () => {
    const set = await createTestSet(three);
    const { volume } = await set.lead('b', {});
    await healthy(set, 'b');
    await put(set, volume, 0, 1);
    const expected = Buffer.from(sector(1));
    const waits = [];
    for (let i = 0; i < 8; i++) {
      const part = new Uint8Array(100).fill(i + 1);
      expected.set(part, i * 300 + 7);
      waits.push(Promise.resolve(volume.write(part, i * 300 + 7)));
    }
    await set.until(Promise.all(waits));
    const into = new Uint8Array(4096);
    await set.until(Promise.resolve(volume.read(into, 0)));
    assert.deepEqual(Buffer.from(into), expected);
    await set.until(Promise.resolve(volume.writeZeroes(100, 9000)));
    await set.until(Promise.resolve(volume.read(into, 0)));
    assert.ok(into.subarray(100).every((byte) => byte === 0));
    await rootsEqual(set, three);
  });

  test('a part of a sector and all of it, written at once, keep what is theirs', async () => {
    const set = await createTestSet(three);
    // The leader has no replica: what surrounds the part comes over a link.
    const wanted = ['b', 'c'].map((agent) => ({ agent, pool: 'main' }));
    const { volume } = await set.lead('a', { wanted });
    await healthy(set);
    for (let round = 0; round < 8; round++) {
      const part = Promise.resolve(volume.write(new Uint8Array(100).fill(round + 1), 50));
      await set.clock.advance(round);
      const whole = Promise.resolve(volume.write(sector(round + 70), 0));
      await set.until(Promise.all([part, whole]));
      const into = new Uint8Array(4096);
      await set.until(Promise.resolve(volume.read(into, 0)));
      // What only the whole write touched is as it says.
      assert.deepEqual(into.subarray(150), sector(round + 70).subarray(150));
      assert.deepEqual(into.subarray(0, 50), sector(round + 70).subarray(0, 50));
    }
    await rootsEqual(set, ['b', 'c']);
  });

  test('a snapshot that a replica missed is there when it is healthy again', async () => {
    const set = await createTestSet(three);
    const { volume } = await set.lead('a', {});
    await healthy(set);
    await put(set, volume, 1, 1);
    set.kill('c');
    const made = await set.until(volume.snapshot('missed'));
    await put(set, volume, 1, 2);
    await set.wait('it is noticed', () => set.view('a').phase === 'Degraded');
    await set.start('c');
    await healthy(set);
    const { pool } = set.agent('c');
    assert.deepEqual(
      pool
        .volume('db')
        .listSnapshots()
        .map(({ root }) => root),
      [made.root],
    );
    const moment = { snapshot: 'missed' };
    const clone = await set.until(pool.cloneVolume('db', moment, { name: 'copy' }));
    await holds(set, clone, 1, 1);
    await rootsEqual(set, three);
  });

  test('a set whose majority is lost is led again by force, with what is left', async () => {
    const set = await createTestSet(three);
    const { volume } = await set.lead('a', {});
    await healthy(set);
    await put(set, volume, 1, 1);
    set.kill('a');
    set.kill('b');
    await assert.rejects(set.lead('c', {}), { reason: 'QuorumLost' });
    const wanted = [{ agent: 'c', pool: 'main' }];
    const alone = await set.lead('c', { wanted, force: true });
    await healthy(set, 'c');
    await holds(set, alone.volume, 1, 1);
    await put(set, alone.volume, 2, 2);
    // Those that come back obey: what they are is decided by the members there are now.
    await set.start('a');
    await set.lead('c', { wanted: [...wanted, { agent: 'a', pool: 'main' }] });
    await healthy(set, 'c');
    await rootsEqual(set, ['a', 'c']);
  });

  test('another cluster may read any healthy replica, and imports go around none', async () => {
    const set = await createTestSet(three);
    const { volume } = await set.lead('a', {});
    await healthy(set);
    await put(set, volume, 5, 5);
    await set.until(volume.flush());
    const roots = [];
    for (const { pool } of set.agents) {
      const lease = { volume: 'db', holder: 'west/db', lifeMs: 60_000 };
      const grant = await set.until(pool.grantLease(lease));
      roots.push(nameHex(grant.version.root));
      const names = [grant.version.root];
      assert.equal((await set.until(pool.readStored(names))).length, 1);
      await assert.rejects(set.until(pool.ingest(pool.volume('db'), 0, new Uint8Array(65_536))), {
        reason: 'Unsupported',
      });
    }
    assert.equal(new Set(roots).size, 1);
  });

  test('a volume is yielded, led elsewhere, and deleted everywhere', async () => {
    const set = await createTestSet(three);
    const { volume } = await set.lead('a', {});
    await healthy(set);
    await put(set, volume, 1, 1);
    const { replicas } = set.agent('a');
    const close = volume.openDoor('nbd');
    await assert.rejects(replicas.yield('db'), { reason: 'InUse' });
    close();
    await set.until(replicas.yield('db'));
    await assert.rejects(replicas.drop('db', false), { reason: 'Conflict' });
    const next = await set.lead('b', {});
    await healthy(set, 'b');
    await holds(set, next.volume, 1, 1);
    await set.until(set.agent('b').replicas.deleteLed('db', false));
    for (const { name, pool } of set.agents) assert.equal(pool.volumes().length, 0, name);
  });

  test('a plain volume becomes a set where it is, with what it has', async () => {
    const set = await createTestSet(three);
    const { pool } = set.agent('a');
    const plain = await pool.createVolume({ name: 'db', sizeBytes: volumeBytes });
    await plain.write(sector(8), 8 * 4096);
    const { volume } = await set.lead('a', {});
    await healthy(set);
    await holds(set, volume, 8, 8);
    await rootsEqual(set, three);
  });
});
