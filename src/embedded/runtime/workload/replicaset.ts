/** ReplicaSets: as many pods of a template as asked for. */
import { type ObjectKey, type ResourceType, keyOf } from '../../../kube/objects.ts';
import {
  type Action,
  type Controller,
  type Decision,
  type View,
  create,
  decision,
  isDeleted,
  nothing,
  remove,
  setStatus,
} from '../controller.ts';
import { type Pod, pods } from '../kinds/pods.ts';
import { type ReplicaSet, replicaSets } from '../kinds/workloads.ts';
import { claim, ownersOf } from '../ownership.ts';
import {
  byDispensability,
  isActive,
  isAvailable,
  isReady,
  namePrefix,
  nextAvailableMs,
  podOf,
} from './pods.ts';

/** Pods made in one round; the next round makes more. */
const burst = 500;

export function createReplicaSetController(): Controller {
  return {
    name: 'replicaset',
    sources: [
      { type: replicaSets, keysOf: (object) => [keyOf(object)] },
      { type: pods, keysOf: ownersOf(replicaSets as ResourceType<ReplicaSet>) },
    ],
    reads: [replicaSets, pods],
    confirms: [pods],
    decide: decideReplicaSet,
  };
}

export function decideReplicaSet(view: View, key: ObjectKey): Decision {
  const set = view.get(replicaSets, key);
  if (set === undefined) return nothing;
  const { mine, actions: claims } = claim(pods, set, view.list(pods, key.namespace));
  const active = mine.filter(isActive);
  const changes = isDeleted(set) ? [] : scale(set, active);
  const { minReadySeconds = 0 } = set.spec;
  return decision(
    [...claims, ...changes, ...report(set, active, view.nowMs)],
    nextAvailableMs(active, minReadySeconds, view.nowMs),
  );
}

function scale(set: ReplicaSet, active: readonly Pod[]): readonly Action[] {
  const { replicas = 1, template } = set.spec;
  const missing = replicas - active.length;
  if (missing <= 0) {
    const spare = active.toSorted(byDispensability).slice(0, -missing);
    return spare.map((pod) => remove(pods, pod));
  }
  const generateName = namePrefix(set.metadata.name ?? '');
  return Array.from({ length: Math.min(missing, burst) }, () =>
    create(pods, podOf(set, template, { generateName })),
  );
}

function report(set: ReplicaSet, active: readonly Pod[], nowMs: number): readonly Action[] {
  const { minReadySeconds = 0, template } = set.spec;
  const wanted = Object.entries(template.metadata?.labels ?? {});
  const labeled = active.filter(({ metadata }) =>
    wanted.every(([name, value]) => metadata.labels?.[name] === value),
  );
  return setStatus(replicaSets, set, {
    observedGeneration: set.metadata.generation,
    replicas: active.length,
    fullyLabeledReplicas: labeled.length,
    readyReplicas: active.filter(isReady).length,
    availableReplicas: active.filter((pod) => isAvailable(pod, minReadySeconds, nowMs)).length,
  });
}
