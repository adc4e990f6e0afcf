/** What an agent needs beyond the engine and the peers; `src/host` implements it, tests fake it. */
import type { Clock, Disk, Log, Metrics, Random } from '../base/ports.ts';
import type { RepositoryPlace } from '../api/repository-place.ts';
import type { ObjectStore } from '../peer/repository/object-store.ts';
import type { PoolApi } from '../volume/api.ts';

/** An image or device opened for reading. Errors are `BadImage`. */
export interface ImageReader {
  readonly sizeBytes: number;
  /** What it was recognised as: `raw`, `qcow2`, ... */
  readonly format: string;
  /** Pieces that hold data, in order; the rest reads as zeroes. */
  dataRanges(): AsyncIterable<{ readonly offset: number; readonly lengthBytes: number }>;
  /** Fills `into` completely. */
  read(into: Uint8Array, offset: number): Promise<void>;
  /** `BadImage` when the image changed since it was opened; what was read is then worth nothing. */
  checkUnchanged(): Promise<void>;
  close(): Promise<void>;
}

/** A file, device or image being written. Nothing is at the path before `finish`. */
export interface ImageWriter {
  write(from: Uint8Array, offset: number): Promise<void>;
  /** Durable and in place when it resolves. */
  finish(): Promise<void>;
  /** Leaves no trace of what was written. */
  abandon(): Promise<void>;
}

export interface Images {
  open(path: string, format: string | undefined): Promise<ImageReader>;
  /** `AlreadyExists` when something is there and `overwrite` is off. */
  create(options: {
    readonly path: string;
    readonly format: string | undefined;
    readonly sizeBytes: number;
    readonly overwrite: boolean;
  }): Promise<ImageWriter>;
}

export interface Attached {
  readonly device: string | undefined;
  readonly mount: string | undefined;
  readonly filesystem: string | undefined;
  readonly how: string;
  readonly readOnly: boolean;
}

/** Block devices and mounts of this host. `ToolMissing` names the package. */
export interface Attacher {
  attach(request: {
    readonly volume: string;
    readonly uri: string;
    readonly mount: string | undefined;
    readonly format: string | undefined;
    readonly readOnly: boolean;
    /** The device waits while the agent is away, instead of failing. */
    readonly keep: boolean;
    /** Of the volume. What is attached already, with `keep`, grows to it if it can. */
    readonly sizeBytes: number;
  }): Promise<Attached>;
  /** Idempotent: also undoes what a crash left half done. */
  detach(volume: string): Promise<void>;
  list(): Promise<readonly (Attached & { readonly volume: string })[]>;
}

export interface OpenPool {
  readonly name: string;
  readonly path: string;
  readonly api: PoolApi;
}

export interface AgentInfo {
  readonly cluster: string;
  readonly version: string;
  /** Version of Node.js. */
  readonly node: string;
  readonly pid: number;
  readonly startedMs: number;
  readonly homePath: string;
  readonly controlSocket: string;
  readonly nbdSocket: string;
  /** host:port of NBD over TLS, where it is served. */
  readonly nbdAddress?: string;
  /** URL of the Prometheus endpoint. */
  readonly metricsUrl: string;
}

export interface AgentPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics & {
    text(): Promise<string>;
    forget(label: string, value: string): Promise<void>;
  };
  /** The agent's own directory: policies, teleports, jobs. */
  readonly home: Disk;
  readonly images: Images;
  readonly attacher: Attacher;
  /** `BadArgument` for what cannot be a place. */
  readonly openObjectStore: (place: RepositoryPlace) => ObjectStore;
  /** Ends the process cleanly, some time after this call. */
  requestStop(): void;
}
