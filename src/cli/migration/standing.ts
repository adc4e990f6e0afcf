/** How a migration stands, and what a person can do about it: read off its status. Pure. */
import type { Migration } from '../../api/kinds/migration.ts';
import type { Itinerary, StepData } from '../../flow/itinerary.ts';
import { isUndoing, stepAtHand, type StepState } from '../../flow/state.ts';
import { itineraries } from '../../flow/itineraries.ts';
import { isReason, type Reason } from '../../base/reasons.ts';
import { conditionOf, currentCondition } from '../api/waiting.ts';

/** One word for tables, progress and scripts. */
export type Standing =
  | 'Pending'
  | 'Running'
  | 'Waiting'
  | 'Paused'
  | 'Held'
  | 'TakingBack'
  | 'Succeeded'
  | 'Failed'
  | 'NeedsRollback'
  | 'PutBack'
  | 'Canceled';

/** It runs, waits its turn, or has failed and waits for a person: others wait for it. */
export function isOpen({ status }: Migration): boolean {
  return status?.completionTime === undefined;
}

/** Nothing goes on until somebody asks for something. */
export function hasEnded(migration: Migration): boolean {
  const { spec, status = {} } = migration;
  const succeeded = conditionOf(migration, 'Succeeded');
  if (succeeded?.status === 'True') return true;
  if (succeeded?.status !== 'False') return false;
  if (succeeded.reason === 'Canceled') return true;
  const isAskedAgain = (spec.retry ?? 0) > (status.retried ?? 0) || spec.canceled === true;
  // What was asked since is not in the condition yet.
  return !isAskedAgain || currentCondition(migration, 'Succeeded') !== undefined;
}

export function stepsOf({ status }: Migration): readonly StepState[] {
  return status?.itinerary ?? [];
}

/** The steps of its type, also before the controller has written them into the status. */
export function plannedSteps(type: Migration['spec']['type']): readonly StepData[] {
  return new Map<string, Itinerary>(Object.entries(itineraries)).get(type)?.steps ?? [];
}

/** The failed step, else the one that runs, else the next. */
export function stepNow(migration: Migration): StepState | undefined {
  return stepAtHand([...stepsOf(migration)]);
}

export function standingOf(migration: Migration): Standing {
  const steps = [...stepsOf(migration)];
  const succeeded = conditionOf(migration, 'Succeeded');
  if (!hasEnded(migration)) {
    const { paused, holdBefore, canceled } = migration.spec;
    if (isUndoing(steps) || canceled === true) return 'TakingBack';
    const next = stepAtHand(steps);
    // What runs may end: it is paused when nothing runs any more.
    if (next?.state === 'Pending' && paused === true) return 'Paused';
    if (next?.state === 'Pending' && next.name === holdBefore) return 'Held';
    if (steps.every(({ state }) => state === 'Pending')) return 'Pending';
    return isWaiting(migration, next?.name) ? 'Waiting' : 'Running';
  }
  if (succeeded?.status === 'True') return 'Succeeded';
  if (succeeded?.reason === 'Canceled') return 'Canceled';
  if (isUndoing(steps)) return 'PutBack';
  const isFailedOnly = migration.spec.canceled !== true && canRetry(migration);
  return pointPassed(migration) === undefined || isFailedOnly ? 'Failed' : 'NeedsRollback';
}

/** Reasons of `Succeeded` while it gets on; all others say what it waits for. */
const goesOn: readonly string[] = ['Running', 'Held', 'TakingBack'];

/** The condition is written less often than the steps: it may be about one that is over. */
function isWaiting(migration: Migration, step: string | undefined): boolean {
  const { reason = 'Running', message = '' } = conditionOf(migration, 'Succeeded') ?? {};
  if (reason === 'Waiting') return step !== undefined && message.startsWith(`${step}: `);
  return !goesOn.includes(reason);
}

/** A step failed and nothing was taken back: what was proven stays. */
export function canRetry(migration: Migration): boolean {
  const steps = [...stepsOf(migration)];
  return steps.some(({ state }) => state === 'Failed') && !isUndoing(steps);
}

/** The step after which nothing is taken back, when it was begun. */
export function pointPassed(migration: Migration): string | undefined {
  const planned = plannedSteps(migration.spec.type);
  const point = planned.find(({ pointOfNoReturn }) => pointOfNoReturn === true);
  const begun = stepsOf(migration).find(({ name }) => name === point?.name);
  const isBegun = begun !== undefined && begun.state !== 'Pending' && begun.state !== 'Undone';
  return isBegun ? begun.name : undefined;
}

/** 100 means that it has succeeded, never "almost". */
export function percentNow(migration: Migration): number {
  if (standingOf(migration) === 'Succeeded') return 100;
  return Math.min(migration.status?.percent ?? 0, 99);
}

export interface Failure {
  readonly step: string;
  readonly reason: Reason;
  readonly message: string;
}

/** The step that failed, also when it was taken back since; its reason is the first word. */
export function failureOf(migration: Migration): Failure | undefined {
  const step = stepsOf(migration).find(({ failure }) => failure !== undefined);
  if (step?.failure === undefined) return undefined;
  const [, word = '', rest = ''] = /^(\w+): ([^]*)$/.exec(step.failure) ?? [];
  return isReason(word)
    ? { step: step.name, reason: word, message: rest }
    : { step: step.name, reason: 'Internal', message: step.failure };
}

/** Why it stands where it stands: the failure, else what it does or waits for. */
export function messageOf(migration: Migration): string | undefined {
  const succeeded = conditionOf(migration, 'Succeeded');
  const failure = failureOf(migration);
  // While it is taken back, why is more to a person than where.
  if (failure !== undefined) return `step ${failure.step} failed: ${failure.message}`;
  if (succeeded?.status === 'False') return succeeded.message;
  const { reason = 'Running', message } = succeeded ?? {};
  const isOfStep = goesOn.includes(reason) || reason === 'Waiting';
  return isOfStep ? stepNow(migration)?.message : message;
}

/** The one that a rollback would go back from, of all of a plan, the oldest first. */
export function cutoverInEffect(all: readonly Migration[]): Migration | undefined {
  for (const one of all.toReversed()) {
    const isBack = conditionOf(one, 'RolledBack')?.status === 'True';
    if (one.spec.type === 'Rollback' && isBack && !isOpen(one)) return undefined;
    if (one.spec.type === 'Cutover' && pointPassed(one) !== undefined) return one;
  }
  return undefined;
}

/** Command lines without program, cluster and namespace; `words` adds these. */
export function adviceFor(
  migration: Migration,
  words: (line: string) => string,
): readonly string[] {
  const { name = '' } = migration.metadata;
  const { plan, type } = migration.spec;
  const again = words(`migrate ${type.toLowerCase()} ${plan}`);
  const next = type === 'Rehearsal' ? words(`plan rehearse ${plan}`) : again;
  const cancel = `take back what was changed:  ${words(`migration cancel ${name}`)}`;
  const retry = `go on from the step that failed:  ${words(`migration retry ${name}`)}`;
  const back = `go back to the source:  ${words(`migrate rollback ${plan}`)}`;
  switch (standingOf(migration)) {
    case 'Failed': {
      if (!canRetry(migration)) return [`begin again:  ${next}`];
      if (pointPassed(migration) === undefined) return [retry, cancel];
      return type === 'Cutover' ? [retry, back] : [retry];
    }
    case 'NeedsRollback':
      return [back];
    case 'PutBack':
      return [`all is as it was before; begin again:  ${next}`];
    case 'Paused':
    case 'Held':
      return [`go on:  ${words(`migration resume ${name}`)}`];
    case 'Succeeded':
      return afterSuccess(migration, words);
    default:
      return [];
  }
}

function afterSuccess(
  { metadata, spec }: Migration,
  words: (line: string) => string,
): readonly string[] {
  switch (spec.type) {
    case 'Stage':
      return [`finish the move:  ${words(`migrate cutover ${spec.plan}`)}`];
    case 'Cutover':
      return [
        `when all is well, finish the plan:  ${words(`plan close ${spec.plan}`)}`,
        `go back to the source:  ${words(`migrate rollback ${spec.plan}`)}`,
      ];
    case 'Rehearsal':
      return [`take the rehearsal away:  ${words(`migration delete ${metadata.name}`)}`];
    default:
      return [];
  }
}
