/** What is checked of volumes that teleported, and of all others beside them. */
import { isZeroName, nameAt, nameHex } from '../../src/volume/name.ts';
import type { Version } from '../../src/volume/types.ts';
import { Mismatch } from './model.ts';
import { readVersion, rootOf } from './oracle.ts';
import { ifFree } from './range.ts';
import type { Node } from './teleport-node.ts';
import type { TeleportWorld, Tracked } from './teleport-world.ts';

const pageNames = 256;
const pieceBytes = 64 * 1024;

/** A claim of `Available` holds at once and alone: nothing is asked of anybody. */
export async function proveClaims(world: TeleportWorld): Promise<void> {
  for (const { node, record } of world.claims.splice(0)) {
    const volume = world.volumesOf(node).get(record.volume);
    const begun = world.begun.find(({ root }) => root === record.root);
    const exact = begun?.frozen.exact();
    if (begun !== undefined && exact !== undefined) {
      const wanted = rootOf(exact, begun.frozen.blockBytes);
      if (wanted !== record.root) throw new Mismatch(`${record.name} has root ${record.root}`);
    }
    if (volume === undefined || node.running === undefined) continue;
    world.spawn(node, `prove ${record.name}`, () => checkStandsAlone(world, node, volume));
  }
}

/** Its content is right and all of it is here, with its snapshots. */
export async function checkStandsAlone(
  world: TeleportWorld,
  node: Node,
  volume: Tracked,
): Promise<void> {
  if (volume.unread !== undefined || volume.whole) return;
  await readAll(world, node, volume);
  for (const [snapshot, { frozen, sure }] of volume.snapshots) {
    if (!sure) continue;
    const device = world.device(node, volume.name);
    const version = await world.answer(node, () => device.versionAt({ snapshot }));
    await walk(world, node, version);
    const { pool } = node.running!;
    const bytes = await world.answer(node, () => readVersion(pool, version, frozen.what));
    frozen.check(bytes);
  }
}

/** Reads what no write is under way to, and says if it is what was written. */
async function readAll(world: TeleportWorld, node: Node, volume: Tracked): Promise<void> {
  const { model } = volume;
  for (let offset = 0; offset < model.sizeBytes; offset += pieceBytes) {
    const length = Math.min(pieceBytes, model.sizeBytes - offset);
    const range = ifFree({ offset, length }, volume.busy);
    if (range === undefined) continue;
    volume.busy.add(range);
    try {
      const bytes = new Uint8Array(length);
      await world.answer(node, () => world.device(node, volume.name).read(bytes, offset));
      model.checkRead(offset, bytes);
    } finally {
      volume.busy.delete(range);
    }
  }
}

/** Every chunk under the root is in this pool; what others have does not count. */
async function walk(world: TeleportWorld, node: Node, version: Version): Promise<void> {
  const { pool } = node.running!;
  let names = [version.root];
  const blocks = Math.ceil(version.sizeBytes / version.blockBytes);
  let depth = 1;
  while (pageNames ** depth < blocks) depth += 1;
  for (let level = depth - 1; level >= 0; level -= 1) {
    const below: Uint8Array[] = [];
    for (const name of names.filter((one) => !isZeroName(one))) {
      const page = await world.answer(node, () => pool.readPage(name));
      if (page === undefined) throw new Mismatch(`page ${nameHex(name)} is not here`);
      for (let i = 0; i < pageNames; i += 1) below.push(nameAt(page, i));
    }
    names = below;
  }
  const absent = pool.has(names).indexOf(false);
  if (absent >= 0) throw new Mismatch(`block ${nameHex(names[absent]!)} is not here`);
}

/** What a crash left: read as soon as it can be, and then it is what it is. */
export async function readAfterCrash(
  world: TeleportWorld,
  node: Node,
  volume: Tracked,
): Promise<void> {
  const { unread, model } = volume;
  if (unread === undefined || volume.whole) return;
  const device = world.device(node, volume.name);
  volume.whole = true;
  const isArriving = device.status().origin !== undefined;
  const bytes = new Uint8Array(model.sizeBytes);
  try {
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      const part = bytes.subarray(at, at + pieceBytes);
      await world.answer(node, () => device.read(part, at));
    }
  } catch (error) {
    if (!world.excuses(error, isArriving)) throw error;
    volume.whole = false;
    return;
  }
  model.reopened(bytes, unread.powerLost);
  world.freezeAgain(model);
  volume.unread = undefined;
  volume.whole = false;
}
