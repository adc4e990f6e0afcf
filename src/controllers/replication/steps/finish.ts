/** The end of a run: what only helped goes, and what it wrote down for itself. */
import { imageTransfers } from '../../../api/kinds/image-transfer.ts';
import { type VolumeTransfer, volumeTransfers } from '../../../api/kinds/volume-transfer.ts';
import type { Step } from '../../../flow/flow.ts';
import { keyOf } from '../../../kube/objects.ts';
import { forgetChoices, loadChoices } from '../../migration/choices.ts';
import { forgetImageList, readImageList } from '../../migration/image-list.ts';
import { uidOf } from '../../migration/run.ts';
import { shortList } from '../../migration/steps/sentences.ts';
import { isFilling, progressLine, transfersOf } from '../../migration/transfers.ts';
import { conditionOf } from '../../status.ts';
import { isCleanedUp } from '../../volume-transfer/report.ts';
import type { ReplicationRun } from '../as-plan.ts';
import { forgetObjects, hasForgottenObjects } from './objects.ts';
import { releaseOld } from './volumes.ts';

const deadlineMs = 30 * 60_000;
const linesMax = 100;

type Run = ReplicationRun;

async function imagesOf({ context, replication }: Run) {
  const { namespace = '', name = '' } = replication.metadata;
  const found = [];
  const selectors = { namespace, fields: `spec.migration=${name}` };
  for await (const one of context.client.list(imageTransfers, selectors)) {
    const { ownerReferences = [] } = one.metadata;
    if (ownerReferences.some(({ uid }) => uid === uidOf(replication))) found.push(one);
  }
  return found;
}

/** Whatever steps of the run left for themselves, but for their copies of volumes. */
export async function forgetEverything(run: Run): Promise<void> {
  for (const one of await imagesOf(run)) {
    await run.context.client.delete(imageTransfers, keyOf(one), { uid: uidOf(one) });
  }
  await forgetImageList(run);
  await forgetChoices(run);
  await forgetObjects(run);
}

const isForgotten = async (run: Run): Promise<boolean> =>
  (await loadChoices(run)) === undefined &&
  (await readImageList(run)) === undefined &&
  (await imagesOf(run)).length === 0 &&
  (await hasForgottenObjects(run));

/** A helper that cannot be taken away says why, such as a right that is missing. */
function waitsFor(open: readonly VolumeTransfer[]): string {
  const filling = open.filter(isFilling).length;
  const helped = open.map((one) => conditionOf(one, 'CleanedUp'));
  const why = new Set(helped.flatMap((one) => (one?.status === 'False' ? [one.message] : [])));
  const what =
    filling > 0
      ? `${filling} volumes fill in the background`
      : `helpers of ${open.length} copies are taken away`;
  return why.size === 0 ? what : `${what}; ${shortList([...why])}`;
}

const cleanUp: Step<Run> = {
  name: 'cleanUp',
  description: 'Takes away what only helped to copy.',
  deadlineMs,
  observe: async (run) => {
    const all = await transfersOf(run);
    const open = all.filter((one) => isFilling(one) || !isCleanedUp(one));
    if (open.length > 0) {
      const progress = open.slice(0, linesMax).map(progressLine);
      return { kind: 'running', message: waitsFor(open), progress };
    }
    if (all.length > 0 || !(await isForgotten(run))) return { kind: 'notStarted' };
    return { kind: 'done' };
  },
  ensure: async (run) => {
    await releaseOld(run);
    for (const one of await transfersOf(run)) {
      await run.context.client.delete(volumeTransfers, keyOf(one), { uid: uidOf(one) });
    }
    if ((await transfersOf(run)).length === 0) await forgetEverything(run);
  },
};

/** A run that could not tidy up behind itself leaves that to the next one. */
const endEarlier: Step<Run> = {
  ...cleanUp,
  name: 'endEarlier',
  description: 'Ends what an earlier run has left.',
};

/** After a run was taken back. */
const forgetRun: Step<Run> = {
  name: 'forgetRun',
  description: 'Takes away what the run wrote down for itself.',
  deadlineMs,
  observe: async (run) => ({ kind: (await isForgotten(run)) ? 'done' : 'notStarted' }),
  ensure: forgetEverything,
};

export const finishSteps: readonly Step<Run>[] = [endEarlier, cleanUp, forgetRun];
