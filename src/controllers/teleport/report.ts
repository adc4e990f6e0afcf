/** The status of a teleport. Pure. */
import type { Teleport } from '../../api/kinds/teleport.ts';
import type { Volume } from '../../api/kinds/volume.ts';
import type { TransshipError } from '../../base/errors.ts';
import { formatAge, formatBytes, formatSize } from '../../base/units.ts';
import { condition, conditionOf, isTrue, type Report } from '../status.ts';
import { endingOf, type Fields, sidesOf, sideText, volumeNameOf, wasAccessible } from './plan.ts';

type Condition = Report['conditions'][number];

/** What is told beside what the object says already. */
export interface News {
  readonly teleport: Teleport;
  /** The Volume at the destination, as last seen. */
  readonly volume: Volume | undefined;
  /** The claim there is bound, or none is wanted. */
  readonly isBound: boolean;
  /** What is waited for, if anything. */
  readonly blocker: TransshipError | undefined;
  /** The destination's API answers; what is known of the volume may be old otherwise. */
  readonly isWatched: boolean;
}

/** Everything but what is known only at one moment: `change` brings that. */
export function fieldsOf(
  teleport: Teleport,
  volume: Volume | undefined,
  change: Partial<Fields> = {},
): Fields {
  const { conditions: _conditions, observedGeneration: _seen, ...known } = teleport.status ?? {};
  const sides = sidesOf(teleport);
  const seen = volume?.status?.teleport;
  const { phase: _phase, accessibleTime: _since, completionTime: _end, ...progress } = seen ?? {};
  const root = volume?.status?.root;
  const isWhole = isTrue(volume, 'Complete');
  return {
    ...known,
    ...(root === undefined || known.root !== undefined ? {} : { root }),
    ...(seen === undefined ? {} : { progress: isWhole ? whole(progress) : progress }),
    ...change,
    display: {
      ...known.display,
      source: sideText(sides.source),
      destination: sideText(sides.destination),
      ...(seen === undefined ? {} : shownProgress(isWhole ? whole(progress) : progress)),
    },
  };
}

type Progress = NonNullable<Fields['progress']>;

/** The last look at a volume that is whole may be from before it was. */
function whole(progress: Progress): Progress {
  const { etaSeconds: _eta, ...rest } = progress;
  return { ...rest, percent: 100, missingBytes: 0, bytesPerSecond: 0 };
}

function shownProgress(progress: Progress): NonNullable<Fields['display']> {
  const { percent, totalBytes, missingBytes, bytesPerSecond, etaSeconds } = progress;
  const there = Math.max(0, (totalBytes ?? 0) - (missingBytes ?? 0));
  return {
    progress: percent === undefined ? '' : `${percent}%`,
    bytes: totalBytes === undefined ? '' : `${formatSize(there)}/${formatSize(totalBytes)}`,
    rate: bytesPerSecond === undefined ? '' : `${formatSize(bytesPerSecond)}/s`,
    eta: etaSeconds === undefined ? '' : formatAge(etaSeconds * 1000),
  };
}

/** While it runs, also after it could be used. */
export function runningReport(news: News): Report {
  const { teleport, volume, isBound, blocker, isWatched } = news;
  const isUsable = wasAccessible(teleport) && isBound;
  const isThinDone = isUsable && teleport.spec.thin === true;
  const phase = wasAccessible(teleport)
    ? 'Accessible'
    : teleport.status?.startTime === undefined
      ? 'Pending'
      : 'Initializing';
  const succeeded = conditionOf(teleport, 'Succeeded');
  return {
    conditions: [
      readyOf(news, isUsable),
      succeeded?.status === 'True' || isThinDone
        ? condition('Succeeded', true, 'Accessible', 'it can be used; what is read is fetched')
        : condition('Succeeded', 'Unknown', phase, progressMessage(news)),
      ...linkOf(teleport, volume),
      ...(isWatched ? [] : [unwatched(blocker)]),
    ],
    fields: fieldsOf(teleport, volume, { phase, volume: volumeNameOf(teleport) }),
  };
}

function readyOf({ teleport, blocker }: News, isUsable: boolean): Condition {
  const known = conditionOf(teleport, 'Ready');
  // A cut link changes nothing about what can be used (I-13).
  if (isUsable || known?.status === 'True') {
    return condition('Ready', true, 'Accessible', 'it can be read and written at the destination');
  }
  if (blocker !== undefined) return condition('Ready', false, blocker.reason, blocker.message);
  return condition('Ready', false, 'Initializing', 'it cannot be used at the destination yet');
}

function progressMessage({ volume, blocker }: News): string {
  if (blocker !== undefined) return blocker.message;
  const missing = volume?.status?.missingBytes;
  if (missing === undefined) return 'the destination has been asked for the volume';
  return `${formatBytes(missing)} are still at the source`;
}

function unwatched(blocker: TransshipError | undefined): Condition {
  const { reason = 'ApiUnreachable', message = 'the destination does not answer' } = blocker ?? {};
  return condition('DestinationReachable', false, reason, message);
}

/** The agent's word on the link to the source, as long as the source is needed (I-25). */
function linkOf(teleport: Teleport, volume: Volume | undefined): readonly Condition[] {
  const link = conditionOf(volume, 'SourceConnected') ?? conditionOf(teleport, 'SourceConnected');
  if (link === undefined) return [];
  const is = link.status === 'Unknown' ? 'Unknown' : link.status === 'True';
  return [condition('SourceConnected', is, link.reason, link.message)];
}

/** The last word: written before anything is cleaned up, so that no restart forgets it. */
export function endReport(
  teleport: Teleport,
  volume: Volume | undefined,
  end: { readonly reason: string; readonly message: string; readonly time: string },
): Report {
  const { reason, message, time: completionTime } = end;
  const isGood = reason === 'Available';
  const phase = isGood ? 'Available' : reason === 'Canceled' ? 'Canceled' : 'Failed';
  return {
    conditions: [
      condition('Ready', isGood, reason, message),
      condition('Succeeded', isGood, reason, message),
      ...(isGood ? linkOf(teleport, volume) : []),
    ],
    fields: fieldsOf(teleport, volume, { phase, completionTime }),
  };
}

/** What an ended or deleted teleport still waits for; without a blocker nothing is left to do. */
export function endingReport(teleport: Teleport, blocker?: string): Report {
  const { conditions = [], observedGeneration: _seen, ...fields } = teleport.status ?? {};
  const kept = conditions
    .filter(({ type }) => type !== 'CleanedUp')
    .map(({ type, status, reason, message }) => {
      return condition(type, status === 'Unknown' ? 'Unknown' : status === 'True', reason, message);
    });
  const ending = endingOf(teleport) ?? 'Deleting';
  if (blocker === undefined) return { conditions: kept, fields };
  return { conditions: [...kept, condition('CleanedUp', false, ending, blocker)], fields };
}
