/** What a check is: one question about what was seen, with a name that stays. Pure. */
import type { PlanStatus } from '../../../api/kinds/plan.ts';
import type { Observation } from '../observation.ts';
import type { PlanType } from '../type.ts';
import type { PlannedVolume } from '../volumes.ts';

export type CheckResult = NonNullable<PlanStatus['checks']>[number];
export type Category = CheckResult['category'];

export interface Judged {
  readonly seen: Observation;
  readonly volumes: readonly PlannedVolume[];
  /** Undefined: it cannot be told. */
  readonly type: PlanType | undefined;
}

export interface Check {
  /** The same in all versions. */
  readonly id: string;
  readonly category: Category;
  readonly remedy: string;
  /** One sentence for each thing that is wrong; undefined: it cannot be told yet. */
  readonly find: (judged: Judged) => readonly string[] | undefined;
}

/** Sentences that one check shows; how many more there are is said. */
const shownMax = 8;
const lengthMax = 1000;

export function sentences(found: readonly string[]): string {
  const shown: string[] = [];
  let length = 0;
  for (const one of found.slice(0, shownMax)) {
    const text = one.slice(0, lengthMax / 2);
    if (length + text.length > lengthMax - 50) break;
    shown.push(text);
    length += text.length + 2;
  }
  const more = found.length - shown.length;
  return more === 0 ? shown.join('; ') : `${shown.join('; ')}; and ${more} more`;
}

export function runCheck({ id, category, remedy, find }: Check, judged: Judged): CheckResult {
  const found = find(judged);
  if (found === undefined) {
    return { id, category, result: 'Pending', message: 'The clusters have not been looked at.' };
  }
  if (found.length === 0) return { id, category, result: 'Passed' };
  return { id, category, result: 'Failed', message: sentences(found), remedy };
}

/** Categories whose failures keep a plan from running. */
export function isBlocking({ category, result }: CheckResult): boolean {
  return result === 'Failed' && ['Critical', 'Error', 'Required'].includes(category);
}
