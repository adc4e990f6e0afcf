/** Status of PodDisruptionBudgets: how many pods may go now. */
import { type ObjectKey, keyOf } from '../../../kube/objects.ts';
import { type PodDisruptionBudget, podDisruptionBudgets } from '../../../kube/jobs.ts';
import {
  type Controller,
  type Decision,
  type View,
  controllerOf,
  decision,
  isDeleted,
  nothing,
  setStatus,
} from '../controller.ts';
import { type Pod, pods } from '../kinds/pods.ts';
import { replicaSets, statefulSets } from '../kinds/workloads.ts';
import { selectorOf } from '../ownership.ts';
import { isActive, isReady } from './pods.ts';
import { countOf } from './rolling.ts';

export function createDisruptionController(): Controller {
  return {
    name: 'disruption',
    sources: [
      { type: podDisruptionBudgets, keysOf: (object) => [keyOf(object)] },
      {
        type: pods,
        keysOf: (pod, view) =>
          view.list(podDisruptionBudgets, pod.metadata.namespace ?? '').map(keyOf),
      },
    ],
    reads: [podDisruptionBudgets, pods, replicaSets, statefulSets],
    decide: decideBudget,
  };
}

export function decideBudget(view: View, key: ObjectKey): Decision {
  const budget = view.get(podDisruptionBudgets, key);
  if (budget === undefined || isDeleted(budget)) return nothing;
  const selects = selectorOf(budget.spec?.selector);
  const mine = view
    .list(pods, key.namespace)
    .filter((pod) => isActive(pod) && selects(pod.metadata.labels));
  const expectedPods = expected(view, budget, mine);
  const desiredHealthy = desired(budget, expectedPods);
  const currentHealthy = mine.filter(isReady).length;
  return decision(
    setStatus(podDisruptionBudgets, budget, {
      observedGeneration: budget.metadata.generation,
      currentHealthy,
      desiredHealthy,
      expectedPods,
      disruptionsAllowed: expectedPods === 0 ? 0 : Math.max(0, currentHealthy - desiredHealthy),
    }),
  );
}

/** What the pods' controllers are asked for; a share of pods that are gone is no share. */
function expected(view: View, { spec }: PodDisruptionBudget, mine: readonly Pod[]): number {
  if (typeof spec?.minAvailable === 'number') return mine.length;
  const seen = new Map<string, number>();
  let alone = 0;
  for (const pod of mine) {
    const owner = controllerOf(pod);
    const key = { namespace: pod.metadata.namespace ?? '', name: owner?.name ?? '' };
    const set =
      owner?.kind === 'StatefulSet' ? view.get(statefulSets, key) : view.get(replicaSets, key);
    if (owner === undefined || set === undefined) alone += 1;
    else seen.set(owner.uid, set.spec.replicas ?? 1);
  }
  return alone + [...seen.values()].reduce((a, b) => a + b, 0);
}

function desired({ spec }: PodDisruptionBudget, total: number): number {
  if (spec?.maxUnavailable !== undefined) {
    return Math.max(0, total - countOf(spec.maxUnavailable, total, 'up'));
  }
  return countOf(spec?.minAvailable ?? 1, total, 'up');
}
