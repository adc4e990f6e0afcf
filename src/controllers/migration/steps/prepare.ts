/** What comes before anything is copied: the plan is judged again, and nothing can be lost. */
import type { Observation, Step } from '../../../flow/flow.ts';
import { allChecks } from '../../plan/checks/all.ts';
import { isBlocking, runCheck, sentences } from '../../plan/checks/check.ts';
import { observePlan } from '../../plan/observe.ts';
import { inferType } from '../../plan/type.ts';
import { plannedVolumes } from '../../plan/volumes.ts';
import { isQuiesced } from '../conditions.ts';
import type { Run } from '../run.ts';
import { missingNamespaces, makeNamespaces, removeNamespaces } from '../namespaces.ts';
import { routes } from '../../volume-transfer/methods/mover-job.ts';
import { routeWords } from '../../volume-transfer/methods/mover-route.ts';
import { runsHostProcesses } from '../../volume-transfer/methods/mover-users.ts';
import { areRetained, retain, unretain } from '../retained.ts';

const waitMs = 10 * 60_000;

/** Judged now: a status may be of a minute ago, and a minute is long. */
async function judge(run: Run): Promise<Observation> {
  const { plan } = run;
  if (plan.spec.closed === true) {
    return { kind: 'failed', reason: 'ChecksFailed', message: 'the plan is closed' };
  }
  if (plan.metadata.deletionTimestamp !== undefined) {
    return { kind: 'failed', reason: 'ChecksFailed', message: 'the plan is being deleted' };
  }
  if (run.type === 'StorageConversion' && !isQuiesced(run)) {
    const message = 'volumes cannot be changed under workloads that run: quiesce must be true';
    return { kind: 'failed', reason: 'ChecksFailed', message };
  }
  const seen = await observePlan(run.context, plan);
  const judged = { seen, volumes: plannedVolumes(seen), type: inferType(plan) };
  const results = allChecks.map((one) => runCheck(one, judged));
  const failed = results.filter(isBlocking);
  const [first] = failed;
  if (first !== undefined) {
    const message = sentences(failed.map(({ id, message: text = '' }) => `${id}: ${text}`));
    return { kind: 'waiting', message, remedy: first.remedy ?? 'Correct the plan.' };
  }
  const pending = results.filter(({ result }) => result === 'Pending');
  if (pending.length === 0) return { kind: 'done' };
  const trouble = seen.source.trouble ?? seen.destination.trouble;
  return {
    kind: 'waiting',
    message: trouble?.message ?? 'not everything could be looked at yet',
    remedy: 'Check both clusters with `transship cluster check`.',
  };
}

const checkPlan: Step<Run> = {
  name: 'checkPlan',
  description: 'Judges the plan as both clusters are now.',
  deadlineMs: waitMs,
  observe: judge,
  ensure: async () => undefined,
};

const retainVolumes: Step<Run> = {
  name: 'retainVolumes',
  description: 'Keeps the volumes of the source, whatever happens to their claims.',
  deadlineMs: waitMs,
  observe: async (run) => ((await areRetained(run)) ? { kind: 'done' } : { kind: 'notStarted' }),
  ensure: retain,
  undo: unretain,
};

const makeTheNamespaces: Step<Run> = {
  name: 'makeNamespaces',
  description: 'Makes the namespaces that the destination does not have.',
  deadlineMs: waitMs,
  observe: async (run) => {
    const missing = await missingNamespaces(run);
    const ending = missing.find(({ isEnding }) => isEnding);
    if (ending === undefined) return { kind: missing.length === 0 ? 'done' : 'notStarted' };
    const message = `namespace ${ending.there} of ${run.destination.name} is being deleted`;
    return { kind: 'waiting', message, remedy: 'Wait until it is gone, or see what keeps it.' };
  },
  ensure: makeNamespaces,
  // With what was copied into them, a next try goes on; they go when that goes.
  undo: async (run) => {
    await removeNamespaces(run);
    return { kind: 'done' };
  },
};

/** Methods whose pods have to reach each other, unlike agents, which are linked already. */
const linked: ReadonlySet<string> = new Set(['Filesystem', 'Block']);

/** Each copy tries the ways with a real connection and names its own; this is what they are. */
const findWay: Step<Run> = {
  name: 'findWay',
  description: 'Finds out by which ways pods of the source can reach the destination.',
  deadlineMs: waitMs,
  isNeeded: async ({ plan }) => {
    const used = (plan.status?.volumes ?? []).map(({ method }) => method ?? '');
    return used.some((method) => linked.has(method));
  },
  observe: async (run) => {
    const known = run.migration.status?.itinerary?.find(({ name }) => name === 'findWay');
    if ((known?.progress ?? []).length > 0) return { kind: 'done' };
    return { kind: 'running', progress: [await wayOf(run)] };
  },
  ensure: async () => undefined,
};

async function wayOf({ source, destination }: Run): Promise<string> {
  if (source.name === destination.name) return 'within one cluster: pods reach each other';
  const way = `pods of ${source.name} connect to pods of ${destination.name}`;
  if (await runsHostProcesses(destination.client)) {
    return `${way} at the address of the machine, whose processes they are`;
  }
  const words = routes.map((route) => routeWords[route]);
  return `${way}, tried in this order: ${words.join(', ')}`;
}

export const prepareSteps: readonly Step<Run>[] = [
  checkPlan,
  retainVolumes,
  makeTheNamespaces,
  findWay,
];
