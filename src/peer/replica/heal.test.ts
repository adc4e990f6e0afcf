import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Name, StoredChunk } from '../../volume/types.ts';
import { within } from '../fixture.ts';
import { createManualClock } from '../manual-clock.ts';
import { type Healer, healFrom } from './heal.ts';

const names = [1, 2].map((byte) => new Uint8Array(32).fill(byte));
const chunkOf = (name: Name): StoredChunk => {
  return {
    name,
    kind: 'block',
    codec: 0,
    rawBytes: 4096,
    checksum: 0,
    bytes: new Uint8Array(4096),
  };
};
const silence = new Promise<never>(() => undefined);

function healer(pull: Healer['pull'], isConnected = true): Healer & { asked: number } {
  const made = {
    isConnected,
    asked: 0,
    pull: (wanted: readonly Name[]) => {
      made.asked += 1;
      return pull(wanted);
    },
  };
  return made;
}

test('an agent that is dead or silent does not keep a read from its chunk', async () => {
  const clock = createManualClock();
  const gone = healer(() => silence, false);
  const silent = healer(() => silence);
  const good = healer(async (wanted) => wanted.map(chunkOf));
  const found = await within(clock, 3000, healFrom(clock, [gone, silent, good], names));
  assert.deepEqual(
    found.map(({ name }) => name),
    names,
  );
  assert.equal(gone.asked, 0, 'nobody waits for whom nobody reaches');
});

test('each is asked for what is still missing, also one that is out of reach', async () => {
  const clock = createManualClock();
  const asked: number[] = [];
  const first = healer(async (wanted) => wanted.slice(0, 1).map(chunkOf));
  const failing = healer(() => Promise.reject(new Error('no')));
  const last = healer(async (wanted) => {
    asked.push(wanted.length);
    return wanted.map(chunkOf);
  }, false);
  const found = await within(clock, 3000, healFrom(clock, [last, failing, first], names));
  assert.equal(found.length, 2);
  assert.deepEqual(asked, [1]);
});

test('what nobody has is said when all have answered', async () => {
  const clock = createManualClock();
  const none = healer(async () => []);
  assert.deepEqual(await within(clock, 3000, healFrom(clock, [none, none], names)), []);
  assert.deepEqual(await within(clock, 3000, healFrom(clock, [], names)), []);
});
