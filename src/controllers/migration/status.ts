/** The status of a migration, from what its run says and what its transfers count. Pure. */
import type { ImageTransfer } from '../../api/kinds/image-transfer.ts';
import type { Migration, MigrationStatus } from '../../api/kinds/migration.ts';
import type { VolumeTransfer } from '../../api/kinds/volume-transfer.ts';
import { isReason } from '../../base/reasons.ts';
import { formatAge, formatSize } from '../../base/units.ts';
import { type ItineraryState, type Outcome, stepAtHand, type StepState } from '../../flow/flow.ts';
import { condition, conditionOf, type Report } from '../status.ts';
import { hasSucceeded, passOf } from './transfers.ts';

type Draft = Report['conditions'][number];
export type Fields = Omit<MigrationStatus, 'conditions' | 'observedGeneration'>;

/** What cannot be known from the object alone. */
export interface News {
  readonly migration: Migration;
  readonly outcome: Outcome | Blocked;
  readonly transfers: readonly VolumeTransfer[];
  readonly images: readonly ImageTransfer[];
  /** Clusters of the plan; undefined: there is no plan. */
  readonly clusters: { readonly source: string; readonly destination: string } | undefined;
  readonly nowMs: number;
  /** Of the step at hand, 0 to 100. */
  readonly percent?: number;
}

/** It cannot run at all now. */
export interface Blocked {
  readonly kind: 'blocked';
  readonly reason: string;
  readonly message: string;
}

export function reportOf(news: News): Report {
  const { migration } = news;
  const conditions = [readyOf(news), succeededOf(news), ...milestonesOf(migration)];
  return { conditions, fields: fieldsOf(news) };
}

function readyOf({ migration, outcome }: News): Draft {
  if (outcome.kind === 'blocked') return condition('Ready', false, outcome.reason, outcome.message);
  if (outcome.kind === 'waiting' && outcome.step === 'checkPlan') {
    const message = `${outcome.message}; ${outcome.remedy}`;
    return condition('Ready', false, 'ChecksFailed', message);
  }
  const { plan } = migration.spec;
  return condition('Ready', true, 'Ready', `plan ${plan} and both clusters are there`);
}

function succeededOf({ migration, outcome }: News): Draft {
  const { type, plan } = migration.spec;
  switch (outcome.kind) {
    case 'blocked':
      return condition('Succeeded', 'Unknown', outcome.reason, outcome.message);
    case 'again': {
      const entry = entryOf(migration, outcome.step);
      const isBack = isTakenBack(migration);
      const message = entry?.message ?? (isBack ? 'all is taken back' : outcome.step);
      return condition('Succeeded', 'Unknown', isBack ? 'TakingBack' : 'Running', message);
    }
    case 'waiting': {
      const message = `${outcome.step}: ${outcome.message}; ${outcome.remedy}`;
      return condition('Succeeded', 'Unknown', 'Waiting', message);
    }
    case 'held': {
      const why = outcome.by === 'paused' ? 'spec.paused is true' : 'spec.holdBefore names it';
      return condition('Succeeded', 'Unknown', 'Held', `before step ${outcome.step}: ${why}`);
    }
    case 'succeeded':
      return condition('Succeeded', true, 'Completed', `${type} of plan ${plan} is done`);
    case 'failed': {
      const remedy = 'raise spec.retry to go on from there, or set spec.canceled to go back';
      const message = `step ${outcome.step} failed: ${outcome.message} Then ${remedy}.`;
      return condition('Succeeded', false, outcome.reason, message);
    }
    case 'needsRollback': {
      const remedy = `run \`transship migrate rollback ${plan}\`, or raise spec.retry to go on`;
      return condition('Succeeded', false, 'NeedsRollback', `${outcome.message}; ${remedy}`);
    }
    case 'undone':
      return undoneOf(migration);
  }
}

/** Canceled, or why it failed before all was taken back. */
function undoneOf({ status }: Migration): Draft {
  const failed = failureIn(status?.itinerary ?? []);
  if (failed === undefined) {
    const message = 'it was canceled, and what it had changed is as before';
    return condition('Succeeded', false, 'Canceled', message);
  }
  const { step, reason, text } = failed;
  const message = `step ${step} failed, and what was changed is as before: ${text}`;
  return condition('Succeeded', false, reason, message);
}

function failureIn(state: ItineraryState) {
  const entry = state.find(({ failure }) => failure !== undefined);
  if (entry?.failure === undefined) return undefined;
  const at = entry.failure.indexOf(':');
  const word = entry.failure.slice(0, Math.max(0, at));
  const reason = isReason(word) ? word : 'Internal';
  return { step: entry.name, reason, text: entry.failure.slice(at + 1).trim() };
}

function isTakenBack({ status }: Migration): boolean {
  return (status?.itinerary ?? []).some(({ state }) => state === 'Undone');
}

function entryOf({ status }: Migration, step: string): StepState | undefined {
  return status?.itinerary?.find(({ name }) => name === step);
}

function isDone(migration: Migration, step: string): boolean {
  return entryOf(migration, step)?.state === 'Succeeded';
}

function milestonesOf(migration: Migration): readonly Draft[] {
  const tell = (type: string, step: string, reached: string): Draft => {
    const is = isDone(migration, step);
    return condition(type, is, is ? 'Completed' : 'NotYet', is ? reached : `${step} is not done`);
  };
  const staged = tell('Staged', 'copyAhead', 'the destination has a full, older copy');
  const cutOver = tell('CutOver', 'startDestination', 'the workloads run at the destination');
  const back = tell('RolledBack', 'startSource', 'the workloads run at the source again');
  switch (migration.spec.type) {
    case 'Stage':
      return [staged];
    case 'Cutover':
      return [staged, cutOver];
    case 'Rollback':
      return [back];
    case 'Rehearsal':
      return [];
  }
}

/** What is copied last counts where it has begun; what went ahead before. */
export function currentOf(transfers: readonly VolumeTransfer[]): readonly VolumeTransfer[] {
  const late = transfers.filter((one) => passOf(one) !== 'a');
  const claims = new Set(late.map(({ spec }) => `${spec.source.namespace}/${spec.source.claim}`));
  const early = transfers.filter(({ spec }) => {
    return !claims.has(`${spec.source.namespace}/${spec.source.claim}`);
  });
  return [...late, ...early.filter((one) => passOf(one) === 'a')];
}

function sum(numbers: readonly (number | undefined)[]): number {
  return numbers.reduce<number>((all, one) => all + (one ?? 0), 0);
}

export interface Totals {
  readonly totalBytes: number;
  readonly copiedBytes: number;
  readonly bytesPerSecond: number;
}

export function totalsOf({ transfers, images }: Pick<News, 'transfers' | 'images'>): Totals {
  const all = [...currentOf(transfers), ...images];
  const running = all.filter(({ status }) => status?.phase === 'Running');
  return {
    totalBytes: sum(all.map(({ status }) => status?.totalBytes)),
    copiedBytes: sum(all.map(({ status }) => status?.copiedBytes)),
    bytesPerSecond: sum(running.map(({ status }) => status?.bytesPerSecond)),
  };
}

/** Copies take most of the time, so they are most of the work. */
const copyWeight = 20;
const copies = new Set(['copyImages', 'copyAhead', 'copyLast', 'copyBack']);

export function shareOf(state: ItineraryState, at: string | undefined, percent = 0): number {
  const weightOf = ({ name }: StepState) => (copies.has(name) ? copyWeight : 1);
  const all = sum(state.map(weightOf));
  const done = sum(
    state.map((entry) => {
      if (entry.state === 'Succeeded' || entry.state === 'Skipped') return weightOf(entry);
      return entry.name === at ? (weightOf(entry) * percent) / 100 : 0;
    }),
  );
  return all === 0 ? 0 : Math.floor((100 * done) / all);
}

const timeOf = (text: string | undefined): number => Date.parse(text ?? '');

/** From the beginning of the stop until the workloads run again, wherever that is. */
export function downtimeOf({ spec, status }: Migration, nowMs: number): number | undefined {
  const state = status?.itinerary ?? [];
  const isBack = spec.type === 'Rollback';
  const find = (name: string) => state.find((entry) => entry.name === name);
  const stop = find(isBack ? 'stopDestination' : 'stopSource');
  const startMs = timeOf(stop?.startTime);
  if (stop === undefined || Number.isNaN(startMs)) return undefined;
  if (stop.state === 'Undone') return Math.max(0, timeOf(stop.completionTime) - startMs);
  const start = find(isBack ? 'startSource' : 'startDestination');
  const proof = find(isBack ? 'proveSourceHealthy' : 'proveDestinationHealthy');
  const last = proof === undefined || proof.state === 'Skipped' ? start : proof;
  const isOver = last?.state === 'Succeeded';
  return Math.max(0, Math.round((isOver ? timeOf(last.completionTime) : nowMs) - startMs));
}

/** Seconds since the oldest of the newest full copies was begun; undefined: one is missing. */
export function lagOf({ migration, transfers, nowMs }: News): number | undefined {
  const { type } = migration.spec;
  if (type === 'Rollback' || type === 'Rehearsal') return undefined;
  const current = currentOf(transfers);
  if (current.length === 0) return undefined;
  if (isDone(migration, 'copyLast')) return 0;
  const whole = transfers.filter(hasSucceeded);
  const starts = current.map(({ spec }) => {
    const same = whole.filter((one) => {
      const { namespace, claim } = one.spec.source;
      return namespace === spec.source.namespace && claim === spec.source.claim;
    });
    return Math.max(...same.map(({ status }) => timeOf(status?.startTime)));
  });
  const oldestMs = Math.min(...starts);
  return Number.isFinite(oldestMs) ? Math.max(0, Math.floor((nowMs - oldestMs) / 1000)) : undefined;
}

function fieldsOf(news: News): Fields {
  const { migration, outcome, clusters, nowMs } = news;
  const { status } = migration;
  const state = status?.itinerary ?? [];
  const isOver = ['succeeded', 'undone', 'needsRollback'].includes(outcome.kind);
  const isRunning = status?.startTime !== undefined && !isOver;
  const at = isOver ? undefined : stepAtHand(state)?.name;
  const totals = totalsOf(news);
  const lagSeconds = outcome.kind === 'undone' ? undefined : lagOf(news);
  const downtime = downtimeOf(migration, nowMs);
  const percent = outcome.kind === 'succeeded' ? 100 : shareOf(state, at, news.percent);
  const hasBytes = totals.totalBytes > 0;
  return {
    ...(at === undefined || !isRunning ? {} : { step: at }),
    percent,
    ...(hasBytes ? { totalBytes: totals.totalBytes, copiedBytes: totals.copiedBytes } : {}),
    ...(hasBytes && isRunning ? { bytesPerSecond: totals.bytesPerSecond } : {}),
    ...(lagSeconds === undefined ? {} : { lagSeconds }),
    ...(downtime === undefined ? {} : { downtimeMilliseconds: downtime }),
    display: {
      ...(clusters === undefined ? {} : { source: clusters.source, target: clusters.destination }),
      progress: `${percent}%`,
      ...(lagSeconds === undefined ? {} : { lag: formatAge(lagSeconds * 1000) }),
      ...(hasBytes
        ? { bytes: `${formatSize(totals.copiedBytes)}/${formatSize(totals.totalBytes)}` }
        : {}),
      ...(hasBytes && isRunning ? { rate: `${formatSize(totals.bytesPerSecond)}/s` } : {}),
    },
  };
}

/** What came out of it, at its end. `objects`: made at the destination, where that is known. */
export function resultOf(
  news: News,
  objects: number | undefined,
): NonNullable<MigrationStatus['report']> {
  const { migration, transfers, images, nowMs } = news;
  const copied = currentOf(transfers).filter(hasSucceeded);
  const copiedImages = images.filter(({ status }) => status?.phase === 'Succeeded');
  const startMs = timeOf(migration.status?.startTime);
  const bytes = sum([...copied, ...copiedImages].map(({ status }) => status?.totalBytes));
  const wire = sum([...transfers, ...images].map(({ status }) => status?.wireBytes));
  const busy = sum(transfers.map(({ status }) => status?.elapsedSeconds));
  const downtime = downtimeOf(migration, nowMs);
  const verified = copied.filter((one) => conditionOf(one, 'Verified')?.status === 'True');
  return {
    ...(objects === undefined ? {} : { objects }),
    volumes: copied.length,
    images: copiedImages.length,
    bytes,
    wireBytes: wire,
    ...(busy > 0 ? { bytesPerSecond: Math.floor(bytes / busy) } : {}),
    ...(Number.isNaN(startMs)
      ? {}
      : { seconds: Math.max(0, Math.floor((nowMs - startMs) / 1000)) }),
    ...(downtime === undefined ? {} : { downtimeSeconds: Math.round(downtime / 1000) }),
    verified: verified.length,
  };
}
