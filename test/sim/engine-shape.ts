/** Operations on whole volumes: create, delete, snapshot, clone, resize, restore, leases. */
import { TransshipError } from '../../src/base/errors.ts';
import { noHistory } from '../../src/volume/api.ts';
import { type TrackedVolume, VolumeModel, type World } from './engine-world.ts';
import { type Frozen, Mismatch } from './model.ts';
import { readVersion, rootOf } from './oracle.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const hourMs = 3600_000;

type Shape = (world: World, volume: TrackedVolume) => Promise<void>;

export const shapeOperations = {
  snapshot,
  dropSnapshot,
  clone,
  resize,
  restore,
  seal,
  point,
  lease,
  remove,
  look,
} satisfies Record<string, Shape>;

/** Runs `work` as the only operation on the whole volume; `sole` without reads and writes too. */
async function whole(
  volume: TrackedVolume,
  kind: 'shared' | 'sole',
  work: () => Promise<void>,
): Promise<void> {
  if (volume.whole !== 'none' || (kind === 'sole' && volume.busy.size > 0)) return;
  volume.whole = kind;
  try {
    await work();
  } finally {
    volume.whole = 'none';
  }
}

/** True when the engine did it, false when it refused for a good reason. */
async function attempt(world: World, call: () => Promise<unknown>): Promise<boolean> {
  try {
    await world.answer(call);
    return true;
  } catch (error) {
    if (!world.excuses(error)) throw error;
    return false;
  }
}

export async function create(world: World): Promise<void> {
  const { rng } = world;
  const blockBytes = rng.pick([4 * KiB, 4 * KiB, 16 * KiB, 64 * KiB]);
  const sizeBytes = sizeOf(world);
  const model = new VolumeModel(world.unique('v'), { sizeBytes, blockBytes });
  const hasHistory = world.profile.history && rng.chance(0.7);
  const volume = world.track(model, hasHistory);
  const policy = hasHistory ? { ...noHistory, secondsMs: 12 * hourMs } : noHistory;
  const request = { name: model.name, sizeBytes, blockBytes, policy };
  await settleExistence(world, volume, () => world.pool!.createVolume(request));
}

function sizeOf(world: World): number {
  const { rng } = world;
  const whole = rng.pick([1, 1, 1, 2, 4]) * MiB;
  return rng.chance(0.3) ? whole + rng.below(300) * 512 : whole;
}

/** After a refusal the volume may be there or not; only a restart tells for sure. */
async function settleExistence(
  world: World,
  volume: TrackedVolume,
  make: () => Promise<unknown>,
): Promise<void> {
  if (await attempt(world, make)) {
    volume.sure = true;
  } else if (!world.hurt) {
    const there = world.pool!.volumes().some(({ name }) => name === volume.model.name);
    if (there) throw new Mismatch(`${volume.model.name} is there after a refusal`);
    world.volumes.delete(volume.model.name);
  }
}

async function snapshot(world: World, volume: TrackedVolume): Promise<void> {
  const { model, snapshots } = volume;
  if (snapshots.size >= 4) return;
  await whole(volume, 'shared', async () => {
    const name = world.unique('s');
    const frozen = model.freeze(`snapshot ${name} of ${model.name}`);
    const entry = { frozen, sure: false };
    snapshots.set(name, entry);
    const done = await attempt(world, () => world.device(volume).snapshot(name));
    model.endFreeze(frozen);
    entry.sure = done;
    if (!done && !world.hurt) snapshots.delete(name);
  });
}

async function dropSnapshot(world: World, volume: TrackedVolume): Promise<void> {
  const sure = [...volume.snapshots].filter(([, entry]) => entry.sure);
  if (sure.length === 0) return;
  await whole(volume, 'shared', async () => {
    const [name, entry] = world.rng.pick(sure);
    entry.sure = false;
    const done = await attempt(world, () => world.device(volume).deleteSnapshot(name));
    if (done) volume.snapshots.delete(name);
    else if (!world.hurt) entry.sure = true;
  });
}

/** A moment of the volume: a snapshot, a point of its history, or now. */
function someMoment(world: World, volume: TrackedVolume) {
  const snapshots = [...volume.snapshots].filter(([, { sure }]) => sure);
  const kind = world.rng.weighted({
    now: 1,
    snapshot: snapshots.length > 0 ? 2 : 0,
    point: volume.points.length > 0 ? 2 : 0,
  });
  if (kind === 'snapshot') {
    const [name, { frozen }] = world.rng.pick(snapshots);
    world.scheduler.note(`moment is ${frozen.what}`);
    return { moment: { snapshot: name }, frozen };
  }
  if (kind === 'point') {
    const { atMs, frozen } = world.rng.pick(volume.points);
    world.scheduler.note(`moment is ${frozen.what}`);
    return { moment: { atMs }, frozen };
  }
  world.scheduler.note('moment is now');
  const frozen = volume.model.freeze(`${volume.model.name} now`);
  return { moment: {}, frozen };
}

async function clone(world: World, volume: TrackedVolume): Promise<void> {
  if (world.volumes.size >= world.profile.volumesMax) return;
  await whole(volume, 'shared', async () => {
    const { moment, frozen } = someMoment(world, volume);
    const name = world.unique('c');
    const pool = world.pool!;
    const placeholder = world.track(new VolumeModel(name, frozen), false);
    // If a crash decides that it is there, then with this content.
    placeholder.restoring = frozen;
    const made = pool.cloneVolume(volume.model.name, moment, { name });
    await settleExistence(world, placeholder, () => made);
    volume.model.endFreeze(frozen);
    if (!world.volumes.has(name)) return;
    // Writes that overlapped the cloning are in `frozen` only now.
    const exact = world.track(new VolumeModel(name, frozen, frozen), false);
    exact.sure = placeholder.sure;
  });
}

async function resize(world: World, volume: TrackedVolume): Promise<void> {
  const { model } = volume;
  await whole(volume, 'sole', async () => {
    const to = sizeOf(world);
    const { sizeBytes } = model;
    // Until it is done, what will be cut off may be there or be zeroes.
    const cut = Math.max(0, sizeBytes - to);
    if (cut > 0) model.begin(to, new Uint8Array(cut));
    volume.resizingTo = to;
    const done = await attempt(world, () => world.device(volume).resize(to, { force: true }));
    if (cut > 0) model.end(to, cut, !done);
    if (done) model.resize(to);
    else if (world.hurt) volume.sure = false;
    if (done || !world.hurt) volume.resizingTo = undefined;
    const actual = done || !world.hurt ? world.device(volume).sizeBytes : model.sizeBytes;
    if (actual !== model.sizeBytes) throw new Mismatch(`${model.name} has ${actual} bytes`);
  });
}

async function restore(world: World, volume: TrackedVolume): Promise<void> {
  const sure = [...volume.snapshots.values()].some((entry) => entry.sure);
  if (!sure && volume.points.length === 0) return;
  await whole(volume, 'sole', async () => {
    const { moment, frozen } = someMoment(world, volume);
    volume.model.endFreeze(frozen);
    volume.restoring = frozen;
    const done = await attempt(world, () => world.device(volume).restore(moment));
    if (done) volume.model.restored(frozen);
    else if (world.hurt) volume.sure = false;
    if (done || !world.hurt) volume.restoring = undefined;
  });
}

/** The root of a quiet volume must be the one that its content has by the format. */
async function seal(world: World, volume: TrackedVolume): Promise<void> {
  await whole(volume, world.rng.chance(0.5) ? 'sole' : 'shared', async () => {
    const quiet = volume.whole === 'sole';
    const frozen = volume.model.freeze(`seal of ${volume.model.name}`);
    let root = '';
    const done = await attempt(world, async () => {
      root = Buffer.from((await world.device(volume).seal()).root).toString('hex');
    });
    volume.model.endFreeze(frozen);
    const bytes = done && quiet ? frozen.exact() : undefined;
    if (bytes === undefined) return;
    const expected = rootOf(bytes, volume.model.blockBytes);
    if (root !== expected) {
      throw new Mismatch(`root of ${volume.model.name} is ${root}, its content has ${expected}`);
    }
  });
}

/** A moment of quiet, long enough to have become history. */
async function point(world: World, volume: TrackedVolume): Promise<void> {
  if (!volume.hasHistory || volume.points.length >= 6) return;
  await whole(volume, 'sole', async () => {
    const { model } = volume;
    const mark = model.mark();
    const flushed = await attempt(world, () => world.device(volume).flush());
    if (!flushed) return;
    model.flushed(mark);
    await pause(world, 3500);
    const atMs = world.wallMs;
    await pause(world, 1500);
    const device = world.device(volume);
    if (device.status().unsettledBytes > 0) return;
    const frozen = model.freeze(`${model.name} at ${atMs}`);
    model.endFreeze(frozen);
    if (await attempt(world, () => device.versionAt({ atMs })))
      volume.points.push({ atMs, frozen });
  });
}

function pause(world: World, forMs: number): Promise<void> {
  return new Promise((resolve) => void world.scheduler.at(forMs, 'pause', resolve));
}

async function lease(world: World, volume: TrackedVolume): Promise<void> {
  if (world.leases.size >= 4 && (await release(world))) return;
  await whole(volume, 'shared', async () => {
    const { moment, frozen } = someMoment(world, volume);
    const request = { ...moment, volume: volume.model.name, holder: 'far', lifeMs: 100 * hourMs };
    await attempt(world, async () => {
      const { leaseId, version } = await world.pool!.grantLease(request);
      world.leases.set(leaseId, { leaseId, volume: request.volume, version, frozen });
    });
    volume.model.endFreeze(frozen);
  });
}

async function release(world: World): Promise<boolean> {
  if (world.leases.size === 0) return false;
  const { leaseId } = world.rng.pick([...world.leases.values()]);
  world.leases.delete(leaseId);
  return attempt(world, () => world.pool!.releaseLease(leaseId));
}

async function remove(world: World, volume: TrackedVolume): Promise<void> {
  if (world.rng.chance(0.5)) return;
  await whole(volume, 'sole', async () => {
    const { name } = volume.model;
    const leased = world.pool!.leases().some((one) => one.volume === name);
    volume.sure = false;
    try {
      await world.answer(() => world.pool!.deleteVolume(name, { force: world.rng.chance(0.7) }));
      world.volumes.delete(name);
    } catch (error) {
      const refused = error instanceof TransshipError && error.reason === 'Leased';
      if (!(refused && leased) && !world.excuses(error)) throw error;
      volume.sure = !world.hurt;
    }
  });
}

/** What must not change is looked at while everything else goes on. */
async function look(world: World, volume: TrackedVolume): Promise<void> {
  await whole(volume, 'shared', async () => {
    const { moment, frozen } = someMoment(world, volume);
    const device = world.device(volume);
    try {
      const version = await world.answer(() => device.versionAt(moment));
      const bytes = await world.answer(() => readVersion(world.pool!, version, frozen.what));
      volume.model.endFreeze(frozen);
      frozen.check(bytes);
    } catch (error) {
      if (!world.excuses(error) && !missingIsExcused(world, error)) throw error;
    } finally {
      volume.model.endFreeze(frozen);
    }
  });
}

/** On a day with rot or failing reads a chunk may be gone; it must never be wrong. */
export function missingIsExcused(world: World, error: unknown): boolean {
  const { profile } = world;
  const mayMiss = world.hurt || profile.rot > 0 || profile.faults.readFailure !== undefined;
  return mayMiss && error instanceof Mismatch && error.message.endsWith('is missing');
}

export async function lookAtLease(world: World): Promise<void> {
  if (world.leases.size === 0) return;
  const { leaseId, version, frozen } = world.rng.pick([...world.leases.values()]);
  try {
    const what = `lease ${leaseId.slice(0, 8)} (${frozen.what})`;
    frozen.check(await world.answer(() => readVersion(world.pool!, version, what)));
  } catch (error) {
    // Released meanwhile: nothing was promised any more.
    if (!world.leases.has(leaseId) && error instanceof Mismatch) return;
    if (!missingIsExcused(world, error)) throw error;
  }
}

export async function collect(world: World): Promise<void> {
  if (world.collecting) return;
  world.collecting = true;
  try {
    await attempt(world, () => world.pool!.collect());
    if (world.rng.chance(0.3)) await attempt(world, () => world.pool!.scrub());
  } finally {
    world.collecting = false;
  }
}

export type { Frozen };
