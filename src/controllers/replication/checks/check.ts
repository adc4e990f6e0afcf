/** What a check of a replication is, and how it is run. Pure. */
import type { ReplicationStatus } from '../../../api/kinds/replication.ts';
import { sentences } from '../../plan/checks/check.ts';
import type { ReplicationSeen } from '../seen.ts';

export type CheckResult = NonNullable<ReplicationStatus['checks']>[number];

export interface Found {
  /** One sentence for each thing that is wrong. */
  readonly problems: readonly string[];
  /** What Remediate would do, one sentence each; empty: it can do nothing about one of them. */
  readonly fixes: readonly string[];
  /** What may not be listed, so that something of it may be wrong. */
  readonly unread?: readonly string[];
}

export interface Check {
  /** The same in all versions. */
  readonly name: string;
  readonly remedy: string;
  /** Undefined: it cannot be told, because a cluster cannot be asked. */
  readonly find: (seen: ReplicationSeen) => Found | undefined;
}

export const nothing: Found = { problems: [], fixes: [] };

export function runCheck({ name, remedy, find }: Check, seen: ReplicationSeen): CheckResult {
  const found = find(seen);
  if (found === undefined) {
    const message = 'it cannot be told while a cluster cannot be asked';
    return { name, result: 'Incompatible', message, remedy: 'See `transship cluster check`.' };
  }
  const { problems, fixes, unread = [] } = found;
  if (problems.length === 0) {
    if (unread.length === 0) return { name, result: 'Compatible' };
    return { name, result: 'Compatible', message: `not looked at: ${sentences(unread)}` };
  }
  const message = sentences(problems);
  if (fixes.length === 0) return { name, result: 'Incompatible', message, remedy };
  return { name, result: 'Actionable', message, fix: sentences(fixes), remedy };
}

/** With a fix for each problem, or none for all: what is corrected by half is still in the way. */
export function pairs(
  all: readonly { readonly problem: string; readonly fix: string | undefined }[],
): Found {
  const fixes = all.flatMap(({ fix }) => (fix === undefined ? [] : [fix]));
  const problems = all.map(({ problem }) => problem);
  return { problems, fixes: fixes.length === all.length ? fixes : [] };
}
