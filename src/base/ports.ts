/**
 * The doors to the world. Everything outside `src/host` takes these; the simulator implements them
 * with faults (docs/ARCHITECTURE.md, "Ports").
 */

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall clock in milliseconds since 1970. It may jump; never use it to measure. */
  wallMs(): number;
  /** Monotonic milliseconds, with fractions. */
  monotonicMs(): number;
  /** Calls `run` once after `ms`. Timers never keep a process alive by themselves. */
  after(ms: number, run: () => void): Timer;
}

export interface Random {
  /** Cryptographically strong outside the simulator. */
  bytes(count: number): Uint8Array;
  /** A float in [0, 1) for jitter and sampling. */
  fraction(): number;
}

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface Log {
  log(level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>): void;
}

/** Where numbers go. Names are in `src/base/metric-names.ts`; labels are bounded sets. */
export interface Metrics {
  add(name: string, value: number, labels?: Readonly<Record<string, string>>): void;
  set(name: string, value: number, labels?: Readonly<Record<string, string>>): void;
  /** Seconds into a histogram. */
  observe(name: string, seconds: number, labels?: Readonly<Record<string, string>>): void;
}

/**
 * One open file of a `Disk`. Synchronous calls are for data that is in the page cache or goes
 * there; the `…Later` calls leave the thread free. Operating errors are `TransshipError`
 * `DiskFailed` (`PoolFull` when the disk has no space).
 */
export interface DiskFile {
  readonly path: string;
  /** Fills `into` from `position`; returns the bytes read, fewer only at the end of the file. */
  read(into: Uint8Array, position: number): number;
  readLater(into: Uint8Array, position: number): Promise<number>;
  /**
   * Writes all parts one after another from `position`, or throws; visible at once, not durable.
   */
  write(parts: readonly Uint8Array[], position: number): void;
  /**
   * Makes durable all that was written before the call. A rejection is final for this file: the
   * caller must never call again and trust it (design.md 4.1.4).
   */
  syncLater(): Promise<void>;
  /** The same, blocking; for opening, closing and rare small files. */
  sync(): void;
  sizeBytes(): number;
  truncate(sizeBytes: number): void;
  close(): void;
}

/** A directory on one disk. Paths are relative, with `/`. */
export interface Disk {
  /**
   * Opens for reading and writing. With `create`, makes the file; without, `NotFound` if absent.
   */
  open(path: string, options?: { readonly create?: boolean }): DiskFile;
  exists(path: string): boolean;
  /** Names in a directory, sorted; empty when it does not exist. */
  list(directory: string): string[];
  makeDirectory(path: string): void;
  remove(path: string): void;
  /** Atomic; durable after `syncDirectory` of the parent. */
  rename(from: string, to: string): void;
  syncDirectory(path: string): void;
  space(): { readonly totalBytes: number; readonly freeBytes: number };
}

/** A piece of a device for block status; adjacent pieces of the same kind are merged. */
export interface Extent {
  readonly lengthBytes: number;
  /** Nothing is stored: reads give zeroes. */
  readonly hole: boolean;
}

/**
 * What a door (NBD, CSI, import) sees of a volume. Any offset and length within the size is served.
 * Calls return at once when they can (`undefined`), else a promise. Requests may overlap; a read
 * that starts after a write finished sees it. Errors: `DataMissing`, `DataCorrupt`, `ReadOnly`,
 * `PoolFull`, `DiskFailed`, `Stopping`.
 */
export interface BlockDevice {
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  readonly readOnly: boolean;
  read(into: Uint8Array, offset: number): undefined | Promise<void>;
  /** The device copies `from` before it returns. Not durable until `flush`. */
  write(from: Uint8Array, offset: number): undefined | Promise<void>;
  /** Zeroes; storage is given back. The same as trim for us, but always reads back as zeroes. */
  writeZeroes(offset: number, lengthBytes: number): undefined | Promise<void>;
  /** Makes durable everything acknowledged before the call. */
  flush(): Promise<void>;
  /** A hint: bring the range near. Resolves when it is local. */
  prefetch(offset: number, lengthBytes: number): Promise<void>;
  /** From `offset` on. The list is bounded: it may end before the range does. */
  extents(offset: number, lengthBytes: number): Promise<readonly Extent[]>;
  /**
   * Brackets the writes that arrived together, so that they share one disk write. Between the two,
   * `write` may return before the data is visible to other processes; acknowledge after `uncork`.
   * `uncork` may throw what a write would.
   */
  cork(): void;
  uncork(): void;
}
