/** How a migration stands, and what a person can do about it: read off its status. Pure. */
import type { Migration } from '../../api/kinds/migration.ts';
import type { Itinerary, StepData } from '../../flow/itinerary.ts';
import { isUndoing, percentOf, stepAtHand, type StepState } from '../../flow/state.ts';
import { itineraries } from '../../flow/itineraries.ts';
import { conditionOf, currentCondition } from '../api/waiting.ts';

/** One word for tables, progress and scripts. */
export type Standing =
  | 'Pending'
  | 'Running'
  | 'Paused'
  | 'Held'
  | 'TakingBack'
  | 'Succeeded'
  | 'Failed'
  | 'NeedsRollback'
  | 'PutBack'
  | 'Canceled';

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
    if (isUndoing(steps)) return 'TakingBack';
    const { paused, holdBefore } = migration.spec;
    const next = stepAtHand(steps);
    // What runs may end: it is paused when nothing runs any more.
    if (next?.state === 'Pending' && paused === true) return 'Paused';
    if (next?.state === 'Pending' && next.name === holdBefore) return 'Held';
    return next === undefined || steps.every(({ state }) => state === 'Pending')
      ? 'Pending'
      : 'Running';
  }
  if (succeeded?.status === 'True') return 'Succeeded';
  if (succeeded?.reason === 'Canceled') return 'Canceled';
  if (isUndoing(steps)) return 'PutBack';
  const isFailedOnly = migration.spec.canceled !== true && canRetry(migration);
  return pointPassed(migration) === undefined || isFailedOnly ? 'Failed' : 'NeedsRollback';
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
  const percent = migration.status?.percent ?? percentOf([...stepsOf(migration)]);
  return stepsOf(migration).length === 0 ? 0 : Math.min(percent, 99);
}

/** Why it stands where it stands: the failure, else what the step at hand says. */
export function messageOf(migration: Migration): string | undefined {
  const succeeded = conditionOf(migration, 'Succeeded');
  if (succeeded?.status === 'False') return succeeded.message;
  const failed = stepsOf(migration).find(({ failure }) => failure !== undefined);
  // While it is taken back, why is more to a person than where.
  const step = failed ?? stepNow(migration);
  const message = step?.failure ?? step?.message;
  if (message !== undefined) return message;
  const ready = conditionOf(migration, 'Ready');
  return ready !== undefined && ready.status !== 'True' ? ready.message : undefined;
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
