/** The way back: whether there is one, and what becomes of what was made. */
import type { Migration } from '../../../api/kinds/migration.ts';
import type { Observation, Step, Undoing } from '../../../flow/flow.ts';
import { keyOf, keyText } from '../../../kube/objects.ts';
import { preparedFor } from '../../../workload/transform-context.ts';
import { startAgain } from '../../../workload/quiesce-run.ts';
import type { UndoRecord } from '../../../workload/undo.ts';
import { conditionsOf } from '../conditions.ts';
import { cutoverOf } from '../cutover.ts';
import { moveId, namespacesAt, type Run } from '../run.ts';
import { hasSucceeded, isFilling, transfersOf } from '../transfers.ts';
import { liftFences } from './fence.ts';
import { isClaim, madeStore, unmakeAll } from './made.ts';
import { claimsIn, tornClaims } from './moving.ts';
import { needlessCopies, removeCopies } from './needless-copies.ts';
import { shortList } from './sentences.ts';
import { isOfPart, stoppedStore } from './stopping.ts';

const deadlineMs = 15 * 60_000;

const checkWayBack: Step<Run> = {
  name: 'checkWayBack',
  description: 'Finds the cutover to go back from, and whether that can be done.',
  deadlineMs,
  observe: lookForWay,
  ensure: async () => undefined,
};

async function lookForWay(run: Run): Promise<Observation> {
  const { name = '' } = run.plan.metadata;
  const not = (message: string): Observation => ({ kind: 'failed', reason: 'Conflict', message });
  if (run.plan.spec.closed === true) {
    return not(`plan ${name} is closed: what a rollback needs to know was given up with that`);
  }
  const cutover = cutoverOf(run);
  if (cutover === undefined) {
    return not(`plan ${name} has no cutover to go back from: its workloads run at the source`);
  }
  if (conditionsOf(run).has('keepData')) {
    const lost = await lostCopies(run, cutover);
    return lost === undefined ? { kind: 'done' } : not(lost);
  }
  const torn = await tornClaims(run, 'source');
  if (torn.length === 0) return { kind: 'done' };
  return not(
    `an earlier rollback has begun to overwrite ${shortList(torn)} at the source, so that only ` +
      'the data of the destination is whole: make a Rollback with keepData true',
  );
}

/** They say what there is to copy back: without one, its claim would stay behind, unnoticed. */
async function lostCopies(run: Run, migration: Migration): Promise<string | undefined> {
  const { volumes } = migration.status?.report ?? {};
  if (volumes === undefined) return undefined;
  const known = (await transfersOf({ context: run.context, migration }, 'l')).filter(hasSucceeded);
  if (known.length >= volumes) return undefined;
  return (
    `${known.length} of ${volumes} copies of cutover ${migration.metadata.name} are known, ` +
    'because VolumeTransfers of it were deleted: what was written since cannot be brought ' +
    'back by this; ' +
    'copy it by hand and roll back with keepData false, which leaves the destination its data'
  );
}

const removeMade: Step<Run> = {
  name: 'removeMade',
  description: 'Takes away what the cutover made at the destination; claims and data stay.',
  deadlineMs,
  observe: async (run) => {
    const coming = (await transfersOf(run, 'b')).filter(isFilling).length;
    if (coming === 0) return { kind: (await isRemoved(run)) ? 'done' : 'notStarted' };
    const message = `${coming} volumes still come back; what they come from stays as long`;
    return { kind: 'running', message };
  },
  ensure: async (run) => void (await removeAll(run)),
};

async function isRemoved(run: Run): Promise<boolean> {
  const stopped = await stoppedStore(run, 'destination').load();
  if (stopped.length > 0 || (await madeStore(run).load()).length > 0) return false;
  return (await needlessCopies(run)).length === 0;
}

/** What others have at the destination and was stopped for the way back goes on there. */
async function removeAll(run: Run): Promise<Undoing> {
  const unmade = await unmakeAll(run, isClaim);
  if (unmade.kind !== 'done') return unmade;
  await liftFences(run, 'destination');
  await removeCopies(run);
  await warnOfKept(run);
  const store = stoppedStore(run, 'destination');
  const records = await store.load();
  // What was made runs at the source again: a pod of it would be a second one.
  const isMade = ({ object }: UndoRecord): boolean =>
    object?.metadata.annotations?.[preparedFor] === moveId(run);
  const others = records.filter(isOfPart('Workloads')).filter((one) => !isMade(one));
  await startAgain(run.destination.client, { ...store, load: async () => others });
  const paused = records.filter(isOfPart('Managers'));
  if (paused.length > 0) {
    const names = paused.map(({ name }) => `${name.kind} ${name.namespace}/${name.name}`);
    run.warn(
      `Still paused at the destination, because they would start there what runs at the source: ` +
        `${shortList(names)}.`,
    );
  }
  if (records.length > 0) await store.save([]);
  return { kind: 'done' };
}

async function warnOfKept(run: Run): Promise<void> {
  const kept: string[] = [];
  const there = claimsIn(run.destination.client, namespacesAt(run, 'destination'));
  for await (const claim of there) {
    if (claim.metadata.annotations?.[preparedFor] === moveId(run)) kept.push(keyText(keyOf(claim)));
  }
  if (kept.length === 0) return;
  run.warn(
    `Claims with their volumes stay at the destination with the data they have: ` +
      `${shortList(kept)}. Delete them when they are not needed.`,
  );
}

export const removalSteps: readonly Step<Run>[] = [checkWayBack, removeMade];
