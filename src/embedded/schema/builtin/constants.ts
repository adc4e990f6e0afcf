// Defaults of built-in kinds that are the same wherever the field is absent. Those that depend on
// other fields are in the files named defaults-*.
import type { Json } from '../api.ts';

type Defaults = Readonly<Record<string, Json>>;

/** Mode of files in volumes: 0644. */
const fileMode = { defaultMode: 0o644 };
const container = {
  terminationMessagePath: '/dev/termination-log',
  terminationMessagePolicy: 'File',
};
const rbacGroup = 'rbac.authorization.k8s.io';

/** By definition of `data.json`, then by field. */
export const constantDefaults: Readonly<Record<string, Defaults>> = {
  'core.PodSpec': {
    dnsPolicy: 'ClusterFirst',
    restartPolicy: 'Always',
    schedulerName: 'default-scheduler',
    securityContext: {},
    terminationGracePeriodSeconds: 30,
  },
  'core.Container': container,
  'core.EphemeralContainer': container,
  'core.Probe': { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 },
  'core.HTTPGetAction': { path: '/', scheme: 'HTTP' },
  'core.GRPCAction': { service: '' },
  'core.ObjectFieldSelector': { apiVersion: 'v1' },
  'core.SecretVolumeSource': fileMode,
  'core.ConfigMapVolumeSource': fileMode,
  'core.DownwardAPIVolumeSource': fileMode,
  'core.ProjectedVolumeSource': fileMode,
  'core.ServiceAccountTokenProjection': { expirationSeconds: 3600 },
  'core.HostPathVolumeSource': { type: '' },
  'core.ServiceSpec': { sessionAffinity: 'None', type: 'ClusterIP' },
  'core.EndpointPort': { protocol: 'TCP' },
  'core.PersistentVolumeClaimSpec': { volumeMode: 'Filesystem' },
  'core.PersistentVolumeClaimStatus': { phase: 'Pending' },
  'core.PersistentVolumeSpec': {
    persistentVolumeReclaimPolicy: 'Retain',
    volumeMode: 'Filesystem',
  },
  'core.PersistentVolumeStatus': { phase: 'Pending' },
  'core.NamespaceStatus': { phase: 'Active' },
  'core.Secret': { type: 'Opaque' },
  'core.PodStatus': { phase: 'Pending' },
  'core.ReplicationControllerSpec': { replicas: 1 },
  'apps.DeploymentSpec': { replicas: 1, revisionHistoryLimit: 10, progressDeadlineSeconds: 600 },
  'apps.DeploymentStrategy': { type: 'RollingUpdate' },
  'apps.ReplicaSetSpec': { replicas: 1 },
  'apps.StatefulSetSpec': {
    podManagementPolicy: 'OrderedReady',
    replicas: 1,
    revisionHistoryLimit: 10,
    persistentVolumeClaimRetentionPolicy: {},
  },
  'apps.StatefulSetPersistentVolumeClaimRetentionPolicy': {
    whenDeleted: 'Retain',
    whenScaled: 'Retain',
  },
  'apps.StatefulSetUpdateStrategy': { type: 'RollingUpdate' },
  'apps.DaemonSetSpec': { revisionHistoryLimit: 10 },
  'apps.DaemonSetUpdateStrategy': { type: 'RollingUpdate' },
  'batch.CronJobSpec': {
    concurrencyPolicy: 'Allow',
    suspend: false,
    successfulJobsHistoryLimit: 3,
    failedJobsHistoryLimit: 1,
  },
  'storage.StorageClass': { reclaimPolicy: 'Delete', volumeBindingMode: 'Immediate' },
  'storage.CSIDriverSpec': {
    attachRequired: true,
    fsGroupPolicy: 'ReadWriteOnceWithFSType',
    podInfoOnMount: false,
    requiresRepublish: false,
    seLinuxMount: false,
    storageCapacity: false,
    volumeLifecycleModes: ['Persistent'],
  },
  'rbac.RoleRef': { apiGroup: rbacGroup },
  'networking.NetworkPolicyPort': { protocol: 'TCP' },
  'networking.IngressClassParametersReference': { scope: 'Cluster' },
  'autoscalingv2.HorizontalPodAutoscalerSpec': {
    minReplicas: 1,
    metrics: [
      {
        type: 'Resource',
        resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } },
      },
    ],
  },
  'scheduling.PriorityClass': { preemptionPolicy: 'PreemptLowerPriority' },
  'discovery.EndpointPort': { name: '', protocol: 'TCP' },
};
