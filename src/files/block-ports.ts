/** What the block mover needs from the world: a byte stream and a device. */

/** One ordered, authenticated byte stream. All rejections are `SourceUnreachable`. */
export interface BlockLink {
  /** The next bytes, which are the caller's; undefined when the other side has ended. */
  receive(): Promise<Uint8Array | undefined>;
  /**
   * Resolves when more may be sent. The parts must not change before `onGone`, which is called when
   * nothing refers to them or to what was sent before, and never if that cannot be known.
   */
  send(parts: readonly Uint8Array[], onGone?: () => void): Promise<void>;
  /** Delivers what was sent, then ends. Calls that wait, and later ones, reject. */
  close(): void;
}

/** A raw device or file. Errors: `DiskFailed`, `PoolFull`, `NotFound`, `InUse`. */
export interface RawDevice {
  readonly sizeBytes: number;
  /** Fills `into`. `DiskFailed` when the device ends before that. */
  read(into: Uint8Array, position: number): Promise<void>;
  write(from: Uint8Array, position: number): Promise<void>;
  /** Reads as zeroes afterwards. */
  zero(position: number, lengthBytes: number): Promise<void>;
  /** Makes durable everything written before the call. */
  flush(): Promise<void>;
  /** Present when the device may be enlarged: an empty regular file. `sizeBytes` follows. */
  grow?(sizeBytes: number): Promise<void>;
}

export interface BlockProgress {
  /** Of the source. */
  readonly sizeBytes: number;
  /** From the start of the device: compared, and written where that was necessary. */
  readonly settledBytes: number;
  /** Of blocks that differed and had to travel, before compression. */
  readonly changedBytes: number;
  /** Of blocks that differed and became zero. */
  readonly zeroedBytes: number;
  /** What the changed blocks took on the link. */
  readonly sentBytes: number;
}

export interface BlockSummary extends BlockProgress {
  /** Hex SHA-256 over all block names; equal at both sides, else there is no summary. */
  readonly digest: string;
}
