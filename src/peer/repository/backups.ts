/**
 * What else a backup has than volumes: small parts of text, sealed, of which the part 0 is put last
 * and makes the backup exist (docs/formats/repository.md, "Backup").
 */
import { asTransshipError, fail } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { encodeJson } from '../json-fields.ts';
import { reading } from './documents.ts';
import type { MasterKey } from './keys.ts';
import { readIfThere, type Repository } from './repository.ts';
import { magics, openObject, sealObject } from './sealed.ts';

const heads = 'backups/';
const others = 'parts/';
const textMax = 256;

/** One part of a backup. */
export interface BackupPart {
  /** Of the backup, the same for all of its parts. */
  readonly name: string;
  readonly part: number;
  /** Who put it. */
  readonly cluster: string;
  readonly savedMs: number;
  /** Of the part 0: how many others there are. Else 0. */
  readonly parts: number;
  readonly content: string;
}

/** Flat, because places list what is in a folder and not what is in folders of it. */
function placeOf(key: MasterKey, name: string, part: number): string {
  return `${part === 0 ? heads : others}${key.nameOf('backup', name, String(part))}`;
}

/** Takes the place of one that is there. */
export async function putBackupPart(
  { ports: { store, random, clock }, key }: Repository,
  part: Omit<BackupPart, 'savedMs'>,
): Promise<BackupPart> {
  const whole = { ...part, savedMs: clock.wallMs() };
  if (part.content.length > limits.backupPartMax) {
    fail('LimitExceeded', `a part of a backup has at most ${limits.backupPartMax} characters`);
  }
  const sealed = sealObject(key, magics.backup, { bytes: encodeJson(whole), random });
  await store.put(placeOf(key, part.name, part.part), sealed);
  return whole;
}

/** `NotFound`, `DataCorrupt`. */
export async function readBackupPart(
  { ports: { store }, key }: Repository,
  name: string,
  part: number,
): Promise<BackupPart> {
  const object = await readIfThere(store, placeOf(key, name, part));
  if (object === undefined) return fail('NotFound', `no part ${part} of a backup ${name}`);
  const found = decodePart(key, object);
  if (found.name === name && found.part === part) return found;
  return fail('DataCorrupt', `part ${part} of backup ${name} is that of another one`);
}

/** The parts 0, the newest last. Errors as `readBackupPart`. */
export async function listBackups(repository: Repository): Promise<readonly BackupPart[]> {
  const { ports, key } = repository;
  const found: BackupPart[] = [];
  for (const { name } of await repository.list(heads)) {
    const object = await readIfThere(ports.store, name);
    if (object !== undefined) found.push(decodePart(key, object));
  }
  return found.toSorted((a, b) => a.savedMs - b.savedMs);
}

export interface VerifiedBackup {
  readonly name: string;
  readonly parts: number;
  /** Parts that are not there, or not what was put. */
  readonly badParts: number;
}

/** Reads every part of every backup. `damaged`: objects that should be the part 0 of one. */
export async function verifyBackups(
  repository: Repository,
): Promise<{ readonly backups: readonly VerifiedBackup[]; readonly damaged: readonly string[] }> {
  const { ports, key } = repository;
  const backups: VerifiedBackup[] = [];
  const damaged: string[] = [];
  for (const { name: place } of await repository.list(heads)) {
    const object = await readIfThere(ports.store, place);
    // Forgotten since it was listed.
    if (object === undefined) continue;
    const head = await unlessBad(async () => decodePart(key, object));
    if (head === undefined || placeOf(key, head.name, 0) !== place) {
      damaged.push(place);
      continue;
    }
    const { name, parts } = head;
    let badParts = 0;
    for (let part = 1; part <= parts; part++) {
      const found = await unlessBad(() => readBackupPart(repository, name, part));
      if (found === undefined) badParts += 1;
    }
    backups.push({ name, parts, badParts });
  }
  return { backups, damaged };
}

/** A place that does not answer is no damage. */
async function unlessBad<T>(read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await read();
  } catch (error) {
    const { reason } = asTransshipError(error);
    if (reason === 'NotFound' || reason === 'DataCorrupt') return undefined;
    throw error;
  }
}

/**
 * First the part 0: half a backup is none. Then from the last to the first: a part is there only as
 * long as those before it are, so that whoever died on the way is followed. Idempotent.
 */
export async function forgetBackup(repository: Repository, name: string): Promise<void> {
  const { ports, key } = repository;
  await ports.store.delete(placeOf(key, name, 0));
  const there = new Set((await repository.list(others)).map((one) => one.name));
  const places: string[] = [];
  for (let part = 1; ; part++) {
    const place = placeOf(key, name, part);
    if (!there.has(place)) break;
    places.push(place);
  }
  for (const place of places.toReversed()) await ports.store.delete(place);
}

function decodePart(key: MasterKey, object: Uint8Array): BackupPart {
  return reading('a part of a backup', openObject(key, magics.backup, object), (fields) => ({
    name: fields.text('name', textMax),
    part: fields.count('part'),
    cluster: fields.text('cluster', textMax),
    savedMs: fields.number('savedMs'),
    parts: fields.count('parts'),
    content: fields.text('content', limits.backupPartMax),
  }));
}
