// Controllers die after each of their effects, both clusters' at once, and others take their place;
// or the answer to that effect is lost. What is there in the end must be what is there when nothing
// goes wrong, and nothing else.
import type { SchemaLibrary } from '../../src/embedded/schema/api.ts';
import { leftIn } from './left.ts';
import { Fuse, type Mishap } from './process.ts';
import type { Scenario } from './scenarios.ts';
import { names, type Saved, World } from './world.ts';

export interface Beginning {
  readonly library: SchemaLibrary;
  readonly saved: Saved;
  /** Of so many effects one is disturbed, where to disturb each takes minutes; each when absent. */
  readonly every?: number;
  /** Of each run: what others do at every step, who do not die. */
  readonly others?: () => (world: World) => Promise<void>;
}

const fetchBytes = 2 * 1024 * 1024;
/** A controller that takes over has to be started, and to win a lease. */
const takeOverMs = 2_000;
/** What goes by itself once it is over: statuses that were held back, objects that are let go. */
const settleMs = 18_000;
const stepMs = 1_000;
const effectsMax = 200;

interface Run {
  readonly left: string;
  readonly effects: number;
  readonly log: readonly string[];
}

interface Trouble {
  readonly mishap: Mishap;
  readonly afterEffects: number;
}

const none: Trouble = { mishap: 'death', afterEffects: Number.POSITIVE_INFINITY };

/** From the same beginning, with one mishap. */
async function run(
  { library, saved, others }: Beginning,
  scenario: Scenario,
  trouble = none,
): Promise<Run> {
  const { mishap, afterEffects } = trouble;
  const world = new World(library, saved);
  world.stepMs = stepMs;
  const fuse = new Fuse(afterEffects, mishap);
  const processes = names.map((name) => world.start(name, fuse));
  let diedMs: number | undefined;
  fuse.onDeath = () => {
    for (const process of processes) process.kill();
    diedMs = world.clock.monotonicMs();
  };
  const steps = [...scenario.steps];
  const act = others?.();
  world.onStep = async () => {
    if (diedMs !== undefined && world.clock.monotonicMs() >= diedMs + takeOverMs) {
      diedMs = undefined;
      world.startAll();
    }
    await act?.(world);
    if (steps[0] !== undefined && (await steps[0].when(world))) await steps.shift()!.act(world);
    // What people do in the middle must be in the middle, however long a crash takes.
    if (steps.length === 0) world.fetchBytes = fetchBytes;
  };
  await world.until(`${scenario.name}, ${mishap} after ${afterEffects}`, async () => {
    return steps.length === 0 && diedMs === undefined && (await scenario.isOver(world));
  });
  await world.run(settleMs);
  const left = await leftIn(world);
  await world.stop();
  return { left, effects: fuse.effects, log: fuse.log };
}

/** The first thing that went wrong, in all the ways that one scenario can be disturbed. */
export async function firstDifference(
  beginning: Beginning,
  scenario: Scenario,
): Promise<string | undefined> {
  const whole = await run(beginning, scenario);
  if (whole.effects === 0 || whole.effects > effectsMax) return `it has ${whole.effects} effects`;
  const { every = 1 } = beginning;
  for (const [before, effect] of whole.log.entries()) {
    if (before % every !== 0) continue;
    for (const mishap of mishapsOf(effect)) {
      const { left, log } = await run(beginning, scenario, { mishap, afterEffects: before + 1 });
      if (left === whole.left) continue;
      const where = `${mishap} at effect ${before + 1}, ${log[before]}`;
      return `${where}\n${left}\ninstead of\n${whole.left}`;
    }
  }
  return undefined;
}

/** Changes of one object may be repeated at will: only what makes or ends something may be lost. */
function mishapsOf(effect: string): readonly Mishap[] {
  return effect.startsWith('PATCH') ? ['death'] : ['death', 'lost answer'];
}
