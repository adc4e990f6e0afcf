/**
 * Tries a repository with real bytes: something is written, read back and removed, and what is
 * there is counted, up to a limit: beyond it the numbers are what was counted until then.
 */
import { mkdir, opendir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { fail, TransshipError } from '../base/errors.ts';
import type { Clock, Random } from '../base/ports.ts';
import type { Reason } from '../base/reasons.ts';
import type { RepositoryPlace } from '../api/repository-place.ts';
import type { RepositoryProbe } from '../controllers/ports.ts';
import { S3 } from './s3.ts';

const entriesMax = 100_000;
const pagesMax = 100;
const probeBytes = 1024;

interface Found {
  readonly bytes: number;
  readonly objects: number;
}

export function createRepositoryProbe(clock: Clock, random: Random): RepositoryProbe {
  return {
    probe: async (place: RepositoryPlace) => {
      const name = `.transship-probe-${Buffer.from(random.bytes(8)).toString('hex')}`;
      const content = random.bytes(probeBytes);
      if ('directory' in place) return probeDirectory(place.directory, name, content);
      return probeBucket(new S3(place, clock), `${place.prefix}${name}`, { place, content });
    },
  };
}

async function probeDirectory(
  directory: string,
  name: string,
  content: Uint8Array,
): Promise<Found> {
  if (!isAbsolute(directory)) fail('BadArgument', `${directory} is not an absolute path`);
  try {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const path = join(directory, name);
    try {
      await writeFile(path, content, { mode: 0o600, flush: true });
      if (!Buffer.from(content).equals(await readFile(path))) {
        fail('DataCorrupt', `${directory} gives back other bytes than were written`);
      }
    } finally {
      await rm(path, { force: true });
    }
    return await countDirectory(directory);
  } catch (error) {
    throw error instanceof TransshipError ? error : directoryProblem(directory, error);
  }
}

async function countDirectory(directory: string): Promise<Found> {
  let bytes = 0;
  let objects = 0;
  for await (const entry of await opendir(directory, { recursive: true })) {
    if (!entry.isFile()) continue;
    if (objects >= entriesMax) break;
    try {
      const { size } = await stat(join(entry.parentPath, entry.name));
      bytes += size;
      objects++;
    } catch (error) {
      // Others work there too: what is gone by now is not counted.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }
  return { bytes, objects };
}

const reasonsByCode: Readonly<Record<string, Reason>> = {
  EACCES: 'Forbidden',
  EPERM: 'Forbidden',
  EROFS: 'ReadOnly',
  ENOSPC: 'PoolFull',
  ENOENT: 'NotFound',
  ENOTDIR: 'BadArgument',
  EEXIST: 'BadArgument',
};

function directoryProblem(directory: string, cause: unknown): TransshipError {
  const { code = '', message } = cause as NodeJS.ErrnoException;
  const reason = reasonsByCode[code] ?? 'RepositoryUnreachable';
  return new TransshipError(reason, `directory ${directory} cannot be used: ${message}`, { cause });
}

async function probeBucket(
  store: S3,
  name: string,
  what: { readonly place: { readonly prefix: string }; readonly content: Uint8Array },
): Promise<Found> {
  const { content } = what;
  await store.put(name, content);
  try {
    if (!Buffer.from(content).equals(await store.get(name))) {
      fail('DataCorrupt', 'the object store gives back other bytes than were written');
    }
  } finally {
    await store.delete(name);
  }
  let bytes = 0;
  let objects = 0;
  let next: string | undefined;
  for (let page = 0; page < pagesMax; page++) {
    const listed = await store.list(what.place.prefix, next);
    bytes += listed.bytes;
    objects += listed.objects;
    next = listed.next;
    if (next === undefined) break;
  }
  return { bytes, objects };
}
