/** Versions and locks: sealed JSON (docs/formats/repository.md, "Version" and "Lock"). */
import { asTransshipError, fail } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { Random } from '../../base/ports.ts';
import { nameHex } from '../../volume/name.ts';
import type { BlockRange, Version } from '../../volume/types.ts';
import { decodeJson, encodeJson, type Fields } from '../json-fields.ts';
import type { MasterKey } from './keys.ts';
import { magics, openObject, sealObject } from './sealed.ts';

const recentUseMax = 4096;
const textMax = 256;

/** One saved version of a volume. */
export interface SavedVersion extends Version {
  readonly volume: string;
  /** Of the version, unique for its volume. */
  readonly name: string;
  /** The moment of the content. */
  readonly atMs: number;
  readonly savedMs: number;
  /** Who saved it. */
  readonly cluster: string;
  /** What it took beside what was there. */
  readonly addedBytes: number;
  readonly recentUse: readonly BlockRange[];
}

export type LockUse = 'save' | 'prune' | 'lease';

export interface LockDocument {
  readonly use: LockUse;
  readonly holder: string;
  readonly sinceMs: number;
  /** Of a lease: what is read. */
  readonly reads?: Pick<Version, 'root' | 'sizeBytes' | 'blockBytes'>;
}

export function versionObjectName(key: MasterKey, volume: string, name: string): string {
  return `versions/${key.nameOf('version', volume, name)}`;
}

export function encodeVersion(
  key: MasterKey,
  random: Random,
  { root, recentUse, ...version }: SavedVersion,
): readonly Uint8Array[] {
  const use = recentUse.slice(0, recentUseMax).flatMap(({ first, count }) => [first, count]);
  const bytes = encodeJson({ ...version, root: nameHex(root), recentUse: use });
  return sealObject(key, magics.version, { bytes, random });
}

/** `DataCorrupt`. */
export function decodeVersion(key: MasterKey, object: Uint8Array): SavedVersion {
  return reading('a version', openObject(key, magics.version, object), (fields) => {
    const use = fields.counts('recentUse').slice(0, 2 * recentUseMax);
    const recentUse = Array.from({ length: Math.floor(use.length / 2) }, (_, i) => {
      return { first: use[2 * i]!, count: use[2 * i + 1]! };
    });
    return {
      ...readShape(fields),
      volume: fields.text('volume', limits.nameLengthMax),
      name: fields.text('name', limits.nameLengthMax),
      allocatedBlocks: fields.count('allocatedBlocks'),
      atMs: fields.number('atMs'),
      savedMs: fields.number('savedMs'),
      cluster: fields.text('cluster', textMax),
      addedBytes: fields.count('addedBytes'),
      recentUse,
    };
  });
}

export function encodeLock(
  key: MasterKey,
  random: Random,
  { reads, ...lock }: LockDocument,
): readonly Uint8Array[] {
  const read = reads === undefined ? {} : { ...reads, root: nameHex(reads.root) };
  return sealObject(key, magics.lock, { bytes: encodeJson({ ...lock, ...read }), random });
}

/** `DataCorrupt`. */
export function decodeLock(key: MasterKey, object: Uint8Array): LockDocument {
  return reading('a lock', openObject(key, magics.lock, object), (fields) => {
    const use = fields.text('use', 16);
    if (use !== 'save' && use !== 'prune' && use !== 'lease') {
      fail('DataCorrupt', `a lock for '${use}'`);
    }
    const holder = fields.text('holder', textMax);
    const sinceMs = fields.number('sinceMs');
    return { use, holder, sinceMs, ...(use === 'lease' ? { reads: readShape(fields) } : {}) };
  });
}

/** What a walk relies on: nothing in a repository is taken on trust. */
function readShape(fields: Fields): Pick<Version, 'root' | 'sizeBytes' | 'blockBytes'> {
  const root = fields.hash('root');
  const sizeBytes = fields.count('sizeBytes');
  const blockBytes = fields.count('blockBytes');
  const isPossible =
    sizeBytes >= limits.volumeBytesMin &&
    sizeBytes <= limits.volumeBytesMax &&
    limits.blockBytesAllowed.includes(blockBytes);
  if (!isPossible) fail('DataCorrupt', `a volume of ${sizeBytes} bytes in blocks of ${blockBytes}`);
  return { root, sizeBytes, blockBytes };
}

/** What was sealed is ours, and may still be damaged: `DataCorrupt`. */
export function reading<T>(what: string, content: Uint8Array, read: (fields: Fields) => T): T {
  try {
    return read(decodeJson(content));
  } catch (error) {
    const { reason, message } = asTransshipError(error);
    if (reason !== 'ProtocolError') throw error;
    return fail('DataCorrupt', `${what} in the repository is damaged: ${message}`, error);
  }
}
