/** What is remembered of a teleport, also over restarts. */

import type { TeleportProgress } from '../api/objects.ts';
import type { HistoryPolicy } from '../volume/api.ts';

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
