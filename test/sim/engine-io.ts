/** Reads, writes, zeroes and flushes of a schedule. */
import { TransshipError } from '../../src/base/errors.ts';
import type { TrackedVolume, World } from './engine-world.ts';
import { ifFree, type Range } from './range.ts';

const KiB = 1024;

type Io = (world: World, volume: TrackedVolume) => Promise<void>;

export const ioOperations = { read, write, zero, flush, burst, commit } satisfies Record<
  string,
  Io
>;

/** A range that no unanswered request touches, or undefined; requests gather in few places. */
export function freeRange(
  world: World,
  volume: TrackedVolume,
  aligned: boolean,
): Range | undefined {
  const { rng } = world;
  const { sizeBytes, blockBytes } = volume.model;
  const unit = aligned ? blockBytes : rng.pick([4 * KiB, 4 * KiB, 512, 1]);
  const most = rng.pick([1, 1, 2, 8, 32]);
  const hot = rng.chance(0.7) ? Math.min(sizeBytes, 256 * KiB) : sizeBytes;
  const start = rng.chance(0.1) ? sizeBytes - hot : 0;
  const offset = Math.floor((start + rng.below(hot)) / unit) * unit;
  // Tiny journal files would be outgrown by one request, which the real ones never are.
  const longest = Math.min(sizeBytes - offset, world.profile.journalFileBytes / 2);
  const length = Math.min(longest, rng.between(1, most) * Math.max(unit, 512));
  if (length <= 0) return undefined;
  return ifFree({ offset, length }, volume.busy);
}

async function holding(
  volume: TrackedVolume,
  range: Range,
  work: () => Promise<void>,
): Promise<void> {
  volume.busy.add(range);
  try {
    await work();
  } finally {
    volume.busy.delete(range);
  }
}

async function read(world: World, volume: TrackedVolume): Promise<void> {
  const range = freeRange(world, volume, false);
  if (range === undefined) return;
  await holding(volume, range, async () => {
    const bytes = new Uint8Array(range.length).fill(0x5a);
    try {
      await world.answer(() => world.device(volume).read(bytes, range.offset));
    } catch (error) {
      if (!world.excuses(error)) throw error;
      return;
    }
    volume.model.checkRead(range.offset, bytes);
  });
}

async function write(world: World, volume: TrackedVolume): Promise<void> {
  const range = freeRange(world, volume, world.rng.chance(0.4));
  if (range === undefined) return;
  const bytes = world.content.next(range.offset, range.length);
  await store(world, volume, { range, bytes, zeroes: false });
}

async function zero(world: World, volume: TrackedVolume): Promise<void> {
  const range = freeRange(world, volume, world.rng.chance(0.6));
  if (range === undefined) return;
  const bytes = new Uint8Array(range.length);
  await store(world, volume, { range, bytes, zeroes: true });
}

interface Store {
  readonly range: Range;
  readonly bytes: Uint8Array;
  readonly zeroes: boolean;
}

async function store(
  world: World,
  volume: TrackedVolume,
  { range, bytes, zeroes }: Store,
): Promise<void> {
  const { offset, length } = range;
  const { model } = volume;
  world.scheduler.note(`${zeroes ? 'zero' : 'write'} ${model.name} ${offset} ${length}`);
  await holding(volume, range, async () => {
    model.begin(offset, bytes);
    try {
      await world.answer(() => {
        const device = world.device(volume);
        if (zeroes) return device.writeZeroes(offset, length);
        // The device copies before it returns, so the client's buffer may change at once.
        const buffer = Buffer.from(bytes);
        const result = device.write(buffer, offset);
        buffer.fill(0xdd);
        return result;
      });
      model.end(offset, length);
    } catch (error) {
      if (!world.excuses(error)) throw error;
      model.end(offset, length, true);
    }
  });
}

async function flush(world: World, volume: TrackedVolume): Promise<void> {
  const mark = volume.model.mark();
  try {
    await world.answer(() => world.device(volume).flush());
    volume.model.flushed(mark);
    // What was just promised is what a crash puts to the test.
    if (world.rng.chance(world.profile.powerLoss * 8)) world.crashSoon = true;
  } catch (error) {
    // Deleted between the write and its flush: nobody keeps a flush from that.
    const deleted = error instanceof TransshipError && error.reason === 'NotFound';
    if (!(deleted && !volume.sure) && !world.excuses(error)) throw error;
  }
}

/** What a database does. */
async function commit(world: World, volume: TrackedVolume): Promise<void> {
  await write(world, volume);
  await flush(world, volume);
}

/** Requests that arrived together: one disk write for all, acknowledged after `uncork`. */
async function burst(world: World, volume: TrackedVolume): Promise<void> {
  const { model } = volume;
  const writes: Store[] = [];
  for (let count = world.rng.between(2, 6); count > 0; count -= 1) {
    const range = freeRange(world, volume, false);
    if (range === undefined) continue;
    volume.busy.add(range);
    writes.push({ range, bytes: world.content.next(range.offset, range.length), zeroes: false });
  }
  for (const { range, bytes } of writes) model.begin(range.offset, bytes);
  let failed = false;
  try {
    await world.answer(async () => {
      const device = world.device(volume);
      device.cork();
      const waits: Promise<void>[] = [];
      try {
        for (const { range, bytes } of writes) {
          const wait = Promise.resolve(device.write(bytes, range.offset));
          // When a later one throws, nobody waits for this one.
          wait.catch(() => undefined);
          waits.push(wait);
        }
      } finally {
        device.uncork();
      }
      await Promise.all(waits);
    });
  } catch (error) {
    if (!world.excuses(error)) throw error;
    failed = true;
  } finally {
    for (const { range } of writes) volume.busy.delete(range);
  }
  for (const { range } of writes) model.end(range.offset, range.length, failed);
}
