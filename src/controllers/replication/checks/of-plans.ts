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
  'VolumeAction',
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
  // Of backups, and of what is restored.
  'RepositoryNotReady',
  'BackupNotFound',
  'EngineNotInstalled',
]);

/** What replications say otherwise than plans, which have fields for it. */
const remedies: Readonly<Record<string, string>> = {
  InvalidSourceCluster:
    'Add the cluster with `transship cluster add`, or make a replication from another one.',
  InvalidDestinationCluster:
    'Add the cluster with `transship cluster add`, or make a replication to another one.',
  DuplicateNamespaceAtDestination:
    'Make a replication that gives each namespace a name of its own with `to`.',
  NamespaceNotFoundAtSource: 'Make a replication of namespaces that are there.',
  NamespaceLength: 'Make a replication that gives it a shorter name with `to`.',
  PlanConflict: 'Close or delete the plan, or make a replication of other namespaces.',
  ManyPods: 'Make a replication of fewer namespaces, or expect it to take longer.',
  ManyVolumes: 'Make a replication of fewer namespaces, or expect it to take longer.',
  DestinationClusterNoRegistry: 'Give spec.registry of the destination Cluster.',
  VolumeMethod: 'Make a class at the destination that can take it, or set spec.volumes to Exclude.',
  StorageClassUnavailable: 'Make that class at the destination, or a default class.',
  AccessModeUnavailable: 'Make a class of shared files at the destination.',
  CapacityTooSmall: 'Make the claim at the source larger, or set spec.volumes to Exclude.',
  NoLink:
    'Join the clusters with `transship cluster add`, or name a Repository in spec.repository.',
  PriorityClassMissing: 'Make the class at the destination.',
  IngressClassMissing: 'Make the class at the destination.',
  OtherNamespaces: 'Replicate them too, or see that they are at the destination.',
  ExistingObjects:
    'Delete them there, or choose ProceedAnyway: they stay as they are and are not replicated.',
  MissingRights:
    'For all namespaces run `transship cluster add` for that cluster again with --migrations. ' +
    'For single ones make them at the destination, and in each run there: kubectl create ' +
    'rolebinding transship-migrate --namespace NAMESPACE --clusterrole transship-migrate ' +
    '--serviceaccount transship-system:peer-HUB (transship-controller where the hub is itself).',
  UnreadableKinds: 'Grant list and get on them; what cannot be read is not replicated.',
  NotSchedulable: 'Label or untaint nodes of the destination.',
  PodSecurity: 'Change the label pod-security.kubernetes.io/enforce of the namespace there.',
};

/** What a person can do about a check of plans; a plan's own word where it holds here as well. */
export function remedyOf({ id, remedy }: { readonly id: string; readonly remedy: string }): string {
  return remedies[id] ?? remedy;
}

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
        ...(remedy === undefined ? {} : { remedy: remedyOf({ id: name, remedy }) }),
      };
      // What cannot be told is told by the check of the cluster that cannot be asked.
      const isBad = isBlocking(one);
      return { name, result: isBad ? 'Incompatible' : 'Compatible', ...said };
    });
}
