import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTestSet, sector, type TestAgent } from './fixture.ts';

/** One byte of every sector of data that lies in the journal. */
function rotJournal({ disk }: TestAgent): void {
  for (const path of disk.paths().filter((one) => one.startsWith('journal/'))) {
    const bytes = disk.bytes(path);
    for (let at = 4096; at < bytes.length; at += 4096) {
      const isHeader = Buffer.from(bytes.subarray(at, at + 4)).toString('latin1') === 'FRAM';
      if (!isHeader) bytes[at + 100]! ^= 0x55;
    }
  }
}

for (const victim of ['east', 'west']) {
  const who = victim === 'east' ? 'the leader' : 'a follower';
  test(`a journal of ${who} that rots is noticed, told, and its replica rebuilt`, async () => {
    const set = await createTestSet(['east', 'west', 'north']);
    const { set: led } = await set.lead('east', {});
    await set.wait('whole replicas', () => set.view('east').phase === 'Healthy');
    const { leader } = led;
    for (let i = 0; i < 8; i++) {
      await set.until(Promise.resolve(leader.write(sector(i), i * 65_536)));
    }
    await set.until(leader.flush());
    rotJournal(set.agent(victim));
    const { events } = set.agent('east');
    const isTold = () => events.some((one) => /Offline.*journal fails its checksum/.test(one));
    await set.wait('the damage to be told', isTold);
    await set.wait('whole replicas', () => set.view('east').phase === 'Healthy');
    const back = new Uint8Array(4096);
    for (let i = 0; i < 8; i++) {
      await set.until(Promise.resolve(leader.read(back, i * 65_536)));
      assert.deepEqual(back, sector(i));
    }
    const roots = new Set<string>();
    for (const { pool } of set.agents) {
      const [volume] = pool.volumes();
      await set.until(volume!.seal());
      roots.add(volume!.status().root);
    }
    assert.equal(roots.size, 1, 'all are equal');
    const told = events.length;
    await set.clock.advance(30_000);
    assert.equal(events.length, told, 'and nothing more is wrong');
  });
}

test('what only the damaged one has stays where it is', async () => {
  const set = await createTestSet(['east', 'west']);
  const { set: led } = await set.lead('east', {});
  await set.wait('whole replicas', () => set.view('east').phase === 'Healthy');
  await set.until(Promise.resolve(led.leader.write(sector(1), 0)));
  await set.until(led.leader.flush());
  set.cutOff('west');
  await set.wait('the other to be missed', () => set.view('east').phase === 'Offline');
  rotJournal(set.agent('east'));
  await set.clock.advance(30_000);
  const [volume] = set.agent('east').pool.volumes();
  assert.equal(volume!.replica.document?.phase, 'Healthy');
  set.join('west');
  await set.wait('whole replicas', () => set.view('east').phase === 'Healthy');
  const back = new Uint8Array(4096);
  await set.until(Promise.resolve(led.leader.read(back, 0)));
  assert.deepEqual(back, sector(1));
});

test('two that are damaged, each in its own way, keep what the other may need', async () => {
  const set = await createTestSet(['east', 'west']);
  const { set: led } = await set.lead('east', {});
  await set.wait('whole replicas', () => set.view('east').phase === 'Healthy');
  await set.until(Promise.resolve(led.leader.write(sector(1), 0)));
  await set.until(led.leader.flush());
  for (const agent of set.agents) rotJournal(agent);
  await set.clock.advance(30_000);
  for (const { pool } of set.agents) {
    const [volume] = pool.volumes();
    assert.equal(volume!.replica.document?.phase, 'Healthy');
  }
});

test('a replica whose disk lost what it acknowledged is rebuilt, and lacks nothing', async () => {
  const set = await createTestSet(['east', 'west', 'north']);
  const { set: led } = await set.lead('east', {});
  await set.wait('whole replicas', () => set.view('east').phase === 'Healthy');
  for (let i = 0; i < 8; i++) {
    await set.until(Promise.resolve(led.leader.write(sector(i), i * 65_536)));
  }
  await set.until(led.leader.flush());
  const { disk, pool } = set.agent('west');
  await set.until(pool.volumes()[0]!.seal());
  set.kill('west');
  for (const path of disk.paths().filter((one) => one.startsWith('segments/'))) disk.remove(path);
  await set.start('west');
  const { events } = set.agent('east');
  const before = events.length;
  const isTold = () => events.slice(before).some((one) => /west\/main is being/.test(one));
  await set.wait('the rebuild', isTold);
  await set.wait('whole replicas', () => set.view('east').phase === 'Healthy');
  const again = set.agent('west').pool;
  const { damage } = (await set.agent('west').replicas.state('db'))!;
  assert.equal(damage, '');
  const names = set.agent('east').pool.status().chunks;
  assert.equal(again.status().chunks, names, 'every chunk is there, not only what was read');
});
