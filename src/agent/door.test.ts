import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { MemoryDevice } from '../nbd/memory-device.ts';
import type { VolumeApi } from '../volume/api.ts';
import { createTestPool } from '../volume/testing.ts';
import { Door } from './door.ts';
import { followed } from './followed.ts';

const shape = { sizeBytes: 1024 * 1024, blockSizeBytes: 4096 };

/** Answers writes when it is told to. */
class SlowDevice extends MemoryDevice {
  readonly gate = Promise.withResolvers<void>();

  override write(from: Uint8Array, offset: number): undefined | Promise<void> {
    const copy = new Uint8Array(from);
    return this.gate.promise.then(() => super.write(copy, offset));
  }
}

suite('a door', () => {
  test('waits for what is on its way, holds what comes, and goes on behind it', async () => {
    const before = new SlowDevice(shape);
    const after = new MemoryDevice(shape);
    const door = new Door(before);
    const running = door.write(Uint8Array.of(1), 0);
    let isStill = false;
    const pausing = door.pause().then(() => {
      isStill = true;
    });
    const bytes = Uint8Array.of(2);
    const held = Promise.resolve(door.write(bytes, 1));
    // The client uses its buffer again as soon as the call is back.
    bytes[0] = 9;
    const flushed = door.flush();
    await Promise.resolve();
    assert.equal(isStill, false, 'a write is on its way');
    before.gate.resolve();
    await Promise.all([running, pausing]);
    door.lead(after);
    door.resume();
    await Promise.all([held, flushed]);
    assert.deepEqual([before.bytes[0], before.bytes[1]], [1, 0]);
    assert.deepEqual([after.bytes[0], after.bytes[1]], [0, 2]);
    await door.write(Uint8Array.of(3), 2);
    assert.equal(after.bytes[2], 3);
  });
});

suite('a volume that is led elsewhere', () => {
  test('is looked at and not used', async () => {
    const { pool } = await createTestPool();
    const volume: VolumeApi = await pool.createVolume({ name: 'db', sizeBytes: 1024 * 1024 });
    const promised = { epoch: 3, term: '0'.repeat(32), leader: 'east-2' };
    const members = { voters: [{ agent: 'east', pool: 'main' }], learners: [] };
    const configuration = { epoch: 3, version: 1, ...members };
    await volume.replica.begin({ set: '1'.repeat(32), promised, configuration });
    const seen = followed(volume);
    assert.equal(seen.status().name, 'db');
    assert.equal(seen.sizeBytes, 1024 * 1024);
    assert.equal(seen.listSnapshots().length, 0);
    for (const use of [
      () => seen.openDoor('nbd'),
      () => seen.write(new Uint8Array(4096), 0),
      () => seen.snapshot('s'),
      () => seen.resize(2 * 1024 * 1024),
    ]) {
      assert.throws(use, { reason: 'Conflict', message: /east-2/ });
    }
    const { root } = await seen.seal();
    assert.equal(root.length, 32);
  });
});
