/** What controllers ask of pods, and how they make them of templates. */
import { ownerReference } from '../../../kube/api.ts';
import type { KubeObject, ObjectMeta } from '../../../kube/objects.ts';
import { bornMs, timeMs } from '../controller.ts';
import type { Pod, PodCondition, PodTemplate } from '../kinds/pods.ts';

export function podCondition(pod: Pod, type: string): PodCondition | undefined {
  return pod.status?.conditions?.find((one) => one.type === type);
}

export function isReady(pod: Pod): boolean {
  return podCondition(pod, 'Ready')?.status === 'True';
}

export function isFinished(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

/** Neither finished nor on its way out. */
export function isActive(pod: Pod): boolean {
  return !isFinished(pod) && pod.metadata.deletionTimestamp === undefined;
}

export function isAvailable(pod: Pod, minReadySeconds: number, nowMs: number): boolean {
  return availableInMs(pod, minReadySeconds, nowMs) === 0;
}

/** 0 when available, how long a ready pod still has to stay ready, undefined when not ready. */
export function availableInMs(
  pod: Pod,
  minReadySeconds: number,
  nowMs: number,
): number | undefined {
  if (!isReady(pod)) return undefined;
  if (minReadySeconds === 0) return 0;
  const sinceMs = timeMs(podCondition(pod, 'Ready')?.lastTransitionTime);
  return Math.max(0, (sinceMs || 0) + minReadySeconds * 1000 - nowMs);
}

/** When the next of these pods becomes available by waiting alone. */
export function nextAvailableMs(
  pods: readonly Pod[],
  minReadySeconds: number,
  nowMs: number,
): number | undefined {
  const waits = pods
    .map((pod) => availableInMs(pod, minReadySeconds, nowMs))
    .filter((ms): ms is number => ms !== undefined && ms > 0);
  return waits.length === 0 ? undefined : Math.min(...waits);
}

/** A pod of a template; the caller adds a name or a prefix. */
export function podOf(
  owner: KubeObject,
  template: PodTemplate,
  metadata: ObjectMeta,
): Pick<Pod, 'metadata' | 'spec'> {
  const { labels, annotations, finalizers } = template.metadata ?? {};
  return {
    metadata: {
      namespace: owner.metadata.namespace ?? '',
      ...metadata,
      labels: { ...labels, ...metadata.labels },
      annotations: { ...annotations, ...metadata.annotations },
      finalizers: [...(finalizers ?? []), ...(metadata.finalizers ?? [])],
      ownerReferences: [ownerReference(owner)],
    },
    spec: template.spec,
  };
}

/** Prefix of generated names: Kubernetes cuts long ones so that the suffix fits. */
export function namePrefix(name: string): string {
  const prefixLengthMax = 58;
  return `${name}-`.slice(0, prefixLengthMax);
}

/**
 * The order in which a controller gives pods up: unassigned, pending, not ready, cheap to delete,
 * ready for the shortest time, most restarts, youngest first (`ActivePods` of Kubernetes).
 */
export function byDispensability(a: Pod, b: Pod): number {
  return (
    Number(a.spec.nodeName !== undefined) - Number(b.spec.nodeName !== undefined) ||
    phaseRank(a) - phaseRank(b) ||
    Number(isReady(a)) - Number(isReady(b)) ||
    deletionCost(a) - deletionCost(b) ||
    readySinceMs(b) - readySinceMs(a) ||
    restarts(b) - restarts(a) ||
    bornMs(b) - bornMs(a) ||
    (a.metadata.name ?? '').localeCompare(b.metadata.name ?? '')
  );
}

function phaseRank(pod: Pod): number {
  const phase = pod.status?.phase;
  if (phase === 'Running') return 2;
  return phase === 'Unknown' ? 1 : 0;
}

function deletionCost(pod: Pod): number {
  return Number(pod.metadata.annotations?.['controller.kubernetes.io/pod-deletion-cost']) || 0;
}

function readySinceMs(pod: Pod): number {
  return timeMs(podCondition(pod, 'Ready')?.lastTransitionTime) || 0;
}

function restarts(pod: Pod): number {
  return (pod.status?.containerStatuses ?? []).reduce((sum, one) => sum + one.restartCount, 0);
}
