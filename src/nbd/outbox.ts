/** The outgoing side of a connection: batches of replies in chunks, and late replies. */
import { type Connection } from './connection.ts';
import { nbdLimits } from './protocol.ts';
import { type ReplyChunk, type ReplyChunkPool } from './reply-chunks.ts';

/**
 * Replies are put in `chunk` one after another and sent together by `send`. A reply whose data is
 * not there yet is taken out of the batch (`defer`) and sent later by itself. All memory that is
 * not yet sent is counted, so that reading can stop before it grows (`canReserve`).
 */
export class Outbox {
  readonly #connection: Connection;
  readonly #pool: ReplyChunkPool;
  readonly #onFree: () => void;
  #chunk: ReplyChunk | undefined;
  #partStart = 0;
  #parts: Uint8Array[] = [];
  #heldBytes = 0;
  #late: Uint8Array[] = [];
  #lateDone: (() => void)[] = [];
  #lateScheduled = false;
  #closed = false;

  /** `onFree` is called when memory came back. */
  constructor(connection: Connection, pool: ReplyChunkPool, onFree: () => void) {
    this.#connection = connection;
    this.#pool = pool;
    this.#onFree = onFree;
  }

  /** Bytes of memory that are held for replies. */
  get heldBytes(): number {
    return this.#heldBytes;
  }

  canReserve(sizeBytes: number): boolean {
    if (this.#chunk !== undefined && this.#chunk.freeBytes >= sizeBytes) return true;
    if (this.#heldBytes === 0) return true;
    return this.#heldBytes + this.#pool.capacityFor(sizeBytes) <= nbdLimits.replyBytesMax;
  }

  /** True when the present chunk has no room: the batch must be sent first. */
  isFullFor(sizeBytes: number): boolean {
    return this.#chunk !== undefined && this.#chunk.freeBytes < sizeBytes;
  }

  /** The chunk to put a reply of up to `sizeBytes` at its `position`, which the caller advances. */
  reserve(sizeBytes: number): ReplyChunk {
    let chunk = this.#chunk;
    if (chunk === undefined || chunk.freeBytes < sizeBytes) {
      if (chunk !== undefined) this.#leaveChunk(chunk);
      chunk = this.#pool.take(sizeBytes);
      this.#heldBytes += chunk.bytes.length;
      this.#chunk = chunk;
      this.#partStart = 0;
    }
    return chunk;
  }

  get batchBytes(): number {
    return this.#chunk === undefined ? 0 : this.#chunk.position - this.#partStart;
  }

  /** Takes the reply at `at`, just put, out of the batch. It is sent by `sendDeferred`. */
  defer(chunk: ReplyChunk, at: number): void {
    if (at > this.#partStart) this.#parts.push(chunk.bytes.subarray(this.#partStart, at));
    this.#partStart = chunk.position;
    chunk.uses += 1;
  }

  /** Sends a deferred reply, or forgets it when `part` is undefined. */
  sendDeferred(chunk: ReplyChunk, part: Uint8Array | undefined): void {
    const done = () => this.#release(chunk);
    if (part === undefined) done();
    else this.#addLate(part, done);
  }

  /** Sends a reply that lives in its own memory, soon, together with others. */
  sendLate(part: Uint8Array): void {
    this.#heldBytes += part.length;
    this.#addLate(part, () => {
      this.#heldBytes -= part.length;
      this.#onFree();
    });
  }

  /** Sends the batch. */
  send(): void {
    const chunk = this.#chunk;
    if (chunk === undefined) return;
    if (chunk.position > this.#partStart) {
      this.#parts.push(chunk.bytes.subarray(this.#partStart, chunk.position));
      this.#partStart = chunk.position;
    }
    if (this.#parts.length > 0) {
      const parts = this.#parts;
      this.#parts = [];
      chunk.uses += 1;
      this.#write(parts, () => this.#release(chunk));
    } else if (chunk.uses === 0) {
      this.#leaveChunk(chunk);
    }
  }

  /** Sends what waits now instead of soon. */
  sendNow(): void {
    this.send();
    this.#sendLate();
  }

  /** The transport is gone: nothing is sent any more. */
  drop(): void {
    this.#closed = true;
  }

  #addLate(part: Uint8Array, done: () => void): void {
    this.#late.push(part);
    this.#lateDone.push(done);
    if (this.#lateScheduled) return;
    this.#lateScheduled = true;
    // Requests that one event of the device completes are answered with one send.
    queueMicrotask(() => this.#sendLate());
  }

  #sendLate(): void {
    this.#lateScheduled = false;
    if (this.#late.length === 0) return;
    const parts = this.#late;
    const done = this.#lateDone;
    this.#late = [];
    this.#lateDone = [];
    this.#write(parts, () => {
      for (const call of done) call();
    });
  }

  #write(parts: readonly Uint8Array[], flushed: () => void): void {
    if (this.#closed) flushed();
    else this.#connection.write(parts, flushed);
  }

  #leaveChunk(chunk: ReplyChunk): void {
    this.#chunk = undefined;
    if (chunk.uses === 0) this.#return(chunk);
  }

  #release(chunk: ReplyChunk): void {
    chunk.uses -= 1;
    if (chunk.uses > 0) return;
    if (chunk !== this.#chunk) this.#return(chunk);
    else if (chunk.position === this.#partStart && this.#parts.length === 0) {
      this.#leaveChunk(chunk);
    }
    this.#onFree();
  }

  #return(chunk: ReplyChunk): void {
    this.#heldBytes -= chunk.bytes.length;
    this.#pool.give(chunk);
  }
}
