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
