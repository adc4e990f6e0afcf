/**
 * Pods as the runtime has them: our own API server has looked at them, so that what they must have
 * is there. The fields are in `src/kube`.
 */
import type {
  ContainerState,
  ContainerStatus as AnyContainerStatus,
  PodSpec,
  PodStatus as AnyPodStatus,
  PodTemplate as AnyPodTemplate,
} from '../../../kube/pod-spec.ts';
import { namespaced } from '../../../kube/type-of.ts';
import type { Pod as AnyPod } from '../../../kube/workloads.ts';

export interface PodTemplate extends AnyPodTemplate {
  readonly spec: PodSpec;
}

export interface PodCondition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason?: string;
  readonly message?: string;
  readonly lastTransitionTime?: string;
}

/** The runtime writes both states always. */
export interface ContainerStatus extends AnyContainerStatus {
  readonly state: ContainerState;
  readonly lastState: ContainerState;
}

export interface PodStatus extends AnyPodStatus {
  readonly conditions?: readonly PodCondition[];
  readonly containerStatuses?: readonly ContainerStatus[];
  readonly initContainerStatuses?: readonly ContainerStatus[];
}

export interface Pod extends AnyPod {
  readonly spec: PodSpec;
  readonly status?: PodStatus;
}

export const pods = namespaced<Pod>('v1', 'pods', 'Pod');
