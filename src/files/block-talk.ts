/** Frames over a link, with an end to waiting; both sides of a block copy use it. */
import { asTransshipError, TransshipError } from '../base/errors.ts';
import type { Clock, Timer } from '../base/ports.ts';
import {
  broken,
  decodeError,
  encodeError,
  type Frame,
  type FrameType,
  headerBytes,
  payloadBytesMax,
  readHeader,
} from './block-frame.ts';
import { PieceBuffers } from './block-buffers.ts';
import type { BlockLink } from './block-ports.ts';

/** Longer than a slow disk needs to make a full cache durable. */
export const stallMsDefault = 300_000;

export interface TalkOptions {
  readonly link: BlockLink;
  readonly clock: Clock;
  /** How long the other side may be silent while we wait for it; five minutes by default. */
  readonly stallMs?: number;
  /** Ends the copy with the signal's reason, or `Canceled`. */
  readonly signal?: AbortSignal;
}

/** Below this a payload that came in several parts is not worth a buffer of those used again. */
const largeBytes = 64 * 1024;

/** What the other side told us; it needs not be told back. */
class ToldError extends TransshipError {}

export class Talk {
  readonly #options: TalkOptions;
  /** What arrived and was not taken. */
  #pieces: Uint8Array[] = [];
  readonly #buffers = new PieceBuffers({ bytes: payloadBytesMax });
  readonly #listeners: ((error: TransshipError) => void)[] = [];
  #ended: TransshipError | undefined;
  #movedMs: number;
  #waiting = 0;
  #waitingSinceMs = 0;
  #watch: Timer | undefined;

  constructor(options: TalkOptions) {
    this.#options = options;
    this.#movedMs = options.clock.monotonicMs();
  }

  /** The next frame. Throws what the other side says in an error frame. */
  async next(bytesMax: number): Promise<Frame> {
    const { type, bytes } = readHeader(await this.#take(headerBytes), bytesMax);
    const payload = await this.#take(bytes);
    if (type !== 'error') return { type, payload };
    const told = decodeError({ type, payload });
    throw new ToldError(told.reason, told.message);
  }

  async expect(type: FrameType, bytesMax: number): Promise<Frame> {
    const found = await this.next(bytesMax);
    if (found.type !== type) broken(`'${found.type}' where '${type}' belongs`);
    return found;
  }

  /** `onGone` as of the link. */
  async send(parts: readonly Uint8Array[], onGone?: () => void): Promise<void> {
    if (this.#ended !== undefined) throw this.#ended;
    await this.#patiently(this.#options.link.send(parts, onGone));
  }

  /** Of a frame's payload, when nothing refers to it or to a part of it any more. */
  giveBack(payload: Uint8Array): void {
    this.#buffers.giveBack(payload);
  }

  /**
   * Runs all parts of a copy. The first that fails ends the link; the others are waited for, so
   * that nothing is read or written any more when this rejects.
   */
  async run(...parts: readonly (() => Promise<unknown>)[]): Promise<void> {
    const { signal, link } = this.#options;
    const cancel = () => this.#end(cancellation(signal));
    if (signal?.aborted === true) cancel();
    signal?.addEventListener('abort', cancel);
    try {
      const running = parts.map(async (part) => {
        try {
          await part();
        } catch (error) {
          this.#end(asTransshipError(error));
        }
      });
      await Promise.all(running);
    } finally {
      signal?.removeEventListener('abort', cancel);
      this.#watch?.cancel();
    }
    if (this.#ended !== undefined) throw this.#ended;
    link.close();
  }

  /** For parts that wait for each other. */
  onEnd(listener: (error: TransshipError) => void): void {
    this.#listeners.push(listener);
  }

  /** Undefined while all is well. Work that does not use the link looks here. */
  get ended(): TransshipError | undefined {
    return this.#ended;
  }

  #end(error: TransshipError): void {
    if (this.#ended !== undefined) return;
    this.#ended = error;
    const { link } = this.#options;
    if (!(error instanceof ToldError)) link.send(encodeError(error)).catch(() => undefined);
    link.close();
    for (const listener of this.#listeners) listener(error);
  }

  async #take(bytes: number): Promise<Buffer> {
    if (bytes === 0) return Buffer.alloc(0);
    if (this.#pieces.length === 0) await this.#more();
    if (this.#pieces[0]!.length >= bytes) return this.#cut(bytes);
    const whole = bytes < largeBytes ? Buffer.allocUnsafe(bytes) : this.#buffers.take(bytes);
    for (let done = 0; done < bytes; ) {
      if (this.#pieces.length === 0) await this.#more();
      const part = this.#cut(Math.min(bytes - done, this.#pieces[0]!.length));
      whole.set(part, done);
      done += part.length;
    }
    return whole;
  }

  async #more(): Promise<void> {
    const piece = await this.#patiently(this.#options.link.receive());
    if (this.#ended !== undefined) throw this.#ended;
    if (piece === undefined) {
      throw new TransshipError('SourceUnreachable', 'the other side ended before the copy did');
    }
    if (piece.length > 0) this.#pieces.push(piece);
    else await this.#more();
  }

  /** At most the first piece. */
  #cut(bytes: number): Buffer {
    const piece = this.#pieces[0]!;
    if (piece.length === bytes) this.#pieces.shift();
    else this.#pieces[0] = piece.subarray(bytes);
    return Buffer.from(piece.buffer as ArrayBuffer, piece.byteOffset, bytes);
  }

  async #patiently<T>(waiting: Promise<T>): Promise<T> {
    if (this.#waiting === 0) this.#waitingSinceMs = this.#options.clock.monotonicMs();
    this.#waiting += 1;
    this.#watch ??= this.#watchFor(this.#options.stallMs ?? stallMsDefault);
    try {
      const result = await waiting;
      this.#movedMs = this.#options.clock.monotonicMs();
      return result;
    } finally {
      this.#waiting -= 1;
    }
  }

  /** One timer for all waits: there are many, and short. */
  #watchFor(ms: number): Timer {
    const { clock, stallMs = stallMsDefault } = this.#options;
    return clock.after(ms, () => {
      this.#watch = undefined;
      if (this.#waiting === 0) return;
      // One direction may rest for hours while the other is busy.
      const since = Math.max(this.#movedMs, this.#waitingSinceMs);
      const leftMs = since + stallMs - clock.monotonicMs();
      if (leftMs > 0) {
        this.#watch = this.#watchFor(leftMs);
        return;
      }
      const text = `nothing moved on the link for ${stallMs / 1000} s`;
      this.#end(new TransshipError('SourceUnreachable', text));
    });
  }
}

function cancellation(signal: AbortSignal | undefined): TransshipError {
  const reason: unknown = signal?.reason;
  if (reason instanceof TransshipError) return reason;
  return new TransshipError('Canceled', 'the block copy was canceled', { cause: reason });
}
