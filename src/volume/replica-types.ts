/**
 * What a pool knows of a replica it keeps (docs/formats/pool.md, "Replicas"). A *mark* says which
 * writes a replica contains; a *configuration* who is in the set. Plain data, kept in documents.
 */

import type { BlockRange } from './types.ts';

/** Up to which write: equal marks of one set mean equal content. */
export interface Mark {
  /** Of the leader that numbered the last write; 0 before any. */
  readonly epoch: number;
  /** Of that write; numbers go on over epochs, without gaps within one. */
  readonly sequence: number;
}

/** One place of a set: an agent, by the peer name all agents of its cluster know, and its pool. */
export interface Member {
  readonly agent: string;
  readonly pool: string;
}

/** Who counts (voters) and who is being made (learners). Ordered by epoch, then version. */
export interface Configuration {
  /** Of the leader that wrote it. */
  readonly epoch: number;
  readonly version: number;
  readonly voters: readonly Member[];
  readonly learners: readonly Member[];
}

/** One attempt to lead. The term tells two attempts with one epoch apart: 32 random hex digits. */
export interface Term {
  readonly epoch: number;
  readonly term: string;
  /** The agent that leads, for people and for doors that are refused. */
  readonly leader: string;
}

/**
 * - `Healthy`: contains every write up to its mark, all of it here.
 * - `Receiving`: takes live writes over a tree that is not theirs; its content means nothing.
 * - `Filling`: the tree is that of another replica, and parts of it may be missing here.
 * - `Lost`: acknowledged writes are gone (a damaged journal); proves nothing, must be rebuilt.
 */
export type ReplicaPhase = 'Healthy' | 'Receiving' | 'Filling' | 'Lost';

export interface SnapshotDocument {
  readonly name: string;
  readonly root: string;
  readonly sizeBytes: number;
  readonly allocatedBlocks: number;
  readonly atMs: number;
  readonly trace?: readonly BlockRange[];
}

export interface FormerRoot {
  readonly root: string;
  readonly sizeBytes: number;
  readonly allocatedBlocks: number;
}

/** The last whole content of a replica that is being rebuilt: what it can still answer for. */
export interface Fallback extends FormerRoot {
  readonly mark: Mark;
  readonly points?: number;
  readonly snapshots: readonly SnapshotDocument[];
}

export interface ReplicaDocument {
  /** 32 hexadecimal digits, the same in all replicas of one volume and in no other set. */
  readonly set: string;
  /** Nothing of an older epoch, and of this epoch nothing of another term, is accepted. */
  readonly promised: Term;
  readonly configuration: Configuration;
  /** What root and `journalFrom` of the document contain; the journal's marks go on from there. */
  readonly mark: Mark;
  /**
   * The last snapshot, resize or policy that it had; 0 before any. Marks do not tell: of equal ones
   * the replica with the higher number is the newer.
   */
  readonly points?: number;
  readonly phase: ReplicaPhase;
  /** While not `Healthy`, unless it was new, lost, or let go. */
  readonly fallback?: Fallback;
  /** Roots whose chunks are kept until it is `Healthy`, so that only the difference travels. */
  readonly former?: readonly FormerRoot[];
}

/** Whole sectors at a place, or zeroes there when it has no data. */
export interface SectorRecord {
  readonly firstSector: number;
  readonly sectors: number;
  readonly data: Uint8Array | undefined;
}
