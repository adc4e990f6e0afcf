/**
 * The contract of the engine with its doors, peers and threads (docs/ARCHITECTURE.md). A *name* is
 * the SHA-256 of a chunk's uncompressed bytes; the all-zero name stands for "all zeroes, nothing
 * stored" (docs/formats/tree.md).
 */

export type Name = Uint8Array;

export const nameBytes = 32;

export type ChunkKind = 'block' | 'page';

export const codecs = { raw: 0, zstd: 1 } as const;

/** A chunk as it lies in a segment and as it travels: never recompressed on the way. */
export interface StoredChunk {
  readonly name: Name;
  readonly kind: ChunkKind;
  /** One of `codecs`. */
  readonly codec: number;
  /** Length of the content before compression. */
  readonly rawBytes: number;
  /** CRC-32 of `bytes`. */
  readonly checksum: number;
  readonly bytes: Uint8Array;
}

/** One volume at one moment. Equal content, size and block size if and only if equal roots. */
export interface Version {
  readonly root: Name;
  readonly sizeBytes: number;
  readonly blockBytes: number;
  /** Blocks that are not holes; what a full copy would visit. */
  readonly allocatedBlocks: number;
}

/** A range of blocks, in the order a prefetch should take them. */
export interface BlockRange {
  readonly first: number;
  readonly count: number;
}

/** What a `read` of the peer protocol asks for (design.md 4.4). */
export interface PathRequest {
  readonly root: Name;
  readonly sizeBytes: number;
  readonly blockBytes: number;
  readonly firstBlock: number;
  readonly blockCount: number;
  /** Levels of pages, counted from the root, that the asker already has on this path. */
  readonly skipLevels: number;
}

/**
 * Where a volume's missing chunks come from: a peer, behind retries. Resolves with what it has (a
 * missing name is left out); rejects with `SourceUnreachable` after the demand time-out (demand)
 * or never before the link returns (background), and with `SourceGone` when the lease is lost.
 * Chunks are not yet verified.
 */
export interface ChunkSource {
  readPath(request: PathRequest): Promise<readonly StoredChunk[]>;
  /** `signal`: for the background; they are not needed any more. Rejects with its reason. */
  pull(
    names: readonly Name[],
    lane: 'demand' | 'background',
    signal?: AbortSignal,
  ): Promise<readonly StoredChunk[]>;
}

/** Hashing and compression, on other threads outside the simulator. */
export interface Packer {
  /**
   * Names and compresses the blocks that lie one after another in `blocks`. A zero block gives the
   * zero name and no bytes. `known` (is this name in the pool?) lets a packer skip compression: a
   * name it knows comes without bytes, and a caller that then finds it gone asks again without.
   * The caller must not change `blocks` before the promise resolves; it is returned to the caller.
   */
  pack(
    blocks: Uint8Array,
    blockBytes: number,
    known?: (name: Name) => boolean,
  ): Promise<readonly PackedBlock[]>;
  /**
   * For each chunk: the content (decompressed) when checksum and name are right, else undefined.
   */
  unpack(chunks: readonly StoredChunk[]): Promise<readonly (Uint8Array | undefined)[]>;
  /** Like `unpack` for a caller that stores chunks as they are and needs no content. */
  verify(chunks: readonly StoredChunk[]): Promise<readonly boolean[]>;
}

export interface PackedBlock {
  readonly name: Name;
  readonly codec: number;
  readonly checksum: number;
  /** Absent for a zero block and for a known one. */
  readonly bytes: Uint8Array | undefined;
}

export interface LeaseGrant {
  readonly leaseId: string;
  readonly version: Version;
  readonly expiresMs: number;
  /** Most recently used first: the order in which a prefetch should go (part of 4.5). */
  readonly recentUse: readonly BlockRange[];
}

export interface LeaseRequest {
  readonly volume: string;
  /** Wall-clock milliseconds of a moment inside the volume's history, or a snapshot's name. */
  readonly atMs?: number;
  readonly snapshot?: string;
  /** Who holds it, for people: `west/volume-name`. */
  readonly holder: string;
  readonly lifeMs: number;
  /** Chosen by who asks, 32 random hex digits, so that it can be given back unheard of. */
  readonly leaseId?: string;
}

export interface VolumeSummary {
  readonly id: string;
  readonly name: string;
  readonly sizeBytes: number;
  readonly blockBytes: number;
  readonly phase: 'Initializing' | 'Accessible' | 'Available';
  readonly allocatedBlocks: number;
}

/** What an agent serves to its peers. All of it is asked for by authenticated peers only. */
export interface PeerStore {
  listVolumes(): readonly VolumeSummary[];
  /** Keeps the version readable until the lease ends. `NotFound` for an unknown volume or time. */
  grantLease(request: LeaseRequest): Promise<LeaseGrant>;
  /** `NotFound` when the lease has ended. */
  renewLease(leaseId: string, lifeMs: number): Promise<{ readonly expiresMs: number }>;
  /** Idempotent. */
  releaseLease(leaseId: string): Promise<void>;
  /** One flag per name. */
  has(names: readonly Name[]): readonly boolean[];
  /** In the order asked; a missing or corrupt chunk is left out. */
  readStored(names: readonly Name[]): Promise<readonly StoredChunk[]>;
  /** The pages on the path and the chunks of the range, pages first. */
  readPath(request: PathRequest): Promise<readonly StoredChunk[]>;
  /** Verifies, then stores; resolves with how many were accepted. */
  push(chunks: readonly StoredChunk[]): Promise<number>;
}
