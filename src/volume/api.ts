/** What the rest of an agent may ask of the engine. Implemented by `pool.ts` and `volume.ts`. */
import type { BlockDevice } from '../base/ports.ts';
import type { Mark, ReplicaDocument, SectorRecord, SnapshotDocument } from './replica-types.ts';
import type { BlockRange, ChunkSource, Name, PeerStore, Version } from './types.ts';

/** Retention per granularity in milliseconds; all zero keeps no history (I-20). */
export interface HistoryPolicy {
  readonly secondsMs: number;
  readonly minutesMs: number;
  readonly hoursMs: number;
  readonly daysMs: number;
}

export const noHistory: HistoryPolicy = { secondsMs: 0, minutesMs: 0, hoursMs: 0, daysMs: 0 };

export interface Condition {
  readonly type: string;
  readonly status: 'True' | 'False' | 'Unknown';
  readonly reason: string;
  readonly message: string;
  readonly sinceMs: number;
}

export interface PoolStatus {
  readonly id: string;
  readonly phase: 'Healthy' | 'ReadOnly' | 'Failed';
  readonly capacityBytes: number;
  readonly allocatedBytes: number;
  readonly freeBytes: number;
  readonly readOnly: boolean;
  readonly chunks: number;
  readonly segments: number;
  readonly journalBytes: number;
  /** Sum of allocated blocks of all volumes, before deduplication and compression. */
  readonly logicalBytes: number;
  /** Content of distinct chunks before compression. */
  readonly uniqueBytes: number;
  /** What the segments hold, live and not yet collected. */
  readonly storedBytes: number;
  readonly conditions: readonly Condition[];
}

export interface SnapshotInfo {
  readonly name: string;
  readonly atMs: number;
  readonly sizeBytes: number;
  readonly allocatedBlocks: number;
  readonly root: string;
  readonly hasTrace: boolean;
}

export interface SnapshotOptions {
  readonly trace?: boolean;
  /** Wall clock that it is of; now when absent. */
  readonly atMs?: number;
}

export interface HistoryInfo {
  readonly policy: HistoryPolicy;
  readonly oldestMs: number | undefined;
  readonly newestMs: number | undefined;
  readonly points: number;
}

export interface VolumeStatus {
  readonly id: string;
  readonly name: string;
  readonly phase: 'Initializing' | 'Accessible' | 'Available';
  readonly sizeBytes: number;
  readonly blockBytes: number;
  readonly allocatedBytes: number;
  readonly root: string;
  readonly policy: HistoryPolicy;
  readonly snapshots: number;
  readonly createdMs: number;
  readonly unsettledBytes: number;
  readonly conditions: readonly Condition[];
  /** Set while chunks may be missing here. */
  readonly origin: VolumeOrigin | undefined;
}

/** Where a teleported volume comes from; kept until nothing is missing. Plain data, persisted. */
export interface VolumeOrigin {
  readonly cluster: string;
  readonly volume: string;
  readonly leaseId: string;
  readonly root: string;
  readonly sizeBytes: number;
  readonly blockBytes: number;
  readonly allocatedBlocks: number;
  readonly thin: boolean;
  readonly teleport: string;
}

/** A moment of a volume: now, a snapshot, or a second of its history. */
export interface Moment {
  readonly atMs?: number;
  readonly snapshot?: string;
}

export interface VolumeApi extends BlockDevice {
  readonly id: string;
  readonly name: string;
  readonly replica: VolumeReplica;
  status(): VolumeStatus;
  /** The content at this call as a durable version: settles and checkpoints. */
  seal(): Promise<Version>;
  /** Constant time in the volume's size. `AlreadyExists`. `trace` saves the recent use with it. */
  snapshot(name: string, options?: SnapshotOptions): Promise<SnapshotInfo>;
  listSnapshots(): readonly SnapshotInfo[];
  deleteSnapshot(name: string): Promise<void>;
  /** Shrinking needs `force`, because it cuts data off. */
  resize(sizeBytes: number, options?: { readonly force?: boolean }): Promise<void>;
  setPolicy(policy: HistoryPolicy): Promise<void>;
  history(): HistoryInfo;
  /** The version of a moment; `NotFound` when it is outside what is kept. */
  versionAt(moment: Moment): Promise<Version>;
  /** A page of the tree of a version, as `docs/formats/tree.md` numbers them, wherever it is. */
  treePage(name: Name, level: number, number: number): Promise<Uint8Array>;
  /** Replaces the content by that of a moment. Refused (`InUse`) while a door is open. */
  restore(moment: Moment): Promise<void>;
  /** Most recently used first; of the moment's saved trace when it is a snapshot that has one. */
  recentUse(snapshot?: string): readonly BlockRange[];
  /** Doors open now. A volume with doors cannot be deleted, shrunk or restored. */
  openDoor(holder: string): () => void;
  doors(): readonly string[];
  setOrigin(origin: VolumeOrigin | undefined, source: ChunkSource | undefined): Promise<void>;
  /** Sets a condition that `status` shows (for example `SourceConnected`). */
  setCondition(condition: Omit<Condition, 'sinceMs'>): void;
  /**
   * Import: names whole blocks whose chunks are in the pool. Bypasses the journal; `seal` after.
   */
  putNames(firstBlock: number, names: readonly Name[]): void;
}

/** Another replica's content that a replica takes over. */
export interface Rebase {
  readonly origin: VolumeOrigin;
  readonly policy: HistoryPolicy;
  readonly points: number;
  readonly snapshots: readonly SnapshotDocument[];
}

/**
 * The volume as one replica of a set. `still` throws when the caller's leader is none any more; it
 * is called in the step in which something changes. The calls that need a phase reject with
 * `Conflict` in another one.
 */
export interface VolumeReplica {
  /** Undefined: the volume is not replicated. */
  readonly document: ReplicaDocument | undefined;
  /** The last write applied. */
  readonly mark: Mark;
  /** The last write known to survive a loss of power. */
  readonly durable: Mark;
  /** Durable when it returns. */
  note(changes: Partial<Pick<ReplicaDocument, 'promised' | 'configuration' | 'points'>>): void;
  /** Before `apply`: throws `ReadOnly` or `DiskFailed`; a promise while the journal is full. */
  admit(): undefined | Promise<void>;
  /** All records or, after a crash, none of them; never waits. */
  apply(records: readonly SectorRecord[], mark: Mark): void;
  /** All applied before the call is durable when it resolves. */
  flush(): Promise<void>;
  /** Makes the first, `Healthy`, replica of a set out of a volume. `AlreadyExists`. */
  begin(first: Omit<ReplicaDocument, 'mark' | 'phase'>): Promise<void>;
  /** The same content under the numbers of a new leader. */
  adopt(changes: Pick<ReplicaDocument, 'mark' | 'configuration'>, still: () => void): Promise<void>;
  /** From now on live writes only; keeps what it has as its fallback. */
  receive(still: () => void): Promise<void>;
  rebase(to: Rebase, source: ChunkSource, still: () => void): Promise<void>;
  /** Nothing is missing and everything up to `mark` is applied: `Healthy`. */
  finish(mark: Mark, still: () => void): Promise<void>;
  /** Healthy again as it was before the rebuild began. */
  revert(still: () => void): Promise<void>;
}

export interface CreateVolume {
  readonly name: string;
  readonly sizeBytes: number;
  readonly blockBytes?: number;
  readonly policy?: HistoryPolicy;
}

export interface CreateFromVersion {
  readonly name: string;
  readonly version: Version;
  readonly policy?: HistoryPolicy;
  readonly origin?: VolumeOrigin;
  readonly source?: ChunkSource;
  /** A replica of a set from its first moment. */
  readonly replica?: ReplicaDocument;
}

export interface ScrubReport {
  readonly chunks: number;
  readonly bytes: number;
  readonly corrupt: number;
  /** Corrupt chunks that were replaced from a source. */
  readonly repaired: number;
  readonly affectedVolumes: readonly string[];
}

export interface CollectReport {
  readonly chunksFreed: number;
  readonly bytesFreed: number;
  readonly segmentsRemoved: number;
}

/** Leases, chunk exchange and volumes of one pool. */
export interface PoolApi extends PeerStore {
  readonly id: string;
  status(): PoolStatus;
  volumes(): readonly VolumeApi[];
  /** `NotFound`, naming the volumes that are there when few. */
  volume(name: string): VolumeApi;
  /** `BadName`, `BadSize`, `AlreadyExists`, `ReadOnly`. */
  createVolume(request: CreateVolume): Promise<VolumeApi>;
  /** A clone (no origin) or a teleported volume (with origin and source). Constant time. */
  createFromVersion(request: CreateFromVersion): Promise<VolumeApi>;
  cloneVolume(
    source: string,
    moment: Moment,
    request: { readonly name: string; readonly policy?: HistoryPolicy },
  ): Promise<VolumeApi>;
  /**
   * `InUse` with open doors; `Leased` while another cluster still reads it, unless forced: then the
   * data stays until the lease ends (I-16).
   */
  deleteVolume(name: string, options?: { readonly force?: boolean }): Promise<void>;
  leases(): readonly {
    readonly leaseId: string;
    readonly volume: string;
    readonly holder: string;
    readonly expiresMs: number;
  }[];
  /** Packs, stores and names blocks of an import: `bytes` is a whole number of blocks. */
  ingest(volume: VolumeApi, firstBlock: number, bytes: Uint8Array): Promise<void>;
  /**
   * Which of these chunks are absent here; pages that are present are returned with their content
   * so that a walk can go on. Used by the filler.
   */
  missing(names: readonly Name[]): readonly Name[];
  /** Content of a page that is in the pool, else undefined. */
  readPage(name: Name): Promise<Uint8Array | undefined>;
  collect(): Promise<CollectReport>;
  scrub(onProgress?: (done: number, total: number) => void): Promise<ScrubReport>;
  /**
   * Settles what it can, makes everything durable, writes the index snapshot, releases the lock.
   */
  close(): Promise<void>;
}
