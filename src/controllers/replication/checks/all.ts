/** All checks of a replication, in the order in which they are shown. Pure. */
import type { ReplicationSeen } from '../seen.ts';
import { allChecks } from '../../plan/checks/all.ts';
import { type CheckResult, runCheck } from './check.ts';
import { needChecks } from './needs.ts';
import { isLeftOut, planResults } from './of-plans.ts';
import { roomChecks } from './room.ts';
import { sliceChecks } from './slices.ts';
import { storageChecks } from './storage.ts';

const own = [...needChecks, ...storageChecks, ...roomChecks, ...sliceChecks];

/** Before the clusters are looked at: what will be told of. */
export function pendingChecks(): readonly CheckResult[] {
  const names = [
    ...allChecks.map(({ id }) => id).filter((id) => !isLeftOut(id)),
    ...own.map(({ name }) => name),
  ];
  return names.map((name) => ({ name, result: 'Pending' }));
}

export function runChecks(seen: ReplicationSeen): readonly CheckResult[] {
  return [...planResults(seen), ...own.map((check) => runCheck(check, seen))];
}

export interface Counts {
  readonly compatible: number;
  readonly actionable: number;
  readonly incompatible: number;
}

export function countsOf(checks: readonly CheckResult[]): Counts {
  const count = (result: CheckResult['result']): number =>
    checks.filter((one) => one.result === result).length;
  return {
    compatible: count('Compatible'),
    actionable: count('Actionable'),
    incompatible: count('Incompatible'),
  };
}
