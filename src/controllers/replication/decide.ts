/** What is to be done next about a replication, from what it asks for and how it stands. Pure. */
import type { Decision, Replication, ReplicationStatus } from '../../api/kinds/replication.ts';
import { parseDuration } from '../../base/units.ts';
import { impossible } from './checks/of-plans.ts';
import type { CheckResult } from './checks/check.ts';

export type Next =
  /** A job with a number of its own; its checks come first. */
  | { readonly do: 'begin' }
  | { readonly do: 'check' }
  | { readonly do: 'take'; readonly decision: Decision }
  /** It makes no sense now, or was taken already: it goes out of the spec. */
  | { readonly do: 'drop'; readonly decision: Decision; readonly isTaken: boolean }
  | { readonly do: 'remediate' }
  /** When it is its turn among those of the same two clusters. */
  | { readonly do: 'queue' }
  | { readonly do: 'advance' }
  /** Nothing until something changes, or until then. */
  | { readonly do: 'rest'; readonly untilMs?: number };

type Phase = NonNullable<ReplicationStatus['phase']>;

/** Nothing of it is at work. */
export function isOver(phase: Phase | undefined): boolean {
  return phase === 'Done' || phase === 'Stopped' || phase === 'Waiting';
}

export function intervalMsOf({ spec }: Replication): number | undefined {
  return spec.continuous === undefined ? undefined : parseDuration(spec.continuous);
}

/** When a continuous one begins again; undefined: it does not by itself. */
export function dueMsOf(one: Replication): number | undefined {
  const interval = intervalMsOf(one);
  const beganMs = Date.parse(one.status?.startTime ?? '');
  if (interval === undefined || Number.isNaN(beganMs)) return undefined;
  return beganMs + interval;
}

export function nextOf(one: Replication, nowMs: number): Next {
  const { status = {}, spec, metadata } = one;
  const { phase } = status;
  if (phase === undefined) return { do: 'begin' };
  const { decision } = spec;
  if (decision !== undefined && phase !== 'Checking') {
    const isTaken = status.decided?.generation === metadata.generation;
    const isOffered = status.offers?.includes(decision) === true;
    if (isOffered && !isTaken) return { do: 'take', decision };
    return { do: 'drop', decision, isTaken };
  }
  const isAsked = (spec.run ?? 1) > (status.run ?? 0);
  const dueMs = dueMsOf(one);
  const isDue = dueMs !== undefined && nowMs >= dueMs;
  const rest: Next = dueMs === undefined ? { do: 'rest' } : { do: 'rest', untilMs: dueMs };
  switch (phase) {
    case 'Checking':
      return { do: 'check' };
    case 'Halted':
      if (isAsked || isDue) return { do: 'begin' };
      // It waited for nothing but the word to go on.
      return isPassed(status) && spec.onlyCheck !== true ? { do: 'begin' } : rest;
    case 'Remediating':
      return { do: 'remediate' };
    case 'Queued':
      return { do: 'queue' };
    case 'Running':
      return { do: 'advance' };
    case 'Stopped':
      return isAsked ? { do: 'begin' } : { do: 'rest' };
    case 'Done':
    case 'Waiting':
      return isAsked || isDue ? { do: 'begin' } : rest;
  }
}

/** Nothing was in the way. */
export function isPassed({ actionable = 0, incompatible = 0 }: ReplicationStatus): boolean {
  return actionable + incompatible === 0;
}

/** Decisions that make sense after these checks (K-16). */
export function offersFor(
  checks: readonly CheckResult[],
  { onlyCheck = false }: { readonly onlyCheck?: boolean },
): readonly Decision[] {
  const bad = checks.filter(({ result }) => result === 'Actionable' || result === 'Incompatible');
  if (onlyCheck) return ['Recheck', 'Stop'];
  if (bad.length === 0) return [];
  const canFix = bad.some(({ result }) => result === 'Actionable');
  const canProceed = !bad.some(({ name }) => impossible.has(name));
  return [
    ...(canFix ? (['Remediate'] as const) : []),
    'Recheck',
    ...(canProceed ? (['ProceedAnyway'] as const) : []),
    'Stop',
  ];
}

/** Who replicates between the same two clusters, in the same direction. */
export function isSamePair(a: Replication, b: Replication): boolean {
  return a.spec.source === b.spec.source && a.spec.destination === b.spec.destination;
}

/**
 * Whom this one waits for: who runs, else who was queued before it. `all` as they are now, this one
 * among them.
 */
export function aheadOf(mine: Replication, all: readonly Replication[]): Replication | undefined {
  const { uid } = mine.metadata;
  const others = all.filter((one) => one.metadata.uid !== uid && isSamePair(one, mine));
  const running = others.find(({ status }) => status?.phase === 'Running');
  if (running !== undefined) return running;
  const queued = others.filter(({ status, metadata }) => {
    return status?.phase === 'Queued' && metadata.deletionTimestamp === undefined;
  });
  const age = ({ status, metadata }: Replication): string =>
    `${status?.startTime ?? ''} ${metadata.namespace}/${metadata.name}`;
  return queued
    .filter((one) => age(one) < age(mine))
    .toSorted((a, b) => (age(a) < age(b) ? -1 : 1))[0];
}
