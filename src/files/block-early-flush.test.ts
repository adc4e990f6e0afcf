import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TransshipError } from '../base/errors.ts';
import { EarlyFlush } from './block-early-flush.ts';
import { createMemoryRawDevice } from './block-memory.ts';

const muchBytes = 64 * 1024 * 1024;

/** A device whose flushes end when they are told to. */
function slowDevice() {
  const ends: ((error?: Error) => void)[] = [];
  const flush = () =>
    new Promise<void>((resolve, reject) => {
      ends.push((error) => (error === undefined ? resolve() : reject(error)));
    });
  return { device: { ...createMemoryRawDevice(new Uint8Array(1)), flush }, ends };
}

test('much is made durable while more is written, by one flush at a time', async () => {
  const { device, ends } = slowDevice();
  const early = new EarlyFlush(device);
  early.wrote(muchBytes - 1);
  assert.equal(ends.length, 0);
  early.wrote(1);
  assert.equal(ends.length, 1);
  early.wrote(muchBytes);
  assert.equal(ends.length, 1, 'another is running');
  ends[0]!();
  await early.idle();
  early.wrote(0);
  assert.equal(ends.length, 2, 'what came meanwhile');
  const finished = early.finish();
  ends[1]!();
  await early.idle();
  assert.equal(ends.length, 3, 'the last one covers everything');
  ends[2]!();
  await finished;
});

test('a flush that failed is told and not tried again', async () => {
  for (const hear of [
    (early: EarlyFlush) => early.finish(),
    async (early: EarlyFlush) => early.wrote(1),
  ]) {
    const { device, ends } = slowDevice();
    const early = new EarlyFlush(device);
    early.wrote(muchBytes);
    ends[0]!(new TransshipError('DiskFailed', 'lost'));
    await early.idle();
    await assert.rejects(hear(early), { reason: 'DiskFailed' });
    await assert.rejects(early.finish(), { reason: 'DiskFailed' });
    assert.equal(ends.length, 1);
  }
});
