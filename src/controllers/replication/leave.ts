/** The course of deleting a replication, one look at a time. */
import { volumeTransfers } from '../../api/kinds/volume-transfer.ts';
import { clustersOf, endsText, shapeOf } from '../../api/replication-ends.ts';
import { keyOf } from '../../kube/objects.ts';
import type { Context } from '../context.ts';
import { annotations } from '../labels.ts';
import { uidOf } from '../migration/run.ts';
import { shortList } from '../migration/steps/sentences.ts';
import { leavingText, transfersOf } from '../migration/transfers.ts';
import type { ReplicationRun } from './as-plan.ts';
import { removeUnclaimed } from './backup/restored.ts';
import { removeBackups } from './backup/save-steps.ts';
import { removeTransfers } from './journey.ts';
import { removeAll } from './remove.ts';
import type { Saved } from './saved.ts';
import { forgetEverything } from './steps/finish.ts';
import { isPast, undoRun } from './steps/undo-run.ts';
import { tellKept } from './telling.ts';

/** What it still waits for, in a sentence; undefined: it can go. */
export async function leave(
  context: Context,
  saved: Saved,
  run: () => ReplicationRun,
): Promise<string | undefined> {
  const { metadata, spec } = saved.object;
  const isForced = metadata.annotations?.[annotations.forceDelete] === 'true';
  const { remotes, informers } = context;
  const { source, destination } = clustersOf(spec);
  const isForgotten = [source, destination].find((name) => {
    return (
      remotes.find(name) === undefined &&
      informers.clusters.get({ namespace: '', name }) === undefined
    );
  });
  if (isForced || isForgotten !== undefined) {
    const why = isForced ? 'it was forced' : `cluster ${isForgotten} is not known any more`;
    tellKept(context.ports, saved.object, `What it made at ${endsText(spec).to} stays: ${why}.`);
    return undefined;
  }
  const slice = run();
  if (shapeOf(spec) === 'Backup') return removeBackups(slice);
  // What a run had stopped or swapped comes back before anything is taken away.
  await undoRun(slice);
  const copies = await copiesLeft(slice);
  if (copies !== undefined) return copies;
  await forgetEverything(slice);
  const { left, notes } = await removeAll(slice);
  if (left.length > 0) return `these are being deleted: ${shortList(left)}`;
  if (shapeOf(spec) === 'Restore') {
    const unclaimed = await removeUnclaimed(slice.destination.client, uidOf(slice.replication));
    if (unclaimed.length > 0) return `these are being deleted: ${shortList(unclaimed)}`;
  }
  for (const note of notes) {
    saved.note(note);
    tellKept(context.ports, saved.object, note);
  }
  await saved.write({});
  return undefined;
}

/** Those that still copy, with their helpers and what they made: nobody may write after this. */
async function copiesLeft(run: ReplicationRun): Promise<string | undefined> {
  if (isPast(run)) return endCopies(run);
  const seen = await removeTransfers.observe(run);
  if (seen.kind === 'done') return undefined;
  if (seen.kind === 'notStarted') await removeTransfers.ensure(run);
  return leavingText(await transfersOf(run));
}

/** What they made is in use by what is about to go, and goes after that. */
async function endCopies(run: ReplicationRun): Promise<string | undefined> {
  const { client } = run.context;
  const left = await transfersOf(run);
  for (const one of left) {
    if (one.metadata.deletionTimestamp !== undefined) continue;
    await client.delete(volumeTransfers, keyOf(one), { uid: uidOf(one) });
  }
  return left.length === 0 ? undefined : leavingText(left);
}
