/** One schedule of agents that teleport, from its seed to its verdict. */
import type { RunResult } from './engine-run.ts';
import { Mismatch } from './model.ts';
import { Gone } from './mortal.ts';
import { checkStandsAlone, proveClaims, readAfterCrash } from './teleport-check.ts';
import type { Node, TeleportMutation } from './teleport-node.ts';
import { steps } from './teleport-steps.ts';
import { TeleportWorld } from './teleport-world.ts';

const minuteMs = 60_000;

export interface TeleportRunOptions {
  readonly seed: number;
  readonly mutation?: TeleportMutation | undefined;
  readonly onEvent?: ((label: string, nowMs: number) => void) | undefined;
}

export async function runTeleports(options: TeleportRunOptions): Promise<RunResult> {
  const { seed, mutation = {}, onEvent } = options;
  const world = new TeleportWorld({ seed, mutation, onEvent });
  return world.judge(seed, () => live(world));
}

async function live(world: TeleportWorld): Promise<void> {
  for (const node of world.nodes) await start(world, node, false);
  const count = world.rng.pick([60, 120, 240]);
  const crashing = world.rng.chance(0.6);
  for (let step = 0; step < count; step += 1) {
    await takeStep(world, crashing);
    await proveClaims(world);
    if (world.violation !== undefined) throw world.violation;
  }
  await finish(world);
}

const stepWeights = {
  create: 3,
  write: 24,
  read: 8,
  flush: 4,
  snapshot: 3,
  clone: 2,
  teleport: 5,
  fill: 1,
  cancel: 1,
  remove: 1,
  collect: 2,
  turns: 14,
  idle: 5,
  cut: 1,
  silence: 0.7,
  restore: 2,
  crash: 1,
  close: 0.4,
  jump: 0.5,
} as const;

async function takeStep(world: TeleportWorld, crashing: boolean): Promise<void> {
  const { rng, network } = world;
  const kind = rng.weighted(stepWeights);
  if (kind === 'turns') return world.scheduler.turns(rng.between(1, 60));
  if (kind === 'idle') return world.scheduler.idle(rng.pick([5, 100, 2000, 40_000]));
  if (kind === 'cut') {
    network.state = 'refusing';
    return network.cut();
  }
  if (kind === 'restore') return restore(world);
  if (kind === 'silence') {
    network.state = 'silent';
    return undefined;
  }
  const node = rng.pick(world.nodes);
  if (kind === 'jump') {
    node.skewMs += rng.pick([-1, 1]) * rng.pick([1, 60, 60 * 24 * 30]) * minuteMs;
    return undefined;
  }
  if (node.running === undefined) return start(world, node, crashing);
  if (kind === 'crash') return crashing ? crash(world, node) : undefined;
  if (kind === 'close') return close(world, node);
  readLater(world, node);
  return world.spawn(node, kind, () => steps[kind](world, node));
}

/** What was sent into silence is lost, so no link may live on as if it had arrived. */
function restore({ network }: TeleportWorld): void {
  if (network.state === 'silent') network.cut();
  network.state = 'up';
}

function readLater(world: TeleportWorld, node: Node): void {
  for (const volume of world.volumesOf(node).values()) {
    if (volume.unread === undefined || volume.whole) continue;
    world.spawn(node, `read ${volume.name} again`, () => readAfterCrash(world, node, volume));
  }
}

async function crash(world: TeleportWorld, node: Node): Promise<void> {
  if (world.rng.chance(0.5)) node.powerOff();
  else node.kill();
  // Others go on for a while without it.
  if (world.rng.chance(0.5)) await start(world, node, true);
}

async function close(world: TeleportWorld, node: Node): Promise<void> {
  const closing = node.running!.close();
  try {
    await world.drive(node, closing);
  } catch (error) {
    if (!(error instanceof Gone)) throw error;
  }
  node.kill();
  await start(world, node, false);
}

async function start(world: TeleportWorld, node: Node, mayCrash: boolean): Promise<void> {
  const { rng } = world;
  for (;;) {
    const calls = mayCrash && rng.chance(0.3) ? rng.between(1, 1500) : undefined;
    try {
      await world.drive(node, node.start(calls));
      break;
    } catch (error) {
      if (!(error instanceof Gone)) throw error;
    }
  }
  const present = new Set(node.running!.pool.volumes().map(({ name }) => name));
  for (const name of world.expected.get(node)!.keys()) {
    const volume = world.settle(node, name, present.has(name));
    if (volume !== undefined) volume.unread = { powerLost: true };
  }
  for (const name of present) {
    if (!world.volumesOf(node).has(name)) throw new Mismatch(`${name} came out of nothing`);
  }
  for (const [name, { snapshots }] of world.volumesOf(node)) {
    if (!present.has(name)) throw new Mismatch(`${name} is gone from ${node.name}`);
    settleSnapshots(world, node, name, snapshots);
  }
}

function settleSnapshots(
  world: TeleportWorld,
  node: Node,
  name: string,
  snapshots: Map<string, { sure: boolean }>,
): void {
  const there = new Set(
    world
      .device(node, name)
      .listSnapshots()
      .map((one) => one.name),
  );
  for (const [snapshot, entry] of snapshots) {
    if (there.has(snapshot)) entry.sure = true;
    else if (entry.sure) throw new Mismatch(`snapshot ${snapshot} of ${name} is gone`);
    else snapshots.delete(snapshot);
  }
}

/** Faults are over: now everything has to become good by itself. */
async function finish(world: TeleportWorld): Promise<void> {
  restore(world);
  for (const node of world.nodes) {
    if (node.willCrash) node.kill();
    if (node.running === undefined) await start(world, node, false);
  }
  await becomes(world, 'operations have ended', () => world.unfinished());
  await becomes(world, 'volumes can be read after a crash', () => {
    for (const node of world.nodes) readLater(world, node);
    return unread(world);
  });
  for (const node of world.nodes) await fillAll(world, node);
  await becomes(world, 'teleports are Available', () => arriving(world));
  await proveClaims(world);
  await becomes(world, 'operations have ended', () => world.unfinished());
  for (const node of world.nodes) {
    for (const volume of world.volumesOf(node).values()) {
      await world.drive(node, checkStandsAlone(world, node, volume));
    }
  }
  await becomes(world, 'sources are released', () => leftLeases(world));
}

/** Also clones of what was cancelled. */
async function fillAll(world: TeleportWorld, node: Node): Promise<void> {
  const { manager, pool } = node.running!;
  for (const volume of pool.volumes()) {
    if (volume.status().origin?.thin !== true) continue;
    await world.drive(node, manager.fill(volume.name, undefined));
  }
}

function unread(world: TeleportWorld): string[] {
  return world.nodes.flatMap((node) =>
    [...world.volumesOf(node).values()]
      .filter((volume) => volume.unread !== undefined)
      .map(({ name }) => `${node.name}/${name}`),
  );
}

function arriving(world: TeleportWorld): string[] {
  return world.nodes.flatMap((node) => {
    const records = node.records.filter(({ phase }) => !over.has(phase));
    const volumes = node
      .running!.pool.volumes()
      .filter((volume) => volume.status().origin !== undefined);
    return [
      ...records.map(({ name, phase, reason }) => `${node.name}: ${name} is ${phase} ${reason}`),
      ...volumes.map(({ name }) => `${node.name}: ${name} has an origin`),
    ];
  });
}

const over = new Set(['Available', 'Canceled', 'Failed']);

/** Leases that somebody knows of and does not need any more. */
function leftLeases(world: TeleportWorld): string[] {
  const ended = new Set(
    world.nodes.flatMap((node) =>
      node.records.filter(({ phase }) => over.has(phase)).map(({ leaseId }) => leaseId),
    ),
  );
  return world.nodes.flatMap((node) =>
    node
      .running!.pool.leases()
      .filter(({ leaseId }) => ended.has(leaseId))
      .map(({ holder }) => `${node.name}: lease of ${holder}`),
  );
}

/** Waits until nothing is left of what must go away, and proves what is claimed meanwhile. */
function becomes(world: TeleportWorld, what: string, left: () => string[]): Promise<void> {
  return world.becomes(what, left, () => proveClaims(world));
}
