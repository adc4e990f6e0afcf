/** What happens to volumes and teleports in a schedule. */
import { TransshipError } from '../../src/base/errors.ts';
import { noHistory } from '../../src/volume/api.ts';
import { type Frozen, Mismatch, VolumeModel } from './model.ts';
import type { Node } from './teleport-node.ts';
import type { TeleportWorld, Tracked } from './teleport-world.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const volumesMax = 5;

export type Step = (world: TeleportWorld, node: Node) => Promise<void>;

export const steps = {
  create,
  write,
  read,
  flush,
  snapshot,
  clone,
  teleport,
  fill,
  cancel,
  remove,
  collect,
} satisfies Record<string, Step>;

function pickVolume(world: TeleportWorld, node: Node): Tracked | undefined {
  const usable = world.usable(node);
  return usable.length === 0 ? undefined : world.rng.pick(usable);
}

function isArriving(world: TeleportWorld, node: Node, name: string): boolean {
  return world.device(node, name).status().origin !== undefined;
}

/** Runs `work` as the only operation on the whole volume; reads and writes may go on. */
async function whole(volume: Tracked, work: () => Promise<void>): Promise<void> {
  volume.whole = true;
  try {
    await work();
  } finally {
    volume.whole = false;
  }
}

async function create(world: TeleportWorld, node: Node): Promise<void> {
  if (world.volumesOf(node).size >= volumesMax) return;
  const { rng } = world;
  const blockBytes = rng.pick([4 * KiB, 16 * KiB, 64 * KiB]);
  const sizeBytes = rng.pick([MiB, MiB + 512 * 7, 2 * MiB]);
  const shape = { sizeBytes, blockBytes };
  const name = world.unique('v');
  const frozen = new VolumeModel(name, shape).freeze(name);
  world.expect(node, { name, frozen, source: undefined });
  const { pool } = node.running!;
  await world.answer(node, () => pool.createVolume({ name, ...shape, policy: noHistory }));
  world.settle(node, name, true);
}

async function write(world: TeleportWorld, node: Node): Promise<void> {
  const volume = pickVolume(world, node);
  const range =
    volume === undefined ? undefined : world.freeRange(volume.model.sizeBytes, volume.busy);
  if (volume === undefined || range === undefined) return;
  const zeroes = world.rng.chance(0.15);
  const { offset, length } = range;
  const bytes = zeroes ? new Uint8Array(length) : world.content.next(offset, length);
  const arriving = isArriving(world, node, volume.name);
  const what = `${zeroes ? 'zero' : 'write'} ${node.name}/${volume.name} ${offset} ${length}`;
  world.scheduler.note(what);
  volume.busy.add(range);
  volume.model.begin(offset, bytes);
  try {
    await world.answer(node, () => {
      const device = world.device(node, volume.name);
      return zeroes ? device.writeZeroes(offset, length) : device.write(Buffer.from(bytes), offset);
    });
    volume.model.end(offset, length);
    world.scheduler.note(`done ${what}`);
  } catch (error) {
    if (!world.excuses(error, arriving)) throw error;
    volume.model.end(offset, length, true);
    world.scheduler.note(`failed ${what}`);
  } finally {
    volume.busy.delete(range);
  }
}

async function read(world: TeleportWorld, node: Node): Promise<void> {
  const volume = pickVolume(world, node);
  const range =
    volume === undefined ? undefined : world.freeRange(volume.model.sizeBytes, volume.busy);
  if (volume === undefined || range === undefined) return;
  const arriving = isArriving(world, node, volume.name);
  const bytes = new Uint8Array(range.length).fill(0x5a);
  volume.busy.add(range);
  try {
    await world.answer(node, () => world.device(node, volume.name).read(bytes, range.offset));
    volume.model.checkRead(range.offset, bytes);
  } catch (error) {
    if (!world.excuses(error, arriving)) throw error;
  } finally {
    volume.busy.delete(range);
  }
}

async function flush(world: TeleportWorld, node: Node): Promise<void> {
  const volume = pickVolume(world, node);
  if (volume === undefined) return;
  const mark = volume.model.mark();
  await world.answer(node, () => world.device(node, volume.name).flush());
  volume.model.flushed(mark);
}

async function snapshot(world: TeleportWorld, node: Node): Promise<void> {
  const volume = pickVolume(world, node);
  if (volume === undefined || volume.snapshots.size >= 3) return;
  const name = world.unique('s');
  const arriving = isArriving(world, node, volume.name);
  await whole(volume, async () => {
    const frozen = volume.model.freeze(`snapshot ${name} of ${volume.name}`);
    const entry = { frozen, sure: false };
    volume.snapshots.set(name, entry);
    try {
      await world.answer(node, () => world.device(node, volume.name).snapshot(name));
      entry.sure = true;
    } catch (error) {
      if (!world.excuses(error, arriving)) throw error;
      volume.snapshots.delete(name);
    } finally {
      volume.model.endFreeze(frozen);
    }
  });
}

/** The content of now, or of one of its snapshots. */
function momentOf(
  world: TeleportWorld,
  volume: Tracked,
): { readonly frozen: Frozen; readonly snapshot?: string } {
  const sure = [...volume.snapshots].filter(([, entry]) => entry.sure);
  if (sure.length > 0 && world.rng.chance(0.4)) {
    const [snapshotName, { frozen }] = world.rng.pick(sure);
    return { frozen, snapshot: snapshotName };
  }
  return { frozen: volume.model.freeze(`${volume.name} at ${world.scheduler.nowMs}`) };
}

async function clone(world: TeleportWorld, node: Node): Promise<void> {
  const volume = pickVolume(world, node);
  if (volume === undefined || world.volumesOf(node).size >= volumesMax) return;
  const name = world.unique('k');
  const arriving = isArriving(world, node, volume.name);
  await whole(volume, async () => {
    const { frozen, ...moment } = momentOf(world, volume);
    world.expect(node, { name, frozen, source: volume.model });
    const { pool } = node.running!;
    try {
      await world.answer(node, () => pool.cloneVolume(volume.name, moment, { name }));
      world.settle(node, name, true);
    } catch (error) {
      if (!world.excuses(error, arriving)) throw error;
      world.settle(node, name, false);
    }
  });
}

async function teleport(world: TeleportWorld, node: Node): Promise<void> {
  const { rng } = world;
  const source = rng.pick(world.nodes.filter((one) => one !== node));
  const volume = pickVolume(world, source);
  if (volume === undefined || world.volumesOf(node).size >= volumesMax) return;
  const name = world.unique('t');
  const { frozen, ...moment } = momentOf(world, volume);
  world.expect(node, { name, frozen, source: volume.model });
  const { manager } = node.running!;
  const thin = rng.chance(0.3);
  const rate = rng.chance(0.3) ? { bytesPerSecond: rng.pick([64, 1024]) * KiB } : {};
  const to = { name, pool: 'main', policy: noHistory, policyName: 'none', thin, ...rate };
  const from = { cluster: source.name, volume: volume.name, ...moment };
  try {
    const record = await world.answer(node, () => manager.start({ ...from, ...to }));
    world.begun.push({ root: record.root!, frozen });
    world.settle(node, name, true);
  } catch (error) {
    if (!(error instanceof TransshipError)) throw error;
    world.settle(node, name, false);
    const { reason } = error;
    const mayBe = ['SourceUnreachable', 'NotFound', 'Stopping', 'DataMissing', 'DiskFailed'];
    if (!mayBe.includes(reason)) throw error;
    const there = node.running?.pool.volumes().some((one) => one.name === name);
    if (there === true) throw new Mismatch(`${name} is there after a refusal`);
  }
}

async function fill(world: TeleportWorld, node: Node): Promise<void> {
  const { manager } = node.running!;
  const thin = manager.list().filter((one) => one.phase === 'Accessible' && one.thin);
  if (thin.length === 0) return;
  await world.answer(node, () => manager.fill(world.rng.pick(thin).name, undefined));
}

async function cancel(world: TeleportWorld, node: Node): Promise<void> {
  const { manager } = node.running!;
  const open = manager.list().filter(({ phase }) => phase === 'Accessible');
  const record = open.length === 0 ? undefined : world.rng.pick(open);
  const volume = world.volumesOf(node).get(record?.volume ?? '');
  if (record === undefined || volume === undefined || volume.whole || volume.busy.size > 0) return;
  await removing(world, node, volume, () => manager.cancel(record.name, false));
}

async function remove(world: TeleportWorld, node: Node): Promise<void> {
  const volume = pickVolume(world, node);
  if (volume === undefined || volume.busy.size > 0) return;
  // What still arrives is cancelled, not deleted; by force, others would lose what it passes on.
  if (isArriving(world, node, volume.name)) return;
  const { pool } = node.running!;
  const force = world.rng.chance(0.3);
  await removing(world, node, volume, () => pool.deleteVolume(volume.name, { force }));
}

/** Gone, refused because somebody else reads it, or open until the process starts again. */
async function removing(
  world: TeleportWorld,
  node: Node,
  volume: Tracked,
  call: () => Promise<unknown>,
): Promise<void> {
  volume.whole = true;
  const volumes = world.volumesOf(node);
  const frozen = volume.model.anyOf('what a crash may leave');
  volumes.delete(volume.name);
  world.expect(node, { name: volume.name, frozen, source: volume.model });
  try {
    await world.answer(node, call);
    world.settle(node, volume.name, false);
  } catch (error) {
    if (!(error instanceof TransshipError) || error.reason !== 'Leased') throw error;
    world.expected.get(node)!.delete(volume.name);
    volumes.set(volume.name, volume);
    volume.whole = false;
  }
}

async function collect(world: TeleportWorld, node: Node): Promise<void> {
  await world.answer(node, () => node.running!.pool.collect());
}
