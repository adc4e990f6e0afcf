/** Counting a job's finished pods, each exactly once. */
import { isDeleted } from '../controller.ts';
import type { Pod } from '../kinds/pods.ts';
import type { Job } from '../kinds/workloads.ts';
import { formatIndexes, indexOf, parseIndexes, trackingFinalizer } from './job-pods.ts';

export interface Tally {
  readonly succeeded: number;
  readonly failed: number;
  readonly completed: ReadonlySet<number>;
  /** Pods that the status names now: their finalizer may go once it is written. */
  readonly counted: readonly Pod[];
  readonly status: Readonly<Record<string, unknown>>;
}

/**
 * A finished pod's uid first stands in `uncountedTerminatedPods`; when its finalizer is gone the
 * uid leaves the list and the number grows by one, in one write of the status.
 */
export function tally(job: Job, mine: readonly Pod[]): Tally {
  const before = job.status ?? {};
  const tracked = new Set(
    mine
      .filter((pod) => pod.metadata.finalizers?.includes(trackingFinalizer))
      .map((pod) => pod.metadata.uid ?? ''),
  );
  const named = {
    succeeded: before.uncountedTerminatedPods?.succeeded ?? [],
    failed: before.uncountedTerminatedPods?.failed ?? [],
  };
  const isNamed = new Set([...named.succeeded, ...named.failed]);
  const fresh = mine.filter(
    (pod) => tracked.has(pod.metadata.uid ?? '') && !isNamed.has(pod.metadata.uid ?? ''),
  );
  const uidsOf = (some: readonly Pod[]) => some.map((pod) => pod.metadata.uid ?? '');
  const newlySucceeded = fresh.filter(isSucceeded);
  const waiting = {
    succeeded: [...named.succeeded.filter((uid) => tracked.has(uid)), ...uidsOf(newlySucceeded)],
    failed: [...named.failed.filter((uid) => tracked.has(uid)), ...uidsOf(fresh.filter(isFailed))],
  };
  const folded = (uids: readonly string[]) => uids.filter((uid) => !tracked.has(uid)).length;
  const isWaiting = new Set([...waiting.succeeded, ...waiting.failed]);
  const completed = parseIndexes(before.completedIndexes);
  for (const pod of mine.filter(isSucceeded)) {
    const index = indexOf(pod);
    if (index !== undefined) completed.add(index);
  }
  const isIndexed = job.spec.completionMode === 'Indexed';
  const failed = (before.failed ?? 0) + folded(named.failed);
  const counted = (before.succeeded ?? 0) + folded(named.succeeded);
  const succeeded = isIndexed ? completed.size : counted;
  return {
    succeeded: isIndexed ? completed.size : counted + waiting.succeeded.length,
    failed: failed + waiting.failed.length,
    completed,
    counted: mine.filter((pod) => isWaiting.has(pod.metadata.uid ?? '')),
    status: {
      succeeded: succeeded === 0 && before.succeeded === undefined ? undefined : succeeded,
      failed: failed === 0 && before.failed === undefined ? undefined : failed,
      uncountedTerminatedPods: {
        ...(waiting.succeeded.length > 0 ? { succeeded: waiting.succeeded } : {}),
        ...(waiting.failed.length > 0 ? { failed: waiting.failed } : {}),
      },
      ...(isIndexed ? { completedIndexes: formatIndexes(completed) } : {}),
    },
  };
}

function isSucceeded(pod: Pod): boolean {
  return pod.status?.phase === 'Succeeded';
}

/** A pod that is deleted before it succeeded has failed. */
function isFailed(pod: Pod): boolean {
  return !isSucceeded(pod) && (pod.status?.phase === 'Failed' || isDeleted(pod));
}
