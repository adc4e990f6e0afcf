/** Steps that change the volume under a claim which keeps its name. */
import type { Step } from '../../../flow/flow.ts';
import { keyText } from '../../../kube/objects.ts';
import { cutoverOf } from '../cutover.ts';
import type { Run } from '../run.ts';
import { isConversion } from './moving.ts';
import {
  areTemplatesSwapped,
  isReaddressed,
  isSwapped,
  isSwappedBack,
  readdressRetained,
  reboundStore,
  type Swap,
  swap,
  swapBack,
  swapsBack,
  swapsForward,
  swapTemplates,
} from './swapping.ts';

const deadlineMs = 15 * 60_000;

const swapClaims: Step<Run> = {
  name: 'swapClaims',
  description: 'Puts the new volumes under the claims, which keep their names.',
  deadlineMs,
  isNeeded: async (run) => isConversion(run),
  observe: async (run) => {
    const swaps = await swapsForward(run);
    const isDone = (await isSwapped(run, swaps)) && (await areTemplatesSwapped(run, swaps));
    return { kind: isDone ? 'done' : 'notStarted' };
  },
  ensure: async (run) => {
    const swaps = await swapsForward(run);
    await swap(run, swaps);
    await swapTemplates(run, swaps);
  },
  undo: async (run) => {
    await swapBack(run);
    return { kind: 'done' };
  },
};

/** A conversion goes back to its old volumes; else what came back takes the place of those. */
const swapClaimsBack: Step<Run> = {
  name: 'swapClaimsBack',
  description: 'Puts the volumes with the right content under the claims of the source.',
  deadlineMs,
  observe: async (run) => {
    if (isConversion(run)) return { kind: (await isSwappedBack(run)) ? 'done' : 'notStarted' };
    const swaps = await swapsBack(run);
    const isDone = (await isSwapped(run, swaps)) && (await isReaddressed(run));
    if (isDone) await warnOfOld(run, swaps);
    return { kind: isDone ? 'done' : 'notStarted' };
  },
  ensure: async (run) => {
    if (isConversion(run)) return swapBack(run);
    await swap(run, await swapsBack(run));
    await readdressRetained(run, 'New');
  },
  undo: async (run) => {
    if (!isConversion(run)) await readdressRetained(run, 'Old');
    await swapBack(run);
    const cutover = cutoverOf(run);
    if (isConversion(run) && cutover !== undefined) {
      const swaps = await swapsForward(run, cutover);
      await swap(run, swaps);
      await swapTemplates(run, swaps);
    }
    return { kind: 'done' };
  },
};

async function warnOfOld(run: Run, swaps: readonly Swap[]): Promise<void> {
  const names = new Set(swaps.map(({ claim }) => keyText(claim)));
  const records = (await reboundStore(run).load()).filter(({ to }) => names.has(keyText(to)));
  const old = records.flatMap(({ oldVolume }) => (oldVolume === undefined ? [] : [oldVolume.name]));
  if (old.length === 0) return;
  run.warn(
    `The source has what came back; PersistentVolume ${old.join(', ')} has what was there before ` +
      'the cutover and is used by nobody: delete it when it is not needed.',
  );
}

export const claimSteps: readonly Step<Run>[] = [swapClaims, swapClaimsBack];
