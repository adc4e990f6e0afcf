/** The port through which a repository sees its place: a bucket, a directory, memory. */

export interface ObjectInfo {
  readonly name: string;
  readonly sizeBytes: number;
  /** When it was put, by the clock of the place. */
  readonly modifiedMs: number;
}

export interface PutOptions {
  /** Refuses with `AlreadyExists` when there is an object of this name. */
  readonly ifAbsent?: boolean;
  /** SHA-256 of the content in hex, where the caller knows it anyway. */
  readonly sha256?: string;
  readonly signal?: AbortSignal;
}

export interface GetOptions {
  /** From this byte on; a negative one counts from the end. */
  readonly offset?: number;
  /** Fewer come when the object ends before. */
  readonly lengthBytes?: number;
  readonly signal?: AbortSignal;
}

/**
 * Objects under names like paths. What was put is seen by every later call of anybody. Errors:
 * `RepositoryUnreachable`, `TooManyRequests`, `Unauthorized`, `Forbidden`, `PoolFull`, `Canceled`.
 */
export interface ObjectStore {
  /** For people: `directory /srv/between`, `bucket moves of s3.example.org`. */
  readonly place: string;
  /** Whole and durable when it resolves; else nobody sees a part of it. */
  put(name: string, parts: readonly Uint8Array[], options?: PutOptions): Promise<void>;
  /** `NotFound`. */
  get(name: string, options?: GetOptions): Promise<Uint8Array>;
  /** In no order that anybody may rely on. */
  list(prefix: string, signal?: AbortSignal): AsyncIterable<ObjectInfo>;
  /** Idempotent. */
  delete(name: string, signal?: AbortSignal): Promise<void>;
}
