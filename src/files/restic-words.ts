/** The words of restic command lines, and what restic says (restic 0.14, `restic help`). */
import type { RepositoryPlace } from '../api/repository-place.ts';
import type { BackupConfig, RestoreConfig } from './restic-config.ts';
import type { Outcome } from './rsync-exits.ts';

/** Files that restic is told of, in the state directory of a mover. */
export interface ResticFiles {
  readonly password: string;
  readonly cache: string;
  readonly caBundle: string;
}

/** What restic keeps of a volume otherwise than rsync does. */
export const resticLimits =
  'restic writes the holes of sparse files in full and keeps no sockets, ' +
  "nor extended attributes of the volume's own directory";

/** Never a secret: that is in the environment, or in a file. */
export function commonWords(
  place: RepositoryPlace,
  files: ResticFiles,
  bytesPerSecond: number | undefined,
): readonly string[] {
  const kibibytes = Math.max(1, Math.floor((bytesPerSecond ?? 0) / 1024));
  const limits =
    bytesPerSecond === undefined
      ? []
      : [`--limit-upload=${kibibytes}`, `--limit-download=${kibibytes}`];
  const words = [`--password-file=${files.password}`, `--cache-dir=${files.cache}`, ...limits];
  if ('directory' in place) return [...words, `--repo=${place.directory}`];
  const { endpoint, bucket, prefix, region, forcePathStyle, caBundle } = place;
  const path = [bucket, ...prefix.split('/').filter((part) => part !== '')].join('/');
  return [
    ...words,
    `--repo=s3:${endpoint.replace(/\/$/, '')}/${path}`,
    `--option=s3.region=${region}`,
    `--option=s3.bucket-lookup=${forcePathStyle ? 'path' : 'dns'}`,
    ...(caBundle === undefined ? [] : [`--cacert=${files.caBundle}`]),
  ];
}

export function environmentOf(place: RepositoryPlace): Readonly<Record<string, string>> {
  if ('directory' in place) return {};
  const { accessKeyId, secretAccessKey } = place;
  return { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
}

export const claimTag = (claim: string): string => `claim=${claim}`;

/**
 * Run in the volume, so that the snapshot has its content at the root. Pods have the volume at
 * places of their own, so the snapshot to compare with is named.
 */
export function backupWords(config: BackupConfig, parent: string | undefined): readonly string[] {
  const volume = config.volume.replaceAll(/[\\*?[]/g, String.raw`\$&`);
  return [
    'backup',
    '--json',
    '--one-file-system',
    `--exclude=${volume}/lost+found`,
    `--tag=${claimTag(config.claim)}`,
    `--tag=transfer=${config.transfer}`,
    // All content is read again where it is to be verified.
    ...(config.verify === true ? ['--force'] : parent === undefined ? [] : [`--parent=${parent}`]),
    '.',
  ];
}

export const listName = 'list';

/** The list is read from stdin. */
export function listWords(config: BackupConfig): readonly string[] {
  const name = `--stdin-filename=${listName}`;
  return ['backup', '--json', '--stdin', name, `--tag=list-of=${config.transfer}`];
}

/** Which paths to restore; undefined: all. */
export function restoreWords(
  { volume }: RestoreConfig,
  snapshot: string,
  paths: readonly string[] | undefined,
): readonly string[] {
  const only = (paths ?? []).map((path) => `--include=${patternOf(path)}`);
  return ['restore', snapshot, `--target=${volume}`, ...only];
}

/** This path alone and what is below it (restic: filepath.Match). */
export function patternOf(path: string): string {
  return `/${path.replaceAll(/[\\*?[\]]/g, String.raw`\$&`)}`;
}

export interface BackupSummary {
  readonly snapshot?: string;
  readonly totalBytes: number;
  readonly addedBytes: number;
}

export type ResticLine =
  | {
      readonly kind: 'progress';
      readonly percent: number;
      readonly bytes: number;
      readonly files: number;
    }
  | ({ readonly kind: 'summary' } & BackupSummary);

/** A line of `--json`; undefined for others. */
export function parseResticLine(text: string): ResticLine | undefined {
  if (!text.startsWith('{')) return undefined;
  try {
    const said = JSON.parse(text) as Readonly<Record<string, unknown>>;
    const count = (key: string): number => Number(said[key] ?? 0);
    if (said['message_type'] === 'status') {
      const percent = Math.floor(count('percent_done') * 100);
      return { kind: 'progress', percent, bytes: count('bytes_done'), files: count('files_done') };
    }
    if (said['message_type'] !== 'summary') return undefined;
    return {
      kind: 'summary',
      snapshot: String(said['snapshot_id']),
      totalBytes: count('total_bytes_processed'),
      addedBytes: count('data_added'),
    };
  } catch {
    return undefined;
  }
}

export interface ResticEnd {
  /** Undefined: a signal ended it. */
  readonly code: number | undefined;
  readonly stderr: string;
  readonly pass: 'Stage' | 'Final';
  /** Where a full disk would be. */
  readonly writesTo: 'repository' | 'destination volume';
}

const linesMax = 5;

/** Exit status 3 of a backup: a snapshot was made, without files that could not be read. */
export function judgeRestic(end: ResticEnd): Outcome {
  const { code, stderr, pass, writesTo } = end;
  if (code === 0) return { kind: 'Complete', notes: [] };
  const said = saidIn(stderr);
  if (/no space left on device|disk quota exceeded/i.test(stderr)) {
    const message = `the ${writesTo} has no space left`;
    const remedy = `Give the ${writesTo} more room, then try again.`;
    return { kind: 'Failed', reason: 'PoolFull', message, remedy };
  }
  if (code === 3 && pass === 'Stage') {
    return { kind: 'Complete', notes: [`files could not be read, or are gone: ${said}`] };
  }
  if (code === 3) {
    const message = `files could not be read: ${said}`;
    const remedy = 'Stop what writes to the source, or let the mover run as root.';
    return { kind: 'Failed', reason: 'Forbidden', message, remedy };
  }
  if (/wrong password|no key found|an empty password/i.test(stderr)) return wrongPassword;
  if (code === undefined) {
    return { kind: 'Retry', reason: 'Stopping', message: 'restic was ended by a signal' };
  }
  const message = `restic ended with code ${code}: ${said}`;
  return { kind: 'Retry', reason: 'RepositoryUnreachable', message };
}

const wrongPassword: Outcome = {
  kind: 'Failed',
  reason: 'NotTrusted',
  message: 'the repository has another password',
  remedy: 'Put the Secret of the repository back, or remove what is in this place of it.',
};

/** Nothing is in the volume, or nothing that restic keeps. */
export function isEmpty({ stderr }: { readonly stderr: string }): boolean {
  return /snapshot is empty/.test(stderr);
}

export function isNoRepository({ stderr }: { readonly stderr: string }): boolean {
  return /unable to open config file|Is there a repository at/.test(stderr);
}

function saidIn(stderr: string): string {
  const lines = stderr
    .split('\n')
    .map((text) => itemIn(text.trim()))
    .filter((text) => text !== '' && !/^There (was|were) |^Is there/.test(text));
  return lines.slice(0, linesMax).join('; ') || 'it gave no reason';
}

/** With `--json` errors are objects. */
function itemIn(text: string): string {
  if (!text.startsWith('{')) return text;
  try {
    const { item = '', during = '' } = JSON.parse(text) as { item?: string; during?: string };
    return `${item} (${during})`;
  } catch {
    return text;
  }
}
