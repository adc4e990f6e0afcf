/** Reads and writes of volumes while controllers do what they want with them. */
import { TransshipError } from '../../src/base/errors.ts';
import type { VolumeApi } from '../../src/volume/api.ts';
import type { RunningAgent } from './control-agent.ts';
import { grow, type Kept } from './control-ledger.ts';
import type { ControlWorld, SimCluster } from './control-world.ts';
import { Gone } from './mortal.ts';
import { Crashed } from './scheduler.ts';
import { ifFree, type Range } from './range.ts';

const KiB = 1024;
const pieceBytes = 256 * KiB;

/** The data may be where nobody answers, or the volume deleted under the reader. */
const excuses: ReadonlySet<string> = new Set([
  'SourceUnreachable',
  'DataMissing',
  'Stopping',
  'NotFound',
  'SourceGone',
]);

interface Place {
  readonly running: RunningAgent;
  readonly kept: Kept;
  readonly device: VolumeApi;
}

function placeOf({ agent }: SimCluster, kept: Kept | undefined): Place | undefined {
  const running = agent?.running;
  if (running === undefined || kept === undefined) return undefined;
  const device = running.pool.volumes().find(({ name }) => name === kept.name);
  if (device === undefined) return undefined;
  grow(kept, device);
  return { running, kept, device };
}

function pickPlace(world: ControlWorld, cluster: SimCluster): Place | undefined {
  const all = [...(cluster.agent?.ledger.volumes.values() ?? [])];
  const usable = all.filter(({ unread }) => unread === undefined);
  return usable.length === 0 ? undefined : placeOf(cluster, world.rng.pick(usable));
}

/** Throws `Gone` when the agent's process has ended meanwhile. */
async function answer<T>({ running }: Place, call: () => T | Promise<T>): Promise<T> {
  try {
    const ended = Promise.withResolvers<never>();
    const forget = running.life.onEnd(() => ended.reject(new Gone()));
    const result = await Promise.race([call(), ended.promise]).finally(forget);
    if (!running.life.isAlive) throw new Gone();
    return result;
  } catch (error) {
    throw running.life.isAlive && !(error instanceof Crashed) ? error : new Gone();
  }
}

function isExcused(error: unknown): boolean {
  return error instanceof TransshipError && excuses.has(error.reason);
}

function freeRange(world: ControlWorld, { model, busy }: Kept): Range | undefined {
  const { rng } = world;
  const unit = rng.pick([4 * KiB, 4 * KiB, 512]);
  const offset = Math.floor(rng.below(model.sizeBytes) / unit) * unit;
  const most = rng.pick([1, 4, 32]) * 4 * KiB;
  const length = Math.min(model.sizeBytes - offset, Math.max(unit, rng.between(1, most)));
  return ifFree({ offset, length }, busy);
}

export async function write(world: ControlWorld, cluster: SimCluster): Promise<void> {
  const place = pickPlace(world, cluster);
  const range = place === undefined ? undefined : freeRange(world, place.kept);
  if (place === undefined || range === undefined) return;
  const { kept, device } = place;
  const { offset, length } = range;
  const bytes = world.content.next(offset, length);
  world.scheduler.note(`write ${cluster.name}/${kept.name} ${offset} ${length}`);
  kept.busy.add(range);
  kept.model.begin(offset, bytes);
  try {
    await answer(place, () => device.write(Buffer.from(bytes), offset));
    kept.model.end(offset, length);
    if (world.rng.chance(0.3)) await flush(place);
  } catch (error) {
    if (!isExcused(error)) throw error;
    kept.model.end(offset, length, true);
  } finally {
    kept.busy.delete(range);
  }
}

async function flush(place: Place): Promise<void> {
  const { kept, device } = place;
  const mark = kept.model.mark();
  await answer(place, () => device.flush());
  kept.model.flushed(mark);
}

export async function read(world: ControlWorld, cluster: SimCluster): Promise<void> {
  const place = pickPlace(world, cluster);
  const range = place === undefined ? undefined : freeRange(world, place.kept);
  if (place === undefined || range === undefined) return;
  await readRange(place, range);
}

async function readRange(place: Place, range: Range): Promise<void> {
  const { kept, device } = place;
  const bytes = new Uint8Array(range.length).fill(0x5a);
  kept.busy.add(range);
  try {
    await answer(place, () => device.read(bytes, range.offset));
    kept.model.checkRead(range.offset, bytes);
  } catch (error) {
    if (!isExcused(error)) throw error;
  } finally {
    kept.busy.delete(range);
  }
}

/** The whole content is what it should be. Throws what reading it throws. */
export async function readAll(cluster: SimCluster, kept: Kept): Promise<void> {
  const place = placeOf(cluster, kept);
  if (place === undefined) throw new Gone();
  const { model } = kept;
  const bytes = new Uint8Array(model.sizeBytes);
  await answer(place, () => place.device.read(bytes, 0));
  model.checkRead(0, bytes);
}

/** What a crash left: read as soon as it can be, and then it is what it is. */
export async function readAfterCrash(cluster: SimCluster, kept: Kept): Promise<void> {
  const place = placeOf(cluster, kept);
  const { unread, model } = kept;
  if (place === undefined || unread === undefined || kept.isBeingRead) return;
  kept.isBeingRead = true;
  const bytes = new Uint8Array(model.sizeBytes);
  try {
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      const part = bytes.subarray(at, at + pieceBytes);
      await answer(place, () => place.device.read(part, at));
    }
  } catch (error) {
    if (error instanceof Gone || error instanceof Crashed) throw error;
    kept.isBeingRead = false;
    if (!isExcused(error)) throw error;
    return;
  }
  kept.isBeingRead = false;
  model.reopened(bytes, unread.powerLost);
  kept.unread = undefined;
}
