/** For tests: a disk in memory without faults, a clock that is moved by hand, a pool over both. */
import { TransshipError } from '../base/errors.ts';
import type { Clock, Disk, DiskFile, Log, Random, Timer } from '../base/ports.ts';
import { createInlinePacker } from './pack.ts';
import { openPool, type Pool, type PoolOptions } from './pool.ts';

class Bytes {
  #store: Uint8Array = new Uint8Array(0);
  #length = 0;

  /** A view: changes to it are changes of the file. */
  get data(): Uint8Array {
    return this.#store.subarray(0, this.#length);
  }

  set data(bytes: Uint8Array) {
    this.#store = bytes;
    this.#length = bytes.length;
  }

  write(from: Uint8Array, position: number): void {
    const end = position + from.length;
    if (end > this.#store.length) {
      const grown = new Uint8Array(end * 2);
      grown.set(this.data);
      this.#store = grown;
    }
    this.#length = Math.max(this.#length, end);
    this.#store.set(from, position);
  }
}

export interface MemoryDisk extends Disk {
  /** The content of a file, to look at or to damage. */
  bytes(path: string): Uint8Array;
  put(path: string, data: Uint8Array): void;
  paths(): string[];
  /** The next sync of a file whose path begins so fails. */
  failSync(prefix: string): void;
  capacityBytes: number;
}

function openBytes(path: string, file: Bytes, failing: Set<string>): DiskFile {
  const sync = (): void => {
    for (const prefix of failing) {
      if (!path.startsWith(prefix)) continue;
      failing.delete(prefix);
      throw new TransshipError('DiskFailed', `sync of ${path} failed`);
    }
  };
  const read = (into: Uint8Array, position: number): number => {
    const part = file.data.subarray(position, position + into.length);
    into.set(part);
    return part.length;
  };
  return {
    path,
    read,
    readLater: async (into, position) => read(into, position),
    write: (parts, position) => {
      let at = position;
      for (const part of parts) {
        file.write(part, at);
        at += part.length;
      }
    },
    syncLater: async () => sync(),
    sync,
    sizeBytes: () => file.data.length,
    truncate: (sizeBytes) => {
      const cut = new Uint8Array(sizeBytes);
      cut.set(file.data.subarray(0, sizeBytes));
      file.data = cut;
    },
    close: () => undefined,
  };
}

export function createMemoryDisk(): MemoryDisk {
  const files = new Map<string, Bytes>();
  const failing = new Set<string>();
  const used = (): number => [...files.values()].reduce((sum, file) => sum + file.data.length, 0);
  const find = (path: string): Bytes => {
    const file = files.get(path);
    if (file === undefined) throw new TransshipError('NotFound', `no file ${path}`);
    return file;
  };
  const disk: MemoryDisk = {
    capacityBytes: 1024 ** 4,
    open: (path, options = {}) => {
      if (options.create === true && !files.has(path)) files.set(path, new Bytes());
      return openBytes(path, find(path), failing);
    },
    exists: (path) => files.has(path),
    list: (directory) => {
      const prefix = directory === '.' ? '' : `${directory}/`;
      const names = [...files.keys()].filter((path) => path.startsWith(prefix));
      return names.map((path) => path.slice(prefix.length)).sort();
    },
    makeDirectory: () => undefined,
    remove: (path) => void files.delete(path),
    rename: (from, to) => {
      files.set(to, find(from));
      files.delete(from);
    },
    syncDirectory: () => undefined,
    space: () => {
      const totalBytes = disk.capacityBytes;
      return { totalBytes, freeBytes: Math.max(0, totalBytes - used()) };
    },
    bytes: (path) => find(path).data,
    put: (path, data) => {
      const file = new Bytes();
      file.data = data;
      files.set(path, file);
    },
    paths: () => [...files.keys()].sort(),
    failSync: (prefix) => void failing.add(prefix),
  };
  return disk;
}

/** Time stands still until `advance`, which lets every timer and promise on the way run. */
export class HandClock implements Clock {
  #nowMs = 1_700_000_000_000;
  #timers: { readonly atMs: number; readonly run: () => void }[] = [];

  wallMs(): number {
    return this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  after(ms: number, run: () => void): Timer {
    // Work that only wants others to run first goes on without anybody moving the clock.
    if (ms === 0) queueMicrotask(run);
    const timer = { atMs: this.#nowMs + ms, run };
    if (ms > 0) this.#timers.push(timer);
    return {
      cancel: () => {
        this.#timers = this.#timers.filter((one) => one !== timer);
      },
    };
  }

  /** The wall clock alone, as an administrator or a bad battery would set it. */
  jump(ms: number): void {
    this.#nowMs += ms;
  }

  async advance(ms: number): Promise<void> {
    const until = this.#nowMs + ms;
    for (;;) {
      await settle();
      const next = this.#timers
        .filter((one) => one.atMs <= until)
        .sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.#timers = this.#timers.filter((one) => one !== next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.run();
    }
    this.#nowMs = Math.max(this.#nowMs, until);
    await settle();
  }
}

/** Long enough for any chain of promises that waits for no timer. */
async function settle(): Promise<void> {
  for (let i = 0; i < 2000; i++) await Promise.resolve();
}

/** Small, repeatable, and good enough for tests. */
export function createTestRandom(seed = 1): Random {
  let state = seed >>> 0 || 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return state;
  };
  return {
    bytes: (count) => {
      const words = new Uint32Array(Math.ceil(count / 4));
      for (let i = 0; i < words.length; i++) words[i] = next();
      return new Uint8Array(words.buffer, 0, count);
    },
    fraction: () => next() / 2 ** 32,
  };
}

export const quietLog: Log = { log: () => undefined };

export interface TestPool {
  readonly disk: MemoryDisk;
  readonly clock: HandClock;
  readonly random: Random;
  pool: Pool;
  /** As after a crash: what was not closed is dropped, and the disk is read again. */
  reopen(): Promise<Pool>;
}

export async function createTestPool(options: Partial<PoolOptions> = {}): Promise<TestPool> {
  const disk = createMemoryDisk();
  const clock = new HandClock();
  const random = createTestRandom();
  const all: PoolOptions = {
    disk,
    clock,
    random,
    log: quietLog,
    packer: createInlinePacker(),
    cacheBytes: 1024 * 1024,
    reserveBytes: 1024 * 1024,
    ...options,
  };
  const made: TestPool = {
    disk,
    clock,
    random,
    pool: await openPool(all),
    reopen: async () => {
      made.pool = await openPool(all);
      return made.pool;
    },
  };
  return made;
}

/** Content that is easy to tell apart: `bytes` bytes made from a label. */
export function pattern(label: number, bytes: number): Uint8Array {
  const random = createTestRandom(label + 1);
  const seed = random.bytes(64);
  return Uint8Array.from({ length: bytes }, (_, i) => ((seed[i % 64] ?? 0) + (i >>> 6)) & 255);
}
