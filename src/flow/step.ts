/** What one step of an itinerary is: it looks, it acts, it takes back. */
import type { Reason } from '../base/reasons.ts';

/** It goes on without us: looking again later is all there is to do. */
export interface Going {
  readonly kind: 'running';
  readonly message?: string;
  /** One line for each thing that it works on. */
  readonly progress?: readonly string[];
  /** Share of the step that is done, 0 to 100. */
  readonly percent?: number;
}

/** Somebody or something else has to move first. */
export interface Blocked {
  readonly kind: 'waiting';
  /** Names the blocker: "claim shop/data is held by pod shop/batch-1". */
  readonly message: string;
  /** What a person can do about it, in one sentence. */
  readonly remedy: string;
}

/** Neither waiting nor another `ensure` can mend it: the step has failed, whatever the reason. */
export interface Broken {
  readonly kind: 'failed';
  readonly reason: Reason;
  readonly message: string;
}

/** What taking back has come to. */
export type Undoing = { readonly kind: 'done' } | Going | Blocked;

/**
 * What looking finds. `notStarted` also for work that was begun and cannot go on without another
 * `ensure`, and for what an earlier migration left behind: only the work of this one counts.
 */
export type Observation = Undoing | Broken | { readonly kind: 'notStarted' };

/**
 * One step. Every method may be killed at any `await` and is called again; errors are
 * `TransshipError`s, of which the retryable ones are tried again with back-off until the deadline.
 */
export interface Step<C> {
  /** At most 64 characters, as in the itinerary's data. */
  readonly name: string;
  /** What it does, for people, in one sentence. */
  readonly description: string;
  /** Milliseconds that it may wait, or fail retryably, without getting on. */
  readonly deadlineMs: number;
  /** False: the step is skipped. Always needed when absent. */
  isNeeded?(context: C): Promise<boolean>;
  observe(context: C): Promise<Observation>;
  /** Brings it about, or sets it going. Idempotent. */
  ensure(context: C): Promise<void>;
  /**
   * Takes back all that `ensure` can have done, also when it did only half or nothing of it. Called
   * until it says `done`. Absent: there is nothing to take back.
   */
  undo?(context: C): Promise<Undoing>;
}
