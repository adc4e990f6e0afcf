/** Starting a side, and the proof that what it runs is well. */
import { fail } from '../../../base/errors.ts';
import type { Observation, Step } from '../../../flow/flow.ts';
import { nameKey, nameText, type ObjectName } from '../../../workload/names.ts';
import { removeEmptyRecords } from '../../../workload/record-store.ts';
import { findUnhealthy } from '../../../workload/workload.ts';
import { annotations } from '../../labels.ts';
import { conditionsOf } from '../conditions.ts';
import { accessOf, namespacesAt, nameThere, recordKey, type Run, type SideName } from '../run.ts';
import { adoptStaged, stagedClaims } from '../staged-claims.ts';
import { isOnePlace, makesObjects, tornClaims } from './moving.ts';
import { liftFences } from './fence.ts';
import { hasMade, isMadeObject, madeStore, makeAll, markMade } from './made.ts';
import { objectsOf, surveyRun } from './prepared-objects.ts';
import { shortList } from './sentences.ts';
import { isPutBack, putBack } from './stopping.ts';

const minuteMs = 60_000;

/** `Conflict` names claims whose content is half overwritten: nothing may start on them. */
export async function proveWhole(run: Run, side: SideName): Promise<void> {
  const torn = await tornClaims(run, side);
  if (torn.length === 0) return;
  fail(
    'Conflict',
    `a copy into ${torn.join(', ')} was begun and not finished, so that its content is neither ` +
      'the old nor the new one: let a Rollback with keepData finish it, or restore the claim and ' +
      `take the annotation ${annotations.torn} off`,
  );
}

async function isStarted(run: Run): Promise<boolean> {
  if ((await stagedClaims(run)).length > 0) return false;
  if (makesObjects(run)) return hasMade(run, 'startDestination');
  if (!isOnePlace(run)) return true;
  for (const part of ['Workloads', 'Managers'] as const) {
    if (!(await isPutBack(run, 'destination', part))) return false;
  }
  return true;
}

async function startThere(run: Run): Promise<void> {
  await proveWhole(run, 'destination');
  await adoptStaged(run);
  if (makesObjects(run)) {
    await makeAll(run, objectsOf(run, await surveyRun(run), 'Running'));
    return markMade(run, 'startDestination');
  }
  if (!isOnePlace(run)) return;
  await liftFences(run, 'destination');
  await putBack(run, 'destination', 'Workloads');
  await putBack(run, 'destination', 'Managers');
  const { client } = accessOf(run, 'destination');
  await removeEmptyRecords(client, recordKey(run, 'destination', 'stopped'));
}

const startDestination: Step<Run> = {
  name: 'startDestination',
  description: 'Starts the workloads at the destination, as many as there were before the stop.',
  deadlineMs: 15 * minuteMs,
  observe: async (run) => ({ kind: (await isStarted(run)) ? 'done' : 'notStarted' }),
  ensure: startThere,
};

const startSource: Step<Run> = {
  name: 'startSource',
  description: 'Starts the workloads of the source again, as they were before the stop.',
  deadlineMs: 15 * minuteMs,
  observe: async (run) => ({
    kind: (await isPutBack(run, 'source', 'Workloads')) ? 'done' : 'notStarted',
  }),
  ensure: async (run) => {
    await proveWhole(run, 'source');
    await putBack(run, 'source', 'Workloads');
  },
};

function proving(name: string, side: SideName): Step<Run> {
  return {
    name,
    description: `Waits until the workloads of the ${side} are healthy.`,
    deadlineMs: 10 * minuteMs,
    isNeeded: async (run) => conditionsOf(run).has('verify'),
    observe: (run) => observeHealth(run, side),
    ensure: async () => undefined,
  };
}

async function observeHealth(run: Run, side: SideName): Promise<Observation> {
  const before = illBefore(run, side);
  const judged = await judgedAt(run, side);
  const ill: string[] = [];
  for (const namespace of namespacesAt(run, side)) {
    for (const { name, because } of await findUnhealthy(accessOf(run, side).client, namespace)) {
      if (!judged(name)) continue;
      const text = `${nameText(name)}: ${because}`;
      if (before.has(nameText(name))) {
        run.warn(`${nameText(name)} was not healthy before it moved, and is not now.`);
      } else ill.push(text);
    }
  }
  if (ill.length === 0) return { kind: 'done' };
  return {
    kind: 'waiting',
    message: shortList(ill),
    remedy: 'Look at the events and logs of its pods, and repair what they name.',
  };
}

/** What the plan saw unhealthy at the source need not become well by moving. */
function illBefore(run: Run, side: SideName): ReadonlySet<string> {
  return new Set(
    (run.plan.status?.unhealthy ?? []).map(({ namespace, kind, name }) => {
      const there = side === 'source' ? namespace : nameThere(run, namespace);
      return nameText({ group: '', kind, namespace: there, name });
    }),
  );
}

/** Of a destination that others use as well only what was made there. */
async function judgedAt(run: Run, side: SideName): Promise<(name: ObjectName) => boolean> {
  if (side === 'source' || !makesObjects(run)) return () => true;
  const made = (await madeStore(run).load()).filter(isMadeObject);
  const names = new Set(
    made.map(({ type: { group, kind }, key }) => nameKey({ group, kind, ...key })),
  );
  return (name) => names.has(nameKey(name));
}

export const startSteps: readonly Step<Run>[] = [
  startDestination,
  proving('proveDestinationHealthy', 'destination'),
  startSource,
  proving('proveSourceHealthy', 'source'),
];
