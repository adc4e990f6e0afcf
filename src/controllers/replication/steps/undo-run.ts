/** Everything that a run stopped, swapped or wrote down, taken back: before its replication goes. */
import type { ReplicationRun } from '../as-plan.ts';
import { forgetEverything } from './finish.ts';
import { putBackCopy } from './stop-copy.ts';
import { undoSwap } from './volumes.ts';

/** Safe to repeat. Errors as the API server has them. */
export async function undoRun(run: ReplicationRun): Promise<void> {
  await undoSwap(run);
  await putBackCopy(run);
  await forgetEverything(run);
}
