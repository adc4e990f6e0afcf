/** The course of deleting a replication, one look at a time. */
import { volumeTransfers } from '../../api/kinds/volume-transfer.ts';
import { imageTransfers } from '../../api/kinds/image-transfer.ts';
import { keyOf } from '../../kube/objects.ts';
import type { Context } from '../context.ts';
import { annotations } from '../labels.ts';
import { uidOf } from '../migration/run.ts';
import { shortList } from '../migration/steps/sentences.ts';
import type { ReplicationRun } from './as-plan.ts';
import { removeAll } from './remove.ts';
import type { Saved } from './saved.ts';
import { undoRun } from './steps/undo-run.ts';
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
  const isForgotten = [spec.source, spec.destination].find((name) => {
    return (
      remotes.find(name) === undefined &&
      informers.clusters.get({ namespace: '', name }) === undefined
    );
  });
  if (isForced || isForgotten !== undefined) {
    const why = isForced ? 'it was forced' : `cluster ${isForgotten} is not known any more`;
    tellKept(context.ports, saved.object, `What it made at ${spec.destination} stays: ${why}.`);
    return undefined;
  }
  const copies = await endCopies(context, saved);
  if (copies > 0) return `${copies} copies are being ended`;
  const slice = run();
  // What a run had stopped or swapped comes back before anything is taken away.
  await undoRun(slice);
  const { left, notes } = await removeAll(slice);
  if (left.length > 0) return `these are being deleted: ${shortList(left)}`;
  for (const note of notes) {
    saved.note(note);
    tellKept(context.ports, saved.object, note);
  }
  await saved.write({});
  return undefined;
}

/** Those that still copy, and their helpers, first: nobody may write while it is taken away. */
async function endCopies({ client }: Context, { object }: Saved): Promise<number> {
  const { namespace = '' } = object.metadata;
  let count = 0;
  for (const type of [volumeTransfers, imageTransfers] as const) {
    for await (const one of client.list<{ metadata: typeof object.metadata } & typeof object>(
      type as never,
      { namespace },
    )) {
      const owners = one.metadata.ownerReferences ?? [];
      if (!owners.some(({ uid }) => uid === uidOf(object))) continue;
      count += 1;
      if (one.metadata.deletionTimestamp !== undefined) continue;
      await client.delete(type, keyOf(one), { uid: one.metadata.uid ?? '' });
    }
  }
  return count;
}
