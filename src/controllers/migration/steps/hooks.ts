/**
 * Hooks: what the user adds between steps. Those of a phase run one after the other, each as a Job
 * that is made once and never repeated by itself; `spec.retry` runs the one that failed again. A
 * rehearsal has none: they would act on what is outside its namespaces. Nor has a stage.
 */
import { hooks, type Hook } from '../../../api/kinds/hook.ts';
import { asTransshipError, fail } from '../../../base/errors.ts';
import type { Observation, Step, Undoing } from '../../../flow/flow.ts';
import type { KubeClient } from '../../../kube/api.ts';
import { type Job, jobs } from '../../../kube/jobs.ts';
import type { ObjectKey } from '../../../kube/objects.ts';
import { readPodLog } from '../../../kube/pod-log.ts';
import { configMaps, namespaces } from '../../../kube/resources.ts';
import { type Pod, pods } from '../../../kube/workloads.ts';
import {
  containerName,
  hookJob,
  hookJobName,
  hookLabels,
  type HookPhase,
  type HookRun,
  hooksOf,
  playbookKey,
  playbookMap,
  sideOf,
} from '../hook-job.ts';
import {
  type HookRecord,
  hookRecordKey,
  listHookRecords,
  readHookRecord,
  tailOf,
  writeHookRecord,
} from '../hook-record.ts';
import { accessOf, type Run } from '../run.ts';

const minuteMs = 60_000;
const logLines = 2_000;
/** Lines and characters of output in the message of a step that failed. */
const toldLines = 5;
const toldCharacters = 500;
const restrictedLabel = 'pod-security.kubernetes.io/enforce';

const retryOf = ({ migration }: Run): number => migration.spec.retry ?? 0;

const isOver = ({ state }: HookRecord): boolean => state === 'Succeeded' || state === 'Failed';

const jobKeyOf = ({ namespace, job }: HookRecord): ObjectKey => ({ namespace, name: job });

function clientOf(run: Run, record: Pick<HookRecord, 'side'>): KubeClient {
  return accessOf(run, record.side).client;
}

/** Undefined: it is not there, or another has its name. */
async function findJob(run: Run, record: HookRecord): Promise<Job | undefined> {
  const job = await clientOf(run, record).get(jobs, jobKeyOf(record));
  const isOther = record.jobUid !== '' && job?.metadata.uid !== record.jobUid;
  return isOther ? undefined : job;
}

interface Ending {
  readonly isSuccess: boolean;
  readonly message: string;
}

function endingOf({ status }: Job): Ending | undefined {
  const found = status?.conditions?.find(
    ({ type, status: is }) => is === 'True' && (type === 'Complete' || type === 'Failed'),
  );
  if (found === undefined) return undefined;
  const { type, reason = '', message = '' } = found;
  return { isSuccess: type === 'Complete', message: `${reason}: ${message}` };
}

async function podOf(run: Run, record: HookRecord, hook: string): Promise<Pod | undefined> {
  const selector = Object.entries(hookLabels(run, hook)).map(([key, value]) => `${key}=${value}`);
  const { namespace, jobUid } = record;
  let newest: Pod | undefined;
  const selectors = { namespace, labels: selector.join(',') };
  for await (const pod of clientOf(run, record).list(pods, selectors)) {
    const isOf = pod.metadata.ownerReferences?.some(({ uid }) => uid === jobUid) === true;
    const age = ({ metadata }: Pod) => metadata.creationTimestamp ?? '';
    if (isOf && (newest === undefined || age(newest) < age(pod))) newest = pod;
  }
  return newest;
}

/** Why its container does not run, where the pod says so. */
function obstacleOf(pod: Pod | undefined): string {
  if (pod === undefined) return ', which has no pod yet';
  const [status] = pod.status?.containerStatuses ?? [];
  const { reason = '', message = '' } = status?.state?.waiting ?? {};
  const unplaced = pod.status?.conditions?.find(
    ({ type, status: is }) => type === 'PodScheduled' && is === 'False',
  );
  if (unplaced?.message !== undefined) return `, whose pod has no node: ${unplaced.message}`;
  const isUsual = reason === '' || reason === 'ContainerCreating' || reason === 'PodInitializing';
  return isUsual ? '' : `, whose pod waits: ${reason} ${message}`.trimEnd();
}

function lineOf(run: Run, one: HookRun, { cluster, namespace, job }: HookRecord): string {
  const { name, namespace: hub } = hookRecordKey(run, one);
  return `${one.hook}: Job ${namespace}/${job} at ${cluster}; output in ConfigMap ${hub}/${name}`;
}

async function observe(run: Run, phase: HookPhase): Promise<Observation> {
  const all = hooksOf(run.plan, phase);
  const progress: string[] = [];
  for (const [at, one] of all.entries()) {
    const record = await readHookRecord(run, one);
    if (record === undefined || record.state === 'Begun') return { kind: 'notStarted' };
    progress.push(lineOf(run, one, record));
    if (record.state === 'Succeeded') continue;
    if (record.state === 'Failed') {
      if (record.retry !== retryOf(run)) return { kind: 'notStarted' };
      return { kind: 'failed', reason: 'HookFailed', message: failureText(run, one, record) };
    }
    const job = await findJob(run, record);
    if (job === undefined || endingOf(job) !== undefined) return { kind: 'notStarted' };
    const obstacle = obstacleOf(await podOf(run, record, one.hook));
    return {
      kind: 'running',
      message: `Hook ${one.hook} runs as Job ${record.namespace}/${record.job}${obstacle}`,
      progress,
      percent: Math.floor((100 * at) / all.length),
    };
  }
  return { kind: 'done' };
}

function failureText(run: Run, one: HookRun, record: HookRecord): string {
  const { name, namespace } = hookRecordKey(run, one);
  const last = record.log.trimEnd().split('\n').slice(-toldLines).join(' | ');
  const printed = last === '' ? 'it printed nothing' : `it printed: ${last.slice(-toldCharacters)}`;
  const what = `hook ${one.hook} failed in ${record.namespace} of ${record.cluster}`;
  return `${what} (${record.message}); ${printed}; all of it: ConfigMap ${namespace}/${name}`;
}

/** Goes on with the first hook that is not over: one effect for each call. */
async function ensure(run: Run, phase: HookPhase): Promise<void> {
  for (const one of hooksOf(run.plan, phase)) {
    const record = await readHookRecord(run, one);
    if (record?.state === 'Succeeded') continue;
    const isAgain = record?.state === 'Failed' && record.retry !== retryOf(run);
    if (record !== undefined && isOver(record) && !isAgain) return;
    if (isAgain && !(await isRemoved(run, record))) return;
    if (record === undefined || isAgain || record.state === 'Begun') await begin(run, one);
    else await conclude(run, one, record);
    return;
  }
}

/** Takes the Job away; false until it and its pods are gone. */
async function isRemoved(run: Run, record: HookRecord): Promise<boolean> {
  const client = clientOf(run, record);
  const job = await findJob(run, record);
  if (job === undefined) return true;
  const { uid = '' } = job.metadata;
  await client.delete(jobs, jobKeyOf(record), { uid, propagation: 'Foreground' });
  return (await findJob(run, record)) === undefined;
}

async function begin(run: Run, one: HookRun): Promise<void> {
  const { client: hub } = run.context;
  const { namespace: home = '' } = run.plan.metadata;
  const hook = await hub.get(hooks, { namespace: home, name: one.hook });
  if (hook === undefined) {
    return fail('NotFound', `there is no Hook ${home}/${one.hook}: make it, or correct the plan`);
  }
  const side = sideOf(hook);
  const { client, name: cluster } = accessOf(run, side);
  const key = { namespace: hook.spec.namespace, name: hookJobName(run, one) };
  const place = await client.get(namespaces, { namespace: '', name: key.namespace });
  if (place === undefined) {
    fail('NotFound', `cluster ${cluster} has no namespace ${key.namespace} for hook ${one.hook}`);
  }
  const begun: HookRecord = {
    state: 'Begun',
    side,
    cluster,
    namespace: key.namespace,
    job: key.name,
    jobUid: '',
    retry: retryOf(run),
    message: '',
    log: '',
  };
  await writeHookRecord(run, one, begun);
  const playbook = playbookMap(run, hook, key);
  if (playbook !== undefined) await client.apply(configMaps, playbook);
  const isRestricted = place.metadata.labels?.[restrictedLabel] === 'restricted';
  const job = await made(client, run, one, { hook, key, isRestricted });
  await writeHookRecord(run, one, { ...begun, state: 'Running', jobUid: job.metadata.uid ?? '' });
}

interface Making {
  readonly hook: Hook;
  readonly key: ObjectKey;
  readonly isRestricted: boolean;
}

/** The one that is there was made by us, by a process that could not write that down any more. */
async function made(
  client: KubeClient,
  run: Run,
  one: HookRun,
  { hook, key, isRestricted }: Making,
): Promise<Job> {
  try {
    return await client.create(jobs, hookJob(run, one, hook, { key, isRestricted }));
  } catch (error) {
    if (asTransshipError(error).reason !== 'AlreadyExists') throw error;
    const found = await client.get(jobs, key);
    const labels = Object.entries(hookLabels(run, one.hook));
    const isOwn = labels.every(([label, value]) => found?.metadata.labels?.[label] === value);
    if (found === undefined || !isOwn) throw error;
    return found;
  }
}

/** Writes down what came out, with the end of what was printed. */
async function conclude(run: Run, one: HookRun, record: HookRecord): Promise<void> {
  const job = await findJob(run, record);
  if (job === undefined) {
    const message = 'its Job was deleted while it ran, so nobody knows what it did';
    await writeHookRecord(run, one, { ...record, state: 'Failed', retry: retryOf(run), message });
    return;
  }
  const ending = endingOf(job);
  if (ending === undefined) return;
  const pod = await podOf(run, record, one.hook);
  await writeHookRecord(run, one, {
    ...record,
    state: ending.isSuccess ? 'Succeeded' : 'Failed',
    message: ending.isSuccess ? '' : `${ending.message}${exitOf(pod)}`,
    log: pod === undefined ? '' : await logOf(clientOf(run, record), pod),
    retry: retryOf(run),
  });
}

function exitOf(pod: Pod | undefined): string {
  const [status] = pod?.status?.containerStatuses ?? [];
  const code = status?.state?.terminated?.exitCode;
  if (pod?.status?.reason === 'DeadlineExceeded') return ', at its deadline';
  return code === undefined ? '' : `, exit code ${code}`;
}

/** A log that cannot be read any more does not make a hook fail. */
async function logOf(client: KubeClient, { metadata }: Pod): Promise<string> {
  const { namespace = '', name = '' } = metadata;
  try {
    const text = await readPodLog(
      client,
      { namespace, name },
      { container: containerName, tailLines: logLines },
    );
    return tailOf(text);
  } catch (error) {
    const { reason, message } = asTransshipError(error);
    if (['ApiUnreachable', 'TooManyRequests', 'ApiFailed'].includes(reason)) throw error;
    return `the output cannot be read: ${message}`;
  }
}

/** Ends what runs: a run that is taken back must not have a hook beside it. */
async function undo(run: Run, phase: HookPhase): Promise<Undoing> {
  for (const record of await listHookRecords(run)) {
    if (record.phase !== phase || isOver(record)) continue;
    if (await isRemoved(run, record)) continue;
    return { kind: 'running', message: `Hook ${record.hook} is being ended` };
  }
  return { kind: 'done' };
}

const phases = ['PreBackup', 'PostBackup', 'PreRestore', 'PostRestore'] as const;

function hookStep(phase: HookPhase): Step<Run> {
  return {
    name: `hook${phase}`,
    description: `Runs the ${phase} hooks of the plan.`,
    deadlineMs: 10 * minuteMs,
    isNeeded: async ({ plan }) => hooksOf(plan, phase).length > 0,
    observe: (run) => observe(run, phase),
    ensure: (run) => ensure(run, phase),
    undo: (run) => undo(run, phase),
  };
}

export const hookSteps: readonly Step<Run>[] = phases.map(hookStep);

/** Whether Jobs of this migration are left, also such as have ended. */
export async function hasHooks(run: Run): Promise<boolean> {
  for (const record of await listHookRecords(run)) {
    if ((await findJob(run, record)) !== undefined) return true;
  }
  return false;
}

/**
 * As `removeHooks`, of a run that has ended before all of them had: what still runs is ended, and
 * runs anew when the migration is retried.
 */
export async function endHooks(run: Run): Promise<void> {
  for (const { hook, phase, ...record } of await listHookRecords(run)) {
    if (isOver(record)) continue;
    const message = 'it was ended when the migration was';
    const ended = { ...record, state: 'Failed', retry: retryOf(run), message } as const;
    await writeHookRecord(run, { hook, phase }, ended);
  }
  await removeHooks(run);
}

/** Takes away Jobs and playbooks of a migration; what they printed stays with the migration. */
export async function removeHooks(run: Run): Promise<void> {
  for (const record of await listHookRecords(run)) {
    const client = clientOf(run, record);
    await client.delete(configMaps, playbookKey(jobKeyOf(record)));
    await client.delete(jobs, jobKeyOf(record), { propagation: 'Background' });
  }
}
