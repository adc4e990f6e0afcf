/** Workloads as the runtime has them (see `pods.ts`). The fields are in `src/kube`. */
import type {
  CronJob as AnyCronJob,
  Job as AnyJob,
  JobSpec as AnyJobSpec,
} from '../../../kube/jobs.ts';
import type { ObjectMeta } from '../../../kube/objects.ts';
import type { LabelSelector } from '../../../kube/selectors.ts';
import { namespaced } from '../../../kube/type-of.ts';
import type {
  DaemonSet as AnyDaemonSet,
  Deployment as AnyDeployment,
  ReplicaSet as AnyReplicaSet,
  StatefulSet as AnyStatefulSet,
} from '../../../kube/workloads.ts';
import type { PodTemplate } from './pods.ts';
import type { ClaimSpec } from './storage.ts';

/** What makes pods says which are its own, and how they are made. */
interface MakesPods {
  readonly selector: LabelSelector;
  readonly template: PodTemplate;
}

type MakerOf<T extends { readonly spec?: object }> = MakesPods &
  Omit<NonNullable<T['spec']>, keyof MakesPods>;

export interface Deployment extends AnyDeployment {
  readonly spec: MakerOf<AnyDeployment>;
}

export type DeploymentStatus = NonNullable<AnyDeployment['status']>;

export interface ReplicaSet extends AnyReplicaSet {
  readonly spec: MakerOf<AnyReplicaSet>;
}

export interface ClaimTemplate {
  readonly metadata: ObjectMeta;
  readonly spec: ClaimSpec;
}

export interface StatefulSet extends AnyStatefulSet {
  readonly spec: Omit<MakerOf<AnyStatefulSet>, 'volumeClaimTemplates'> & {
    readonly volumeClaimTemplates?: readonly ClaimTemplate[];
  };
}

export interface DaemonSet extends AnyDaemonSet {
  readonly spec: MakerOf<AnyDaemonSet>;
}

export interface JobSpec extends AnyJobSpec {
  readonly template: PodTemplate;
}

export interface Job extends AnyJob {
  readonly spec: JobSpec;
}

export interface CronJob extends AnyCronJob {
  readonly spec: Omit<NonNullable<AnyCronJob['spec']>, 'jobTemplate'> & {
    readonly jobTemplate: { readonly metadata?: ObjectMeta; readonly spec: JobSpec };
  };
}

export const deployments = namespaced<Deployment>('apps/v1', 'deployments', 'Deployment');
export const replicaSets = namespaced<ReplicaSet>('apps/v1', 'replicasets', 'ReplicaSet');
export const statefulSets = namespaced<StatefulSet>('apps/v1', 'statefulsets', 'StatefulSet');
export const daemonSets = namespaced<DaemonSet>('apps/v1', 'daemonsets', 'DaemonSet');
export const jobs = namespaced<Job>('batch/v1', 'jobs', 'Job');
export const cronJobs = namespaced<CronJob>('batch/v1', 'cronjobs', 'CronJob');
