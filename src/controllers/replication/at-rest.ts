/** Workloads as they are made where they are to stay stopped. Pure. */
import type { KubeObject } from '../../kube/objects.ts';
import { withAt } from '../../workload/fields.ts';
import { kindText, nameOf } from '../../workload/names.ts';
import { podSpecPaths } from '../../workload/pod-specs.ts';
import { stoppedLabel } from '../../workload/quiesce.ts';

const scaled: ReadonlySet<string> = new Set([
  'apps/Deployment',
  'apps/StatefulSet',
  'apps/ReplicaSet',
  'ReplicationController',
  'apps.openshift.io/DeploymentConfig',
]);

/** Undefined: there is no such thing as one that is stopped, so it is left out. */
export function atRest(object: KubeObject): KubeObject | undefined {
  const kind = kindText(nameOf(object));
  if (scaled.has(kind)) return withAt(object, ['spec', 'replicas'], 0);
  if (kind === 'apps/DaemonSet') {
    const path = ['spec', 'template', 'spec', 'nodeSelector', stoppedLabel];
    return withAt(object, path, 'true');
  }
  if (kind === 'batch/CronJob' || kind === 'batch/Job') {
    return withAt(object, ['spec', 'suspend'], true);
  }
  // Nobody knows what an operator would start.
  const isCustom = nameOf(object).group.includes('.') && !nameOf(object).group.endsWith('.k8s.io');
  return isCustom || podSpecPaths(object).length > 0 ? undefined : object;
}
