/** What must be true of every replica when nothing goes wrong any more. */
import { Mismatch } from './model.ts';
import { readVersion, rootOf } from './oracle.ts';
import type { ReplicaNode } from './replica-node.ts';
import { type ReplicaWorld, type Session, volumeName } from './replica-world.ts';

/** What still keeps the set from being as it is wanted, in words. */
export function unlikeWanted(world: ReplicaWorld, session: Session): string[] {
  if (!world.isLive(session)) return ['nobody leads'];
  const { set } = session.led;
  const { voters, learners } = set.configuration;
  const text = (names: readonly { readonly agent: string }[]) =>
    names
      .map(({ agent }) => agent)
      .sort()
      .join();
  const problems: string[] = [];
  if (text(voters) !== text(world.wanted)) problems.push(`members ${text(voters)}`);
  if (learners.length > 0) problems.push(`learners ${text(learners)}`);
  for (const { standing, port, problem } of set.leader.quorum.streams()) {
    if (standing === 'InStep') continue;
    problems.push(`${port.member.agent} is ${standing}: ${problem?.message ?? ''}`);
  }
  if (problems.length > 0 && set.blocker !== undefined) problems.push(set.blocker);
  return problems;
}

/** Nothing is left of rebuilds, of leases, of replicas that are no members any more. */
export function leftOver(world: ReplicaWorld): string[] {
  const members = new Set(world.wanted.map(({ agent }) => agent));
  return world.nodes.flatMap((node) => {
    const { pool } = node.running!;
    const left = pool.leases().map(({ holder }) => `${node.name}: a lease of ${holder}`);
    const volume = pool.volumes().find(({ name }) => name === volumeName);
    const document = volume?.replica.document;
    if (!members.has(node.name)) {
      return document === undefined ? left : [...left, `${node.name} still has a replica`];
    }
    if (document === undefined) return [...left, `${node.name} has no replica`];
    const { phase, fallback, former } = document;
    if (phase !== 'Healthy') left.push(`${node.name} is ${phase}`);
    if (fallback !== undefined) left.push(`${node.name} keeps a fallback`);
    if (former !== undefined) left.push(`${node.name} keeps old roots`);
    if (volume!.status().origin !== undefined) left.push(`${node.name} has an origin`);
    return left;
  });
}

/** All replicas have the same root, all of its chunks, and the content that was written. */
export async function checkAlike(world: ReplicaWorld, session: Session): Promise<void> {
  const { led, node: leader } = session;
  await world.drive(leader, led.volume.flush());
  const bytes = new Uint8Array(world.model.sizeBytes);
  await world.drive(leader, Promise.resolve(led.volume.read(bytes, 0)));
  world.model.checkRead(0, bytes);
  const expected = rootOf(bytes, world.blockBytes);
  for (const { agent } of world.wanted) {
    const node = world.node(agent);
    if (!hasLied(world, node)) await world.drive(node, node.running!.pool.collect());
    await world.drive(node, checkReplica(world, node, { bytes, expected }));
  }
}

function hasLied({ profile }: ReplicaWorld, { name }: ReplicaNode): boolean {
  return name === profile.faulty && profile.faults.lyingSync !== undefined;
}

async function checkReplica(
  world: ReplicaWorld,
  node: ReplicaNode,
  { bytes, expected }: { readonly bytes: Uint8Array; readonly expected: string },
): Promise<void> {
  const { pool } = node.running!;
  const volume = pool.volume(volumeName);
  const here = new Uint8Array(bytes.length);
  await volume.read(here, 0);
  if (Buffer.compare(here, bytes) !== 0) {
    const at = here.findIndex((byte, i) => byte !== bytes[i]);
    throw new Mismatch(`the replica of ${node.name} differs at ${at}`);
  }
  // What it lied about was healed where it was read, and nobody knows what else is lost.
  if (hasLied(world, node)) return;
  const version = await volume.seal();
  const root = Buffer.from(version.root).toString('hex');
  if (root !== expected) throw new Mismatch(`the replica of ${node.name} has root ${root}`);
  await readVersion(pool, version, `the replica of ${node.name}`);
  for (const [name, { frozen, sure }] of world.snapshots) {
    const isThere = volume.listSnapshots().some((one) => one.name === name);
    if (sure && !isThere) throw new Mismatch(`${node.name} lacks snapshot ${name}`);
    if (!isThere) continue;
    const kept = await volume.versionAt({ snapshot: name });
    frozen.check(await readVersion(pool, kept, `snapshot ${name} of ${node.name}`));
  }
}
