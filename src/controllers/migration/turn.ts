/** Whose turn it is among the migrations of one plan. */
import type { Migration } from '../../api/kinds/migration.ts';
import type { Context } from '../context.ts';
import { ageOf, isOpen, planKeyOf } from '../plan/migrations.ts';
import { hasCutOver } from './cutover.ts';
import type { Blocked } from './status.ts';

export function hasBegun({ status }: Migration): boolean {
  return (status?.itinerary ?? []).length > 0;
}

/**
 * The one that has to end first: one that has begun, else the oldest. One that was over and is
 * retried waits for those that began since.
 */
export function blockerOf({ informers }: Context, mine: Migration): Blocked | undefined {
  const { uid } = mine.metadata;
  const others = informers.migrations
    .byIndex('plan', planKeyOf(mine))
    .filter((one) => one.metadata.uid !== uid && isOpen(one) && !givesWay(one, mine));
  const begun = others.filter(hasBegun);
  const isLater = (one: Migration) => ageOf(one) > ageOf(mine);
  const other = hasBegun(mine)
    ? begun.find(isLater)
    : (begun[0] ?? others.toSorted((a, b) => (ageOf(a) < ageOf(b) ? -1 : 1)).find(isEarlier));
  function isEarlier(one: Migration): boolean {
    return !isLater(one);
  }
  if (other === undefined) return undefined;
  const { metadata, spec } = other;
  const failed = other.status?.itinerary?.some(({ state }) => state === 'Failed') === true;
  const remedy = failed
    ? ', which has failed; raise its spec.retry, or set its spec.canceled'
    : '; the migrations of a plan run one after the other';
  const message = `it waits for ${spec.type} ${metadata.name}${remedy}`;
  return { kind: 'blocked', reason: 'WaitsForOther', message };
}

/** The name of a migration of the plan that has begun after this one did. */
export function newerOf({ informers }: Context, mine: Migration): string | undefined {
  const begun = informers.migrations.byIndex('plan', planKeyOf(mine)).filter(hasBegun);
  return begun.find((one) => ageOf(one) > ageOf(mine))?.metadata.name;
}

/** A rollback is the way out of a cutover that failed after its point of no return. */
function givesWay(other: Migration, mine: Migration): boolean {
  const failed = other.status?.itinerary?.some(({ state }) => state === 'Failed') === true;
  return mine.spec.type === 'Rollback' && hasCutOver(other) && failed;
}
