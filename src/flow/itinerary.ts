/** Itineraries as data, and their union with the code of the steps. */
import { assert } from '../base/errors.ts';
import { stepsMax } from './state.ts';
import type { Step } from './step.ts';

/** A group of steps, as a person sees them. */
export type Section =
  | 'Prepare'
  | 'CopyAhead'
  | 'Stop'
  | 'LastCopy'
  | 'Make'
  | 'Start'
  | 'Finish'
  | 'CleanUp';

/** What may be true at some point of a run; the rules of order speak of these. */
export type Fact =
  | 'sourceStopped'
  | 'sourceProvenStopped'
  | 'sourceFenced'
  | 'destinationStopped'
  | 'destinationProvenStopped'
  | 'destinationFenced'
  | 'lastCopy'
  | 'audited'
  | 'claimsSwapped'
  | 'sourceRuns'
  | 'destinationRuns'
  | 'sandboxRuns';

/** When a step can be left out: the choices of plan and migration. */
export type Condition =
  | 'images'
  | 'objects'
  | 'hooks'
  | 'conversion'
  | 'keepData'
  | 'verify'
  | 'quiesce';

export interface StepData {
  readonly name: string;
  readonly section: Section;
  /** It runs when all of these were chosen. The step's `isNeeded` must say the same. */
  readonly when?: readonly Condition[];
  /** True from its end on. */
  readonly makes?: readonly Fact[];
  /** No longer true from its beginning on. */
  readonly breaks?: readonly Fact[];
  /** Its code must bring an `undo`. */
  readonly undo?: true;
  /** Once begun, nothing is taken back any more; see `afterPointOfNoReturn`. */
  readonly pointOfNoReturn?: true;
}

export interface Itinerary {
  readonly name:
    | 'Stage'
    | 'Cutover'
    | 'Rollback'
    | 'Rehearsal'
    | 'Replication'
    | 'Cancel'
    | 'Failed'
    | 'Replicated'
    | 'Backup'
    | 'BackupEnded'
    | 'Restoring';
  /** What is true before its first step. */
  readonly initially: readonly Fact[];
  readonly steps: readonly StepData[];
  /**
   * When a step fails. `AsAsked`: as the plan says (`onFailure`). `Pause`: it waits for a person.
   * `Repeat`: it is tried for ever, with back-off.
   */
  readonly onFailure: 'AsAsked' | 'Pause' | 'Repeat';
  /**
   * A cancel, or a failure that should be taken back, past the point of no return. `Rollback`: that
   * itinerary has to run. `GoOn`: the only safe way is forward.
   */
  readonly afterPointOfNoReturn: 'Rollback' | 'GoOn';
  /** A cancel takes it back also when all of it is over: what it made was never meant to stay. */
  readonly isTemporary?: true;
}

/** An itinerary with the code of its steps. */
export interface Route<C> {
  readonly itinerary: Itinerary;
  readonly steps: readonly Step<C>[];
}

/** A run: the route, and what follows when all that was begun has been taken back. */
export interface Journey<C> {
  readonly main: Route<C>;
  readonly canceled: Route<C>;
  readonly failed: Route<C>;
}

/** Joins data and code. A missing step, or a missing `undo`, is a defect. */
export function routeOf<C>(itinerary: Itinerary, steps: readonly Step<C>[]): Route<C> {
  const byName = new Map(steps.map((step) => [step.name, step]));
  assert(itinerary.steps.length <= stepsMax, `${itinerary.name} has too many steps`);
  const joined = itinerary.steps.map(({ name, undo }) => {
    const step = byName.get(name);
    assert(step !== undefined, `step ${name} of ${itinerary.name} has no code`);
    assert(undo !== true || step.undo !== undefined, `step ${name} has no undo`);
    return step;
  });
  return { itinerary, steps: joined };
}
