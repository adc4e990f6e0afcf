/** One schedule of a replicated volume, from its seed to its verdict. */
import { formatMembers } from '../../src/peer/replica/configuration.ts';
import { capacityBytes } from './agent-node.ts';
import type { RunResult } from './engine-run.ts';
import { Mismatch } from './model.ts';
import { Gone } from './mortal.ts';
import { checkAlike, leftOver, unlikeWanted } from './replica-check.ts';
import type { ReplicaMutation, ReplicaNode } from './replica-node.ts';
import { chooseProfile } from './replica-profile.ts';
import { lead, readAgain, steps } from './replica-steps.ts';
import { ReplicaWorld, type Session, volumeName } from './replica-world.ts';

const KiB = 1024;
const lookedMs = 5000;
/** A disk that fails now and then lets a pool be opened soon. */
const startsMax = 100;

export interface ReplicaRunOptions {
  readonly seed: number;
  readonly mutation?: ReplicaMutation | undefined;
  readonly onEvent?: ((label: string, nowMs: number) => void) | undefined;
}

export async function runReplicas(options: ReplicaRunOptions): Promise<RunResult> {
  const { seed, mutation = {}, onEvent } = options;
  const world = new ReplicaWorld({ seed, mutation, onEvent, profile: chooseProfile });
  return world.judge(seed, () => live(world));
}

async function live(world: ReplicaWorld): Promise<void> {
  const { nodes, profile } = world;
  for (const node of nodes) await start(world, node, false);
  await world.drive(nodes[0]!, lead(world, nodes[0]!));
  for (let step = 0; step < profile.steps; step += 1) {
    await takeStep(world);
    if (world.violation !== undefined) throw world.violation;
  }
  await finish(world);
}

const stepWeights = {
  write: 26,
  zombie: 6,
  read: 6,
  flush: 5,
  snapshot: 1.5,
  dropSnapshot: 0.7,
  checkpoint: 2,
  collect: 1,
  turns: 16,
  idle: 6,
  takeOver: 2,
  yieldIt: 0.5,
  change: 2,
  crash: 2,
  blackout: 0.7,
  duel: 0.7,
  part: 2,
  mend: 3,
  fill: 1,
  free: 1.5,
} as const;

async function takeStep(world: ReplicaWorld): Promise<void> {
  const { rng, scheduler, nodes } = world;
  const kind = rng.weighted(stepWeights);
  if (kind === 'turns') return scheduler.turns(rng.between(1, 60));
  if (kind === 'idle') return scheduler.idle(rng.pick([5, 100, 1000, 10_000]));
  const node = rng.pick(nodes);
  if (kind === 'part') return part(world);
  if (kind === 'mend') return mend(world);
  if (kind === 'blackout') return blackout(world);
  if (kind === 'duel') return duel(world);
  if (node.running === undefined) return start(world, node, world.profile.crashing);
  if (kind === 'crash') return crash(world, node);
  if (kind === 'fill' || kind === 'free') return resizeDisk(world, node, kind);
  keepLed(world);
  if (kind === 'takeOver' && !world.profile.takeovers && world.serving() !== undefined) return;
  const at = whereTo(world, kind, node);
  if (at?.running !== undefined) world.spawn(at, kind, () => steps[kind](world, at));
}

const ofLeader: ReadonlySet<string> = new Set([
  'write',
  'read',
  'flush',
  'snapshot',
  'dropSnapshot',
  'yieldIt',
  'change',
]);

/** The agent whose end would be the end of such an operation. */
function whereTo(world: ReplicaWorld, kind: string, node: ReplicaNode): ReplicaNode | undefined {
  if (kind === 'zombie') return world.former.at(-1)?.node;
  return ofLeader.has(kind) ? world.serving()?.node : node;
}

/** A leader that is gone is followed by another, and read before anything is written. */
function keepLed(world: ReplicaWorld): void {
  const { session, rng, nodes } = world;
  if (session === undefined || !world.isLive(session)) {
    const up = nodes.filter((one) => one.running !== undefined);
    if (up.length === 0 || rng.chance(0.7)) return;
    const node = rng.pick(up);
    world.spawn(node, 'lead', () => steps.takeOver(world, node));
  } else if (world.isUnread && world.reading !== session) {
    world.spawn(session.node, 'read it again', () => readAgain(world));
  }
}

function part({ profile, rng, nodes, network }: ReplicaWorld): void {
  if (!profile.links) return;
  const [one, other] = [rng.pick(nodes), rng.pick(nodes)];
  if (one === other) return;
  network.part(one.address, other.address, rng.chance(0.6) ? 'refusing' : 'silent');
}

function mend({ rng, nodes, network }: ReplicaWorld): void {
  network.mend(rng.pick(nodes).address, rng.pick(nodes).address);
}

function resizeDisk(
  { profile }: ReplicaWorld,
  { simDisk }: ReplicaNode,
  kind: 'fill' | 'free',
): void {
  if (!profile.tight) return;
  const tight = simDisk.usedBytes + 512 * KiB;
  simDisk.options = {
    ...simDisk.options,
    capacityBytes: kind === 'fill' ? tight : capacityBytes,
  };
}

/** All lose power at once: what was flushed is there again. */
async function blackout(world: ReplicaWorld): Promise<void> {
  const { nodes, profile } = world;
  if (!profile.crashing || profile.faulty !== undefined) return;
  const session = world.serving();
  for (const kind of session === undefined ? [] : (['write', 'write', 'flush'] as const)) {
    world.spawn(session!.node, kind, () => steps[kind](world));
    await world.scheduler.idle(100);
  }
  for (const node of nodes) node.powerOff();
  for (const node of nodes) await start(world, node, false);
}

/** One takes over, and the other goes on writing as if it had not noticed. */
async function duel(world: ReplicaWorld): Promise<void> {
  const old = world.serving();
  const others = world.nodes.filter((one) => one !== old?.node && one.running !== undefined);
  if (old === undefined || others.length === 0 || !world.profile.takeovers) return;
  const node = world.rng.pick(others);
  world.spawn(node, 'takeOver', () => steps.takeOver(world, node));
  await world.scheduler.idle(world.rng.pick([20, 200]));
  for (let write = 0; write < 3; write += 1) {
    world.spawn(old.node, 'zombie', () => steps.zombie(world));
    keepLed(world);
    await world.scheduler.idle(100);
    const now = world.serving();
    if (now !== undefined) world.spawn(now.node, 'write', () => steps.write(world));
  }
}

async function crash(world: ReplicaWorld, node: ReplicaNode): Promise<void> {
  const { rng, profile } = world;
  if (!profile.crashing) return;
  // Beside a disk that lies or fails, nothing else may be lost.
  if (profile.faulty !== undefined && profile.faulty !== node.name) return;
  // What only a disk that lies has had so far is nowhere when its machine goes.
  if (profile.faults.lyingSync !== undefined && !isSpread(world, node)) return;
  if (rng.chance(0.5)) node.powerOff();
  else node.kill();
  // Others go on for a while without it.
  if (rng.chance(0.5)) await start(world, node, true);
}

/** All the others have everything, and count. */
function isSpread({ nodes, wanted }: ReplicaWorld, without: ReplicaNode): boolean {
  const whole = nodes.filter((node) => {
    const volume = node.running?.pool.volumes().find(({ name }) => name === volumeName);
    const { phase, configuration } = volume?.replica.document ?? {};
    return phase === 'Healthy' && configuration?.voters.length === wanted.length;
  });
  return whole.filter((node) => node !== without).length >= wanted.length - 1;
}

async function start(world: ReplicaWorld, node: ReplicaNode, mayCrash: boolean): Promise<void> {
  const { rng, profile } = world;
  const may = mayCrash && (profile.faulty === undefined || profile.faulty === node.name);
  for (let failures = 0; ; failures += 1) {
    const calls = may && rng.chance(0.3) ? rng.between(1, 1500) : undefined;
    try {
      await world.drive(node, node.start(calls));
      return;
    } catch (error) {
      const isExcused = world.excuses(error) && failures < startsMax;
      if (!(error instanceof Gone) && !isExcused) throw error;
      if (!(error instanceof Gone)) node.kill();
    }
  }
}

/** Faults are over: now everything has to become good by itself. */
async function finish(world: ReplicaWorld): Promise<void> {
  const { nodes, network } = world;
  for (const one of nodes) {
    for (const other of nodes) network.mend(one.address, other.address);
    one.simDisk.options = { capacityBytes };
  }
  for (const node of nodes) {
    const isFailed = node.running?.pool.status().phase === 'Failed';
    if (node.willCrash || isFailed) node.kill();
    if (node.running === undefined) await start(world, node, false);
  }
  await world.becomes('operations end', () => world.unfinished());
  const session = await obeyed(world);
  await world.drive(session.node, session.led.volume.flush());
  // Long enough for a leader to look at each of them.
  await world.scheduler.idle(lookedMs);
  await world.becomes('all are in step', () => unlikeWanted(world, session));
  for (const node of nodes) await dropLeftBehind(world, node);
  await world.becomes('nothing is left over', () => leftOver(world));
  await checkAlike(world, session);
  const left = [...unlikeWanted(world, session), ...leftOver(world)];
  if (left.length > 0) throw new Mismatch(`after the check: ${left.join('; ')}`);
}

/** Who was deposed by somebody that then failed hears of it when it asks: another follows. */
async function obeyed(world: ReplicaWorld): Promise<Session> {
  for (;;) {
    await world.becomes('the members are as wanted', () => {
      const session = keepServing(world);
      return session === undefined ? ['nobody leads'] : unlikeWanted(world, session);
    });
    const session = world.serving()!;
    if (await world.drive(session.node, session.led.set.isStillLed())) return session;
  }
}

/** Somebody leads, was read, and knows what is wanted; else that is begun. */
function keepServing(world: ReplicaWorld): Session | undefined {
  const { session } = world;
  if (session === undefined || !world.isLive(session)) {
    leadAtEnd(world);
    return undefined;
  }
  const { node, led } = session;
  if (world.isUnread) {
    if (world.reading !== session) world.spawn(node, 'read', () => readAgain(world));
    return undefined;
  }
  if (formatMembers(led.set.wanted) === formatMembers(world.wanted)) return session;
  world.spawn(node, 'want', async () => {
    await node.running!.replicas.lead({ volume: volumeName, wanted: world.wanted });
  });
  return undefined;
}

/** A leader may end before the replica that it removed hears of it; people drop such ones. */
async function dropLeftBehind(world: ReplicaWorld, node: ReplicaNode): Promise<void> {
  const { replicas } = node.running!;
  const isMember = world.wanted.some(({ agent }) => agent === node.name);
  if (isMember || world.session?.node === node || replicas.kept().length === 0) return;
  if (replicas.led.has(volumeName)) await world.drive(node, replicas.yield(volumeName));
  await world.drive(node, replicas.drop(volumeName, true));
}

/** Whoever has a replica finds the others. */
function leadAtEnd(world: ReplicaWorld): void {
  if (world.unfinished().length > 0) return;
  const having = world.nodes.filter(({ running }) => (running?.replicas.kept().length ?? 0) > 0);
  const node = world.rng.pick(having.length > 0 ? having : world.nodes);
  world.spawn(node, 'lead', async () => void (await lead(world, node)));
}
