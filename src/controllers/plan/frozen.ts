/**
 * Namespaces that a plan must keep. Undo records lie in the first of them, and claims, objects and
 * fences are looked for in all: of a plan that names others nothing could be taken back. Pure.
 */
import type { Migration, MigrationStatus } from '../../api/kinds/migration.ts';
import type { Plan } from '../../api/kinds/plan.ts';
import { hasCutOver } from '../migration/cutover.ts';
import { conditionOf } from '../status.ts';
import { needsPlan } from './migrations.ts';

export type Pairs = NonNullable<MigrationStatus['namespaces']>;

/** As a migration writes them down when it begins. */
export function pairsOf({ spec }: Pick<Plan, 'spec'>): Pairs {
  return spec.namespaces.map(({ name, to }) => ({ name, to: to ?? name }));
}

/** Its first step only looks: until that is over the plan may still be corrected. */
export function hasOnlyLooked({ status }: Pick<Migration, 'status'>): boolean {
  const [first] = status?.itinerary ?? [];
  const isLook = first?.name === 'checkPlan' || first?.name === 'checkWayBack';
  return isLook && first.state !== 'Succeeded' && first.state !== 'Undone';
}

interface Hold {
  readonly migration: Migration;
  readonly pairs: Pairs;
  /** What is staged goes on being usable beside namespaces that are added behind. */
  readonly mayGrow: boolean;
}

/** `found`: of the plan, the newest first. Nothing holds it that was taken back, all of it. */
function holdOn(found: readonly Migration[]): Hold | undefined {
  const begun = found.filter((one) => {
    return one.status?.startTime !== undefined && !hasOnlyLooked(one);
  });
  const back = begun.findIndex((one) => {
    return one.spec.type === 'Rollback' && !needsPlan(one) && isTrue(one, 'RolledBack');
  });
  const standing = back === -1 ? begun : begun.slice(0, back);
  const whole = standing.find((one) => needsPlan(one) || hasCutOver(one));
  const staged = standing.find((one) => one.spec.type === 'Stage' && isTrue(one, 'Succeeded'));
  const migration = whole ?? staged;
  const pairs = migration?.status?.namespaces;
  if (migration === undefined || pairs === undefined) return undefined;
  return { migration, pairs, mayGrow: whole === undefined };
}

function isTrue(one: Migration, type: string): boolean {
  return conditionOf(one, type)?.status === 'True';
}

const textOf = (pairs: Pairs): string => {
  return pairs.map(({ name, to }) => (name === to ? name : `${name} to ${to}`)).join(', ');
};

/** Undefined: the plan names what it has to. Else one sentence, with the namespaces to put back. */
export function changedNamespaces(plan: Plan, found: readonly Migration[]): string | undefined {
  const hold = holdOn(found);
  if (hold === undefined) return undefined;
  const { migration, pairs, mayGrow } = hold;
  const now = pairsOf(plan);
  const compared = mayGrow ? now.slice(0, pairs.length) : now;
  if (textOf(compared) === textOf(pairs)) return undefined;
  const { spec, metadata } = migration;
  return (
    `spec.namespaces is not what it was when ${spec.type} ${metadata.name} began: ` +
    `${textOf(pairs)}; what it changed could not be taken back`
  );
}

export const putBack =
  'Put spec.namespaces of the plan back as they were, in that order; for others make a new plan.';
