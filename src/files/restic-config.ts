/** What a mover is told that copies a volume by way of a repository, in two halves. */
import type { RepositoryPlace } from '../api/repository-place.ts';
import type { SavedVolume } from './mover-messages.ts';
import { bad, counts, type Fields, flags, parseFields, path } from './mover-config.ts';

interface Both {
  readonly repository: RepositoryPlace;
  /** Of restic's repository; the content is encrypted with it. */
  readonly password: string;
  /** Writable, private and outside the volume. */
  readonly state: string;
  /** Absolute; the volume. */
  readonly volume: string;
  /** `Final`: nobody writes to the source, and an audit closes. */
  readonly pass: 'Stage' | 'Final';
  /** Content is read and compared, also where size and time agree. */
  readonly verify?: boolean;
  readonly bytesPerSecond?: number;
  /** Default 5: restic itself tries again for a quarter of an hour. */
  readonly attemptsMax?: number;
}

export interface BackupConfig extends Both {
  /** Of the snapshot: which transfer made it. */
  readonly transfer: string;
  /** The same for all snapshots of one volume: the next is compared with the last. */
  readonly claim: string;
}

export interface RestoreConfig extends Both {
  readonly saved: SavedVolume;
  readonly ownership?: 'Preserve' | 'Mover';
}

export const resticAttemptsMax = 5;

/** `BadArgument` names the first field that cannot be used. */
export function parseBackupConfig(text: string): BackupConfig {
  const fields = parseFields(text);
  return { ...both(fields), transfer: tag(fields, 'transfer'), claim: tag(fields, 'claim') };
}

/** `BadArgument` names the first field that cannot be used. */
export function parseRestoreConfig(text: string): RestoreConfig {
  const fields = parseFields(text);
  const { saved, ownership } = fields;
  if (ownership !== undefined && ownership !== 'Preserve' && ownership !== 'Mover') {
    return bad('ownership', 'Preserve or Mover');
  }
  if (typeof saved !== 'object' || saved === null) return bad('saved', 'an object');
  const { attributesDigest, snapshot } = saved as Fields;
  return {
    ...both(fields),
    saved: {
      ...(snapshot === undefined ? {} : { snapshot: id(saved as Fields, 'snapshot') }),
      list: id(saved as Fields, 'list'),
      ...(typeof attributesDigest === 'string' ? { attributesDigest } : {}),
    },
    ...(ownership === undefined ? {} : { ownership }),
  };
}

function both(fields: Fields): Both {
  const { pass, password, repository } = fields;
  if (pass !== 'Stage' && pass !== 'Final') return bad('pass', 'Stage or Final');
  if (typeof password !== 'string' || !/^\S{16,}$/.test(password)) {
    return bad('password', 'at least 16 characters without spaces');
  }
  if (typeof repository !== 'object' || repository === null) return bad('repository', 'an object');
  return {
    repository: placeOf(repository as Fields),
    password,
    pass,
    state: path(fields, 'state'),
    volume: path(fields, 'volume'),
    ...flags(fields, 'verify'),
    ...counts(fields, 'bytesPerSecond', 'attemptsMax'),
  };
}

function placeOf(fields: Fields): RepositoryPlace {
  if (fields['directory'] !== undefined) return { directory: line(fields, 'directory', /^\//) };
  const { prefix = '', caBundle } = fields;
  if (typeof prefix !== 'string') return bad('prefix', 'a text');
  return {
    endpoint: line(fields, 'endpoint', /^https?:\/\/[^/\s]+\/?$/),
    bucket: line(fields, 'bucket', /^[a-z0-9.-]+$/),
    region: line(fields, 'region', /^\S+$/),
    prefix,
    accessKeyId: line(fields, 'accessKeyId', /^\S+$/),
    secretAccessKey: line(fields, 'secretAccessKey', /^\S+$/),
    forcePathStyle: fields['forcePathStyle'] === true,
    ...(typeof caBundle === 'string' ? { caBundle } : {}),
  };
}

/** Values may be secret: only the field is named. */
function line(fields: Fields, key: string, pattern: RegExp): string {
  const value = fields[key];
  if (typeof value === 'string' && pattern.test(value) && !/[\n\0]/.test(value)) return value;
  return bad(key, `a text that matches ${pattern.source}`);
}

function tag(fields: Fields, key: string): string {
  return line(fields, key, /^[\w.:/-]+$/);
}

function id(fields: Fields, key: string): string {
  return line(fields, key, /^[0-9a-f]{8,64}$/);
}
