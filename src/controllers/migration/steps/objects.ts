/** Makes what runs nothing at the destination, and tries there what will run. */
import { fail, TransshipError } from '../../../base/errors.ts';
import type { Step } from '../../../flow/flow.ts';
import { createDiscovery } from '../../../kube/discovery.ts';
import { keyOf, type KubeObject } from '../../../kube/objects.ts';
import { collectionPath } from '../../../kube/paths.ts';
import { typeOf } from '../../../workload/existing-run.ts';
import { nameOf, nameText } from '../../../workload/names.ts';
import type { Run } from '../run.ts';
import { makesObjects, quiesces } from './moving.ts';
import { closeSourceFence } from './fence.ts';
import { hasMade, makeAll, markMade, proveMakeable, unmakeAll } from './made.ts';
import { objectsOf, type RunSurvey, surveyRun } from './prepared-objects.ts';
import { findHoldersAt } from './stop.ts';

const minuteMs = 60_000;

const makeObjects: Step<Run> = {
  name: 'makeObjects',
  description: 'Makes what runs nothing at the destination, and tries there what will run.',
  deadlineMs: 15 * minuteMs,
  isNeeded: async (run) => makesObjects(run) || run.migration.spec.type === 'Rehearsal',
  observe: async (run) => ({ kind: (await hasMade(run, 'makeObjects')) ? 'done' : 'notStarted' }),
  ensure: async (run) => {
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
  for await (const object of objectsOf(run, survey, 'Running')) {
    const type = await typeOf(discovery, object);
    // What is there already is changed and not made: that is seen when it is done.
    if ((await client.get<KubeObject>(type, keyOf(object))) !== undefined) continue;
    const path = collectionPath(type, object.metadata.namespace);
    try {
      await client.request('POST', `${path}?dryRun=All`, object);
    } catch (error) {
      if (!(error instanceof TransshipError) || error.reason === 'AlreadyExists') throw error;
      const name = nameText(nameOf(object));
      fail(error.reason, `${name} would not be taken by the destination: ${error.message}`, error);
    }
  }
}

/** The last moment to see that the source is still what was copied. */
async function proveAtRest(run: Run): Promise<void> {
  if (!quiesces(run)) return;
  await closeSourceFence(run);
  const [holder] = await findHoldersAt(run, 'source');
  if (holder === undefined) return;
  fail('InUse', `${holder.message} since the last copy, and what it writes would be lost`);
}

export const objectSteps: readonly Step<Run>[] = [makeObjects];
