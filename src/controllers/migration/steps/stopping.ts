/** What is stopped at a side, what was, and how it is put back. The steps are in `stop.ts`. */
import type { Observation, Undoing } from '../../../flow/flow.ts';
import type { KubeObject } from '../../../kube/objects.ts';
import { nameText } from '../../../workload/names.ts';
import {
  hasEnded,
  planQuiesce,
  type QuiescePlan,
  type QuiesceView,
} from '../../../workload/quiesce.ts';
import { startAgain, stopWriters } from '../../../workload/quiesce-run.ts';
import { readQuiesceView } from '../../../workload/quiesce-view.ts';
import { type RecordStore, secretRecordStore } from '../../../workload/record-store.ts';
import { createChooser } from '../../../workload/selection.ts';
import { preparedFor } from '../../../workload/transform-context.ts';
import { joinRecords, type UndoRecord } from '../../../workload/undo.ts';
import { accessOf, moveId, namespacesAt, recordKey, type Run, type SideName } from '../run.ts';
import { claimsAt, isOnePlace, isWhole } from './moving.ts';

/** Managers are paused before anything is stopped, and go on after all is started. */
export type StopPart = 'Managers' | 'Workloads';

export function isOfPart(part: StopPart): (record: UndoRecord) => boolean {
  return ({ action }) => (action === 'PauseManager') === (part === 'Managers');
}

export function stoppedStore(run: Run, side: SideName): RecordStore<UndoRecord> {
  const { client } = accessOf(run, side);
  return secretRecordStore<UndoRecord>(client, recordKey(run, side, 'stopped'));
}

interface Planned extends QuiescePlan {
  /** Uids of what is being deleted already. */
  readonly ending: ReadonlySet<string>;
  /** Pods that must be gone, and are not. */
  readonly running: readonly KubeObject[];
}

type Placed = QuiesceView['workloads'][number];

/** What runs there now and has to be stopped; changes nothing. */
export async function planStopAt(run: Run, side: SideName): Promise<Planned> {
  const view = await readQuiesceView(accessOf(run, side).client, namespacesAt(run, side));
  const ending = new Set(
    view.workloads
      .filter(({ object }) => object.metadata.deletionTimestamp !== undefined)
      .map(({ object }) => object.metadata.uid ?? ''),
  );
  const isAll = isWhole(run) && (side === 'source' || isOnePlace(run));
  if (isAll) return { ...planQuiesce(view, {}), ending, running: runningIn(view) };
  const writing = planQuiesce(view, { claims: await claimsAt(run, side) });
  const own = within(view, whatMoves(run, side));
  const moving = planQuiesce(own, {});
  const all = joinRecords(writing.records, moving.records);
  return {
    records: [...all.filter(isOfPart('Managers')), ...all.filter(isOfPart('Workloads'))],
    blockers: [...writing.blockers, ...moving.blockers],
    ending,
    running: runningIn(own),
  };
}

function runningIn({ workloads }: QuiesceView): readonly KubeObject[] {
  return workloads
    .map(({ object }) => object)
    .filter((one) => one.kind === 'Pod' && one.apiVersion === 'v1' && !hasEnded(one));
}

/** Whether a chain of makers, a pod first, is of what the plan takes along or has made. */
function whatMoves(run: Run, side: SideName): (chain: readonly Placed[]) => boolean {
  if (run.type !== 'Namespace') return () => false;
  if (side === 'destination') {
    const id = moveId(run);
    return (chain) => chain.some(({ object }) => object.metadata.annotations?.[preparedFor] === id);
  }
  const choose = createChooser(run.plan.spec.resources ?? {});
  // What somebody made goes with its maker.
  return (chain) => chain.slice(-1).some(({ type, object }) => choose(type, object) === undefined);
}

/** The chains that move, and nothing else. */
function within(view: QuiesceView, isWanted: (chain: readonly Placed[]) => boolean): QuiesceView {
  const byUid = new Map(view.workloads.map((one) => [one.object.metadata.uid ?? '', one]));
  const kept = new Set<Placed>();
  for (const one of view.workloads) {
    const chain: Placed[] = [];
    for (let at: Placed | undefined = one; at !== undefined && !chain.includes(at); ) {
      chain.push(at);
      at = ownerOf(at.object, byUid);
    }
    if (isWanted(chain)) for (const each of chain) kept.add(each);
  }
  return { ...view, workloads: view.workloads.filter((one) => kept.has(one)) };
}

function ownerOf(object: KubeObject, byUid: ReadonlyMap<string, Placed>): Placed | undefined {
  const owner = object.metadata.ownerReferences?.find(({ controller }) => controller === true);
  return owner === undefined ? undefined : byUid.get(owner.uid);
}

/** What of that part still has to be asked for. */
export async function leftToStop(
  run: Run,
  side: SideName,
  part: StopPart,
): Promise<readonly UndoRecord[]> {
  const { records, ending, blockers } = await planStopAt(run, side);
  for (const { name, message, remedy } of blockers) {
    run.warn(`${nameText(name)}: ${message}. ${remedy}`);
  }
  return records.filter(isOfPart(part)).filter(({ action, uid }) => {
    return action !== 'Delete' || !ending.has(uid);
  });
}

export async function observeStop(run: Run, side: SideName, part: StopPart): Promise<Observation> {
  const left = await leftToStop(run, side, part);
  return { kind: left.length === 0 ? 'done' : 'notStarted' };
}

/** Records first, then changes. Errors as `stopWriters`. */
export async function stopPart(run: Run, side: SideName, part: StopPart): Promise<void> {
  const left = await leftToStop(run, side, part);
  if (left.length === 0) return;
  await stopWriters(accessOf(run, side).client, left, stoppedStore(run, side));
}

/** Whether something of that part is still as we left it, as far as the records say. */
export async function isPutBack(run: Run, side: SideName, part: StopPart): Promise<boolean> {
  return !(await stoppedStore(run, side).load()).some(isOfPart(part));
}

/**
 * Puts back what was stopped, exactly as it was, and forgets it: a record stays until everything of
 * its part is back, so that this can be cut anywhere and repeated.
 */
export async function putBack(run: Run, side: SideName, part: StopPart): Promise<Undoing> {
  const { client } = accessOf(run, side);
  const store = stoppedStore(run, side);
  const all = await store.load();
  const mine = all.filter(isOfPart(part));
  if (mine.length === 0) return { kind: 'done' };
  const { warnings } = await startAgain(client, { ...store, load: async () => mine });
  for (const warning of warnings) run.warn(`${warning}.`);
  await store.save(all.filter((one) => !mine.includes(one)));
  return { kind: 'done' };
}
