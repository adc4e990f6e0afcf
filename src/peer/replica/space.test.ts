import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createTestSet, sector } from './fixture.ts';

test('a majority without space refuses every write at once, whole sectors or not', async () => {
  const set = await createTestSet(['east', 'west', 'north']);
  const { set: led } = await set.lead('east', {});
  await set.wait('whole replicas', () => set.view('east').phase === 'Healthy');
  const { leader } = led;
  const full = ['east', 'west'].map((name) => set.agent(name));
  const had = full.map(({ disk }) => disk.capacityBytes);
  for (const { disk } of full) disk.capacityBytes = 0;
  await set.wait('full pools', () => full.every(({ pool }) => pool.status().readOnly));
  // It has its number by the time it is known: it waits, and with it all that would read behind it.
  const first = Promise.resolve(leader.write(sector(1), 0));
  const refusal = assert.rejects(first, { reason: 'ReadOnly' });
  await set.clock.advance(100);
  for (const bytes of [sector(2), new Uint8Array(512)]) {
    const write = async () => leader.write(bytes, 8192);
    await set.until(assert.rejects(write(), { reason: 'ReadOnly' }), 1000);
  }
  await set.until(refusal);
  full.forEach(({ disk }, i) => {
    disk.capacityBytes = had[i]!;
  });
  await set.wait('space', () => full.every(({ pool }) => !pool.status().readOnly));
  await set.until(Promise.resolve(leader.write(new Uint8Array(512).fill(7), 512)));
  const back = new Uint8Array(512);
  await set.until(Promise.resolve(leader.read(back, 512)));
  assert.ok(back.every((byte) => byte === 7));
});
