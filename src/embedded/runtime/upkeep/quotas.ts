/** Status of ResourceQuotas: how many pods there are. Other resources are not counted. */
import { type ObjectKey, keyOf } from '../../../kube/objects.ts';
import { resourceQuotas } from '../../../kube/resources.ts';
import {
  type Controller,
  type Decision,
  type View,
  decision,
  isDeleted,
  nothing,
  setStatus,
} from '../controller.ts';
import { pods } from '../kinds/pods.ts';
import { isFinished } from '../workload/pods.ts';

export function createQuotaController(): Controller {
  return {
    name: 'quotas',
    sources: [
      { type: resourceQuotas, keysOf: (object) => [keyOf(object)] },
      {
        type: pods,
        keysOf: (pod, view) => view.list(resourceQuotas, pod.metadata.namespace ?? '').map(keyOf),
      },
    ],
    reads: [resourceQuotas, pods],
    decide: decideQuota,
  };
}

export function decideQuota(view: View, key: ObjectKey): Decision {
  const quota = view.get(resourceQuotas, key);
  if (quota === undefined || isDeleted(quota)) return nothing;
  const hard = quota.spec?.hard ?? {};
  const all = view.list(pods, key.namespace);
  const counts: Readonly<Record<string, number>> = {
    pods: all.filter((pod) => !isFinished(pod)).length,
    'count/pods': all.length,
  };
  const used = Object.keys(hard).map((name) => [name, String(counts[name] ?? 0)]);
  return decision(setStatus(resourceQuotas, quota, { hard, used: Object.fromEntries(used) }));
}
