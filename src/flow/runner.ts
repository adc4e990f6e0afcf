/** Drives a run, one bounded slice after the other, from nothing but its persisted state. */
import { asTransshipError, AssertionFailure, fail, TransshipError } from '../base/errors.ts';
import type { Clock, Log } from '../base/ports.ts';
import { isReason, type Reason } from '../base/reasons.ts';
import { Backoff } from './backoff.ts';
import type { Itinerary, Journey, Route } from './itinerary.ts';
import {
  changeStep,
  isBegun,
  isOver,
  isUndoing,
  type ItineraryState,
  type StepChange,
  type StepState,
} from './state.ts';
import type { Blocked, Broken, Going, Step } from './step.ts';

/** Between two looks at work that goes on, or at something that has to move first. */
const pollMs = 2000;

export interface FlowPorts {
  readonly clock: Clock;
  readonly log: Log;
  /** Makes the state durable, or throws: then nothing was begun, and the slice is repeated. */
  save(state: ItineraryState): Promise<void>;
}

/** What people ask of a run; may differ from slice to slice. */
export interface Orders {
  /** Take back what was begun. Cannot be taken back itself. */
  readonly canceled?: boolean;
  /** No further step begins; the one that runs may end. Taking back is never paused. */
  readonly paused?: boolean;
  /** As paused, before this step. */
  readonly holdBefore?: string;
  /** What a failed step leads to; `RollBack` when absent, so that no application stays down. */
  readonly onFailure?: 'Pause' | 'RollBack';
}

export type Outcome =
  /** Call again after `afterMs`, or sooner when something changed. */
  | { kind: 'again'; afterMs: number; step: string; percent?: number }
  /** The same, but somebody else has to move; `message` and `remedy` are for status. */
  | { kind: 'waiting'; afterMs: number; step: string; message: string; remedy: string }
  /** Until the orders change. */
  | { kind: 'held'; step: string; by: 'paused' | 'holdBefore' }
  | { kind: 'succeeded' }
  /** Until a person says retry (`retryState`), cancels, or asks for the way back. */
  | { kind: 'failed'; step: string; reason: Reason; message: string }
  /** Only a Rollback leads back from here; `step` is the point of no return that was passed. */
  | { kind: 'needsRollback'; step: string; message: string }
  /** Taken back, and cleaned up after. */
  | { kind: 'undone' };

export interface Advance {
  readonly state: ItineraryState;
  readonly outcome: Readonly<Outcome>;
}

/**
 * One run of an itinerary. Only one `advance` at a time, and only by who holds the lease.
 * A new one may take over at any moment: all that it needs is the state last saved.
 */
export class Runner<C> {
  readonly #journey: Journey<C>;
  readonly #ports: FlowPorts;
  readonly #backoff = new Backoff();

  constructor(journey: Journey<C>, ports: FlowPorts) {
    this.#journey = journey;
    this.#ports = ports;
  }

  /**
   * A slice of work: at most one step is looked at and one effect is begun. Throws only what `save`
   * throws, and `Unsupported` when the state is of another itinerary.
   */
  async advance(state: ItineraryState, context: C, orders: Orders): Promise<Advance> {
    const { main } = this.#journey;
    const ending = this.#endingOf(state);
    if (ending !== undefined) return this.#end(state, ending, context);
    const failed = state.find((entry) => entry.state === 'Failed');
    if (wantsUndo(state, main.itinerary, orders)) {
      const point = passedPoint(state, main.itinerary);
      if (point === undefined) {
        return this.#takeBack(state, context, orders);
      }
      if (main.itinerary.afterPointOfNoReturn === 'Rollback') {
        const because = failed?.message ?? 'it was canceled';
        const message = `step ${point} was begun, so that only a rollback leads back: ${because}`;
        return { state, outcome: { kind: 'needsRollback', step: point, message } };
      }
    }
    if (failed !== undefined) return { state, outcome: failureOf(failed) };
    return this.#forward(state, context, orders);
  }

  /** The ending whose steps were put behind the state, when that was done. */
  #endingOf(state: ItineraryState): Route<C> | undefined {
    const { main, canceled, failed } = this.#journey;
    const isOf = (...routes: readonly Route<C>[]) => {
      const names = routes.flatMap(({ steps }) => steps.map(({ name }) => name));
      return names.length === state.length && state.every(({ name }, at) => name === names[at]);
    };
    if (isOf(main)) return undefined;
    if (isOf(main, canceled)) return canceled;
    if (isOf(main, failed)) return failed;
    return fail('Unsupported', 'this migration was begun by a version with other steps');
  }

  async #forward(state: ItineraryState, context: C, orders: Orders): Promise<Advance> {
    const at = state.findIndex((entry) => !isOver(entry));
    const entry = state[at];
    const step = this.#journey.main.steps[at];
    if (entry === undefined || step === undefined) return { state, outcome: { kind: 'succeeded' } };
    if (entry.state === 'Pending') {
      if (orders.paused === true || orders.holdBefore === entry.name) {
        const by = orders.paused === true ? 'paused' : 'holdBefore';
        return { state, outcome: { kind: 'held', step: entry.name, by } };
      }
    }
    return this.#work(state, entry, { step, context, mayFail: true });
  }

  /** After all was taken back: forward through the ending, which repeats what fails. */
  async #end(state: ItineraryState, { steps }: Route<C>, context: C): Promise<Advance> {
    const begins = state.length - steps.length;
    const at = state.findIndex((entry, index) => index >= begins && !isOver(entry));
    const entry = state[at];
    const step = steps[at - begins];
    if (entry === undefined || step === undefined) return { state, outcome: { kind: 'undone' } };
    return this.#work(state, entry, { step, context, mayFail: false });
  }

  /** Looks at a step, and ensures it when it has not started. */
  async #work(state: ItineraryState, entry: StepState, task: Task<C>): Promise<Advance> {
    const { step, context } = task;
    const { clock } = this.#ports;
    this.#backoff.turnTo(`forward ${step.name}`);
    this.#remember(entry);
    const leftMs = this.#backoff.leftMs(clock.monotonicMs());
    if (leftMs > 0) return this.#later(state, entry, leftMs);
    let now = state;
    try {
      if (entry.state === 'Pending') {
        if (step.isNeeded !== undefined && !(await step.isNeeded(context))) {
          return await this.#change(now, step.name, { state: 'Skipped', message: undefined });
        }
        const startTime = this.#time();
        now = await this.#saved(now, step.name, {
          state: 'Running',
          startTime,
          message: step.description,
        });
      }
      const seen = await step.observe(context);
      if (seen.kind === 'done') return await this.#finish(now, step);
      if (seen.kind === 'running') return await this.#goes(now, step, seen);
      if (seen.kind === 'waiting') return await this.#waits(now, task, seen);
      if (seen.kind === 'failed') return await this.#fails(now, task, seen);
      return await this.#ensure(now, task);
    } catch (error) {
      return this.#failing(now, task, error);
    }
  }

  /** A process that has just begun goes on counting where the last one was. */
  #remember({ blockedTime }: StepState): void {
    const sinceMs = Date.parse(blockedTime ?? '');
    if (Number.isNaN(sinceMs)) return;
    const { clock } = this.#ports;
    this.#backoff.resume(clock.monotonicMs(), clock.wallMs() - sinceMs);
  }

  async #ensure(state: ItineraryState, task: Task<C>): Promise<Advance> {
    const { step, context } = task;
    const { clock } = this.#ports;
    if (this.#backoff.attempts > 0 && task.mayFail) {
      const stuckMs = this.#backoff.stuckMs(clock.monotonicMs());
      if (stuckMs >= step.deadlineMs) {
        // What was in its way is more to a person than how often it was tried.
        const { message } = state.find(({ name }) => name === step.name) ?? {};
        const last = message === step.description ? undefined : message;
        fail('TimedOut', last ?? `it was tried ${this.#backoff.attempts} times and is not there`);
      }
    }
    const isFirst = this.#backoff.attempts === 0;
    await step.ensure(context);
    const nowMs = clock.monotonicMs();
    this.#backoff.stuckMs(nowMs);
    const afterMs = this.#backoff.countAttempt(nowMs);
    if (!isFirst) {
      const next = await this.#blocked(state, step.name, {});
      return { state: next, outcome: { kind: 'again', afterMs, step: step.name } };
    }
    // What it did is usually there at once: look without a pause, but only this once.
    this.#backoff.lookNow();
    return { state, outcome: { kind: 'again', afterMs: 0, step: step.name } };
  }

  async #finish(state: ItineraryState, step: Step<C>): Promise<Advance> {
    this.#backoff.gotOn();
    return this.#change(state, step.name, {
      state: 'Succeeded',
      message: undefined,
      blockedTime: undefined,
      completionTime: this.#time(),
    });
  }

  async #goes(state: ItineraryState, step: Step<C>, seen: Going): Promise<Advance> {
    this.#backoff.gotOn();
    const { progress, message = step.description, percent } = seen;
    const blockedTime = undefined;
    const next = await this.#saved(state, step.name, { message, progress, blockedTime });
    const more = percent === undefined ? {} : { percent };
    return {
      state: next,
      outcome: { kind: 'again', afterMs: pollMs, step: step.name, ...more },
    };
  }

  async #waits(state: ItineraryState, task: Task<C>, seen: Blocked): Promise<Advance> {
    const { step } = task;
    const stuckMs = this.#backoff.stuckMs(this.#ports.clock.monotonicMs());
    if (task.mayFail && stuckMs >= step.deadlineMs) {
      fail(
        'TimedOut',
        `it waited ${Math.round(stuckMs / 1000)} s: ${seen.message}; ${seen.remedy}`,
      );
    }
    const message = `${seen.message}; ${seen.remedy}`;
    const next = await this.#blocked(state, step.name, { message });
    const { message: blocker, remedy } = seen;
    const waiting = { step: step.name, message: blocker, remedy };
    return { state: next, outcome: { kind: 'waiting', afterMs: pollMs, ...waiting } };
  }

  /** Tried again when that can help and there is time, else the step has failed. */
  async #failing(state: ItineraryState, task: Task<C>, thrown: unknown): Promise<Advance> {
    const { step } = task;
    const { clock } = this.#ports;
    if (thrown instanceof AssertionFailure || thrown instanceof SaveFailure) throw thrown;
    const error = asTransshipError(thrown);
    const nowMs = clock.monotonicMs();
    const stuckMs = this.#backoff.stuckMs(nowMs);
    if (!task.mayFail || (error.retryable && stuckMs < step.deadlineMs)) {
      return this.#again(state, step.name, error);
    }
    return this.#failed(state, step.name, error);
  }

  #fails(state: ItineraryState, { step, mayFail }: Task<C>, seen: Broken): Promise<Advance> {
    const error = new TransshipError(seen.reason, seen.message);
    return mayFail ? this.#failed(state, step.name, error) : this.#again(state, step.name, error);
  }

  #failed(state: ItineraryState, step: string, error: TransshipError): Promise<Advance> {
    const { reason, message, remedy } = error;
    this.#ports.log.log('error', 'a step failed', { step, reason });
    return this.#change(state, step, {
      state: 'Failed',
      message: `${reason}: ${message}. ${remedy}`,
      failure: `${reason}: ${message}`,
      blockedTime: undefined,
      completionTime: this.#time(),
    });
  }

  async #again(state: ItineraryState, step: string, error: TransshipError): Promise<Advance> {
    const afterMs = this.#backoff.countAttempt(this.#ports.clock.monotonicMs());
    const message = `${error.message} (attempt ${this.#backoff.attempts})`;
    const { remedy } = error;
    const next = await this.#blocked(state, step, { message: `${message}; ${remedy}` });
    return { state: next, outcome: { kind: 'waiting', afterMs, step, message, remedy } };
  }

  /** One slice of undoing, the last begun first, the one that failed half way included. */
  async #takeBack(state: ItineraryState, context: C, orders: Orders): Promise<Advance> {
    const { main, canceled, failed } = this.#journey;
    const at = state.findLastIndex(isBegun);
    const step = main.steps[at];
    if (step === undefined) {
      const ending = orders.canceled === true ? canceled : failed;
      const appended = [...state, ...pendingOf(ending)];
      await this.#save(appended);
      return { state: appended, outcome: { kind: 'again', afterMs: 0, step: 'undo' } };
    }
    this.#backoff.turnTo(`undo ${step.name}`);
    const leftMs = this.#backoff.leftMs(this.#ports.clock.monotonicMs());
    if (leftMs > 0) return this.#later(state, state[at], leftMs);
    const undone: StepChange = {
      state: 'Undone',
      message: undefined,
      progress: undefined,
      blockedTime: undefined,
      completionTime: this.#time(),
    };
    if (step.undo === undefined) return this.#change(state, step.name, undone);
    const now = await this.#saved(state, step.name, { message: `Taking back: ${step.name}` });
    try {
      const seen = await step.undo(context);
      if (seen.kind === 'done') return await this.#change(now, step.name, undone);
      if (seen.kind === 'running') return await this.#goes(now, step, seen);
      return await this.#waits(now, { step, context, mayFail: false }, seen);
    } catch (error) {
      return this.#failing(now, { step, context, mayFail: false }, error);
    }
  }

  /** Called before it is time to try again. */
  #later(state: ItineraryState, entry: StepState | undefined, afterMs: number): Advance {
    const { name: step = '', message = 'it is tried again' } = entry ?? {};
    const remedy = 'Nothing to do: it is tried again.';
    return { state, outcome: { kind: 'waiting', afterMs, step, message, remedy } };
  }

  async #change(state: ItineraryState, step: string, change: StepChange): Promise<Advance> {
    const next = await this.#saved(state, step, change);
    this.#backoff.gotOn();
    return { state: next, outcome: { kind: 'again', afterMs: 0, step } };
  }

  /** With the time since when it does not get on, so that no restart begins to count anew. */
  #blocked(state: ItineraryState, name: string, change: StepChange): Promise<ItineraryState> {
    const known = state.find((entry) => entry.name === name)?.blockedTime;
    return this.#saved(state, name, { ...change, blockedTime: known ?? this.#time() });
  }

  async #saved(state: ItineraryState, step: string, change: StepChange): Promise<ItineraryState> {
    const next = changeStep(state, step, change);
    if (JSON.stringify(next) === JSON.stringify(state)) return state;
    await this.#save(next);
    return next;
  }

  async #save(state: ItineraryState): Promise<void> {
    try {
      await this.#ports.save(state);
    } catch (error) {
      throw new SaveFailure(error);
    }
  }

  #time(): string {
    return new Date(this.#ports.clock.wallMs()).toISOString();
  }
}

interface Task<C> {
  readonly step: Step<C>;
  readonly context: C;
  /** False: it is tried for ever. */
  readonly mayFail: boolean;
}

/** So that a status that cannot be written is never taken for a step that failed. */
class SaveFailure extends TransshipError {
  constructor(cause: unknown) {
    const { reason, message } = asTransshipError(cause);
    super(reason, `the state of the migration cannot be saved: ${message}`, { cause });
  }
}

function pendingOf({
  steps,
}: {
  readonly steps: readonly { readonly name: string }[];
}): StepState[] {
  return steps.map(({ name }) => ({ name, state: 'Pending' }));
}

function wantsUndo(state: ItineraryState, itinerary: Itinerary, orders: Orders): boolean {
  if (isUndoing(state)) return true;
  const isOpen = itinerary.isTemporary === true || !state.every(isOver);
  if (orders.canceled === true && isOpen) return true;
  const isFailed = state.some((entry) => entry.state === 'Failed');
  return isFailed && itinerary.onFailure === 'AsAsked' && orders.onFailure !== 'Pause';
}

/** The point of no return, when it was begun. */
function passedPoint(state: ItineraryState, { steps }: Itinerary): string | undefined {
  return steps.find(({ pointOfNoReturn }, at) => {
    const entry = state[at];
    return pointOfNoReturn === true && entry !== undefined && isBegun(entry);
  })?.name;
}

function failureOf({ name, message = '' }: StepState): Outcome {
  const word = message.slice(0, Math.max(0, message.indexOf(':')));
  const reason = isReason(word) ? word : 'Internal';
  return { kind: 'failed', step: name, reason, message };
}
