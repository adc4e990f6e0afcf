import { formatSecond } from '../../../base/units.ts';
import type { WorkloadCondition } from '../../../kube/pod-spec.ts';

export type ConditionWords = Pick<WorkloadCondition, 'type' | 'status'> & {
  readonly reason: string;
  readonly message: string;
};

/**
 * The list with one condition set: its time of transition is kept while the status stays. The time
 * of update moves when anything changed, or when `touch` says there was progress.
 */
export function withCondition(
  conditions: readonly WorkloadCondition[],
  words: ConditionWords,
  nowMs: number,
  touch = false,
): readonly WorkloadCondition[] {
  const before = conditions.find((one) => one.type === words.type);
  const now = formatSecond(nowMs);
  const same =
    before?.status === words.status &&
    before.reason === words.reason &&
    before.message === words.message;
  if (same && !touch) return conditions;
  const since = before?.status === words.status ? before.lastTransitionTime : now;
  const next = { ...words, lastUpdateTime: now, lastTransitionTime: since ?? now };
  if (before === undefined) return [...conditions, next];
  return conditions.map((one) => (one === before ? next : one));
}
