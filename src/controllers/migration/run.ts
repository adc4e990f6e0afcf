/** What every step of a migration works with: the objects it is about and both clusters. */
import type { Migration } from '../../api/kinds/migration.ts';
import type { Plan } from '../../api/kinds/plan.ts';
import type { ObjectKey } from '../../kube/objects.ts';
import type { Context } from '../context.ts';
import { recordPrefix } from '../../workload/ours.ts';
import { namespaceThere } from '../plan/observation.ts';
import type { ClusterAccess } from '../remotes/access.ts';

export type SideName = 'source' | 'destination';

/** One slice of one migration. Nothing in it outlives the slice. */
export interface Run {
  /** Of the hub, which has the plan, the migration and its transfers. */
  readonly context: Context;
  readonly migration: Migration;
  readonly plan: Plan;
  readonly source: ClusterAccess;
  readonly destination: ClusterAccess;
  readonly type: 'Namespace' | 'State' | 'StorageConversion';
  /** To be looked at afterwards: one sentence, kept in the status; the same one is kept once. */
  warn(sentence: string): void;
}

export function uidOf({ metadata }: { readonly metadata: { readonly uid?: string } }): string {
  return metadata.uid ?? '';
}

/** Marks everything that is made for the plan of a run (`preparedFor` of `src/workload`). */
export function moveId({ plan }: Run): string {
  return uidOf(plan);
}

export function accessOf(run: Run, side: SideName): ClusterAccess {
  return run[side];
}

/** The namespaces of the plan, as that cluster names them. */
export function namespacesAt({ plan, migration }: Run, side: SideName): readonly string[] {
  const names = plan.spec.namespaces.map(({ name }) => name);
  if (side === 'source') return names;
  return names.map((name) => nameThere({ plan, migration }, name));
}

/** The name of a namespace at the destination; a rehearsal has namespaces of its own. */
export function nameThere({ plan, migration }: Pick<Run, 'plan' | 'migration'>, name: string) {
  const there = namespaceThere(plan, name);
  if (migration.spec.type !== 'Rehearsal') return there;
  return `${there}${migration.spec.sandbox ?? '-rehearsal'}`;
}

/** What is remembered, each in a Secret of the cluster that is changed. */
export type RecordKind = 'stopped' | 'rebound' | 'templates' | 'made' | 'retained';

/**
 * Where undo records are: in the first namespace of the plan at that side. Of a plan, not of a
 * migration, because the rollback of a cutover is another migration; a rehearsal has its own.
 */
export function recordKey(run: Run, side: SideName, kind: RecordKind): ObjectKey {
  const [namespace = ''] = namespacesAt(run, side);
  const name = `${recordPrefix}${kind}-${moveId(run)}`;
  return { namespace, name: run.migration.spec.type === 'Rehearsal' ? `${name}-r` : name };
}
