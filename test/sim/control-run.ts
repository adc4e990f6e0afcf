/** One schedule of clusters with their control planes, from its seed to its verdict. */
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import { cachesLeft, checkEnd, unsettled } from './control-check.ts';
import { faultSteps, keepRunning, makeCalm, type FaultStep } from './control-faults.ts';
import { read, readAfterCrash, write } from './control-io.ts';
import type { ControlMutation } from './control-mutation.ts';
import { setUp } from './control-setup.ts';
import { userSteps } from './control-steps.ts';
import { ControlWorld, type SimCluster } from './control-world.ts';
import type { RunResult } from './engine-run.ts';
import { Mismatch } from './model.ts';

const minuteMs = 60_000;
/** Of virtual time: back-offs, time-outs and retries of what seemed final fit in many times. */
const patienceMs = 20 * minuteMs;
/** Things must stay good for so long; what is held back for a while comes meanwhile. */
const settledMs = 40_000;
const lookEveryMs = 4_000;

export interface ControlRunOptions {
  readonly seed: number;
  readonly mutation?: ControlMutation | undefined;
  readonly onEvent?: ((label: string, nowMs: number) => void) | undefined;
}

export async function runControl(options: ControlRunOptions): Promise<RunResult> {
  const { seed, mutation = {}, onEvent } = options;
  const library = createSchemaLibrary();
  const world = new ControlWorld({ seed, mutation, library, onEvent });
  let violation: Error | undefined;
  try {
    await live(world);
  } catch (error) {
    violation = error instanceof Error ? error : new Error(String(error));
  }
  violation = world.violation ?? violation;
  const { traceHash, events } = world.scheduler;
  const lives = world.clusters.reduce((sum, { api, agent, controllers }) => {
    const own = controllers.reduce((all, { starts }) => all + starts, 0);
    return sum + api.starts + (agent?.starts ?? 0) + own;
  }, 0);
  return { seed, traceHash, events, lives, violation, messages: world.messages };
}

async function live(world: ControlWorld): Promise<void> {
  const { scheduler, rng } = world;
  for (const cluster of world.clusters) {
    cluster.api.start();
    await scheduler.drive(setUp(world, cluster));
    if (cluster.agent !== undefined) await scheduler.drive(cluster.agent.start());
    cluster.runtime.start();
    cluster.observer.start();
    for (const controller of cluster.controllers) controller.start();
  }
  if (rng.chance(0.8)) await scheduler.idle(rng.pick([3_000, 10_000]));
  const count = rng.pick([40, 80, 160]);
  const harshness = harshnessOf(world, rng.pick([0, 0.1, 0.3]));
  for (let step = 0; step < count; step += 1) {
    await takeStep(world, harshness);
    if (world.violation !== undefined) throw world.violation;
  }
  await finish(world);
}

function harshnessOf({ mutation }: ControlWorld, chosen: number): number {
  if (mutation.faults === undefined) return chosen;
  return mutation.faults.length === 0 ? 0 : 0.3;
}

const userWeights: Readonly<Record<keyof typeof userSteps, number>> = {
  claim: 8,
  volume: 5,
  policy: 1,
  teleport: 8,
  teleportVolume: 4,
  wrongTeleport: 1.5,
  cloneClaim: 2,
  deleteClaim: 3,
  deleteVolume: 1.5,
  deleteTeleport: 2,
  deletePolicy: 0.7,
  deleteBound: 0.5,
  growClaim: 1,
  growVolume: 0.7,
  editTeleport: 1.5,
  editPolicy: 0.5,
  setPolicy: 0.7,
  setPool: 0.2,
};

const kindWeights = (harshness: number) => ({
  user: 10,
  write: 8,
  read: 3,
  turns: 6,
  idle: 7,
  fault: 40 * harshness,
});

async function takeStep(world: ControlWorld, harshness: number): Promise<void> {
  const { rng, scheduler } = world;
  const kind = rng.weighted(kindWeights(harshness));
  if (kind === 'turns') return scheduler.turns(rng.between(1, 80));
  if (kind === 'idle') return scheduler.idle(rng.pick([20, 500, 2_000, 5_000, 30_000]));
  const cluster = rng.pick(world.clusters);
  if (kind === 'fault') return fault(world, cluster);
  if (kind === 'user') {
    const step = rng.weighted(userWeights);
    return world.spawn(`user ${cluster.name} ${step}`, async () => {
      await world.asUser(step, async () => userSteps[step](world, cluster));
    });
  }
  readLater(world);
  const work = kind === 'write' ? write : read;
  return world.spawn(`${kind} ${cluster.name}`, () => work(world, cluster));
}

async function fault(world: ControlWorld, cluster: SimCluster): Promise<void> {
  const weights = Object.fromEntries(
    Object.entries(faultSteps)
      .filter(([name]) => world.mutation.faults?.includes(name) ?? true)
      .map(([name, { weight }]) => [name, weight]),
  ) as Record<keyof typeof faultSteps, number>;
  const name = world.rng.weighted(weights);
  world.scheduler.note(`fault ${name} at ${cluster.name}`);
  world.say(`fault ${name} at ${cluster.name}`);
  const step: FaultStep = faultSteps[name].run;
  await step(world, cluster);
}

function readLater(world: ControlWorld): void {
  for (const cluster of world.stores) {
    for (const kept of cluster.agent!.ledger.volumes.values()) {
      if (kept.unread === undefined || kept.isBeingRead) continue;
      if (cluster.agent!.running === undefined) continue;
      world.spawn(`read ${kept.name} again`, () => readAfterCrash(cluster, kept));
    }
  }
}

/** Faults are over: now everything has to become good by itself, and stay so. */
async function finish(world: ControlWorld): Promise<void> {
  const { scheduler } = world;
  await makeCalm(world);
  const deadlineMs = scheduler.nowMs + patienceMs;
  let goodSinceMs: number | undefined;
  for (;;) {
    keepRunning(world);
    readLater(world);
    await scheduler.idle(lookEveryMs);
    if (world.violation !== undefined) throw world.violation;
    const left = [...unsettled(world), ...cachesLeft(world)];
    if (left.length > 0) goodSinceMs = undefined;
    else goodSinceMs ??= scheduler.nowMs;
    if (goodSinceMs !== undefined && scheduler.nowMs - goodSinceMs >= settledMs) break;
    if (scheduler.nowMs > deadlineMs) throw new Mismatch(`not settled: ${left.join('; ')}`);
  }
  await scheduler.drive(checkEnd(world));
}
