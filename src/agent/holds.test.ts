import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { TransshipError } from '../base/errors.ts';
import { createManualClock } from '../peer/manual-clock.ts';
import { createFakePool } from './fake-pool.ts';
import { Exports } from './doors.ts';
import { Holds, holdMsMax } from './holds.ts';
import { Pools } from './pools.ts';

async function begin() {
  const clock = createManualClock();
  const pool = createFakePool();
  const pools = new Pools([{ name: 'main', path: '/pool', api: pool.api }]);
  const doors = new Exports(pools);
  for (const name of ['a', 'b']) await pool.api.createVolume({ name, sizeBytes: 2 ** 20 });
  const random = { bytes: (count: number) => new Uint8Array(count), fraction: () => 0.5 };
  const holds = new Holds({ clock, random, pools, doors, isFollowed: (name) => name === 'b' });
  /** Whether a write to a volume is done at once. */
  const isOpen = async (name: string): Promise<boolean> => {
    let isDone = false;
    const write = Promise.resolve(doors.find(name)!.write(Uint8Array.of(1), 0));
    void write.then(() => {
      isDone = true;
    });
    // More than a write in memory takes.
    for (let turn = 0; turn < 50; turn++) await Promise.resolve();
    return isDone;
  };
  return { clock, doors, holds, isOpen };
}

const isLate = (error: unknown) => error instanceof TransshipError && error.reason === 'TimedOut';

suite('volumes that are held', () => {
  test('wait until they are used, and go on', async () => {
    const { holds, isOpen } = await begin();
    const hold = await holds.take(['a'], holdMsMax);
    assert.equal(await isOpen('a'), false);
    assert.deepEqual(await holds.use(hold, async (name) => name), ['a']);
    assert.equal(await isOpen('a'), true);
    await assert.rejects(
      holds.use(hold, async (name) => name),
      isLate,
    );
  });

  test('go on when nobody comes back, and what is kept too late is refused', async () => {
    const { clock, holds, isOpen } = await begin();
    const forgotten = await holds.take(['a'], 1_000_000);
    await clock.advance(holdMsMax);
    assert.equal(await isOpen('a'), true);
    await assert.rejects(
      holds.use(forgotten, async (name) => name),
      isLate,
    );
    const slow = await holds.take(['a'], 1_000);
    const { promise, resolve } = Promise.withResolvers<void>();
    const using = holds.use(slow, () => promise);
    await clock.advance(1_000);
    assert.equal(await isOpen('a'), true, 'writers wait no longer than was said');
    resolve();
    await assert.rejects(using, isLate);
  });

  test('what is led elsewhere is not held, nor what is with it', async () => {
    const { holds, isOpen } = await begin();
    await assert.rejects(holds.take(['a', 'b'], 1_000), /is not led here|replicated/);
    assert.equal(await isOpen('a'), true);
  });
});
