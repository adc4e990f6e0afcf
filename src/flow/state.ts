/** The persisted state of a run: exactly `Migration.status.itinerary`. Pure. */
import type { MigrationStatus } from '../api/kinds/migration.ts';
import type { Itinerary } from './itinerary.ts';

/** What the schema of Migration allows. */
export const stepsMax = 64;
const messageCharacters = 1024;
const lineCharacters = 256;
const progressLines = 100;

export type ItineraryState = NonNullable<MigrationStatus['itinerary']>;
export type StepState = ItineraryState[number];

/** All steps pending. */
export function beginState({ steps }: Itinerary): ItineraryState {
  return steps.map(({ name }) => ({ name, state: 'Pending' }));
}

/**
 * For a person's "retry": the failed step runs again, what was proven stays. Unchanged when
 * nothing failed, or when taking back has begun: then a new migration is needed.
 */
export function retryState(state: ItineraryState): ItineraryState {
  if (isUndoing(state)) return state;
  return state.map((entry) => {
    if (entry.state !== 'Failed') return entry;
    const { name, startTime } = entry;
    // What was begun stays begun: something of it may be there, to be taken back later.
    return startTime === undefined
      ? { name, state: 'Pending' }
      : { name, state: 'Running', startTime };
  });
}

/** Whether taking back has begun; then it goes on to its end. */
export function isUndoing(state: ItineraryState): boolean {
  return state.some((entry) => entry.state === 'Undone');
}

/** Begun, so that something of it may be there. */
export function isBegun({ state }: StepState): boolean {
  return state === 'Running' || state === 'Succeeded' || state === 'Failed';
}

export function isOver({ state }: StepState): boolean {
  return state === 'Succeeded' || state === 'Skipped';
}

/** The step that a person should look at: failed, else running, else the next. */
export function stepAtHand(state: ItineraryState): StepState | undefined {
  return (
    state.find((entry) => entry.state === 'Failed') ??
    state.find((entry) => entry.state === 'Running') ??
    state.find((entry) => entry.state === 'Pending')
  );
}

/** Share of the steps that are over, 0 to 100. */
export function percentOf(state: ItineraryState): number {
  if (state.length === 0) return 100;
  return Math.floor((100 * state.filter(isOver).length) / state.length);
}

export type StepChange = {
  readonly [K in Exclude<keyof StepState, 'name'>]?: StepState[K] | undefined;
};

/** With one step changed; `undefined` takes a field away. What is too long is cut. */
export function changeStep(
  state: ItineraryState,
  name: string,
  change: StepChange,
): ItineraryState {
  return state.map((entry) => {
    if (entry.name !== name) return entry;
    const all = Object.entries({ ...entry, ...change, name });
    const kept = Object.fromEntries(all.filter(([, value]) => value !== undefined)) as StepState;
    return {
      ...kept,
      ...(kept.message === undefined ? {} : { message: cut(kept.message, messageCharacters) }),
      ...(kept.failure === undefined ? {} : { failure: cut(kept.failure, messageCharacters) }),
      ...(kept.progress === undefined
        ? {}
        : {
            progress: kept.progress
              .slice(0, progressLines)
              .map((line) => cut(line, lineCharacters)),
          }),
    };
  });
}

function cut(text: string, characters: number): string {
  return text.length <= characters ? text : `${text.slice(0, characters - 1)}\u2026`;
}
