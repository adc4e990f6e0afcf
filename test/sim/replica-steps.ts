/** What is done to a replicated volume in a schedule. */
import { TransshipError } from '../../src/base/errors.ts';
import { noHistory } from '../../src/volume/api.ts';
import type { ReplicaNode } from './replica-node.ts';
import { memberOf, type ReplicaWorld, type Session, volumeName } from './replica-world.ts';

const KiB = 1024;
const pieceBytes = 256 * KiB;
const snapshotsMax = 3;

export type Step = (world: ReplicaWorld, node: ReplicaNode) => Promise<void>;

export const steps = {
  write: (world) => write(world, pickSession(world)),
  zombie: (world) => write(world, world.former.at(-1)),
  read: (world) => read(world),
  flush: (world) => flush(world, pickSession(world)),
  snapshot,
  dropSnapshot,
  takeOver,
  yieldIt,
  change,
  collect: async (world, node) => {
    await excusing(world, () => world.answer(node, () => node.running!.pool.collect()));
  },
  checkpoint: async (world, node) => {
    const volume = node.running!.pool.volumes().find(({ name }) => name === volumeName);
    if (volume === undefined) return;
    await excusing(world, () => world.answer(node, () => volume.seal()));
  },
} satisfies Record<string, Step>;

/** The one that serves; now and then one that still believes it does. */
function pickSession(world: ReplicaWorld): Session | undefined {
  return world.serving();
}

async function excusing(world: ReplicaWorld, work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!world.excuses(error)) throw error;
  }
}

async function write(world: ReplicaWorld, session: Session | undefined): Promise<void> {
  if (session === undefined || session.node.life !== session.life) return;
  const range = world.freeRange(world.model.sizeBytes, world.busy);
  if (range === undefined) return;
  const { offset, length } = range;
  const zeroes = world.rng.chance(0.15);
  const bytes = zeroes ? new Uint8Array(length) : world.content.next(offset, length);
  const era = world.era.number;
  const what = `${zeroes ? 'zero' : 'write'} at ${session.node.name} ${offset} ${length}`;
  world.scheduler.note(what);
  world.busy.add(range);
  world.model.begin(offset, bytes);
  const { volume } = session.led;
  try {
    await world.answer(session.node, () =>
      zeroes ? volume.writeZeroes(offset, length) : volume.write(Buffer.from(bytes), offset),
    );
    world.acknowledged(session, range, bytes, era);
    world.scheduler.note(`done ${what}`);
  } catch (error) {
    // A process that is gone never says what became of it: it stays open until all is read.
    if (!world.excuses(error)) throw error;
    if (era === world.era.number) world.model.end(offset, length, true);
    world.scheduler.note(`failed ${what}: ${String(error)}`);
  }
  if (era === world.era.number) world.busy.delete(range);
}

async function read(world: ReplicaWorld): Promise<void> {
  const session = world.serving();
  const range =
    session === undefined ? undefined : world.freeRange(world.model.sizeBytes, world.busy);
  if (session === undefined || range === undefined) return;
  const bytes = new Uint8Array(range.length).fill(0x5a);
  const era = world.era.number;
  world.busy.add(range);
  try {
    await world.answer(session.node, () => session.led.volume.read(bytes, range.offset));
    if (era === world.era.number && world.session === session) {
      world.model.checkRead(range.offset, bytes);
    }
  } catch (error) {
    if (!world.excuses(error)) throw error;
  } finally {
    world.busy.delete(range);
  }
}

async function flush(world: ReplicaWorld, session: Session | undefined): Promise<void> {
  if (session === undefined) return;
  const era = world.era.number;
  const mark = world.model.mark();
  await excusing(world, async () => {
    await world.answer(session.node, () => session.led.volume.flush());
    if (era !== world.era.number) return;
    world.model.flushed(mark);
    world.scheduler.note(`flushed at ${session.node.name}`);
  });
}

async function snapshot(world: ReplicaWorld): Promise<void> {
  const session = world.serving();
  if (session === undefined || world.snapshots.size >= snapshotsMax) return;
  const name = world.unique('s');
  const era = world.era.number;
  const frozen = world.model.freeze(`snapshot ${name}`);
  const entry = { frozen, sure: false };
  world.snapshots.set(name, entry);
  await excusing(world, async () => {
    await world.answer(session.node, () => session.led.volume.snapshot(name));
    // Later than another leader's first read, nobody knows if that one still found it.
    if (era === world.era.number && world.session === session) entry.sure = true;
  });
  world.model.endFreeze(frozen);
}

async function dropSnapshot(world: ReplicaWorld): Promise<void> {
  const session = world.serving();
  const sure = [...world.snapshots].filter(([, entry]) => entry.sure);
  if (session === undefined || sure.length === 0) return;
  const [name, entry] = world.rng.pick(sure);
  entry.sure = false;
  await excusing(world, () =>
    world.answer(session.node, () => session.led.volume.deleteSnapshot(name)),
  );
}

/** Somebody leads now, whether the last leader is gone or not. */
async function takeOver(world: ReplicaWorld, node: ReplicaNode): Promise<void> {
  await lead(world, node);
}

export async function lead(world: ReplicaWorld, node: ReplicaNode): Promise<Session | undefined> {
  const { wanted, isCreated, model, blockBytes, session } = world;
  if (session?.node === node && world.isLive(session)) return session;
  // Whoever wants a new volume asks one agent at a time for it.
  if (!isCreated && world.isMaking) return undefined;
  world.isMaking = true;
  const { replicas } = node.running!;
  const shape = isCreated ? {} : { sizeBytes: model.sizeBytes, blockBytes, policy: noHistory };
  try {
    const request = { volume: volumeName, wanted, ...shape };
    const led = await world.answer(node, () => replicas.lead(request));
    world.isCreated = true;
    // Two may be elected one after the other and be heard of in another order; one that was elected
    // where members were changed is heard of here.
    const { epoch } = led.set.leader.quorum.term;
    if (world.session !== undefined && world.session.epoch >= epoch) return undefined;
    return world.tookOver(node, led);
  } catch (error) {
    if (!world.excuses(error)) throw error;
    world.scheduler.note(`${node.name} does not lead: ${String(error)}`);
    return undefined;
  } finally {
    world.isMaking = false;
  }
}

async function yieldIt(world: ReplicaWorld): Promise<void> {
  const session = world.serving();
  if (session === undefined) return;
  const { node } = session;
  await excusing(world, () => world.answer(node, () => node.running!.replicas.yield(volumeName)));
}

/** The wish for other members; whoever leads works towards it from then on. */
async function change(world: ReplicaWorld): Promise<void> {
  const { rng, nodes, profile } = world;
  const session = world.serving();
  if (session === undefined || !profile.members) return;
  const count = rng.between(1, Math.min(3, nodes.length));
  const names = nodes.map(({ name }) => name);
  while (names.length > count) names.splice(rng.below(names.length), 1);
  world.wanted = names.map(memberOf);
  world.scheduler.note(`wanted are ${names.join(',')}`);
  const { node } = session;
  await excusing(world, () =>
    world.answer(node, () =>
      node.running!.replicas.lead({ volume: volumeName, wanted: world.wanted }),
    ),
  );
}

/** What the newest leader holds, as soon as it answers. */
export async function readAgain(world: ReplicaWorld): Promise<void> {
  const { session } = world;
  if (session === undefined || !world.isUnread || world.reading === session) return;
  if (!world.isLive(session)) return;
  world.reading = session;
  const bytes = new Uint8Array(world.model.sizeBytes);
  try {
    for (let at = 0; at < bytes.length; at += pieceBytes) {
      const part = bytes.subarray(at, at + pieceBytes);
      await world.answer(session.node, () => session.led.volume.read(part, at));
    }
    world.readAll(session, bytes);
    settleSnapshots(world, session);
  } catch (error) {
    if (!world.excuses(error)) throw error;
  } finally {
    if (world.reading === session) world.reading = undefined;
  }
}

/** Those that were surely made are there with every leader. */
function settleSnapshots(world: ReplicaWorld, session: Session): void {
  if (world.session !== session) return;
  const there = new Set(session.led.volume.listSnapshots().map(({ name }) => name));
  for (const [name, entry] of world.snapshots) {
    if (there.has(name)) entry.sure = true;
    else if (entry.sure) throw new TransshipError('Internal', `snapshot ${name} is gone`);
  }
}
