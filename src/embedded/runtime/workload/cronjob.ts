/** CronJobs: a Job at every time of a schedule (Kubernetes documentation, "CronJob"). */
import { formatSecond } from '../../../base/units.ts';
import { ownerReference } from '../../../kube/api.ts';
import { type ObjectKey, keyOf } from '../../../kube/objects.ts';
import {
  type Action,
  type Controller,
  type Decision,
  type View,
  bornMs,
  controllerKey,
  create,
  decision,
  isDeleted,
  isOwnedBy,
  nothing,
  remove,
  setStatus,
  timeMs,
} from '../controller.ts';
import { type CronJob, type Job, cronJobs, jobs } from '../kinds/workloads.ts';
import { type Schedule, latestBetween, parseSchedule } from './cron-schedule.ts';
import { endOf } from './job.ts';

export function createCronJobController(): Controller {
  return {
    name: 'cronjob',
    sources: [
      { type: cronJobs, keysOf: (object) => [keyOf(object)] },
      { type: jobs, keysOf: (object) => controllerKey(object, 'CronJob') },
    ],
    reads: [cronJobs, jobs],
    decide: decideCronJob,
  };
}

export function decideCronJob(view: View, key: ObjectKey): Decision {
  const cron = view.get(cronJobs, key);
  if (cron === undefined || isDeleted(cron)) return nothing;
  const mine = view.list(jobs, key.namespace).filter((job) => isOwnedBy(job, cron));
  const spare = beyondHistory(cron, mine);
  const schedule = readSchedule(cron);
  if ('problem' in schedule) {
    const note = `Unparseable schedule: ${schedule.problem}`;
    return decision([
      { act: 'event', regarding: cron, type: 'Warning', reason: 'UnparseableSchedule', note },
      ...spare,
    ]);
  }
  const due = isSuspended(cron) ? undefined : dueTime(cron, schedule, view.nowMs);
  const start = due === undefined ? nothingDue : begin(cron, mine, due, view);
  const nextMs = schedule.next(view.nowMs);
  const waitMs = isSuspended(cron) || nextMs === undefined ? undefined : nextMs - view.nowMs;
  return decision([...spare, ...start.actions, ...report(cron, mine, start.startedMs)], waitMs);
}

const isSuspended = (cron: CronJob): boolean => cron.spec.suspend === true;

function readSchedule({ spec }: CronJob): Schedule | { readonly problem: string } {
  try {
    return parseSchedule(spec.schedule, spec.timeZone);
  } catch (error) {
    return { problem: error instanceof Error ? error.message : String(error) };
  }
}

/** The newest time that passed and was not used; older ones are let go. */
function dueTime(cron: CronJob, schedule: Schedule, nowMs: number): number | undefined {
  const { startingDeadlineSeconds } = cron.spec;
  const lastMs = timeMs(cron.status?.lastScheduleTime);
  const sinceMs = Number.isNaN(lastMs) ? bornMs(cron) : lastMs;
  const earliestMs =
    startingDeadlineSeconds === undefined
      ? sinceMs
      : Math.max(sinceMs, nowMs - startingDeadlineSeconds * 1000);
  return latestBetween(schedule, earliestMs, nowMs);
}

interface Start {
  readonly actions: readonly Action[];
  /** The time that counts as used. */
  readonly startedMs: number | undefined;
}

const nothingDue: Start = { actions: [], startedMs: undefined };

function begin(cron: CronJob, mine: readonly Job[], dueMs: number, view: View): Start {
  const { concurrencyPolicy = 'Allow' } = cron.spec;
  const { name = '', namespace = '' } = cron.metadata;
  const jobName = `${name}-${Math.floor(dueMs / 60_000)}`;
  // Names of `@every` schedules differ by the second.
  const fullName = dueMs % 60_000 === 0 ? jobName : `${jobName}-${(dueMs / 1000) % 60}`;
  const existing = view.get(jobs, { namespace, name: fullName });
  if (existing !== undefined && isOwnedBy(existing, cron)) {
    return { actions: [], startedMs: dueMs };
  }
  const active = mine.filter((job) => endOf(job) === undefined);
  if (concurrencyPolicy === 'Forbid' && active.length > 0) {
    const note = 'Not starting job because prior execution is running and concurrency is Forbid';
    return {
      actions: [
        { act: 'event', regarding: cron, type: 'Normal', reason: 'JobAlreadyActive', note },
      ],
      startedMs: undefined,
    };
  }
  const replaced = concurrencyPolicy === 'Replace' ? active.filter((job) => !isDeleted(job)) : [];
  const actions = [
    ...replaced.map((job) => remove(jobs, job, { propagation: 'Background' as const })),
    makeJob(cron, fullName, dueMs),
  ];
  return { actions, startedMs: dueMs };
}

function makeJob(cron: CronJob, name: string, dueMs: number): Action {
  const { metadata = {}, spec } = cron.spec.jobTemplate;
  const timeNote = 'batch.kubernetes.io/cronjob-scheduled-timestamp';
  return create(jobs, {
    metadata: {
      name,
      namespace: cron.metadata.namespace ?? '',
      labels: { ...metadata.labels },
      annotations: { ...metadata.annotations, [timeNote]: formatSecond(dueMs) },
      ownerReferences: [ownerReference(cron)],
    },
    spec,
  });
}

function beyondHistory(cron: CronJob, mine: readonly Job[]): readonly Action[] {
  const { successfulJobsHistoryLimit = 3, failedJobsHistoryLimit = 1 } = cron.spec;
  const ended = (type: string) =>
    mine
      .filter((job) => endOf(job)?.type === type && !isDeleted(job))
      .toSorted((a, b) => startMs(a) - startMs(b));
  const spare = (some: readonly Job[], limit: number) =>
    some.slice(0, Math.max(0, some.length - limit));
  return [
    ...spare(ended('Complete'), successfulJobsHistoryLimit),
    ...spare(ended('Failed'), failedJobsHistoryLimit),
  ].map((job) => remove(jobs, job, { propagation: 'Background' }));
}

const startMs = (job: Job): number => timeMs(job.status?.startTime) || bornMs(job);

function report(
  cron: CronJob,
  mine: readonly Job[],
  startedMs: number | undefined,
): readonly Action[] {
  const active = mine
    .filter((job) => endOf(job) === undefined && !isDeleted(job))
    .map(({ metadata }) => ({
      apiVersion: 'batch/v1',
      kind: 'Job',
      name: metadata.name,
      namespace: metadata.namespace,
      uid: metadata.uid,
    }));
  const done = mine.filter((job) => endOf(job)?.type === 'Complete');
  const ends = done.map((job) => timeMs(job.status?.completionTime)).filter((ms) => ms > 0);
  const lastSuccess = Math.max(timeMs(cron.status?.lastSuccessfulTime) || 0, ...ends);
  return setStatus(cronJobs, cron, {
    active: active.length === 0 ? undefined : active,
    ...(startedMs === undefined ? {} : { lastScheduleTime: formatSecond(startedMs) }),
    ...(lastSuccess === 0 ? {} : { lastSuccessfulTime: formatSecond(lastSuccess) }),
  });
}
