/** What a Deployment says of itself; the words are those `kubectl rollout status` looks for. */
import type { WorkloadCondition } from '../../../kube/pod-spec.ts';
import { type Action, setStatus, timeMs } from '../controller.ts';
import {
  type Deployment,
  type DeploymentStatus,
  type ReplicaSet,
  deployments,
} from '../kinds/workloads.ts';
import { withCondition } from './conditions.ts';
import { rollingLimits } from './rolling.ts';

export interface Observed {
  readonly deployment: Deployment;
  /** The set of the current template. */
  readonly fresh: ReplicaSet | undefined;
  /** The others, oldest first. */
  readonly old: readonly ReplicaSet[];
}

interface Counts {
  readonly replicas: number;
  readonly updatedReplicas: number;
  readonly readyReplicas: number;
  readonly availableReplicas: number;
  readonly unavailableReplicas: number;
}

export function deploymentStatus(
  observed: Observed,
  nowMs: number,
): { readonly actions: readonly Action[]; readonly againAfterMs: number | undefined } {
  const { deployment } = observed;
  const counts = count(observed);
  const before = deployment.status ?? {};
  const available = withAvailable(before.conditions ?? [], observed, counts, nowMs);
  const { conditions, againAfterMs } = withProgress(available, observed, counts, nowMs);
  const { generation: observedGeneration } = deployment.metadata;
  return {
    actions: setStatus(deployments, deployment, { observedGeneration, ...counts, conditions }),
    againAfterMs,
  };
}

function count({ deployment, fresh, old }: Observed): Counts {
  const all = [...old, ...(fresh === undefined ? [] : [fresh])];
  const sum = (of: (set: ReplicaSet) => number | undefined): number =>
    all.reduce((total, set) => total + (of(set) ?? 0), 0);
  const replicas = sum((set) => set.status?.replicas);
  const availableReplicas = sum((set) => set.status?.availableReplicas);
  const wanted = Math.max(
    deployment.spec.replicas ?? 1,
    sum((set) => set.spec.replicas ?? 1),
  );
  return {
    replicas,
    updatedReplicas: fresh?.status?.replicas ?? 0,
    readyReplicas: sum((set) => set.status?.readyReplicas),
    availableReplicas,
    unavailableReplicas: Math.max(0, wanted - availableReplicas),
  };
}

function withAvailable(
  conditions: readonly WorkloadCondition[],
  { deployment }: Observed,
  counts: Counts,
  nowMs: number,
): readonly WorkloadCondition[] {
  const { replicas = 1, strategy } = deployment.spec;
  const { maxUnavailable } = rollingLimits(replicas, strategy?.rollingUpdate);
  const missing = strategy?.type === 'Recreate' ? 0 : maxUnavailable;
  const isEnough = counts.availableReplicas >= replicas - missing;
  const words = isEnough
    ? ({
        status: 'True',
        reason: 'MinimumReplicasAvailable',
        message: 'Deployment has minimum availability.',
      } as const)
    : ({
        status: 'False',
        reason: 'MinimumReplicasUnavailable',
        message: 'Deployment does not have minimum availability.',
      } as const);
  return withCondition(conditions, { type: 'Available', ...words }, nowMs);
}

interface Progress {
  readonly conditions: readonly WorkloadCondition[];
  /** When the deadline must be looked at again. */
  readonly againAfterMs: number | undefined;
}

const noDeadline = 2 ** 31 - 1;

function withProgress(
  conditions: readonly WorkloadCondition[],
  observed: Observed,
  counts: Counts,
  nowMs: number,
): Progress {
  const { deployment, fresh } = observed;
  const { progressDeadlineSeconds = 600, paused = false } = deployment.spec;
  const before = conditions.find((one) => one.type === 'Progressing');
  const set = (
    status: 'True' | 'False' | 'Unknown',
    reason: string,
    message: string,
    touch = false,
  ) => withCondition(conditions, { type: 'Progressing', status, reason, message }, nowMs, touch);
  if (paused) {
    const next = set('Unknown', 'DeploymentPaused', 'Deployment is paused');
    return { conditions: next, againAfterMs: undefined };
  }
  const name = `ReplicaSet "${fresh?.metadata.name ?? ''}"`;
  if (isComplete(observed, counts)) {
    const next = set('True', 'NewReplicaSetAvailable', `${name} has successfully progressed.`);
    return { conditions: next, againAfterMs: undefined };
  }
  if (fresh === undefined || progressDeadlineSeconds >= noDeadline) {
    return { conditions, againAfterMs: undefined };
  }
  const moved = hasMoved(deployment.status ?? {}, counts, deployment.metadata.generation);
  // A rollout that was complete and lost a pod is no longer timed.
  const wasDone = before?.reason === 'NewReplicaSetAvailable' && !moved;
  if (wasDone) return { conditions, againAfterMs: undefined };
  const sinceMs = timeMs(before?.lastUpdateTime) || nowMs;
  const leftMs = sinceMs + progressDeadlineSeconds * 1000 - nowMs;
  if (before !== undefined && !moved && before.reason !== 'DeploymentPaused') {
    if (leftMs > 0) return { conditions, againAfterMs: leftMs };
    const next = set('False', 'ProgressDeadlineExceeded', `${name} has timed out progressing.`);
    return { conditions: next, againAfterMs: undefined };
  }
  const next = set('True', 'ReplicaSetUpdated', `${name} is progressing.`, true);
  return { conditions: next, againAfterMs: progressDeadlineSeconds * 1000 };
}

function isComplete({ deployment, fresh }: Observed, counts: Counts): boolean {
  const { replicas = 1 } = deployment.spec;
  return (
    fresh !== undefined &&
    counts.updatedReplicas === replicas &&
    counts.replicas === replicas &&
    counts.availableReplicas === replicas
  );
}

/** More new pods, fewer old ones, or more of them ready; a new template starts the clock too. */
function hasMoved(before: DeploymentStatus, now: Counts, generation: number | undefined): boolean {
  const updated = before.updatedReplicas ?? 0;
  const old = (before.replicas ?? 0) - updated;
  return (
    before.observedGeneration !== generation ||
    now.updatedReplicas > updated ||
    now.replicas - now.updatedReplicas < old ||
    now.readyReplicas > (before.readyReplicas ?? 0) ||
    now.availableReplicas > (before.availableReplicas ?? 0)
  );
}
