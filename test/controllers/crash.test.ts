// Controllers die after each of their effects, both clusters' at once, and others take their place:
// what is there in the end must be what is there without a crash, and nothing else.
import assert from 'node:assert/strict';
import { before, suite, test } from 'node:test';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import { leftIn } from './left.ts';
import { Fuse } from './process.ts';
import { type Scenario, scenarios, withData } from './scenarios.ts';
import { names, type Saved, World } from './world.ts';

const library = createSchemaLibrary();
const fetchBytes = 2 * 1024 * 1024;
/** A controller that takes over has to be started, and to win a lease. */
const takeOverMs = 2_000;
/** What goes by itself once it is over: statuses that were held back, objects that are let go. */
const settleMs = 20_000;
const effectsMax = 200;

interface Run {
  readonly left: string;
  readonly effects: number;
  readonly log: readonly string[];
}

/** From the same beginning, with a crash after so many effects. */
async function run(scenario: Scenario, saved: Saved, crashAfter: number): Promise<Run> {
  const world = new World(library, saved);
  const fuse = new Fuse(crashAfter);
  const processes = names.map((name) => world.start(name, fuse));
  let diedMs: number | undefined;
  fuse.onBlow = () => {
    for (const process of processes) process.kill();
    diedMs = world.clock.monotonicMs();
  };
  const steps = [...scenario.steps];
  world.onStep = async () => {
    if (diedMs !== undefined && world.clock.monotonicMs() >= diedMs + takeOverMs) {
      diedMs = undefined;
      world.startAll();
    }
    if (steps[0] !== undefined && (await steps[0].when(world))) await steps.shift()!.act(world);
    // What people do in the middle must be in the middle, however long a crash takes.
    if (steps.length === 0) world.fetchBytes = fetchBytes;
  };
  await world.until(`${scenario.name}, crash after ${crashAfter}`, async () => {
    return steps.length === 0 && diedMs === undefined && (await scenario.isOver(world));
  });
  await world.run(settleMs);
  const left = await leftIn(world);
  await world.stop();
  return { left, effects: fuse.effects, log: fuse.log };
}

suite('controllers that die', () => {
  let saved: Saved;

  before(async () => {
    const world = new World(library);
    await world.prepare();
    world.startAll();
    await withData(world);
    await world.stop();
    saved = world.save();
  });

  for (const scenario of scenarios) {
    test(scenario.name, async () => {
      const whole = await run(scenario, saved, Number.POSITIVE_INFINITY);
      assert.ok(whole.effects > 0 && whole.effects < effectsMax, `${whole.effects} effects`);
      for (let crash = 1; crash <= whole.effects; crash++) {
        const { left, log } = await run(scenario, saved, crash);
        assert.equal(left, whole.left, `crash after effect ${crash}, ${log[crash - 1]}`);
      }
    });
  }
});
