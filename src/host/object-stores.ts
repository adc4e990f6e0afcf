/** The places of repositories: a directory of this host, or a bucket. */
import * as fs from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import type { RepositoryPlace } from '../api/repository-place.ts';
import { assert, asTransshipError, fail, TransshipError } from '../base/errors.ts';
import type { Clock, Random } from '../base/ports.ts';
import type { Reason } from '../base/reasons.ts';
import type {
  GetOptions,
  ObjectInfo,
  ObjectStore,
  PutOptions,
} from '../peer/repository/object-store.ts';
import { S3 } from './s3.ts';

/** Of a put in a directory that the process did not live to finish; younger ones may be at work. */
const leftMs = 24 * 3600_000;
const freshPrefix = '.new-';

/** `BadArgument` for a place that cannot be one. */
export function openObjectStore(
  place: RepositoryPlace,
  ports: { readonly clock: Clock; readonly random: Random },
): ObjectStore {
  if (!('directory' in place)) return new BucketStore(place, ports.clock);
  const { directory } = place;
  if (!isAbsolute(directory)) fail('BadArgument', `${directory} is not an absolute path`);
  return new DirectoryStore(directory, ports);
}

class BucketStore implements ObjectStore {
  readonly place: string;
  readonly #s3: S3;
  readonly #prefix: string;

  constructor(place: Exclude<RepositoryPlace, { directory: string }>, clock: Clock) {
    const prefix = place.prefix.replace(/\/+$/, '');
    this.#prefix = prefix === '' ? '' : `${prefix}/`;
    this.#s3 = new S3(place, clock);
    const where = prefix === '' ? place.bucket : `${place.bucket}/${prefix}`;
    this.place = `bucket ${where} of ${new URL(place.endpoint).host}`;
  }

  put(name: string, parts: readonly Uint8Array[], options: PutOptions = {}): Promise<void> {
    const body = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    return this.#s3.put(this.#prefix + name, body, options);
  }

  async get(name: string, options: GetOptions = {}): Promise<Uint8Array> {
    const { offset = 0, lengthBytes, signal } = options;
    const end = lengthBytes === undefined ? '' : String(offset + lengthBytes - 1);
    const isWhole = offset === 0 && lengthBytes === undefined;
    const range = offset < 0 ? `bytes=${offset}` : `bytes=${offset}-${end}`;
    return this.#s3.get(this.#prefix + name, {
      ...(isWhole ? {} : { range }),
      ...(signal === undefined ? {} : { signal }),
    });
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<ObjectInfo> {
    let next: string | undefined;
    do {
      const page = await this.#s3.list(this.#prefix + prefix, next, signal);
      for (const { name, ...entry } of page.entries) {
        yield { ...entry, name: name.slice(this.#prefix.length) };
      }
      next = page.next;
    } while (next !== undefined);
  }

  delete(name: string, signal?: AbortSignal): Promise<void> {
    return this.#s3.delete(this.#prefix + name, signal);
  }
}

class DirectoryStore implements ObjectStore {
  readonly place: string;
  readonly #directory: string;
  readonly #ports: { readonly clock: Clock; readonly random: Random };

  constructor(directory: string, ports: { readonly clock: Clock; readonly random: Random }) {
    this.#directory = directory;
    this.#ports = ports;
    this.place = `directory ${directory}`;
  }

  put(name: string, parts: readonly Uint8Array[], options: PutOptions = {}): Promise<void> {
    return this.#attempt(options.signal, async () => {
      const path = this.#path(name);
      const parent = dirname(path);
      await fs.mkdir(parent, { recursive: true, mode: 0o700 });
      const chance = Buffer.from(this.#ports.random.bytes(8)).toString('hex');
      const fresh = join(parent, `${freshPrefix}${chance}`);
      try {
        await writeDurably(fresh, parts);
        if (options.ifAbsent === true) await fs.link(fresh, path);
        else await fs.rename(fresh, path);
        await syncDirectory(parent);
      } finally {
        await fs.rm(fresh, { force: true });
      }
    });
  }

  get(name: string, options: GetOptions = {}): Promise<Uint8Array> {
    const { offset = 0, lengthBytes, signal } = options;
    return this.#attempt(signal, async () => {
      const file = await fs.open(this.#path(name), 'r');
      try {
        const { size } = await file.stat();
        const from = offset < 0 ? Math.max(0, size + offset) : Math.min(offset, size);
        const into = Buffer.alloc(Math.min(size - from, lengthBytes ?? size));
        let at = 0;
        while (at < into.length) {
          const { bytesRead } = await file.read(into, at, into.length - at, from + at);
          if (bytesRead === 0) break;
          at += bytesRead;
        }
        return into.subarray(0, at);
      } finally {
        await file.close();
      }
    });
  }

  async *list(prefix: string, signal?: AbortSignal): AsyncGenerator<ObjectInfo> {
    yield* await this.#attempt(signal, () => this.#listed(prefix));
  }

  async #listed(prefix: string): Promise<ObjectInfo[]> {
    const directory = this.#path(prefix.replace(/\/$/, ''));
    const found: ObjectInfo[] = [];
    for (const name of await namesIn(directory)) {
      const path = join(directory, name);
      // Others work there too: what is gone by now is not there.
      const about = await fs.stat(path).catch(() => undefined);
      if (about?.isFile() !== true) continue;
      const { size: sizeBytes, mtimeMs: modifiedMs } = about;
      if (!name.startsWith(freshPrefix)) {
        found.push({ name: `${prefix}${name}`, sizeBytes, modifiedMs });
      } else if (this.#ports.clock.wallMs() - modifiedMs > leftMs) {
        await fs.rm(path, { force: true });
      }
    }
    return found;
  }

  delete(name: string, signal?: AbortSignal): Promise<void> {
    return this.#attempt(signal, async () => {
      await fs.rm(this.#path(name), { force: true });
    });
  }

  #path(name: string): string {
    assert(/^[a-z]+(\/[0-9a-f]+)?$/.test(name), `an object cannot be named ${name}`);
    return join(this.#directory, name);
  }

  async #attempt<T>(signal: AbortSignal | undefined, run: () => Promise<T>): Promise<T> {
    if (signal?.aborted === true) throw asTransshipError(signal.reason);
    try {
      return await run();
    } catch (error) {
      if (error instanceof Error && 'code' in error) throw this.#problem(error);
      throw error;
    }
  }

  #problem(cause: Error & { readonly code?: unknown }): TransshipError {
    const reason = reasonsByCode[String(cause.code)] ?? 'RepositoryUnreachable';
    const message = `directory ${this.#directory} cannot be used: ${cause.message}`;
    return new TransshipError(reason, message, { cause });
  }
}

const reasonsByCode: Readonly<Record<string, Reason>> = {
  EEXIST: 'AlreadyExists',
  ENOENT: 'NotFound',
  EACCES: 'Forbidden',
  EPERM: 'Forbidden',
  EROFS: 'ReadOnly',
  ENOSPC: 'PoolFull',
  EDQUOT: 'PoolFull',
  ENOTDIR: 'BadArgument',
};

async function namesIn(directory: string): Promise<readonly string[]> {
  try {
    return await fs.readdir(directory);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    throw error;
  }
}

async function writeDurably(path: string, parts: readonly Uint8Array[]): Promise<void> {
  const file = await fs.open(path, 'wx', 0o600);
  try {
    await file.writeFile(Buffer.concat(parts));
    await file.sync();
  } finally {
    await file.close();
  }
}

async function syncDirectory(path: string): Promise<void> {
  const directory = await fs.open(path, 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}
