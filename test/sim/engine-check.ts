/** What is checked when a pool was opened again, and at the end of a schedule. */
import { TransshipError } from '../../src/base/errors.ts';
import type { VolumeApi } from '../../src/volume/api.ts';
import { missingIsExcused } from './engine-shape.ts';
import type { TrackedVolume, World } from './engine-world.ts';
import { Mismatch } from './model.ts';
import { readVersion } from './oracle.ts';

/** Everything there is must be what was promised; the model takes over what a crash decided. */
export async function checkReopened(world: World, powerLost: boolean): Promise<void> {
  const pool = world.pool!;
  const present = new Map(pool.volumes().map((volume) => [volume.name, volume]));
  for (const name of present.keys()) {
    if (!world.volumes.has(name)) throw new Mismatch(`volume ${name} came out of nothing`);
  }
  for (const [name, volume] of world.volumes) {
    const device = present.get(name);
    if (device !== undefined) {
      await checkVolume(world, volume, { device, powerLost });
    } else if (volume.sure) {
      throw new Mismatch(`volume ${name} is gone`);
    } else {
      world.volumes.delete(name);
    }
  }
  await settleLeases(world);
}

interface Reopened {
  readonly device: VolumeApi;
  readonly powerLost: boolean;
}

async function checkVolume(
  world: World,
  volume: TrackedVolume,
  { device, powerLost }: Reopened,
): Promise<void> {
  const { model, resizingTo, restoring } = volume;
  volume.sure = true;
  volume.resizingTo = undefined;
  volume.restoring = undefined;
  checkSnapshots(volume, device);
  const bytes = await readAll(world, device);
  if (bytes === undefined) return;
  if (restoring?.fits(bytes) === true) {
    model.restored(restoring);
  } else {
    if (resizingTo !== undefined && device.sizeBytes === resizingTo) model.resize(resizingTo);
    if (device.sizeBytes !== model.sizeBytes) {
      throw new Mismatch(`${model.name} has ${device.sizeBytes} bytes, not ${model.sizeBytes}`);
    }
    model.reopened(bytes, powerLost);
  }
}

function checkSnapshots({ model, snapshots }: TrackedVolume, device: VolumeApi): void {
  const present = new Set(device.listSnapshots().map(({ name }) => name));
  for (const name of present) {
    if (!snapshots.has(name)) throw new Mismatch(`snapshot ${name} came out of nothing`);
  }
  for (const [name, entry] of snapshots) {
    if (present.has(name)) entry.sure = true;
    else if (entry.sure) throw new Mismatch(`snapshot ${name} of ${model.name} is gone`);
    else snapshots.delete(name);
  }
}

/** Undefined when chunks are missing on a day when they may be. */
async function readAll(world: World, device: VolumeApi): Promise<Uint8Array | undefined> {
  const bytes = new Uint8Array(device.sizeBytes);
  const step = world.rng.pick([64, 1024]) * 1024;
  for (let at = 0; at < bytes.length; at += step) {
    const part = bytes.subarray(at, at + step);
    try {
      await world.untilCrash(world.answer(() => device.read(part, at)));
    } catch (error) {
      if (error instanceof TransshipError && world.excuses(error)) return undefined;
      throw error;
    }
  }
  return bytes;
}

/** A lease whose grant was not answered may be there; nobody knows it, so it is given back. */
async function settleLeases(world: World): Promise<void> {
  const pool = world.pool!;
  const present = new Set(pool.leases().map(({ leaseId }) => leaseId));
  for (const leaseId of present) {
    if (world.leases.has(leaseId)) continue;
    await world.untilCrash(pool.releaseLease(leaseId));
  }
  for (const { leaseId, volume } of world.leases.values()) {
    if (!present.has(leaseId)) throw new Mismatch(`a lease on ${volume} is gone`);
  }
}

/** Every snapshot, every point of history and every lease, byte for byte. */
export async function checkAllFrozen(world: World): Promise<void> {
  const pool = world.pool!;
  for (const volume of world.volumes.values()) {
    const device = pool.volume(volume.model.name);
    const moments = [
      ...[...volume.snapshots].map(([snapshot, { frozen }]) => ({ moment: { snapshot }, frozen })),
      ...volume.points.map(({ atMs, frozen }) => ({ moment: { atMs }, frozen })),
    ];
    for (const { moment, frozen } of moments) {
      await tolerating(world, async () => {
        const version = await world.untilCrash(device.versionAt(moment));
        frozen.check(await world.untilCrash(readVersion(pool, version, frozen.what)));
      });
    }
  }
  for (const { version, frozen } of world.leases.values()) {
    await tolerating(world, async () => {
      frozen.check(await world.untilCrash(readVersion(pool, version, `lease: ${frozen.what}`)));
    });
  }
}

async function tolerating(world: World, check: () => Promise<void>): Promise<void> {
  try {
    await check();
  } catch (error) {
    if (!world.excuses(error) && !missingIsExcused(world, error)) throw error;
  }
}

/** With nothing left to keep, collection gives back everything. */
export async function checkEmptyCollects(world: World): Promise<void> {
  const pool = world.pool!;
  // A crash in the middle finds each released or not, deleted or not.
  for (const leaseId of world.leases.keys()) {
    world.leases.delete(leaseId);
    await world.untilCrash(pool.releaseLease(leaseId));
  }
  for (const [name, volume] of world.volumes) {
    volume.sure = false;
    await world.untilCrash(pool.deleteVolume(name, { force: true }));
    world.volumes.delete(name);
  }
  // Versions handed out lately are kept for some minutes.
  await world.idle(11 * 60 * 1000);
  await world.untilCrash(pool.collect());
  const { chunks } = pool.status();
  if (chunks > 0) throw new Mismatch(`${chunks} chunks are left of nothing`);
}
