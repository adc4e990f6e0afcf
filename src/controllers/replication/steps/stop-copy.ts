/** Whoever uses claims at the destination is stopped while the volumes under them change. */
import type { Observation, Step } from '../../../flow/flow.ts';
import { nameText } from '../../../workload/names.ts';
import { isOurs } from '../../../workload/ours.ts';
import { planQuiesce } from '../../../workload/quiesce.ts';
import { findWriters, startAgain, stopWriters } from '../../../workload/quiesce-run.ts';
import { readQuiesceView } from '../../../workload/quiesce-view.ts';
import { type RecordStore, removeEmptyRecords } from '../../../workload/record-store.ts';
import { secretRecordStore } from '../../../workload/record-store.ts';
import type { UndoRecord } from '../../../workload/undo.ts';
import { namespacesAt, recordKey } from '../../migration/run.ts';
import { shortList } from '../../migration/steps/sentences.ts';
import type { ReplicationRun } from '../as-plan.ts';
import { swappedClaims } from './volumes.ts';

const minuteMs = 60_000;

type Run = ReplicationRun;

const stoppedKey = (run: Run) => recordKey(run, 'destination', 'stopped');

function stoppedStore(run: Run): RecordStore<UndoRecord> {
  return secretRecordStore<UndoRecord>(run.destination.client, stoppedKey(run));
}

async function leftToStop(run: Run): Promise<readonly UndoRecord[]> {
  const { client } = run.destination;
  const view = await readQuiesceView(client, namespacesAt(run, 'destination'));
  const { records, blockers } = planQuiesce(view, { claims: await swappedClaims(run) });
  for (const { name, message, remedy } of blockers) {
    run.warn(`${nameText(name)} at the destination: ${message}. ${remedy}`);
  }
  const ending = new Set(
    view.workloads
      .filter(({ object }) => object.metadata.deletionTimestamp !== undefined)
      .map(({ object }) => object.metadata.uid),
  );
  return records.filter(({ action, uid }) => action !== 'Delete' || !ending.has(uid));
}

async function observe(run: Run): Promise<Observation> {
  if ((await leftToStop(run)).length > 0) return { kind: 'notStarted' };
  const writers = await findWriters(run.destination.client, await swappedClaims(run), isOurs);
  if (writers.length === 0) return { kind: 'done' };
  const held = writers.map(({ claim, holder }) => `claim ${claim} is held by ${holder}`);
  const remedy = 'Wait until the pod has ended; stop what makes it, or delete it if nothing does.';
  return { kind: 'waiting', message: shortList(held), remedy };
}

/** Exactly as it was before it was stopped, whoever had made it so. */
export async function putBackCopy(run: Run): Promise<void> {
  const { client } = run.destination;
  const store = stoppedStore(run);
  if ((await store.load()).length > 0) {
    const { warnings } = await startAgain(client, store);
    for (const warning of warnings) run.warn(`${warning}.`);
    await store.save([]);
  }
  await removeEmptyRecords(client, stoppedKey(run));
}

export const stopCopy: Step<Run> = {
  name: 'stopCopy',
  description: 'Stops whoever uses the claims at the destination whose volumes change.',
  deadlineMs: 10 * minuteMs,
  isNeeded: async (run) => (await swappedClaims(run)).size > 0,
  observe,
  ensure: async (run) => {
    const left = await leftToStop(run);
    await stopWriters(run.destination.client, left, stoppedStore(run));
  },
  undo: async (run) => {
    await putBackCopy(run);
    return { kind: 'done' };
  },
};
