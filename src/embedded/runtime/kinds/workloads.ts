/** Workloads, as far as the runtime reads them (API reference, apps/v1 and batch/v1). */
import type { KubeObject, ObjectMeta } from '../../../kube/objects.ts';
import type { LabelSelector } from '../../../kube/selectors.ts';
import type { ClaimSpec } from './storage.ts';
import type { PodTemplate } from './pods.ts';
import { namespaced } from '../../../kube/type-of.ts';

export interface WorkloadCondition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
  readonly lastUpdateTime?: string;
  readonly lastProbeTime?: string;
}

export type IntOrPercent = number | string;

export interface Deployment extends KubeObject {
  readonly spec: {
    readonly replicas?: number;
    readonly selector: LabelSelector;
    readonly template: PodTemplate;
    readonly strategy?: {
      readonly type?: string;
      readonly rollingUpdate?: {
        readonly maxSurge?: IntOrPercent;
        readonly maxUnavailable?: IntOrPercent;
      };
    };
    readonly minReadySeconds?: number;
    readonly revisionHistoryLimit?: number;
    readonly paused?: boolean;
    readonly progressDeadlineSeconds?: number;
  };
  readonly status?: DeploymentStatus;
}

export interface DeploymentStatus {
  readonly observedGeneration?: number;
  readonly replicas?: number;
  readonly updatedReplicas?: number;
  readonly readyReplicas?: number;
  readonly availableReplicas?: number;
  readonly unavailableReplicas?: number;
  readonly collisionCount?: number;
  readonly conditions?: readonly WorkloadCondition[];
}

export interface ReplicaSet extends KubeObject {
  readonly spec: {
    readonly replicas?: number;
    readonly selector: LabelSelector;
    readonly template: PodTemplate;
    readonly minReadySeconds?: number;
  };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly replicas?: number;
    readonly fullyLabeledReplicas?: number;
    readonly readyReplicas?: number;
    readonly availableReplicas?: number;
    readonly conditions?: readonly WorkloadCondition[];
  };
}

export interface ClaimTemplate {
  readonly metadata: ObjectMeta;
  readonly spec: ClaimSpec;
}

export interface StatefulSet extends KubeObject {
  readonly spec: {
    readonly replicas?: number;
    readonly selector: LabelSelector;
    readonly template: PodTemplate;
    readonly serviceName?: string;
    readonly volumeClaimTemplates?: readonly ClaimTemplate[];
    readonly podManagementPolicy?: string;
    readonly updateStrategy?: {
      readonly type?: string;
      readonly rollingUpdate?: { readonly partition?: number };
    };
    readonly revisionHistoryLimit?: number;
    readonly minReadySeconds?: number;
    readonly ordinals?: { readonly start?: number };
    readonly persistentVolumeClaimRetentionPolicy?: {
      readonly whenDeleted?: string;
      readonly whenScaled?: string;
    };
  };
  readonly status?: {
    readonly observedGeneration?: number;
    readonly replicas?: number;
    readonly readyReplicas?: number;
    readonly availableReplicas?: number;
    readonly currentReplicas?: number;
    readonly updatedReplicas?: number;
    readonly currentRevision?: string;
    readonly updateRevision?: string;
    readonly collisionCount?: number;
  };
}

export interface DaemonSet extends KubeObject {
  readonly spec: {
    readonly selector: LabelSelector;
    readonly template: PodTemplate;
    readonly minReadySeconds?: number;
    readonly revisionHistoryLimit?: number;
    readonly updateStrategy?: {
      readonly type?: string;
      readonly rollingUpdate?: {
        readonly maxUnavailable?: IntOrPercent;
      };
    };
  };
  readonly status?: object;
}

export interface ControllerRevision extends KubeObject {
  readonly revision: number;
  readonly data?: object;
}

export interface JobSpec {
  readonly parallelism?: number;
  readonly completions?: number | null;
  readonly activeDeadlineSeconds?: number;
  readonly backoffLimit?: number;
  readonly backoffLimitPerIndex?: number;
  readonly ttlSecondsAfterFinished?: number;
  readonly suspend?: boolean;
  readonly completionMode?: string;
  readonly selector?: LabelSelector;
  readonly manualSelector?: boolean;
  readonly template: PodTemplate;
}

export interface Job extends KubeObject {
  readonly spec: JobSpec;
  readonly status?: {
    readonly active?: number;
    readonly ready?: number;
    readonly succeeded?: number;
    readonly failed?: number;
    readonly terminating?: number;
    readonly startTime?: string | null;
    readonly completionTime?: string;
    readonly completedIndexes?: string;
    readonly conditions?: readonly WorkloadCondition[];
    readonly uncountedTerminatedPods?: {
      readonly succeeded?: readonly string[];
      readonly failed?: readonly string[];
    };
  };
}

export interface CronJob extends KubeObject {
  readonly spec: {
    readonly schedule: string;
    readonly timeZone?: string;
    readonly startingDeadlineSeconds?: number;
    readonly concurrencyPolicy?: string;
    readonly suspend?: boolean;
    readonly successfulJobsHistoryLimit?: number;
    readonly failedJobsHistoryLimit?: number;
    readonly jobTemplate: { readonly metadata?: ObjectMeta; readonly spec: JobSpec };
  };
  readonly status?: {
    readonly active?: readonly object[];
    readonly lastScheduleTime?: string;
    readonly lastSuccessfulTime?: string;
  };
}

export const deployments = namespaced<Deployment>('apps/v1', 'deployments', 'Deployment');
export const replicaSets = namespaced<ReplicaSet>('apps/v1', 'replicasets', 'ReplicaSet');
export const statefulSets = namespaced<StatefulSet>('apps/v1', 'statefulsets', 'StatefulSet');
export const daemonSets = namespaced<DaemonSet>('apps/v1', 'daemonsets', 'DaemonSet');
export const controllerRevisions = namespaced<ControllerRevision>(
  'apps/v1',
  'controllerrevisions',
  'ControllerRevision',
);
export const jobs = namespaced<Job>('batch/v1', 'jobs', 'Job');
export const cronJobs = namespaced<CronJob>('batch/v1', 'cronjobs', 'CronJob');
