/** What movers print to stdout, one JSON object a line; controllers read it from the pod's log. */
import type { Reason } from '../base/reasons.ts';
import type { RsyncStats } from './rsync-progress.ts';

export interface AuditSummary {
  readonly entries: number;
  /** Content of regular files; a file with several names counts once. */
  readonly bytes: number;
  /** SHA-256 over all entries in order (`manifest.ts`). */
  readonly digest: string;
  /** SHA-256 over extended attributes and ACLs; undefined where they cannot be listed. */
  readonly attributesDigest?: string;
}

/** Where a volume is in a repository, for whoever restores it. */
export interface SavedVolume {
  /** None: the volume has nothing in it, and restic makes no snapshots of that. */
  readonly snapshot?: string;
  /** Of the snapshot with the list of everything that the volume has (`manifest.ts`). */
  readonly list: string;
  readonly attributesDigest?: string;
}

export type MoverMessage =
  | { readonly type: 'Listening'; readonly port: number }
  | { readonly type: 'Attempt'; readonly attempt: number; readonly attemptsMax: number }
  | {
      readonly type: 'AttemptFailed';
      readonly attempt: number;
      readonly reason: Reason;
      readonly message: string;
      readonly retryInSeconds: number;
    }
  | {
      /** Of the current attempt alone: numbers of attempts are never added up. */
      readonly type: 'Progress';
      readonly attempt: number;
      readonly percent: number;
      readonly bytes: number;
      readonly bytesPerSecond: number;
      readonly elapsedSeconds: number;
      readonly files: number;
      /** The percentage is of what was listed so far. */
      readonly listing: boolean;
    }
  | {
      readonly type: 'Done';
      readonly attempts: number;
      readonly stats: RsyncStats;
      readonly notes: readonly string[];
      /** Of a final pass: what both sides have. A stage has none, as the source still changes. */
      readonly audit?: AuditSummary & { readonly contentCompared: boolean };
    }
  | {
      /** The volume is in a repository: the first half of a copy by way of one. */
      readonly type: 'Saved';
      readonly attempts: number;
      readonly saved: SavedVolume;
      readonly totalBytes: number;
      /** What the repository did not have yet, before compression. */
      readonly addedBytes: number;
      readonly notes: readonly string[];
    }
  | {
      readonly type: 'Failed';
      readonly reason: Reason;
      readonly message: string;
      readonly remedy: string;
      readonly attempts: number;
    };

const types: ReadonlySet<string> = new Set<MoverMessage['type']>([
  'Listening',
  'Attempt',
  'AttemptFailed',
  'Progress',
  'Done',
  'Saved',
  'Failed',
]);

/** Undefined for a line that is none of a mover's, such as one that a log reader cut. */
export function parseMoverMessage(line: string): MoverMessage | undefined {
  try {
    const value: unknown = JSON.parse(line);
    if (typeof value !== 'object' || value === null || !('type' in value)) return undefined;
    return types.has(String(value.type)) ? (value as MoverMessage) : undefined;
  } catch {
    return undefined;
  }
}
