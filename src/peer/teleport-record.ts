/** What is remembered of a teleport, also over restarts. */

import type { TeleportProgress } from '../api/objects.ts';
import type { HistoryPolicy, VolumeOrigin, VolumeStatus } from '../volume/api.ts';

export type TeleportPhase = 'Initializing' | 'Accessible' | 'Available' | 'Canceled' | 'Failed';

/** What survives a restart. */
export interface TeleportRecord {
  readonly name: string;
  readonly cluster: string;
  readonly sourceVolume: string;
  readonly volume: string;
  readonly pool: string;
  readonly policyName: string;
  readonly thin: boolean;
  readonly atMs?: number;
  readonly snapshot?: string;
  readonly bytesPerSecond?: number;
  readonly leaseId?: string;
  readonly root?: string;
  readonly phase: TeleportPhase;
  readonly startedMs: number;
  /** Milliseconds from the request to `Accessible`, on the monotonic clock. */
  readonly accessibleAfterMs?: number;
  readonly accessibleMs?: number;
  readonly finishedMs?: number;
  readonly reason?: string;
  readonly message?: string;
  /** The source may still hold the lease and has to be told. */
  readonly releasing?: boolean;
  readonly progress: TeleportProgress;
}

export const noProgress: TeleportProgress = {
  totalBytes: 0,
  presentBytes: 0,
  demandBytes: 0,
  backgroundBytes: 0,
  missingBytes: 0,
  wireBytes: 0,
  bytesPerSecond: 0,
};

export interface TeleportRequest {
  readonly cluster: string;
  readonly volume: string;
  /** Of the volume here. */
  readonly name: string;
  readonly pool: string;
  readonly policy: HistoryPolicy;
  readonly policyName: string;
  readonly thin: boolean;
  readonly atMs?: number;
  readonly snapshot?: string;
  readonly bytesPerSecond?: number;
}

/** Nothing is missing: what was not fetched had been here. */
export function wholeProgress(progress: TeleportProgress): TeleportProgress {
  const { totalBytes, demandBytes, backgroundBytes, wireBytes } = progress;
  const presentBytes = Math.max(0, totalBytes - demandBytes - backgroundBytes);
  const fetched = { totalBytes, demandBytes, backgroundBytes, wireBytes };
  return { ...fetched, presentBytes, missingBytes: 0, bytesPerSecond: 0 };
}

/**
 * What an earlier process left, beside what is in the pools: it may have died between a step and
 * the note of it.
 */
export function afterRestart(
  record: TeleportRecord,
  found: { readonly isThere: boolean; readonly isArriving: boolean; readonly wallMs: number },
): TeleportRecord {
  const { isThere, isArriving, wallMs: finishedMs } = found;
  const isOpen = record.phase === 'Initializing' || record.phase === 'Accessible';
  if (!isOpen || (isThere && isArriving)) return record;
  // What the source keeps for it is given back, unless clones still need it.
  const releasing = !isArriving && record.leaseId !== undefined;
  const ended = { ...record, finishedMs, ...(releasing ? { releasing } : {}) };
  if (record.phase === 'Initializing') {
    const message = 'the agent stopped before the volume was accessible';
    return { ...ended, phase: 'Failed', reason: 'Stopping', message };
  }
  if (!isThere) return { ...ended, phase: 'Canceled' };
  return { ...ended, phase: 'Available', progress: wholeProgress(record.progress) };
}

/** Of a volume that says itself where it comes from. */
export function recordOf(
  status: VolumeStatus,
  origin: VolumeOrigin,
  pool: string,
  known: TeleportRecord | undefined,
): TeleportRecord {
  return {
    name: origin.teleport,
    cluster: origin.cluster,
    sourceVolume: origin.volume,
    volume: status.name,
    pool,
    policyName: known?.policyName ?? '',
    thin: origin.thin,
    leaseId: origin.leaseId,
    root: origin.root,
    startedMs: known?.startedMs ?? status.createdMs,
    progress: known?.progress ?? noProgress,
    phase: 'Accessible',
  };
}
