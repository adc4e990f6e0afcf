/** Is a workload healthy, and if not, why, in one sentence that names the cause. */
import type { KubeObject } from '../kube/objects.ts';
import { hasCondition } from './exclusions.ts';
import { fieldsAt, fieldsListAt, numberAt, textAt, valueAt } from './fields.ts';
import { kindText, nameOf } from './names.ts';

export type Health =
  | { readonly healthy: true }
  | { readonly healthy: false; readonly because: string };

const well: Health = { healthy: true };
const ill = (because: string): Health => ({ healthy: false, because });

/** `pods` are those of the namespace; those that the object's selector matches tell why. */
export function judgeHealth(object: KubeObject, pods: readonly KubeObject[] = []): Health {
  const judged = judgeAlone(object);
  if (judged.healthy || object.kind === 'Pod') return judged;
  for (const pod of pods.filter((one) => isMadeBy(one, object))) {
    const cause = judgePod(pod);
    if (!cause.healthy) {
      return ill(`${judged.because}: pod ${pod.metadata.name ?? ''} ${cause.because}`);
    }
  }
  return judged;
}

/** By the labels that its selector asks for; owners may be a step further up. */
function isMadeBy(pod: KubeObject, object: KubeObject): boolean {
  if (pod.metadata.namespace !== object.metadata.namespace) return false;
  const labels = fieldsAt(object, 'spec', 'selector', 'matchLabels');
  const wanted = Object.entries(
    Object.keys(labels).length > 0 ? labels : fieldsAt(object, 'spec', 'selector'),
  );
  const isOwned = pod.metadata.ownerReferences?.some(({ uid }) => uid === object.metadata.uid);
  const has = pod.metadata.labels ?? {};
  return (
    isOwned === true || (wanted.length > 0 && wanted.every(([name, value]) => has[name] === value))
  );
}

function judgeAlone(object: KubeObject): Health {
  if (object.metadata.deletionTimestamp !== undefined) return ill('it is being deleted');
  switch (kindText(nameOf(object))) {
    case 'Pod':
      return judgePod(object);
    case 'apps/Deployment':
    case 'apps.openshift.io/DeploymentConfig':
      return judgeCounted(object, 'availableReplicas', true);
    case 'apps/StatefulSet':
      return judgeCounted(object, 'readyReplicas', true);
    case 'apps/ReplicaSet':
    case 'ReplicationController':
      return judgeCounted(object, 'readyReplicas', false);
    case 'apps/DaemonSet':
      return judgeDaemons(object);
    case 'batch/Job':
      return judgeJob(object);
    case 'batch/CronJob':
      return well;
    case 'PersistentVolumeClaim':
      return judgeClaim(object);
    default:
      return judgeConditions(object);
  }
}

/** The controller has not looked at the newest wish. */
function isBehind(object: KubeObject): boolean {
  const seen = numberAt(object, 'status', 'observedGeneration');
  const { generation } = object.metadata;
  return seen !== undefined && generation !== undefined && seen < generation;
}

function judgeCounted(object: KubeObject, counter: string, rolls: boolean): Health {
  if (isBehind(object)) return ill('its controller has not seen the last change yet');
  const wanted = numberAt(object, 'spec', 'replicas') ?? 1;
  const failure = fieldsListAt(object, 'status', 'conditions').find(
    (one) =>
      (one['type'] === 'ReplicaFailure' && one['status'] === 'True') ||
      (one['type'] === 'Progressing' && one['status'] === 'False'),
  );
  const ready = numberAt(object, 'status', counter) ?? 0;
  if (failure !== undefined && ready < wanted) {
    return ill(`${ready} of ${wanted} replicas are ready: ${textAt(failure, 'message') ?? ''}`);
  }
  if (ready < wanted) return ill(`${ready} of ${wanted} replicas are ready`);
  const updated = numberAt(object, 'status', 'updatedReplicas') ?? 0;
  const isOnDelete = textAt(object, 'spec', 'updateStrategy', 'type') === 'OnDelete';
  if (rolls && !isOnDelete && !isHeld(object) && updated < wanted) {
    return ill(`${updated} of ${wanted} replicas are of the newest version`);
  }
  const all = numberAt(object, 'status', 'replicas') ?? 0;
  if (wanted === 0 && all > 0) return ill(`${all} replicas are still running, none is wanted`);
  return well;
}

/** Rollouts that the user holds back on purpose. */
function isHeld(object: KubeObject): boolean {
  const partition = numberAt(object, 'spec', 'updateStrategy', 'rollingUpdate', 'partition') ?? 0;
  return valueAt(object, ['spec', 'paused']) === true || partition > 0;
}

function judgeDaemons(object: KubeObject): Health {
  if (isBehind(object)) return ill('its controller has not seen the last change yet');
  const wanted = numberAt(object, 'status', 'desiredNumberScheduled');
  if (wanted === undefined) return ill('its controller has not looked at it yet');
  const ready = numberAt(object, 'status', 'numberReady') ?? 0;
  return ready < wanted ? ill(`it is ready on ${ready} of ${wanted} nodes`) : well;
}

function judgeJob(object: KubeObject): Health {
  if (!hasCondition(object, 'Failed')) return well;
  const failed = fieldsListAt(object, 'status', 'conditions').find(
    (one) => one['type'] === 'Failed',
  );
  return ill(`it has failed: ${textAt(failed, 'message') ?? textAt(failed, 'reason') ?? ''}`);
}

function judgeClaim(object: KubeObject): Health {
  const phase = textAt(object, 'status', 'phase') ?? 'Pending';
  if (phase === 'Bound') return well;
  if (phase === 'Lost') return ill('its volume does not exist any more');
  const className = textAt(object, 'spec', 'storageClassName') ?? 'the default class';
  return ill(`it waits for a volume of ${className}`);
}

function judgeConditions(object: KubeObject): Health {
  const bad = fieldsListAt(object, 'status', 'conditions').find(
    (one) => ['Ready', 'Available'].includes(String(one['type'])) && one['status'] === 'False',
  );
  if (bad === undefined) return well;
  return ill(
    `it is not ${String(bad['type'])}: ${textAt(bad, 'message') ?? textAt(bad, 'reason') ?? ''}`,
  );
}

/** Sentences that follow the pod's name. */
function judgePod(pod: KubeObject): Health {
  const phase = textAt(pod, 'status', 'phase') ?? 'Pending';
  if (phase === 'Succeeded') return well;
  if (phase === 'Failed') {
    const why = textAt(pod, 'status', 'message') ?? textAt(pod, 'status', 'reason');
    return ill(why === undefined ? 'has failed' : `has failed: ${why}`);
  }
  const scheduled = fieldsListAt(pod, 'status', 'conditions').find(
    (one) => one['type'] === 'PodScheduled' && one['status'] === 'False',
  );
  if (scheduled !== undefined) {
    return ill(`finds no node: ${textAt(scheduled, 'message') ?? ''}`);
  }
  for (const list of ['initContainerStatuses', 'containerStatuses']) {
    for (const status of fieldsListAt(pod, 'status', list)) {
      const because = troubleOfContainer(status, list === 'initContainerStatuses');
      if (because !== undefined) return ill(because);
    }
  }
  if (phase === 'Unknown') return ill('is on a node that does not answer');
  return phase === 'Running' && !hasUnready(pod) ? well : ill(`is ${phase}, not ready yet`);
}

const hasUnready = (pod: KubeObject): boolean =>
  fieldsListAt(pod, 'status', 'conditions').some(
    (one) => one['type'] === 'Ready' && one['status'] === 'False',
  );

/** Waiting for these ends by itself. */
const ordinary: ReadonlySet<string> = new Set(['ContainerCreating', 'PodInitializing']);

function troubleOfContainer(status: unknown, isInit: boolean): string | undefined {
  const name = textAt(status, 'name') ?? '';
  const waiting = fieldsAt(status, 'state', 'waiting');
  const reason = textAt(waiting, 'reason');
  if (reason === 'CrashLoopBackOff') {
    const last = fieldsAt(status, 'lastState', 'terminated');
    const code = numberAt(last, 'exitCode');
    const times = numberAt(status, 'restartCount') ?? 0;
    const end = code === undefined ? '' : `, last with exit code ${code}`;
    return `has container ${name} failing again and again (${times} restarts${end})`;
  }
  if (reason !== undefined && !ordinary.has(reason)) {
    const message = textAt(waiting, 'message');
    const detail = message === undefined ? '' : `: ${message}`;
    return `has container ${name} waiting, ${reason}${detail}`;
  }
  const code = numberAt(status, 'state', 'terminated', 'exitCode');
  if (code === undefined || (isInit && code === 0)) return undefined;
  return code === 0 ? undefined : `has container ${name} ended with exit code ${code}`;
}
