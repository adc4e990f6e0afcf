// Which built-in kind is checked by what, beyond its schema; by definition of `data.json`.
import type { Validate } from './checks.ts';
import {
  checkAutoscaler,
  checkBinding,
  checkBudget,
  checkConfigMap,
  checkIngress,
  checkLease,
  checkPriorityClass,
  checkRules,
  checkSecret,
  checkService,
} from './validate-cluster.ts';
import { checkPod } from './validate-pods.ts';
import {
  checkAttributesClass,
  checkClaim,
  checkStorageClass,
  checkVolume,
} from './validate-storage.ts';
import {
  checkCronJob,
  checkDaemonSet,
  checkDeployment,
  checkJob,
  checkReplicaSet,
  checkStatefulSet,
} from './validate-workloads.ts';

const checks: Readonly<Record<string, Validate>> = {
  'core.ConfigMap': checkConfigMap,
  'core.PersistentVolume': checkVolume,
  'core.PersistentVolumeClaim': checkClaim,
  'core.Pod': checkPod,
  'core.Secret': checkSecret,
  'core.Service': checkService,
  'apps.DaemonSet': checkDaemonSet,
  'apps.Deployment': checkDeployment,
  'apps.ReplicaSet': checkReplicaSet,
  'apps.StatefulSet': checkStatefulSet,
  'autoscalingv2.HorizontalPodAutoscaler': checkAutoscaler,
  'batch.CronJob': checkCronJob,
  'batch.Job': checkJob,
  'coordination.Lease': checkLease,
  'networking.Ingress': checkIngress,
  'policy.PodDisruptionBudget': checkBudget,
  'rbac.ClusterRole': checkRules(false),
  'rbac.ClusterRoleBinding': checkBinding(['ClusterRole']),
  'rbac.Role': checkRules(true),
  'rbac.RoleBinding': checkBinding(['Role', 'ClusterRole']),
  'scheduling.PriorityClass': checkPriorityClass,
  'storage.StorageClass': checkStorageClass,
  'storage.VolumeAttributesClass': checkAttributesClass,
};

/** Undefined where the schema says all. */
export function validationOf(name: string): Validate | undefined {
  return checks[name];
}
