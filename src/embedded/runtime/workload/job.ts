/**
 * Jobs: pods until enough of them succeeded or too many failed. A finished pod keeps a finalizer
 * until the job's status has counted it, so that none is counted twice or lost (Kubernetes
 * documentation, "Job termination and cleanup", "Job tracking").
 */
import { formatSecond } from '../../../base/units.ts';
import { type ObjectKey, keyOf } from '../../../kube/objects.ts';
import type { WorkloadCondition } from '../../../kube/pod-spec.ts';
import {
  type Action,
  type Controller,
  type Decision,
  type View,
  controllerKey,
  decision,
  isDeleted,
  isOwnedBy,
  patch,
  remove,
  setStatus,
  sooner,
  timeMs,
} from '../controller.ts';
import { type Pod, pods } from '../kinds/pods.ts';
import { type Job, jobs } from '../kinds/workloads.ts';
import { withCondition } from './conditions.ts';
import { type Tally, tally } from './job-tally.ts';
import { missingPods, trackingFinalizer } from './job-pods.ts';
import { isActive, isReady } from './pods.ts';

export function createJobController(): Controller {
  return {
    name: 'job',
    sources: [
      { type: jobs, keysOf: (object) => [keyOf(object)] },
      { type: pods, keysOf: (object) => controllerKey(object, 'Job') },
    ],
    reads: [jobs, pods],
    confirms: [pods],
    decide: decideJob,
  };
}

export function decideJob(view: View, key: ObjectKey): Decision {
  const job = view.get(jobs, key);
  const inNamespace = view.list(pods, key.namespace);
  const strays = inNamespace.filter(
    (pod) =>
      isTracked(pod) &&
      controllerKey(pod, 'Job').some((one) => one.name === key.name) &&
      (job === undefined || !isOwnedBy(pod, job)),
  );
  const freed = strays.map(untrack);
  if (job === undefined) return decision(freed);
  const mine = inNamespace.filter((pod) => isOwnedBy(pod, job));
  if (isDeleted(job)) return decision([...freed, ...mine.filter(isTracked).map(untrack)]);
  const end = endOf(job);
  if (end !== undefined) {
    const tracked = mine.filter(isTracked).map(untrack);
    return withExpiry(job, end, [...freed, ...tracked], view.nowMs);
  }
  const next = run(job, mine, view.nowMs);
  return decision([...freed, ...next.actions], next.againAfterMs);
}

function isTracked(pod: Pod): boolean {
  return pod.metadata.finalizers?.includes(trackingFinalizer) === true;
}

function untrack(pod: Pod): Action {
  const finalizers = pod.metadata.finalizers?.filter((one) => one !== trackingFinalizer) ?? [];
  return patch(pods, pod, { metadata: { finalizers } });
}

/** The condition that ended the job. */
export function endOf(job: Job): WorkloadCondition | undefined {
  const ends = ['Complete', 'Failed'];
  return job.status?.conditions?.find((one) => ends.includes(one.type) && one.status === 'True');
}

function withExpiry(
  job: Job,
  end: WorkloadCondition,
  actions: readonly Action[],
  nowMs: number,
): Decision {
  const { ttlSecondsAfterFinished } = job.spec;
  if (ttlSecondsAfterFinished === undefined) return decision(actions);
  const endedMs = timeMs(job.status?.completionTime ?? end.lastTransitionTime) || nowMs;
  const leftMs = endedMs + ttlSecondsAfterFinished * 1000 - nowMs;
  if (leftMs > 0) return decision(actions, leftMs);
  return decision([...actions, remove(jobs, job, { propagation: 'Background' })]);
}

interface Verdict {
  readonly type: 'Complete' | 'Failed';
  readonly reason: string;
  readonly message: string;
}

function run(job: Job, mine: readonly Pod[], nowMs: number): Decision {
  const counts = tally(job, mine);
  const active = mine.filter(isActive);
  const terminating = mine.filter((pod) => isDeleted(pod) && !isOver(pod));
  const isSuspended = job.spec.suspend === true;
  const startMs = timeMs(job.status?.startTime);
  const isBegun = !Number.isNaN(startMs);
  const verdict = isBegun ? judge(job, counts, mine, nowMs) : undefined;
  const isStopping = verdict !== undefined || isSuspended;
  const missing = isStopping ? undefined : missingPods(job, counts, mine, nowMs);
  const stops = isStopping ? active : (missing?.spare ?? []);
  // The last condition comes after the last count: nobody looks at the numbers again.
  const left = active.length + terminating.length + counts.counted.length;
  const status = {
    active: active.length,
    ready: active.filter(isReady).length,
    terminating: terminating.length,
    startTime: isSuspended ? undefined : formatSecond(isBegun ? startMs : nowMs),
    ...counts.status,
    ...ending(job, verdict, left, nowMs),
  };
  const deadlineMs = (job.spec.activeDeadlineSeconds ?? Number.POSITIVE_INFINITY) * 1000;
  const toDeadline =
    isBegun && Number.isFinite(deadlineMs) ? startMs + deadlineMs - nowMs : undefined;
  const again = verdict === undefined ? sooner(toDeadline, missing?.againAfterMs) : undefined;
  // Counted first, let go after: a crash between the two counts nothing twice.
  return decision(
    [
      ...setStatus(jobs, job, status),
      ...counts.counted.filter(isTracked).map(untrack),
      ...stops.map((pod) => remove(pods, pod)),
      ...(missing?.creations ?? []),
    ],
    again === undefined ? undefined : Math.max(0, again),
  );
}

const isOver = (pod: Pod): boolean =>
  pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';

/** Is it over, and how? */
function judge(job: Job, counts: Tally, mine: readonly Pod[], nowMs: number): Verdict | undefined {
  const { backoffLimit = 6, activeDeadlineSeconds, completions, parallelism = 1 } = job.spec;
  const target = job.status?.conditions?.find(
    (one) => one.type === 'FailureTarget' && one.status === 'True',
  );
  if (target !== undefined) {
    return { type: 'Failed', reason: target.reason ?? '', message: target.message ?? '' };
  }
  if (counts.failed > backoffLimit || restarts(job, mine) > backoffLimit) {
    const message = 'Job has reached the specified backoff limit';
    return { type: 'Failed', reason: 'BackoffLimitExceeded', message };
  }
  const startMs = timeMs(job.status?.startTime);
  if (activeDeadlineSeconds !== undefined && nowMs - startMs >= activeDeadlineSeconds * 1000) {
    const message = 'Job was active longer than specified deadline';
    return { type: 'Failed', reason: 'DeadlineExceeded', message };
  }
  const isQueue = completions === undefined || completions === null;
  const isDone = isQueue
    ? counts.succeeded > 0 && !mine.some(isActive)
    : counts.succeeded >= completions && (completions > 0 || parallelism >= 0);
  if (!isDone) return undefined;
  const message = 'Reached expected number of succeeded pods';
  return { type: 'Complete', reason: 'CompletionsReached', message };
}

/** With `OnFailure` a pod fails by restarting. */
function restarts(job: Job, mine: readonly Pod[]): number {
  if (job.spec.template.spec.restartPolicy !== 'OnFailure') return 0;
  const all = mine
    .filter(isActive)
    .flatMap((pod) => [
      ...(pod.status?.initContainerStatuses ?? []),
      ...(pod.status?.containerStatuses ?? []),
    ]);
  return all.reduce((sum, one) => sum + one.restartCount, 0);
}

/** The verdict's condition at once, its end when the last pod is gone. */
function ending(
  job: Job,
  verdict: Verdict | undefined,
  left: number,
  nowMs: number,
): Record<string, unknown> {
  let conditions = withSuspension(job, job.status?.conditions ?? [], nowMs);
  if (verdict === undefined) return conditions.length === 0 ? {} : { conditions };
  const { type, reason, message } = verdict;
  const status = 'True' as const;
  const first = type === 'Complete' ? 'SuccessCriteriaMet' : 'FailureTarget';
  conditions = withCondition(conditions, { type: first, status, reason, message }, nowMs);
  if (left > 0) return { conditions };
  conditions = withCondition(conditions, { type, status, reason, message }, nowMs);
  return type === 'Complete' ? { conditions, completionTime: formatSecond(nowMs) } : { conditions };
}

function withSuspension(
  job: Job,
  conditions: readonly WorkloadCondition[],
  nowMs: number,
): readonly WorkloadCondition[] {
  const isSuspended = job.spec.suspend === true;
  const was = conditions.find((one) => one.type === 'Suspended')?.status === 'True';
  if (isSuspended === was) return conditions;
  const words = isSuspended
    ? ({ status: 'True', reason: 'JobSuspended', message: 'Job suspended' } as const)
    : ({ status: 'False', reason: 'JobResumed', message: 'Job resumed' } as const);
  return withCondition(conditions, { type: 'Suspended', ...words }, nowMs);
}
