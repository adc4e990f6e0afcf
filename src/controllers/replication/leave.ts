/** The course of deleting a replication, one look at a time. */
import type { Context } from '../context.ts';
import { annotations } from '../labels.ts';
import { shortList } from '../migration/steps/sentences.ts';
import type { ReplicationRun } from './as-plan.ts';
import { removeTransfers } from './journey.ts';
import { removeAll } from './remove.ts';
import type { Saved } from './saved.ts';
import { forgetEverything } from './steps/finish.ts';
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
  const slice = run();
  // What a run had stopped or swapped comes back before anything is taken away.
  await undoRun(slice);
  const copies = await copiesLeft(slice);
  if (copies !== undefined) return copies;
  await forgetEverything(slice);
  const { left, notes } = await removeAll(slice);
  if (left.length > 0) return `these are being deleted: ${shortList(left)}`;
  for (const note of notes) {
    saved.note(note);
    tellKept(context.ports, saved.object, note);
  }
  await saved.write({});
  return undefined;
}

/** Those that still copy, with their helpers and what they made: nobody may write after this. */
async function copiesLeft(run: ReplicationRun): Promise<string | undefined> {
  const seen = await removeTransfers.observe(run);
  if (seen.kind === 'done') return undefined;
  if (seen.kind === 'notStarted') await removeTransfers.ensure(run);
  const { message = 'copies are being ended' } = { message: undefined, ...seen };
  return message;
}
