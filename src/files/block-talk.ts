/** Frames over a link, with an end to waiting; both sides of a block copy use it. */
import { asTransshipError, TransshipError } from '../base/errors.ts';
import type { Clock } from '../base/ports.ts';
import {
  broken,
  decodeError,
  encodeError,
  type Frame,
  type FrameType,
  headerBytes,
  readHeader,
} from './block-frame.ts';
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

/** What the other side told us; it needs not be told back. */
class ToldError extends TransshipError {}

export class Talk {
  readonly #options: TalkOptions;
  #pieces: Uint8Array[] = [];
  #pieceBytes = 0;
  readonly #listeners: ((error: TransshipError) => void)[] = [];
  #ended: TransshipError | undefined;
  #movedMs: number;

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

  async send(parts: readonly Uint8Array[]): Promise<void> {
    if (this.#ended !== undefined) throw this.#ended;
    await this.#patiently(this.#options.link.send(parts));
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
    while (this.#pieceBytes < bytes) {
      const piece = await this.#patiently(this.#options.link.receive());
      if (this.#ended !== undefined) throw this.#ended;
      if (piece === undefined) {
        throw new TransshipError('SourceUnreachable', 'the other side ended before the copy did');
      }
      this.#pieces.push(piece);
      this.#pieceBytes += piece.length;
    }
    const whole = this.#pieces.length === 1 ? this.#pieces[0]! : Buffer.concat(this.#pieces);
    this.#pieceBytes = whole.length - bytes;
    this.#pieces = this.#pieceBytes > 0 ? [whole.subarray(bytes)] : [];
    return Buffer.from(whole.buffer, whole.byteOffset, bytes);
  }

  async #patiently<T>(waiting: Promise<T>): Promise<T> {
    const { clock, stallMs = stallMsDefault } = this.#options;
    const check = () => {
      // One direction may rest for hours while the other is busy.
      const leftMs = this.#movedMs + stallMs - clock.monotonicMs();
      if (leftMs > 0) {
        timer = clock.after(leftMs, check);
        return;
      }
      const text = `nothing moved on the link for ${stallMs / 1000} s`;
      this.#end(new TransshipError('SourceUnreachable', text));
    };
    let timer = clock.after(stallMs, check);
    try {
      const result = await waiting;
      this.#movedMs = clock.monotonicMs();
      return result;
    } finally {
      timer.cancel();
    }
  }
}

function cancellation(signal: AbortSignal | undefined): TransshipError {
  const reason: unknown = signal?.reason;
  if (reason instanceof TransshipError) return reason;
  return new TransshipError('Canceled', 'the block copy was canceled', { cause: reason });
}
