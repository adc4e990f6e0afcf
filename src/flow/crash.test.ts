// Every itinerary against the model: killed everywhere, failing everywhere, canceled everywhere.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { Reason } from '../base/reasons.ts';
import { checkItinerary } from './invariants.ts';
import type { Condition, StepData } from './itinerary.ts';
import { type Orders, type Outcome, Runner } from './runner.ts';
import { beginState, retryState } from './state.ts';
import type { Step } from './step.ts';
import { type Choices, type Mistake, modelJourney, type TypeOfRun } from './testing-steps.ts';
import { type Fault, type Kill, wanted, World } from './testing.ts';

const types: readonly TypeOfRun[] = ['Stage', 'Cutover', 'Rollback'];
const optional: readonly Condition[] = [
  'images',
  'objects',
  'hooks',
  'conversion',
  'keepData',
  'verify',
];
const slicesMax = 250;

interface Trouble {
  readonly kills?: readonly Kill[];
  readonly fault?: Fault;
  /** The slice from which on it is canceled. */
  readonly cancelAt?: number;
  readonly onFailure?: 'Pause' | 'RollBack';
  readonly mistake?: Mistake;
  readonly conditions?: readonly Condition[];
}

interface Run {
  readonly world: World;
  readonly calls: readonly string[];
  readonly slices: number;
  readonly wrong: readonly string[];
}

type End = Outcome | { kind: 'endless'; message: string };

/** Slices until it ends; like a controller, but every kill makes a new one. */
async function drive(world: World, type: TypeOfRun, trouble: Trouble): Promise<[End, number]> {
  const choices = choicesOf(type, trouble);
  const kills = trouble.kills?.map(({ at, when }) => ({ at: at + world.callNames.length, when }));
  let runner: Runner<Choices> | undefined;
  let last = '';
  for (let slice = 0; slice < slicesMax; slice += 1) {
    world.kill = kills?.find(({ at }) => at >= world.callNames.length);
    runner ??= new Runner(modelJourney(world, type, trouble.mistake), world);
    const orders: Orders = {
      canceled: slice >= (trouble.cancelAt ?? Number.POSITIVE_INFINITY),
      onFailure: trouble.onFailure ?? 'RollBack',
    };
    const work = runner.advance(world.saved, choices, orders).catch((error: unknown) => {
      return { outcome: { kind: 'again', afterMs: 1000, step: String(error) } as Outcome };
    });
    const result = await Promise.race([work, world.killed]);
    if (result === 'killed') {
      world.revive();
      runner = undefined;
      world.pass(1000);
      continue;
    }
    const { outcome } = result;
    if (outcome.kind !== 'again' && outcome.kind !== 'waiting') return [outcome, slice];
    last = outcome.kind === 'waiting' ? outcome.message : outcome.step;
    world.pass(outcome.afterMs);
  }
  return [{ kind: 'endless', message: last }, slicesMax];
}

function choicesOf(type: TypeOfRun, { conditions = optional }: Trouble): Choices {
  const ranAt = type === 'Rollback' ? 'destination' : 'source';
  return { conditions: new Set<Condition>([...conditions, 'quiesce']), ranAt };
}

/** A run with its troubles, then the same with all troubles over; what is wrong with it. */
async function runWith(type: TypeOfRun, trouble: Trouble = {}): Promise<Run> {
  const world = new World();
  if (type === 'Rollback') {
    world.saved = beginState(modelJourney(world, 'Cutover').main.itinerary);
    const [end] = await drive(world, 'Cutover', {});
    assert.equal(end.kind, 'succeeded');
  }
  world.keepsData = (trouble.conditions ?? optional).includes('keepData');
  const before = world.standing();
  world.callNames.length = 0;
  world.saved = beginState(modelJourney(world, type, trouble.mistake).main.itinerary);
  world.fault = trouble.fault;
  const [first, slices] = await drive(world, type, trouble);
  const calls = [...world.callNames];
  world.fault = undefined;
  let end = first;
  let ran = type;
  if (end.kind === 'needsRollback') {
    if (end.message === '') world.violations.push('waits without a reason');
    ran = 'Rollback';
    world.saved = beginState(modelJourney(world, ran).main.itinerary);
    [end] = await drive(world, ran, { conditions: trouble.conditions ?? optional });
  } else if (end.kind === 'failed' || end.kind === 'endless') {
    if (end.message === '') world.violations.push('waits without a reason');
    const canceled = trouble.cancelAt === undefined ? {} : { cancelAt: 0 };
    world.saved = retryState(world.saved);
    const again = { ...trouble, kills: [], ...canceled };
    [end] = await drive(world, type, again);
    if (end.kind === 'needsRollback') {
      ran = 'Rollback';
      world.saved = beginState(modelJourney(world, ran).main.itinerary);
      [end] = await drive(world, ran, { conditions: trouble.conditions ?? optional });
    }
  }
  return { world, calls, slices, wrong: [...world.violations, ...judge(world, end, ran, before)] };
}

function judge(world: World, end: End, ran: TypeOfRun, before: string): string[] {
  const { source, destination } = world.sides;
  if (end.kind === 'undone') {
    const now = world.standing();
    return now === before ? [] : [`undone, but ${now} is not ${before}`];
  }
  if (end.kind !== 'succeeded') return [`ends ${JSON.stringify(end)}`];
  const [runs, rests] = ran === 'Cutover' ? [destination, source] : [source, destination];
  if (runs.pods !== wanted || rests.pods !== 0) return [`${ran} ends with the wrong side running`];
  return [];
}

/** The first trouble of all that something is wrong with. */
async function findWrong(type: TypeOfRun, troubles: Iterable<Trouble>): Promise<string[]> {
  for (const trouble of troubles) {
    const { wrong } = await runWith(type, trouble);
    if (wrong.length > 0) return [JSON.stringify(trouble), ...wrong.slice(0, 3)];
  }
  return [];
}

async function killsEverywhere(type: TypeOfRun, mistake: Mistake = {}): Promise<Trouble[]> {
  const { calls } = await runWith(type, { mistake });
  return calls.flatMap((_, at) => [
    { mistake, kills: [{ at, when: 'before' }] },
    { mistake, kills: [{ at, when: 'after' }] },
  ]);
}

async function cancelsEverywhere(type: TypeOfRun, mistake: Mistake = {}): Promise<Trouble[]> {
  const { slices } = await runWith(type, { mistake });
  return Array.from({ length: slices }, (_, cancelAt) => ({ cancelAt, mistake }));
}

async function faultsEverywhere(type: TypeOfRun): Promise<Trouble[]> {
  const clean = await runWith(type);
  const canceled = await runWith(type, { cancelAt: clean.slices - 12 });
  const names = new Set([...clean.calls, ...canceled.calls]);
  const reasons: readonly Reason[] = ['ApiUnreachable', 'Forbidden'];
  return [...names].flatMap((call) =>
    reasons.flatMap((reason) =>
      (['once', 'forever'] as const).flatMap((lasts) =>
        (['before', 'after'] as const).flatMap((when) =>
          (['Pause', 'RollBack'] as const).map((onFailure) =>
            onFailure === 'Pause'
              ? { fault: { call, lasts, when, reason }, onFailure, cancelAt: clean.slices - 12 }
              : { fault: { call, lasts, when, reason }, onFailure },
          ),
        ),
      ),
    ),
  );
}

/** Park and Miller; enough to pick troubles. */
function picker(seed: number): (below: number) => number {
  let state = (seed % 2147483646) + 1;
  return (below) => {
    state = (state * 48271) % 2147483647;
    return state % below;
  };
}

function* manyTroubles(seed: number, count: number, calls: readonly string[]) {
  const pick = picker(seed);
  for (let index = 0; index < count; index += 1) {
    const kills = Array.from({ length: pick(6) }, (): Kill => {
      return { at: pick(calls.length * 2), when: pick(2) === 0 ? 'before' : 'after' };
    });
    const trouble: Trouble = {
      kills: kills.toSorted((a, b) => a.at - b.at),
      onFailure: pick(2) === 0 ? 'Pause' : 'RollBack',
      conditions: optional.filter(() => pick(3) > 0),
      ...(pick(3) === 0 ? { cancelAt: pick(calls.length) } : {}),
      ...(pick(2) === 0
        ? {
            fault: {
              call: calls[pick(calls.length)] ?? 'save',
              lasts: pick(2) === 0 ? 'once' : 'forever',
              when: pick(2) === 0 ? 'before' : 'after',
              reason: pick(2) === 0 ? 'ApiUnreachable' : 'Forbidden',
            } satisfies Fault,
          }
        : {}),
    };
    yield trouble;
  }
}

for (const type of types) {
  suite(`${type} against the model`, () => {
    test('ends well', async () => {
      assert.deepEqual(await findWrong(type, [{}]), []);
    });

    test('is killed at every call', async () => {
      assert.deepEqual(await findWrong(type, await killsEverywhere(type)), []);
    });

    test('is canceled at every slice', async () => {
      assert.deepEqual(await findWrong(type, await cancelsEverywhere(type)), []);
    });

    test('every call fails, once and for ever', async () => {
      assert.deepEqual(await findWrong(type, await faultsEverywhere(type)), []);
    });

    test('many troubles together', async () => {
      const { calls } = await runWith(type);
      assert.deepEqual(await findWrong(type, manyTroubles(7, 60, calls)), []);
    });
  });
}

suite('planted mistakes are found', () => {
  const itinerary = (change: (steps: readonly StepData[]) => readonly StepData[]): Mistake => ({
    itinerary: (right) => ({ ...right, steps: change(right.steps) }),
  });
  /** The step is put right before another. */
  const moved = (name: string, before: string): Mistake =>
    itinerary((steps) => {
      const one = steps.filter((step) => step.name === name);
      return steps.flatMap((step) => {
        if (step.name === name) return [];
        return step.name === before ? [...one, step] : [step];
      });
    });
  const orders: Readonly<Record<string, readonly [TypeOfRun, Mistake]>> = {
    // With its audit the model would end undone: a second net under the first.
    'the last copy before the stop, unaudited': [
      'Cutover',
      itinerary((steps) => {
        const copy = steps.filter(({ name }) => name === 'copyLast');
        const rest = steps.filter(({ name }) => name !== 'copyLast' && name !== 'auditVolumes');
        const at = rest.findIndex(({ name }) => name === 'pauseManagers');
        return rest.toSpliced(at, 0, ...copy);
      }),
    ],
    'no proof that writers are gone': [
      'Cutover',
      itinerary((steps) => steps.filter(({ name }) => name !== 'proveSourceStopped')),
    ],
    'started before the source stops': ['Cutover', moved('startDestination', 'stopSource')],
    'the source started first': ['Rollback', moved('startSource', 'stopDestination')],
    'the source started before the data is back': ['Rollback', moved('startSource', 'copyBack')],
  };
  for (const [name, [type, mistake]] of Object.entries(orders)) {
    test(name, async () => {
      const right = modelJourney(new World(), type).main.itinerary;
      assert.notDeepEqual(checkItinerary(mistake.itinerary?.(right) ?? right), []);
      assert.notDeepEqual(await findWrong(type, [{ mistake }]), []);
    });
  }

  const only = (name: string, change: Partial<Step<Choices>>): Mistake => ({
    step: (step) => (step.name === name ? { ...step, ...change } : step),
  });

  test('an undo that does nothing', async () => {
    const undo = () => Promise.resolve({ kind: 'done' } as const);
    for (const name of ['stopSource', 'fenceSource', 'makeNamespaces']) {
      const troubles = await cancelsEverywhere('Cutover', only(name, { undo }));
      assert.notDeepEqual(await findWrong('Cutover', troubles), [], name);
    }
  });

  test('a step that believes in itself after a crash', async () => {
    const observe = () => Promise.resolve({ kind: 'done' } as const);
    const troubles = [{ mistake: only('proveSourceStopped', { observe }) }];
    assert.notDeepEqual(await findWrong('Cutover', troubles), []);
  });
});
