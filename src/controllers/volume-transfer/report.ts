/** The status of a volume transfer. Pure. */
import type { VolumeTransfer, VolumeTransferStatus } from '../../api/kinds/volume-transfer.ts';
import { formatSize } from '../../base/units.ts';
import { condition, conditionOf, type Report } from '../status.ts';
import type { TransferNumbers } from './method.ts';

export type Fields = Omit<VolumeTransferStatus, 'conditions' | 'observedGeneration'>;
type Condition = Report['conditions'][number];
export type Ending = 'Succeeded' | 'Failed' | 'Canceled';

/** How it ended, if it did. */
export function endingOf(object: VolumeTransfer): Ending | undefined {
  const succeeded = conditionOf(object, 'Succeeded');
  if (succeeded?.status === 'True') return 'Succeeded';
  if (succeeded?.status !== 'False') return undefined;
  return succeeded.reason === 'Canceled' ? 'Canceled' : 'Failed';
}

/** It has a method, or is a move, and may have made something. */
export function hasBegun({ status }: VolumeTransfer): boolean {
  return status?.startTime !== undefined;
}

/** What it made at the destination was taken away again. */
export function isDiscarded(object: VolumeTransfer): boolean {
  return conditionOf(object, 'Ready')?.reason === 'Discarded';
}

/** All bytes are there; nothing is looked at any more. */
export function isComplete(object: VolumeTransfer): boolean {
  return conditionOf(object, 'Complete')?.status === 'True';
}

export function isCleanedUp(object: VolumeTransfer): boolean {
  return conditionOf(object, 'CleanedUp')?.status === 'True';
}

/** What the status says already, changed by what is new. */
export function fieldsOf(
  { status }: VolumeTransfer,
  change: Partial<Fields> = {},
  nowMs?: number,
): Fields {
  const { conditions: _conditions, observedGeneration: _seen, ...known } = status ?? {};
  const fields: Fields = { ...known, ...change };
  const { startTime, percent, bytesPerSecond } = fields;
  const sinceMs = nowMs === undefined ? Number.NaN : nowMs - Date.parse(startTime ?? '');
  return {
    ...fields,
    ...(percent === undefined ? {} : { progress: `${percent}%` }),
    ...(bytesPerSecond === undefined ? {} : { rate: `${formatSize(bytesPerSecond)}/s` }),
    ...(Number.isNaN(sinceMs) ? {} : { elapsedSeconds: Math.max(0, Math.floor(sinceMs / 1000)) }),
  };
}

/** Of numbers that are worth keeping; the log is bounded by the kind. */
function bounded(numbers: TransferNumbers): TransferNumbers {
  const { log, ...rest } = numbers;
  if (log === undefined) return rest;
  return { ...rest, log: log.slice(-20).map((line) => line.slice(0, 256)) };
}

export interface Running {
  /** `Running`, `Waiting`, `Paused`, `Pending` or the reason of an error. */
  readonly reason: string;
  readonly message: string;
  /** Why it cannot run at all now; undefined: it can. */
  readonly blocker?: { readonly reason: string; readonly message: string };
  readonly numbers?: TransferNumbers;
  readonly nowMs: number;
}

export function runningReport(object: VolumeTransfer, news: Running): Report {
  const { reason, message, blocker, numbers = {}, nowMs } = news;
  const phase = hasBegun(object) ? 'Running' : 'Pending';
  return {
    conditions: [
      blocker === undefined
        ? condition('Ready', true, 'Ready', 'what it refers to is there and can be reached')
        : condition('Ready', false, blocker.reason, blocker.message),
      condition('Succeeded', 'Unknown', reason, message),
    ],
    fields: fieldsOf(object, { ...bounded(numbers), phase }, nowMs),
  };
}

export interface End {
  readonly ending: Ending;
  readonly reason: string;
  readonly message: string;
  readonly nowMs: number;
  readonly time: string;
  readonly numbers?: TransferNumbers;
  readonly volume?: string | undefined;
  readonly verified?: boolean | undefined;
}

/** The last word: written before anything is cleaned up, so that no restart forgets it. */
export function endReport(object: VolumeTransfer, end: End): Report {
  const { ending, reason, message, nowMs, time, numbers = {}, volume, verified } = end;
  const isGood = ending === 'Succeeded';
  const change = {
    ...bounded(numbers),
    phase: ending,
    completionTime: time,
    ...(volume === undefined ? {} : { volume }),
  };
  // Nothing comes any more.
  const { rate: _rate, bytesPerSecond: _speed, ...fields } = fieldsOf(object, change, nowMs);
  return {
    conditions: [
      condition('Ready', isGood, reason, message),
      condition('Succeeded', isGood, reason, message),
      ...(verified === undefined ? [] : [verifiedCondition(verified)]),
    ],
    fields,
  };
}

function verifiedCondition(isSame: boolean): Condition {
  return isSame
    ? condition('Verified', true, 'Equal', 'both sides are equal')
    : condition('Verified', false, 'Different', 'the sides differ; status.audit has the numbers');
}

/** What an ended transfer still has to take away; without a message nothing is left to do. */
export function cleaningReport(object: VolumeTransfer, left: string | undefined): Report {
  const cleaned =
    left === undefined
      ? condition('CleanedUp', true, 'Done', 'no helper is left')
      : condition('CleanedUp', false, endingOf(object) ?? 'Deleting', left);
  return { conditions: [...conditionsBut(object, 'CleanedUp'), cleaned], fields: fieldsOf(object) };
}

/** What still comes after success; without a message all is there. */
export function settlingReport(
  object: VolumeTransfer,
  { message, numbers = {} }: { readonly message?: string; readonly numbers?: TransferNumbers },
): Report {
  const complete =
    message === undefined
      ? condition('Complete', true, 'Complete', 'all bytes are at the destination')
      : condition('Complete', false, 'Filling', message);
  const { bytesPerSecond: _speed, ...known } = numbers;
  const counted = message === undefined ? { percent: 100, ...known } : numbers;
  const { rate, bytesPerSecond, ...fields } = fieldsOf(object, bounded(counted));
  const speed = {
    ...(rate === undefined ? {} : { rate }),
    ...(bytesPerSecond === undefined ? {} : { bytesPerSecond }),
  };
  return {
    conditions: [...conditionsBut(object, 'Complete'), complete],
    fields: message === undefined ? fields : { ...fields, ...speed },
  };
}

function conditionsBut(object: VolumeTransfer, left: string): readonly Condition[] {
  const all = object.status?.conditions ?? [];
  return all
    .filter(({ type }) => type !== left)
    .map(({ type, status, reason, message }) => {
      return condition(type, status === 'Unknown' ? 'Unknown' : status === 'True', reason, message);
    });
}

/** After `discard`: nothing of it is left at the destination. */
export function discardedReport(object: VolumeTransfer, time: string): Report {
  const { volume: _volume, ...fields } = fieldsOf(object, {
    phase: 'Canceled',
    completionTime: object.status?.completionTime ?? time,
  });
  const message = 'it was canceled, and what it made at the destination was taken away';
  return {
    conditions: [
      condition('Ready', false, 'Discarded', message),
      condition('Succeeded', false, 'Canceled', message),
      condition('CleanedUp', true, 'Done', 'no helper is left'),
    ],
    fields,
  };
}
