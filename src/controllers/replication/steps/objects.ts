/** Makes objects at the destination, brings those of before up to date, and lets them run. */
import { fail, TransshipError } from '../../../base/errors.ts';
import type { Observation, Step } from '../../../flow/flow.ts';
import { createDiscovery } from '../../../kube/discovery.ts';
import type { KubeObject } from '../../../kube/objects.ts';
import { secrets } from '../../../kube/resources.ts';
import { typeOf } from '../../../workload/existing-run.ts';
import { nameKey, nameOf, nameText } from '../../../workload/names.ts';
import { recordPrefix } from '../../../workload/ours.ts';
import { secretRecordStore } from '../../../workload/record-store.ts';
import { preparedFor } from '../../../workload/transform-context.ts';
import { findUnhealthy } from '../../../workload/workload.ts';
import { namespacesAt, nameThere, recordKey, uidOf } from '../../migration/run.ts';
import { hasMade, markMade } from '../../migration/steps/made.ts';
import {
  objectsOf,
  type RunSurvey,
  surveyRun,
  type Wave,
} from '../../migration/steps/prepared-objects.ts';
import { shortList } from '../../migration/steps/sentences.ts';
import { isStandby, type ReplicationRun } from '../as-plan.ts';
import { Applying, eachOfKind, lookForEdits, Marked } from '../apply.ts';
import { atRest } from '../at-rest.ts';
import { putBackCopy } from './stop-copy.ts';

const minuteMs = 60_000;

type Run = ReplicationRun;

/** As they are made there: of a standby what runs is made so that it does not. */
async function* wanted(run: Run, survey: RunSurvey, wave: Wave): AsyncGenerator<KubeObject> {
  const isResting = isStandby(run.replication) && wave === 'Running';
  for await (const object of objectsOf(run, survey, wave)) {
    const made = isResting ? atRest(object) : object;
    if (made !== undefined) yield made;
    else run.warn(`${nameText(nameOf(object))} cannot be made without running: it is left out.`);
  }
}

function keptKey(run: Run) {
  const [namespace = ''] = namespacesAt(run, 'destination');
  return { namespace, name: `${recordPrefix}kept-${uidOf(run.replication)}` };
}

interface Kept {
  readonly object: string;
  readonly by: string;
}

interface Edits {
  /** What stays, and who changed it. */
  readonly kept: readonly Kept[];
  /** How many there are is for an autoscaler to say. */
  readonly scaled: readonly string[];
  /** Of which run. */
  readonly run: number;
}

async function editsOf(run: Run): Promise<Edits | undefined> {
  const [found] = await secretRecordStore<Edits>(run.destination.client, keptKey(run)).load();
  return found?.run === run.replication.status?.runs ? found : undefined;
}

/**
 * Before anything is stopped for a while: afterwards the server would not know any more who wrote
 * what. Only objects that this replication made and that differ are asked about.
 */
const findEdits: Step<Run> = {
  name: 'findEdits',
  description: 'Finds out what others have changed at the destination: that is kept.',
  deadlineMs: 10 * minuteMs,
  observe: async (run) => ({
    kind: (await editsOf(run)) === undefined ? 'notStarted' : 'done',
  }),
  ensure: async (run) => {
    const { client } = run.destination;
    const discovery = createDiscovery(client);
    const survey = await surveyRun(run);
    const [kept, scaled]: [Kept[], string[]] = [[], []];
    const mark = uidOf(run.replication);
    const marked = new Marked(client, mark);
    const look = async (object: KubeObject): Promise<void> => {
      const type = await typeOf(discovery, object);
      if (!(await marked.has(type, object))) return;
      const found = await lookForEdits(client, { type, object, mark });
      const name = nameKey(nameOf(object));
      if (found === 'scaled') scaled.push(name);
      else if (found !== undefined) kept.push({ object: name, by: found.by });
    };
    for (const wave of ['Resting', 'Running'] as const) {
      await eachOfKind(wanted(run, survey, wave), look);
    }
    const store = secretRecordStore<Edits>(client, keptKey(run));
    await store.load();
    await store.save([{ kept, scaled, run: run.replication.status?.runs ?? 0 }]);
  },
};

async function applyWave(run: Run, wave: Wave): Promise<void> {
  const edits = (await editsOf(run)) ?? { kept: [], scaled: [] };
  const applying = new Applying(run, {
    kept: new Map(edits.kept.map(({ object, by }) => [object, by])),
    scaled: new Set(edits.scaled),
  });
  await eachOfKind(wanted(run, await surveyRun(run), wave), (one) => applying.apply(one));
  const failures = await applying.finish();
  if (failures.length === 0 || run.replication.status?.overruled === true) return;
  fail('Invalid', `${shortList(failures)}. Correct them at the source, or ProceedAnyway`);
}

const makeObjects: Step<Run> = {
  name: 'makeObjects',
  description: 'Makes what runs nothing at the destination, or brings it up to date.',
  deadlineMs: 15 * minuteMs,
  observe: async (run) => ({ kind: (await hasMade(run, 'makeObjects')) ? 'done' : 'notStarted' }),
  ensure: async (run) => {
    await applyWave(run, 'Resting');
    await markMade(run, 'makeObjects');
  },
};

const startCopy: Step<Run> = {
  name: 'startCopy',
  description: 'Makes the workloads at the destination, or brings them up to date.',
  deadlineMs: 15 * minuteMs,
  observe: async (run) => ({ kind: (await hasMade(run, 'startCopy')) ? 'done' : 'notStarted' }),
  ensure: async (run) => {
    await putBackCopy(run);
    await applyWave(run, 'Running');
    await markMade(run, 'startCopy');
  },
};

const proveHealthy: Step<Run> = {
  name: 'proveHealthy',
  description: 'Waits until the workloads at the destination are healthy.',
  deadlineMs: 10 * minuteMs,
  isNeeded: async ({ replication }) => !isStandby(replication),
  observe: observeHealth,
  ensure: async () => undefined,
};

async function observeHealth(run: Run): Promise<Observation> {
  const { client } = run.destination;
  const discovery = createDiscovery(client);
  const ill: string[] = [];
  for (const { name } of run.plan.spec.namespaces) {
    const there = nameThere(run, name);
    const found = await findUnhealthy(client, there);
    const before = found.length === 0 ? [] : await findUnhealthy(run.source.client, name);
    for (const one of found) {
      const type = await discovery.find(one.name.group, one.name.kind);
      const object = type && (await client.get<KubeObject>(type, one.name));
      if (object?.metadata.annotations?.[preparedFor] !== uidOf(run.replication)) continue;
      const wasIll = before.some((other) => {
        return other.name.kind === one.name.kind && other.name.name === one.name.name;
      });
      if (wasIll) run.warn(`${nameText(one.name)} is not healthy at the source either.`);
      else ill.push(`${nameText(one.name)}: ${one.because}`);
    }
  }
  if (ill.length === 0) return { kind: 'done' };
  const remedy = 'Look at the events and logs of its pods, and repair what they name.';
  return { kind: 'waiting', message: shortList(ill), remedy };
}

const recordsOf = (run: Run) => [keptKey(run), recordKey(run, 'destination', 'made')];

/** Whether nothing is left of what steps of the run wrote down for themselves. */
export async function hasForgottenObjects(run: Run): Promise<boolean> {
  for (const key of recordsOf(run)) {
    if ((await run.destination.client.get(secrets, key)) !== undefined) return false;
  }
  return true;
}

export async function forgetObjects(run: Run): Promise<void> {
  for (const key of recordsOf(run)) {
    try {
      await run.destination.client.delete(secrets, key);
    } catch (error) {
      if (!(error instanceof TransshipError) || error.reason !== 'NotFound') throw error;
    }
  }
}

export const objectSteps: readonly Step<Run>[] = [findEdits, makeObjects, startCopy, proveHealthy];
