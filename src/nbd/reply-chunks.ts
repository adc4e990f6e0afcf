/** Memory that replies are built in, reused between requests. */

/** One buffer of replies. `uses` counts what still needs its bytes: sends and device reads. */
export class ReplyChunk {
  readonly bytes: Uint8Array;
  readonly view: DataView;
  /** Where the next reply goes. Only grows while anything uses the chunk. */
  position = 0;
  uses = 0;

  constructor(sizeBytes: number) {
    // Not zeroed: every byte sent was written as a header or by the device before.
    this.bytes = Buffer.allocUnsafeSlow(sizeBytes);
    this.view = new DataView(this.bytes.buffer);
  }

  get freeBytes(): number {
    return this.bytes.length - this.position;
  }
}

/** Shared by a server's connections. The last returned comes first: it is in the CPU cache. */
export class ReplyChunkPool {
  readonly chunkBytes: number;
  readonly #kept: number;
  readonly #free: ReplyChunk[] = [];

  constructor(options: { readonly chunkBytes: number; readonly kept: number }) {
    this.chunkBytes = options.chunkBytes;
    this.#kept = options.kept;
  }

  /** What `take` would allocate for a reply of `sizeBytes`. */
  capacityFor(sizeBytes: number): number {
    return Math.max(sizeBytes, this.chunkBytes);
  }

  take(sizeBytes: number): ReplyChunk {
    if (sizeBytes > this.chunkBytes) return new ReplyChunk(sizeBytes);
    return this.#free.pop() ?? new ReplyChunk(this.chunkBytes);
  }

  give(chunk: ReplyChunk): void {
    if (chunk.bytes.length !== this.chunkBytes || this.#free.length >= this.#kept) return;
    chunk.position = 0;
    this.#free.push(chunk);
  }
}
