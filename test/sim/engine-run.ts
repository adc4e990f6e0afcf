/** One schedule of the engine, from its seed to its verdict. */
import { openPool } from '../../src/volume/pool.ts';
import { checkAllFrozen, checkEmptyCollects, checkReopened } from './engine-check.ts';
import { ioOperations } from './engine-io.ts';
import { createProfile, hasFaults, type Profile } from './engine-profile.ts';
import { collect, create, lookAtLease, shapeOperations } from './engine-shape.ts';
import { type Engine, type OpenEngine, World } from './engine-world.ts';
import { Gone } from './mortal.ts';
import { createRng } from './rng.ts';

const MiB = 1024 * 1024;

export interface RunOptions {
  readonly seed: number;
  /** Changes ports or the pool: a mutant that the checks must catch. */
  readonly mutate?: ((engine: Engine) => Engine) | undefined;
  readonly open?: OpenEngine | undefined;
  readonly profile?: Partial<Profile> | undefined;
  readonly onEvent?: ((label: string, nowMs: number) => void) | undefined;
}

export interface RunResult {
  readonly seed: number;
  readonly traceHash: string;
  readonly events: number;
  readonly lives: number;
  readonly violation: Error | undefined;
  readonly messages: readonly string[];
}

export const openEngine: OpenEngine = (engine) => {
  const { disk, clock, random, log, packer, profile } = engine;
  return openPool({
    disk,
    clock,
    random,
    log,
    packer,
    cacheBytes: MiB,
    reserveBytes: MiB,
    journalBytesMax: 4 * profile.journalFileBytes,
    journalFileBytes: profile.journalFileBytes,
    segmentBytesMax: profile.segmentBytesMax,
  });
};

export async function runSchedule(options: RunOptions): Promise<RunResult> {
  const { seed, onEvent, mutate = (engine: Engine) => engine, open = openEngine } = options;
  const profile = { ...createProfile(createRng(seed).fork('profile')), ...options.profile };
  const world = new World({ seed, profile, onEvent, open: (engine) => open(mutate(engine)) });
  let violation: Error | undefined;
  try {
    await live(world);
  } catch (error) {
    violation = error instanceof Error ? error : new Error(String(error));
  }
  const { traceHash, events } = world.scheduler;
  const { life, messages } = world;
  return { seed, traceHash, events, lives: life, violation, messages };
}

async function live(world: World): Promise<void> {
  await reopen(world, true);
  for (let step = 0; step < world.profile.steps; step += 1) {
    try {
      await takeStep(world);
    } catch (error) {
      if (!(error instanceof Gone)) throw error;
    }
    if (world.violation !== undefined) throw world.violation;
    // A crash inside a disk call ended the process; power was lost with it.
    if (world.pool === undefined) await reopen(world, true);
    else if (world.hurt) await restartHurt(world);
  }
  await finish(world);
}

const stepWeights = {
  io: 30,
  shape: 6,
  create: 2,
  collect: 1,
  lease: 1,
  turns: 20,
  idle: 3,
  drain: 2,
  close: 0.5,
} as const;

async function takeStep(world: World): Promise<void> {
  const { rng, profile } = world;
  const soon = world.crashSoon;
  world.crashSoon = false;
  if (soon || rng.chance(profile.powerLoss)) return crash(world, true);
  if (rng.chance(profile.kill)) return crash(world, false);
  if (rng.chance(profile.rot)) world.simDisk.rot('segments/');
  const kind = rng.weighted(stepWeights);
  const full = world.running.size >= profile.concurrency;
  if (kind === 'turns' || full) return world.scheduler.turns(rng.between(1, 40));
  if (kind === 'idle') return world.idle(rng.pick([10, 300, 3000, 40_000]));
  if (kind === 'drain') return drain(world);
  if (kind === 'close') return closeAndReopen(world);
  if (kind === 'create' || world.volumes.size === 0) return startCreate(world);
  if (kind === 'collect') return world.spawn('collect', () => collect(world));
  if (kind === 'lease') return world.spawn('look at lease', () => lookAtLease(world));
  startOnVolume(world, kind);
}

function startCreate(world: World): void {
  if (world.volumes.size >= world.profile.volumesMax) return;
  world.spawn('create', () => create(world));
}

function startOnVolume(world: World, kind: 'io' | 'shape'): void {
  const { rng } = world;
  const usable = world.usable();
  if (usable.length === 0) return;
  const volume = rng.pick(usable);
  const io = rng.weighted({ write: 7, read: 4, zero: 2, flush: 2, burst: 2, commit: 3 });
  const shape = rng.pick(Object.keys(shapeOperations) as (keyof typeof shapeOperations)[]);
  const name = kind === 'io' ? io : shape;
  const operation = kind === 'io' ? ioOperations[io] : shapeOperations[shape];
  world.spawn(`${name} ${volume.model.name}`, () => operation(world, volume));
}

/** On a day with rot a volume may be unable to settle, and then writers wait without an end. */
async function drain(world: World): Promise<void> {
  const all = Promise.all(world.running).then(() => undefined);
  if (world.profile.rot === 0) return world.untilCrash(all);
  const patience = new Promise<void>((done) => {
    world.scheduler.at(15 * 60_000, 'out of patience', done);
  });
  await world.untilCrash(Promise.race([all, patience]));
}

async function crash(world: World, powerLost: boolean): Promise<void> {
  if (powerLost) world.powerOff();
  else world.kill();
  await reopen(world, powerLost);
}

/** Opens, perhaps after some attempts that crash on the way, and checks what is there. */
async function reopen(world: World, powerLost: boolean): Promise<void> {
  const { rng, profile, simDisk } = world;
  let lost = powerLost;
  const usual = simDisk.options;
  // What a disk does to an opening pool is not the matter here: faults are for lives.
  simDisk.options = { capacityBytes: profile.capacityBytes, ...liesOf(usual) };
  for (let crashes = 0; ; crashes += 1) {
    const early = crashes < 4 && rng.chance(profile.crashInOpen);
    const inCall = rng.chance(profile.crashInCall);
    const after = early ? rng.between(1, 60) : inCall ? rng.between(60, 60 + profile.callsMax) : 0;
    try {
      await world.start(after === 0 ? undefined : after);
      await checkReopened(world, lost);
      break;
    } catch (error) {
      if (!(error instanceof Gone)) throw error;
      lost = true;
    }
  }
  simDisk.options = usual;
}

function liesOf({ lyingSync, lyingDirectories }: World['simDisk']['options']) {
  return {
    ...(lyingSync === undefined ? {} : { lyingSync }),
    ...(lyingDirectories === undefined ? {} : { lyingDirectories }),
  };
}

/** After a failed disk the pool is closed, or its process killed, and opened again. */
async function restartHurt(world: World): Promise<void> {
  try {
    if (world.rng.chance(0.5)) await world.untilCrash(world.pool!.close());
  } catch (error) {
    if (error instanceof Gone) {
      await reopen(world, true);
      return;
    }
    if (!world.excuses(error)) throw error;
  }
  await crash(world, world.rng.chance(0.5));
}

/** A clean close makes durable all that was acknowledged. */
async function closeAndReopen(world: World): Promise<void> {
  await drain(world);
  const marks = [...world.volumes.values()].map(({ model }) => ({ model, mark: model.mark() }));
  try {
    await world.untilCrash(world.pool!.close());
    if (!world.hurt && !hasFaults(world.profile)) {
      for (const { model, mark } of marks) model.flushed(mark);
    }
  } catch (error) {
    if (!world.excuses(error)) throw error;
  }
  if (world.pool !== undefined) await crash(world, world.rng.chance(0.7));
}

/** The last crash, then a look at everything, then nothing may be left of nothing. */
async function finish(world: World): Promise<void> {
  for (;;) {
    try {
      await drain(world);
      if (world.violation !== undefined) throw world.violation;
      await crash(world, true);
      world.simDisk.options = { capacityBytes: 1024 * MiB, ...liesOf(world.simDisk.options) };
      await checkAllFrozen(world);
      await world.untilCrash(world.pool!.collect());
      await checkAllFrozen(world);
      await checkEmptyCollects(world);
      return;
    } catch (error) {
      // With a damaged page nothing is collected, because nobody knows what it kept.
      if (world.excuses(error)) return;
      if (!(error instanceof Gone)) throw error;
      if (world.pool === undefined) await reopen(world, true);
    }
  }
}
