/**
 * Stopping a side, and the proof that nobody writes there any more. A cutover stops the source, a
 * rollback the destination; of a storage conversion both are one place with one set of records.
 */
import type { Observation, Step } from '../../../flow/flow.ts';
import { isOurs } from '../../../workload/ours.ts';
import { findWriters } from '../../../workload/quiesce-run.ts';
import { keyOf, keyText } from '../../../kube/objects.ts';
import { removeEmptyRecords } from '../../../workload/record-store.ts';
import { accessOf, recordKey, type Run, type SideName } from '../run.ts';
import { claimsAt, quiesces } from './moving.ts';
import { shortList } from './sentences.ts';
import { isPutBack, observeStop, planStopAt, putBack, stopPart } from './stopping.ts';

const minuteMs = 60_000;

const isStopping = async (run: Run): Promise<boolean> => quiesces(run);

function pausing(name: string, side: SideName): Step<Run> {
  return {
    name,
    description: `Pauses whoever would start workloads of the ${side} again.`,
    deadlineMs: 2 * minuteMs,
    observe: (run) => observeStop(run, side, 'Managers'),
    ensure: (run) => stopPart(run, side, 'Managers'),
    undo: async (run) => {
      const undone = await putBack(run, side, 'Managers');
      if (undone.kind === 'done') {
        await removeEmptyRecords(accessOf(run, side).client, recordKey(run, side, 'stopped'));
      }
      return undone;
    },
  };
}

function stopping(name: string, side: SideName): Step<Run> {
  return {
    name,
    description: `Stops the workloads of the ${side}; how they were is written down first.`,
    deadlineMs: 5 * minuteMs,
    observe: async (run) => {
      const seen = await observeStop(run, side, 'Workloads');
      if (seen.kind === 'done') warnOfState(run, side);
      return seen;
    },
    ensure: (run) => stopPart(run, side, 'Workloads'),
    undo: (run) => putBack(run, side, 'Workloads'),
  };
}

/** Nothing of the plan runs at the destination afterwards, so a person has to know. */
function warnOfState(run: Run, side: SideName): void {
  if (run.type !== 'State' || side !== 'source') return;
  run.warn(
    'Workloads of the source that use the claims were stopped and stay so, because a plan of ' +
      'type State moves data only; a Rollback starts them again.',
  );
}

function proving(name: string, side: SideName): Step<Run> {
  return {
    name,
    description: `Waits until nobody can write to the claims of the ${side} any more.`,
    deadlineMs: 15 * minuteMs,
    observe: (run) => observeProof(run, side),
    // Somebody has started something since.
    ensure: (run) => stopPart(run, side, 'Workloads'),
  };
}

async function observeProof(run: Run, side: SideName): Promise<Observation> {
  const again = await observeStop(run, side, 'Workloads');
  if (again.kind !== 'done') return again;
  const holders = await findHoldersAt(run, side);
  if (holders.length === 0) return { kind: 'done' };
  const [{ remedy } = { remedy: '' }] = holders;
  return { kind: 'waiting', message: shortList(holders.map(({ message }) => message)), remedy };
}

export interface Holder {
  /** `claim shop/data is held by pod shop/web-0 on node a`. */
  readonly message: string;
  readonly remedy: string;
}

/** Everybody who can still write there, and what a person can do about each. */
export async function findHoldersAt(run: Run, side: SideName): Promise<readonly Holder[]> {
  const { client } = accessOf(run, side);
  const writers = await findWriters(client, await claimsAt(run, side), isOurs);
  const found = writers.map(({ claim, holder }) => {
    const message = `claim ${claim} is held by ${holder}`;
    return { message, remedy: remedyFor(holder) };
  });
  const told = found.map(({ message }) => message).join('\n');
  for (const pod of (await planStopAt(run, side)).running) {
    const text = `pod ${keyText(keyOf(pod))}`;
    if (told.includes(`${text} `)) continue;
    found.push({ message: `${text} still runs`, remedy: remedyFor(text) });
  }
  return found;
}

function remedyFor(holder: string): string {
  if (!holder.startsWith('pod ')) {
    const taint = 'node.kubernetes.io/out-of-service';
    return `Wait until the volume is detached; taint a node that is lost with ${taint}.`;
  }
  return 'Wait until the pod has ended; stop what makes it, or delete it if nothing does.';
}

/** The way back of the managers of the source: the end of a rollback. */
const resumeManagers: Step<Run> = {
  name: 'resumeManagers',
  description: 'Lets the managers of the source go on.',
  deadlineMs: 5 * minuteMs,
  observe: async (run) => ({
    kind: (await isPutBack(run, 'source', 'Managers')) ? 'done' : 'notStarted',
  }),
  ensure: async (run) => void (await putBack(run, 'source', 'Managers')),
};

export const stopSteps: readonly Step<Run>[] = [
  { ...pausing('pauseManagers', 'source'), isNeeded: isStopping },
  { ...stopping('stopSource', 'source'), isNeeded: isStopping },
  { ...proving('proveSourceStopped', 'source'), isNeeded: isStopping },
  pausing('pauseDestinationManagers', 'destination'),
  stopping('stopDestination', 'destination'),
  proving('proveDestinationStopped', 'destination'),
  resumeManagers,
];
