/**
 * A replication as the plan that it amounts to. Nobody stores that plan: it is how looking, checks,
 * choices, the preparing of objects and the copying of images and volumes are shared with plans.
 */
import type { Migration } from '../../api/kinds/migration.ts';
import type { Plan } from '../../api/kinds/plan.ts';
import type { Replication } from '../../api/kinds/replication.ts';
import { clustersOf } from '../../api/replication-ends.ts';
import type { ClusterAccess } from '../remotes/access.ts';
import type { Context } from '../context.ts';
import type { Run } from '../migration/run.ts';

/** `isJudged`: for its checks, and not for its run. */
export function planOf(replication: Replication, isJudged = false): Plan {
  const { apiVersion, metadata, spec, status } = replication;
  const { namespaces, repository, bandwidth } = spec;
  const { source, destination } = clustersOf(spec);
  const { storageClasses = [], images: isAgreed = false } = status?.agreed ?? {};
  return {
    apiVersion,
    kind: 'Plan',
    metadata,
    spec: {
      source,
      destination,
      type: 'Namespace',
      namespaces,
      images: isAgreed || isJudged ? 'Auto' : 'Skip',
      imageFailure: status?.overruled === true ? 'Warn' : 'Fail',
      mappings: { storageClasses },
      quiesce: false,
      // A right to make namespaces is asked for only where one has to be made.
      createNamespaces: !isJudged,
      ...(repository === undefined ? {} : { repository }),
      ...(bandwidth === undefined ? {} : { bandwidth }),
    },
    status: {},
  };
}

/** What steps that are shared with migrations take for the run that they are of. */
function migrationOf({ apiVersion, kind, metadata, status }: Replication): Migration {
  const runs = status?.runs ?? 0;
  return {
    apiVersion,
    // Owner references name it: what is made for the replication goes with it.
    kind: kind as string as Migration['kind'],
    metadata,
    spec: { plan: metadata.name ?? '', type: 'Stage', quiesce: false, retry: runs },
    status: { retried: runs, itinerary: status?.itinerary ?? [] },
  };
}

/** One slice of the work of a replication. Nothing in it outlives the slice. */
export interface ReplicationRun extends Run {
  readonly replication: Replication;
  /** How many objects of each resource were made, kept, or could not be made. */
  tell(counts: readonly Counted[]): Promise<void>;
  /** Of a run with a repository: what its status says from then on. */
  set(change: Told): void;
}

/** What steps say themselves in the status. */
export type Told = Pick<NonNullable<Replication['status']>, 'backups' | 'report'>;

/** Of one resource. */
export type Counted = NonNullable<NonNullable<Replication['status']>['resources']>[number];

export interface RunParts {
  readonly context: Context;
  readonly replication: Replication;
  readonly source: ClusterAccess;
  readonly destination: ClusterAccess;
  warn(sentence: string): void;
  tell(counts: readonly Counted[]): Promise<void>;
  set(change: Told): void;
}

export function runOf(parts: RunParts): ReplicationRun {
  const { replication } = parts;
  return {
    ...parts,
    plan: planOf(replication),
    migration: migrationOf(replication),
    type: 'Namespace',
  };
}

/** Whether its workloads stay stopped at the destination. */
export function isStandby({ spec }: Replication): boolean {
  return (spec.workloads ?? (spec.continuous === undefined ? 'Run' : 'Standby')) === 'Standby';
}

/** Whether what volumes have is replicated. */
export function hasVolumes({ spec }: Replication): boolean {
  return spec.volumes !== 'Exclude';
}
