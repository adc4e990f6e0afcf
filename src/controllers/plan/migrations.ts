/** The migrations of a plan, and which of them are not over. */
import type { Migration } from '../../api/kinds/migration.ts';
import type { Plan } from '../../api/kinds/plan.ts';
import { keyOf, keyText } from '../../kube/objects.ts';
import type { Context } from '../context.ts';
import { finalizers } from '../labels.ts';

/** Of this plan, the newest first. */
export function migrationsOf({ informers }: Context, plan: Plan): readonly Migration[] {
  const found = informers.migrations.byIndex('plan', keyText(keyOf(plan)));
  return found.toSorted((a, b) => (ageOf(a) < ageOf(b) ? 1 : -1));
}

/** For comparing: the earlier one is less. Several may have been made within one second. */
export function ageOf({ metadata, status }: Migration): string {
  const { creationTimestamp, name } = metadata;
  // Those that have begun did so one after the other, and before those that have not.
  const { startTime } = status ?? {};
  return startTime === undefined ? `1 ${creationTimestamp} ${name}` : `0 ${startTime} ${name}`;
}

/** It runs, waits its turn, or has failed and waits for a person. */
export function isOpen({ status }: Migration): boolean {
  return status?.completionTime === undefined;
}

/** It has to know what to take back, as a rehearsal does that is over and stays to be looked at. */
export function needsPlan(one: Migration): boolean {
  return isOpen(one) || one.metadata.finalizers?.includes(finalizers.migration) === true;
}

export function planKeyOf({ metadata, spec }: Migration): string {
  return keyText({ namespace: metadata.namespace ?? '', name: spec.plan });
}
