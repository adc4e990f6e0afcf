/** What a run stopped or swapped, taken back: before anything that its replication made goes. */
import type { ReplicationRun } from '../as-plan.ts';
import { putBackCopy } from './stop-copy.ts';
import { forgetSwap, undoSwap } from './volumes.ts';

/** Safe to repeat. Errors as the API server has them. */
export async function undoRun(run: ReplicationRun): Promise<void> {
  if (isPast(run)) await forgetSwap(run);
  else await undoSwap(run);
  await putBackCopy(run);
}

/**
 * Its workloads may run on what was copied, and what was under the claims before is being given
 * back: there is no way back to it.
 */
export function isPast({ replication }: ReplicationRun): boolean {
  const start = replication.status?.itinerary?.find(({ name }) => name === 'startCopy');
  return start !== undefined && start.state !== 'Pending';
}
