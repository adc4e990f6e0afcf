/** What a replication that runs says in numbers. Pure. */
import type { ImageTransfer } from '../../api/kinds/image-transfer.ts';
import type { Replication } from '../../api/kinds/replication.ts';
import type { VolumeTransfer } from '../../api/kinds/volume-transfer.ts';
import { endsText } from '../../api/replication-ends.ts';
import { formatDuration } from '../../base/units.ts';
import { type Outcome, stepAtHand } from '../../flow/flow.ts';
import { currentOf, shareOf, totalsOf } from '../migration/status.ts';
import { condition, conditionOf, type Report } from '../status.ts';
import { intervalMsOf } from './decide.ts';
import type { Change } from './saved.ts';

export interface Numbers {
  readonly volumes: readonly VolumeTransfer[];
  readonly images: readonly ImageTransfer[];
  readonly outcome: Outcome;
}

/** While copies are there to be counted; what they said last stays when they are gone. */
export function progressOf(
  { status = {} }: Replication,
  { volumes, images, outcome }: Numbers,
): Change {
  const state = status.itinerary ?? [];
  const at = stepAtHand(state)?.name;
  const percent = outcome.kind === 'again' ? (outcome.percent ?? 0) : 0;
  const share = outcome.kind === 'succeeded' ? 100 : shareOf(state, at, percent);
  const there = { step: at, percent: share };
  if (volumes.length + images.length === 0) return there;
  const { totalBytes, copiedBytes, bytesPerSecond } = totalsOf({ transfers: volumes, images });
  const current = currentOf(volumes);
  const wireBytes = volumes.reduce((all, one) => all + (one.status?.wireBytes ?? 0), 0);
  const known = status.report ?? {};
  return {
    ...there,
    totalBytes,
    copiedBytes,
    bytesPerSecond,
    report: {
      ...known,
      ...(images.length === 0 ? {} : { images: images.length }),
      ...(current.length === 0 ? {} : { volumes: current.length, bytes: totalBytes, wireBytes }),
    },
  };
}

/** What came out of a run that succeeded. */
export function resultOf({ status = {} }: Replication, nowMs: number): Change {
  const { itinerary = [], startTime, report = {}, resources = [] } = status;
  const copied = itinerary.find(({ name, state }) => name === 'copyLast' && state === 'Succeeded');
  const begun = itinerary.find(({ startTime: time }) => time !== undefined);
  const seconds = Math.max(0, Math.round((nowMs - Date.parse(startTime ?? '')) / 1000));
  const dataTime = copied?.startTime ?? begun?.startTime;
  return {
    report: {
      ...report,
      objects: resources.reduce((all, { replicated }) => all + replicated, 0),
      ...(Number.isNaN(seconds) ? {} : { seconds }),
    },
    // The copy has everything that was written before it began, and perhaps more.
    ...(dataTime === undefined ? {} : { dataTime }),
    percent: 100,
    step: undefined,
    bytesPerSecond: undefined,
  };
}

/** How old the data at the destination is; undefined: there is none yet. */
export function lagOf({ status }: Replication, nowMs: number): number | undefined {
  const dataMs = Date.parse(status?.dataTime ?? '');
  return Number.isNaN(dataMs) ? undefined : Math.max(0, Math.floor((nowMs - dataMs) / 1000));
}

export interface Sync {
  readonly drafts: Report['conditions'];
  readonly lagSeconds: number | undefined;
  /** It has just fallen behind: somebody should hear of it. */
  readonly alarm: string | undefined;
}

/** Of a continuous one: whether its data is young enough. */
export function syncOf(one: Replication, nowMs: number): Sync {
  const lagSeconds = lagOf(one, nowMs);
  const interval = intervalMsOf(one);
  if (interval === undefined) return { drafts: [], lagSeconds, alarm: undefined };
  // Until the first copy is there it counts from the beginning.
  const sinceMs = Date.parse(one.metadata.creationTimestamp ?? '');
  const ageMs = lagSeconds === undefined ? nowMs - sinceMs : lagSeconds * 1000;
  const isBehind = ageMs > 2 * interval;
  const age = formatDuration(Math.max(0, ageMs));
  const { to } = endsText(one.spec);
  const message = isBehind
    ? `the data at ${to} is ${age} old, more than two intervals`
    : `the data at ${to} is not older than two intervals`;
  const draft = condition('InSync', !isBehind, isBehind ? 'Behind' : 'InSync', message);
  const was = conditionOf(one, 'InSync')?.status;
  return { drafts: [draft], lagSeconds, alarm: isBehind && was !== 'False' ? message : undefined };
}
