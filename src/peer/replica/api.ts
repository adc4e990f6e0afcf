/**
 * What a leader can ask of one replica, wherever it lies. `local-port.ts` asks a pool of this
 * agent, `remote-port.ts` another agent; `decide.ts` and `configuration.ts` are pure and know only
 * the data.
 *
 * Every call but `state` and `promise` carries the leader's term. A replica that promised another
 * one refuses with `Fenced`, checked again in the very step in which something changes.
 */
import type { HistoryPolicy, SnapshotInfo } from '../../volume/api.ts';
import type {
  Configuration,
  Fallback,
  Mark,
  Member,
  ReplicaPhase,
  SnapshotDocument,
  Term,
} from '../../volume/replica-types.ts';
import type { SectorRecord } from '../../volume/replica-types.ts';
import type { BlockRange } from '../../volume/types.ts';

/** A replica's answer about itself: one moment, in memory and on disk alike. */
export interface ReplicaStatus {
  readonly member: Member;
  readonly volume: string;
  readonly set: string;
  readonly promised: Term;
  readonly configuration: Configuration;
  readonly phase: ReplicaPhase;
  /** Up to which write it has applied; while `Receiving` or `Filling`, of the live writes. */
  readonly mark: Mark;
  /** Up to which of them a loss of power would leave it. */
  readonly durable: Mark;
  /** The last snapshot, resize or policy that it had. */
  readonly points: number;
  readonly fallback: Fallback | undefined;
  readonly sizeBytes: number;
  readonly blockBytes: number;
  /** Root of the last checkpoint. */
  readonly root: string;
  readonly allocatedBlocks: number;
  readonly policy: HistoryPolicy;
  readonly snapshots: readonly SnapshotInfo[];
  readonly fill: FillStatus | undefined;
  /** Uncompressed bytes of the volume that lie in its pool, as far as known. */
  readonly presentBytes: number;
  /** Why writes are refused, when they are: the pool is full or stopped. */
  readonly problem: string;
  /** What of its content cannot be read any more, by nobody's but its own fault; empty: nothing. */
  readonly damage: string;
}

/** The background fetch of a `Filling` replica. */
export interface FillStatus {
  readonly totalBytes: number;
  readonly missingBytes: number;
  readonly bytesPerSecond: number;
  readonly wireBytes: number;
  /** A whole walk found nothing missing. */
  readonly complete: boolean;
  /** Nothing was there before: it is made from nothing. */
  readonly fromNothing: boolean;
  /** Why it does not go on; empty when it does. */
  readonly problem: string;
}

/** Writes `first` to `first + records.length - 1`, one record each. */
export interface WriteBatch {
  readonly first: number;
  readonly records: readonly SectorRecord[];
  /**
   * The stream begins here: `first - 1` need not be here. Only while the replica is `Receiving`
   * or `Filling`.
   */
  readonly joins: boolean;
}

/** A version that a healthy replica sealed, held by a lease until it is released. */
export interface SealedVersion {
  readonly source: Member;
  readonly leaseId: string;
  /** Everything up to here is in it, and perhaps later writes. */
  readonly mark: Mark;
  /** The last snapshot, resize or policy that is in it. */
  readonly points: number;
  readonly root: string;
  readonly sizeBytes: number;
  readonly blockBytes: number;
  readonly allocatedBlocks: number;
  readonly snapshots: readonly SnapshotDocument[];
  readonly policy: HistoryPolicy;
  readonly recentUse: readonly BlockRange[];
}

export interface CreateReplica {
  readonly set: string;
  readonly sizeBytes: number;
  readonly blockBytes: number;
  readonly policy: HistoryPolicy;
  /** Names the new replica as a learner, or as the only voter of a new set. */
  readonly configuration: Configuration;
  readonly phase: ReplicaPhase;
}

/** Operations that all replicas do at one point between two writes. */
export type PointOperation =
  | { readonly kind: 'snapshot'; readonly name: string; readonly atMs: number }
  | { readonly kind: 'deleteSnapshot'; readonly name: string }
  | { readonly kind: 'resize'; readonly sizeBytes: number }
  | { readonly kind: 'policy'; readonly policy: HistoryPolicy };

/** At exactly `sequence`: nothing later was applied. */
export interface Point {
  readonly sequence: number;
  /** Its number, higher than that of every one before. */
  readonly points: number;
  readonly operation: PointOperation;
}

export interface RebuildLimits {
  /** Undefined: only the share holds. */
  readonly bytesPerSecond: number | undefined;
  /** Of the time, above 0 and up to 1: how much of it the rebuild may take. */
  readonly share: number;
}

/**
 * One replica. Calls are idempotent and may be repeated after a lost answer. Rejects with `Fenced`
 * (another leader), `NotFound` (no replica of this set there), `Conflict` (the call does not fit
 * its state: it must be looked at again), `SourceUnreachable` (no answer within the deadline;
 * nothing is known), or what the engine says (`ReadOnly`, `PoolFull`, `DiskFailed`, ...).
 */
export interface ReplicaPort {
  readonly member: Member;
  /** In this process: reads and writes need no copy and no round trip. */
  readonly isLocal: boolean;
  /** Undefined when the agent answers and keeps nothing of this volume. */
  state(): Promise<ReplicaStatus | undefined>;
  /** Durable, and nothing older is accepted any more, when it resolves. */
  promise(term: Term): Promise<ReplicaStatus>;
  /** A new replica, with everything in its first document. */
  create(term: Term, request: CreateReplica): Promise<ReplicaStatus>;
  /**
   * Applied in order, and readable, when it resolves. Batches of one leader may be given before
   * earlier ones resolved; the replica puts them in order.
   */
  write(term: Term, batch: WriteBatch): undefined | Promise<void>;
  /** Everything up to `sequence` is applied and durable when it resolves. */
  flush(term: Term, sequence: number): Promise<void>;
  /** Content after everything up to `sequence` was applied. */
  read(term: Term, request: ReadRequest): undefined | Promise<void>;
  /**
   * Takes over a chosen content with its mark: this replica has the mark and is `Healthy`, and
   * numbers its writes on from `mark.sequence` in the new epoch. Durable when it resolves.
   */
  adopt(term: Term, mark: Mark, configuration: Configuration): Promise<ReplicaStatus>;
  /** Goes back to its fallback: healthy there, everything later forgotten. */
  revert(term: Term): Promise<ReplicaStatus>;
  /** A rebuild begins: keeps its content as fallback, then forgets what is unsettled. */
  receive(term: Term): Promise<ReplicaStatus>;
  /**
   * Seals what contains everything up to `sequence`, under a lease whose id the leader chose (32
   * hex digits), so that it can be given back also when the answer was lost.
   */
  seal(term: Term, sequence: number, leaseId: string): Promise<SealedVersion>;
  /** Also of one that never was. */
  releaseSeal(leaseId: string): Promise<void>;
  /** The sealed version becomes its tree, under the writes it received; then it fetches. */
  rebase(term: Term, version: SealedVersion, limits: RebuildLimits): Promise<ReplicaStatus>;
  /** The rebuild is done: `Healthy`, the fallback is let go. Refused while anything is missing. */
  finish(term: Term, sequence: number): Promise<ReplicaStatus>;
  /** Flushes everything up to `sequence`, then keeps the configuration, unless it has a newer. */
  configure(term: Term, configuration: Configuration, sequence: number): Promise<ReplicaStatus>;
  /** Not done any more once `signal` ended. */
  point(term: Term, point: Point, signal: AbortSignal): Promise<ReplicaStatus>;
  limit(term: Term, limits: RebuildLimits): Promise<void>;
  /** Deletes the replica and all that only it holds. */
  drop(term: Term): Promise<void>;
}

export interface ReadRequest {
  readonly into: Uint8Array;
  readonly offset: number;
  readonly sequence: number;
}
