/** Makes what runs nothing at the destination, and tries there what will run. */
import { fail, TransshipError } from '../../../base/errors.ts';
import type { Observation, Step } from '../../../flow/flow.ts';
import { createDiscovery } from '../../../kube/discovery.ts';
import { keyOf, type KubeObject } from '../../../kube/objects.ts';
import { collectionPath } from '../../../kube/paths.ts';
import { compareObject } from '../../../workload/existing.ts';
import { typeOf } from '../../../workload/existing-run.ts';
import { nameOf, nameText } from '../../../workload/names.ts';
import type { Run } from '../run.ts';
import { lastCopySpoiled } from './audit.ts';
import { makesObjects, quiesces } from './moving.ts';
import { closeSourceFence } from './fence.ts';
import { existingRulesOf, hasMade, makeAll, markMade, proveMakeable, unmakeAll } from './made.ts';
import { objectsOf, type RunSurvey, surveyRun } from './prepared-objects.ts';
import { findHoldersAt } from './stop.ts';
import { leftToStop, stopPart } from './stopping.ts';

const minuteMs = 60_000;

/** Nothing runs anywhere meanwhile: who was told to stop has to have ended within this. */
const restMs = 2 * minuteMs;

const makeObjects: Step<Run> = {
  name: 'makeObjects',
  description: 'Makes what runs nothing at the destination, and tries there what will run.',
  deadlineMs: 15 * minuteMs,
  isNeeded: async (run) => makesObjects(run) || run.migration.spec.type === 'Rehearsal',
  observe: async (run) => {
    if (await hasMade(run, 'makeObjects')) return { kind: 'done' };
    return (await observeRest(run)) ?? { kind: 'notStarted' };
  },
  ensure: async (run) => {
    await stopAgain(run);
    const survey = await surveyRun(run);
    await proveMakeable(run, objectsOf(run, survey, 'Resting'));
    await proveMakeable(run, objectsOf(run, survey, 'Running'));
    await makeAll(run, objectsOf(run, survey, 'Resting'));
    await tryAll(run, survey);
    await proveAtRest(run);
    await markMade(run, 'makeObjects');
  },
  undo: (run) => unmakeAll(run, () => false),
};

/** The server judges them as if they were made; `Invalid`, `Forbidden` and others name one. */
async function tryAll(run: Run, survey: RunSurvey): Promise<void> {
  const { client } = run.destination;
  const discovery = createDiscovery(client);
  const rules = await existingRulesOf(run);
  for await (const object of objectsOf(run, survey, 'Running')) {
    const type = await typeOf(discovery, object);
    const there = await client.get<KubeObject>(type, keyOf(object));
    const { decision, uid } = compareObject(object, there, rules);
    try {
      if (decision === 'Create') {
        const path = collectionPath(type, object.metadata.namespace);
        await client.request('POST', `${path}?dryRun=All`, object);
      } else if (decision === 'Update') {
        // Of any version: only its status may have changed since it was read.
        const metadata = { ...object.metadata, uid };
        await client.apply(type, { ...object, metadata }, { dryRun: true });
      }
    } catch (error) {
      if (!(error instanceof TransshipError) || error.reason === 'AlreadyExists') throw error;
      const name = nameText(nameOf(object));
      fail(error.reason, `${name} would not be taken by the destination: ${error.message}`, error);
    }
  }
}

/** Who runs at the source although it should rest. Undefined: nobody, as far as is known. */
async function observeRest(run: Run): Promise<Observation | undefined> {
  if (!quiesces(run)) return undefined;
  const spoiled = await lastCopySpoiled(run);
  if (spoiled !== undefined) return spoiled;
  const [holder] = await findHoldersAt(run, 'source');
  if (holder === undefined) return undefined;
  const left = await leftToStop(run, 'source', 'Workloads');
  const sinceMs = Date.parse(entryOf(run)?.blockedTime ?? '');
  const stuckMs = run.context.ports.clock.wallMs() - sinceMs;
  if (stuckMs >= restMs) {
    const message = `${holder.message} since the last copy, for ${Math.round(stuckMs / 1000)} s`;
    return { kind: 'failed', reason: 'InUse', message };
  }
  return left.length > 0 ? undefined : { kind: 'waiting', ...holder };
}

function entryOf({ migration }: Run) {
  return migration.status?.itinerary?.find(({ name }) => name === 'makeObjects');
}

/** Who has come since the last copy, and can have spoiled nothing, is stopped like all others. */
async function stopAgain(run: Run): Promise<void> {
  if (!quiesces(run) || (await leftToStop(run, 'source', 'Workloads')).length === 0) return;
  // While whoever is about to be stopped is there to be seen.
  await proveUnspoiled(run);
  await stopPart(run, 'source', 'Workloads');
}

async function proveUnspoiled(run: Run): Promise<void> {
  const spoiled = await lastCopySpoiled(run);
  if (spoiled !== undefined) fail(spoiled.reason, spoiled.message);
}

/** The last moment to see that the source is still what was copied. `InUse` names who is there. */
async function proveAtRest(run: Run): Promise<void> {
  if (!quiesces(run)) return;
  await closeSourceFence(run);
  await proveUnspoiled(run);
  const [holder] = await findHoldersAt(run, 'source');
  if (holder !== undefined) fail('InUse', `${holder.message} since the last copy`);
}

export const objectSteps: readonly Step<Run>[] = [makeObjects];
