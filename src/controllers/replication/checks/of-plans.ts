/** The checks of plans that a replication has too, as its own results. Pure. */
import { allChecks } from '../../plan/checks/all.ts';
import { isBlocking, runCheck as runPlanCheck } from '../../plan/checks/check.ts';
import type { ReplicationSeen } from '../seen.ts';
import type { CheckResult } from './check.ts';

/** Of what replications do not have, or look at in their own way. */
const leftOut: ReadonlySet<string> = new Set([
  'NamespacesChanged',
  'IntraClusterMapping',
  'NamespaceNotFoundAtDestination',
  'InvalidResourceList',
  'InvalidPatch',
  'InvalidImageRule',
  'LiveMigrateNotYet',
  'HookNotFound',
  'HookNamespace',
  'ImagesNotCopied',
  'ImagesThroughRepository',
  'VolumeNotFound',
  'VolumeNameConflict',
  'SameStorageClass',
  'ExistingObjectsUpdated',
  'ExistingObjectsKept',
  'KindsNotServed',
  'QuotaExceeded',
  'LimitRangeExceeded',
]);

export function isLeftOut(id: string): boolean {
  return leftOut.has(id);
}

/** Nothing can be done at all while one of these fails. */
export const impossible: ReadonlySet<string> = new Set([
  'InvalidSourceCluster',
  'InvalidDestinationCluster',
  'SourceClusterNotReady',
  'DestinationClusterNotReady',
  'NamespaceNotFoundAtSource',
  'DuplicateNamespaceAtDestination',
]);

/** What replications say otherwise than plans, which have fields for it. */
const remedies: Readonly<Record<string, string>> = {
  ExistingObjects:
    'Delete them there, or choose ProceedAnyway: they stay as they are and are not replicated.',
  StorageClassUnavailable: 'Make that class at the destination, or a default class.',
  VolumeMethod: 'Make a class at the destination that can take it, or exclude volumes.',
  DestinationClusterNoRegistry: 'Give spec.registry of the destination Cluster.',
  PriorityClassMissing: 'Make the class at the destination.',
  NotSchedulable: 'Label or untaint nodes of the destination.',
  PodSecurity: 'Change the label pod-security.kubernetes.io/enforce of the namespace there.',
  NamespaceNotFoundAtSource: 'Make a replication of namespaces that are there.',
};

export function planResults(seen: ReplicationSeen): readonly CheckResult[] {
  const { plan, volumes, type } = seen;
  return allChecks
    .filter(({ id }) => !isLeftOut(id))
    .map((check) => runPlanCheck(check, { seen: plan, volumes, type }))
    .map((one): CheckResult => {
      const { id: name, message, remedy, result } = one;
      if (result === 'Passed') return { name, result: 'Compatible' };
      const said = {
        ...(message === undefined ? {} : { message }),
        ...(remedy === undefined ? {} : { remedy: remedies[name] ?? remedy }),
      };
      // What cannot be told is told by the check of the cluster that cannot be asked.
      const isBad = isBlocking(one);
      return { name, result: isBad ? 'Incompatible' : 'Compatible', ...said };
    });
}
