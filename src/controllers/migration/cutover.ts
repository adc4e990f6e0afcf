/** The cutover that a rollback goes back from. */
import type { Migration } from '../../api/kinds/migration.ts';
import { ageOf, migrationsOf } from '../plan/migrations.ts';
import { conditionOf } from '../status.ts';
import type { Run } from './run.ts';

/** It has begun to start workloads at the destination: from then on only a rollback leads back. */
export function hasCutOver({ spec, status }: Migration): boolean {
  if (spec.type !== 'Cutover') return false;
  const start = status?.itinerary?.find(({ name }) => name === 'startDestination');
  return ['Running', 'Succeeded', 'Failed'].includes(start?.state ?? 'Pending');
}

function hasGoneBack(one: Migration): boolean {
  if (one.spec.type !== 'Rollback' || one.status?.completionTime === undefined) return false;
  return conditionOf(one, 'RolledBack')?.status === 'True';
}

/** The newest one of the plan that no rollback went back from; undefined: there is none. */
export function cutoverOf({ context, plan }: Pick<Run, 'context' | 'plan'>): Migration | undefined {
  for (const one of migrationsOf(context, plan)) {
    if (hasGoneBack(one)) return undefined;
    if (hasCutOver(one)) return one;
  }
  return undefined;
}

/** Whether a rollback can still go back from it. `all`: the migrations of its plan. */
export function leadsBack(one: Migration, all: readonly Migration[]): boolean {
  if (!hasCutOver(one)) return false;
  return !all.some((other) => hasGoneBack(other) && ageOf(other) > ageOf(one));
}
