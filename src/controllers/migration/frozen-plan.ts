/**
 * The plan as a run has begun with it. Who edits a plan later must change neither what the rest of
 * the run makes nor what is taken back of it, be it by the run itself or by a later Rollback. What
 * only steers follows the plan at all times.
 */
import type { Migration } from '../../api/kinds/migration.ts';
import type { Plan, PlanSpec } from '../../api/kinds/plan.ts';
import { TransshipError } from '../../base/errors.ts';
import { ownerReference } from '../../kube/api.ts';
import type { ObjectKey } from '../../kube/objects.ts';
import { type Secret, secrets } from '../../kube/resources.ts';
import type { Context } from '../context.ts';
import { labels } from '../labels.ts';
import { cutoverOf } from './cutover.ts';
import { uidOf } from './run.ts';

const steering: readonly (keyof PlanSpec)[] = [
  'bandwidth',
  'concurrency',
  'onFailure',
  'hooks',
  'closed',
];

/** Also the same after a retry: undoing goes by them. */
const undoing: readonly (keyof PlanSpec)[] = [
  'source',
  'destination',
  'type',
  'namespaces',
  'volumes',
  'resources',
  'quiesce',
];

/** In the namespace of the migration, and gone with it. */
function frozenKey({ metadata }: Migration): ObjectKey {
  return { namespace: metadata.namespace ?? '', name: `transship-plan-${uidOf({ metadata })}` };
}

async function load({ client }: Context, migration: Migration): Promise<PlanSpec | undefined> {
  const text = (await client.get(secrets, frozenKey(migration)))?.data?.['spec'];
  if (text === undefined) return undefined;
  return JSON.parse(Buffer.from(text, 'base64').toString()) as PlanSpec;
}

async function save(context: Context, migration: Migration, spec: PlanSpec): Promise<void> {
  const { client } = context;
  const data = { spec: Buffer.from(JSON.stringify(spec)).toString('base64') };
  const owner = { ...ownerReference(migration), controller: true };
  const metadata = {
    ...frozenKey(migration),
    ownerReferences: [owner],
    labels: { [labels.migration]: uidOf(migration) },
  };
  try {
    await client.create<Secret>(secrets, { metadata, data });
  } catch (error) {
    if (!(error instanceof TransshipError) || error.reason !== 'AlreadyExists') throw error;
    await client.patch(secrets, frozenKey(migration), { data });
  }
}

/** For a run that begins, or has only looked until now. A Rollback goes by its cutover instead. */
export async function freezePlan(
  context: Context,
  migration: Migration,
  plan: Plan,
): Promise<void> {
  if (migration.spec.type === 'Rollback') return;
  const known = await load(context, migration);
  if (JSON.stringify(known) !== JSON.stringify(plan.spec)) {
    await save(context, migration, plan.spec);
  }
}

/** A retry makes what the plan says by now: what was wrong with it may have been put right. */
export async function thawPlan(context: Context, migration: Migration, plan: Plan): Promise<void> {
  const known = await load(context, migration);
  if (known === undefined) return;
  const spec = merged(plan.spec, known, undoing);
  if (JSON.stringify(known) !== JSON.stringify(spec)) await save(context, migration, spec);
}

/** The plan for the rest of this run. Of a run that an older version began it is as it is. */
export async function frozenPlan(
  context: Context,
  migration: Migration,
  plan: Plan,
): Promise<Plan> {
  const isBack = migration.spec.type === 'Rollback';
  const known = isBack ? cutoverOf({ context, plan }) : migration;
  const spec = known && (await load(context, known));
  return spec === undefined ? plan : { ...plan, spec: merged(spec, plan.spec, steering) };
}

/** Nothing of it is taken back any more. */
export async function forgetFrozen({ client }: Context, migration: Migration): Promise<void> {
  await client.delete(secrets, frozenKey(migration));
}

/** `spec`, but for these fields, which are those of the other one, absent ones as well. */
function merged(spec: PlanSpec, other: PlanSpec, names: readonly (keyof PlanSpec)[]): PlanSpec {
  const kept = Object.entries(spec).filter(([name]) => !names.includes(name as keyof PlanSpec));
  const taken = Object.entries(other).filter(([name]) => names.includes(name as keyof PlanSpec));
  return Object.fromEntries([...kept, ...taken]) as PlanSpec;
}
