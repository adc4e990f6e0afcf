// What people ask of a run, and what outlives the process that drives it.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { fail } from '../base/errors.ts';
import { checkItinerary } from './invariants.ts';
import { itineraries } from './itineraries.ts';
import type { Condition, Journey } from './itinerary.ts';
import { type Orders, type Outcome, Runner } from './runner.ts';
import { beginState, isOver, type ItineraryState, retryState } from './state.ts';
import type { Step } from './step.ts';
import { type Choices, modelJourney, type TypeOfRun } from './testing-steps.ts';
import { World } from './testing.ts';

const slicesMax = 250;
const everything: readonly Condition[] = ['images', 'objects', 'hooks', 'verify', 'quiesce'];

interface Model {
  readonly world: World;
  readonly journey: Journey<Choices>;
}

function modelOf(type: TypeOfRun, change: Partial<Record<string, Partial<Step<Choices>>>> = {}) {
  const world = new World();
  const step = (one: Step<Choices>) => ({ ...one, ...change[one.name] });
  const journey = modelJourney(world, type, { step });
  world.saved = beginState(journey.main.itinerary);
  return { world, journey };
}

/** Slices until it neither goes on nor waits. */
async function drive(
  { world, journey }: Model,
  orders: Orders = {},
  conditions: readonly Condition[] = everything,
): Promise<Outcome> {
  const choices: Choices = { conditions: new Set(conditions), ranAt: 'source' };
  const runner = new Runner(journey, world);
  for (let slice = 0; slice < slicesMax; slice += 1) {
    const { outcome } = await runner.advance(world.saved, choices, orders);
    if (outcome.kind !== 'again' && outcome.kind !== 'waiting') return outcome;
    world.pass(outcome.afterMs);
  }
  return assert.fail(`it does not end: ${JSON.stringify(world.saved)}`);
}

function at(state: ItineraryState, name: string): string | undefined {
  return state.find((entry) => entry.name === name)?.state;
}

test('a step whose time is over says what was in its way', async () => {
  const ensure = () => fail('InUse', 'pod shop/web-1 still runs');
  const observe = async () => ({ kind: 'notStarted' as const });
  const outcome = await drive(modelOf('Cutover', { makeObjects: { ensure, observe } }), {
    onFailure: 'Pause',
  });
  assert.equal(outcome.kind, 'failed');
  assert.match(JSON.stringify(outcome), /TimedOut.*pod shop\/web-1 still runs/);
});

suite('orders', () => {
  test('a paused run begins no step, and goes on where it was', async () => {
    const model = modelOf('Cutover');
    const held = await drive(model, { paused: true });
    assert.deepEqual(held, { kind: 'held', step: 'checkPlan', by: 'paused' });
    assert.ok(model.world.saved.every(({ state }) => state === 'Pending'));
    assert.deepEqual(model.world.callNames, []);
    assert.equal((await drive(model)).kind, 'succeeded');
  });

  test('a step that runs may end while it is paused; the next does not begin', async () => {
    const model = modelOf('Cutover');
    const choices: Choices = { conditions: new Set(everything), ranAt: 'source' };
    const runner = new Runner(model.journey, model.world);
    while (at(model.world.saved, 'copyAhead') !== 'Running') {
      const { outcome } = await runner.advance(model.world.saved, choices, {});
      if (outcome.kind === 'again') model.world.pass(outcome.afterMs);
    }
    const held = await drive(model, { paused: true });
    assert.deepEqual(held, { kind: 'held', step: 'pauseManagers', by: 'paused' });
    assert.equal(at(model.world.saved, 'copyAhead'), 'Succeeded');
    assert.ok(!model.world.paused.has('source'));
  });

  test('what is paused can be canceled', async () => {
    const model = modelOf('Cutover');
    await drive(model, { holdBefore: 'copyLast' });
    assert.equal((await drive(model, { paused: true, canceled: true })).kind, 'undone');
    assert.deepEqual(model.world.violations, []);
    assert.equal(model.world.sides.source.pods, 3);
  });

  for (const name of ['stopSource', 'startDestination', 'cleanUp']) {
    test(`it holds before ${name}, and goes on from there`, async () => {
      const model = modelOf('Cutover');
      const held = await drive(model, { holdBefore: name });
      assert.deepEqual(held, { kind: 'held', step: name, by: 'holdBefore' });
      const before = model.world.saved.slice(
        0,
        model.world.saved.findIndex((entry) => entry.name === name),
      );
      assert.ok(before.every(isOver));
      assert.equal(at(model.world.saved, name), 'Pending');
      assert.equal((await drive(model)).kind, 'succeeded');
      assert.deepEqual(model.world.violations, []);
    });
  }

  test('a source that is not to be stopped is not touched', async () => {
    const model = modelOf('Cutover');
    const conditions = everything.filter((one) => one !== 'quiesce');
    const held = await drive(model, { holdBefore: 'auditVolumes' }, conditions);
    assert.equal(held.kind, 'held');
    for (const name of ['pauseManagers', 'stopSource', 'proveSourceStopped', 'fenceSource']) {
      assert.equal(at(model.world.saved, name), 'Skipped', name);
    }
    assert.equal(model.world.sides.source.pods, 3);
    assert.ok(!model.world.sides.source.isFenced);
    assert.equal((await drive(model, { canceled: true }, conditions)).kind, 'undone');
    assert.equal(model.world.sides.source.pods, 3);
  });
});

suite('what outlives a process', () => {
  const waiting = async () =>
    ({ kind: 'waiting', message: 'a claim is held', remedy: 'Let it go.' }) as const;

  test('the time that a step has waited', async () => {
    const model = modelOf('Cutover', { proveSourceStopped: { observe: waiting } });
    const choices: Choices = { conditions: new Set(everything), ranAt: 'source' };
    let slices = 0;
    // Each slice is of a process of its own, for which only the state counts.
    while (at(model.world.saved, 'proveSourceStopped') !== 'Failed') {
      assert.ok((slices += 1) < slicesMax, 'it waits for ever');
      const runner = new Runner(model.journey, model.world);
      const orders: Orders = { onFailure: 'Pause' };
      const { outcome } = await runner.advance(model.world.saved, choices, orders);
      const isSlow = at(model.world.saved, 'proveSourceStopped') === 'Running';
      model.world.pass(isSlow ? 9_000 : 'afterMs' in outcome ? outcome.afterMs : 0);
    }
    const entry = model.world.saved.find(({ name }) => name === 'proveSourceStopped');
    assert.match(entry?.failure ?? '', /^TimedOut: it waited 6\d s: a claim is held/);
    assert.equal(entry?.blockedTime, undefined);
  });

  test('a retry has its time anew', async () => {
    const model = modelOf('Cutover', { proveSourceStopped: { observe: waiting } });
    assert.equal((await drive(model, { onFailure: 'Pause' })).kind, 'failed');
    model.world.saved = retryState(model.world.saved);
    const entry = model.world.saved.find(({ name }) => name === 'proveSourceStopped');
    assert.equal(entry?.failure, undefined);
    const runner = new Runner(model.journey, model.world);
    const choices: Choices = { conditions: new Set(everything), ranAt: 'source' };
    const { outcome } = await runner.advance(model.world.saved, choices, { onFailure: 'Pause' });
    assert.equal(outcome.kind, 'waiting');
  });

  test('why a step failed, also when all was taken back', async () => {
    const model = modelOf('Cutover', {
      auditVolumes: {
        observe: async () => ({ kind: 'failed', reason: 'InUse', message: 'a pod writes' }),
      },
    });
    assert.equal((await drive(model)).kind, 'undone');
    const entry = model.world.saved.find(({ name }) => name === 'auditVolumes');
    assert.equal(entry?.state, 'Undone');
    assert.equal(entry?.failure, 'InUse: a pod writes');
  });
});

suite('a rehearsal', () => {
  test('is taken back when it is canceled after its end', async () => {
    const model = modelOf('Rehearsal', {
      // The model knows one destination only, which must not run beside the source.
      startDestination: { observe: async () => ({ kind: 'done' }) },
      proveDestinationHealthy: { observe: async () => ({ kind: 'done' }) },
    });
    const before = model.world.standing();
    assert.equal((await drive(model)).kind, 'succeeded');
    assert.notEqual(model.world.standing(), before);
    assert.equal((await drive(model, { canceled: true })).kind, 'undone');
    assert.equal(model.world.standing(), before);
    assert.deepEqual(model.world.violations, []);
  });

  test('must not touch the source, and must be removable', () => {
    const { Rehearsal, Cutover } = itineraries;
    const stops = Cutover.steps.filter(({ name }) => name === 'stopSource');
    const wrong = { ...Rehearsal, steps: [...stops, ...Rehearsal.steps] };
    assert.match(checkItinerary(wrong).join(), /stopSource touches more than the sandbox/);
    const { isTemporary: _is, ...stays } = Rehearsal;
    assert.match(checkItinerary(stays).join(), /stays when it is canceled/);
    const steps = Rehearsal.steps.filter(({ name }) => name !== 'makeObjects');
    assert.match(checkItinerary({ ...Rehearsal, steps }).join(), /nothing takes the sandbox away/);
  });
});
