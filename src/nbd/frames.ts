/** Cuts received bytes into requests and payloads, however the transport cut them. */
import { viewOf } from './bytes.ts';
import { PayloadReader } from './payload.ts';
import { requestHeaderBytes } from './protocol.ts';
import { RequestHeader } from './request.ts';

/**
 * - `request`: `request` holds the next one; take its payload, skip it, or put the request back.
 * - `content`: the payload of the request before has become whole: `content`.
 * - `more`: all is taken, or what is left must come again with more behind it.
 * - `nonsense`: the stream makes no sense any more.
 */
export type FrameStep = 'request' | 'content' | 'more' | 'nonsense';

const nothing = new Uint8Array(0);

export class FrameReader {
  readonly request = new RequestHeader();
  content: Uint8Array = nothing;
  readonly #header = new Uint8Array(requestHeaderBytes);
  readonly #headerView = viewOf(this.#header);
  readonly #payload = new PayloadReader();
  #headerFill = 0;
  #bytes: Uint8Array = nothing;
  #view: DataView = viewOf(nothing);
  #at = 0;
  /** Where the present request began, and how much of a collected header lies in `bytes`. */
  #requestAt = 0;
  #redeliverBytes = 0;
  #left = false;

  /** How many of the given bytes were taken. */
  get takenBytes(): number {
    return this.#at;
  }

  /** True when the step `more` left a request to be given again whole. */
  get hasLeft(): boolean {
    return this.#left;
  }

  /** `redeliverBytes`: requests up to this length may be left, to come again with more. */
  begin(bytes: Uint8Array, redeliverBytes: number): void {
    this.#bytes = bytes;
    this.#view = viewOf(bytes);
    this.#at = 0;
    this.#redeliverBytes = redeliverBytes;
    this.#left = false;
  }

  /** Keeps no reference to the bytes after the step `more`, or this. */
  end(): void {
    this.#bytes = nothing;
    this.content = nothing;
  }

  next(): FrameStep {
    if (this.#payload.active) {
      this.#at += this.#payload.take(this.#bytes, this.#at);
      if (this.#payload.active) return 'more';
      const content = this.#payload.content();
      if (content !== undefined) {
        this.content = content;
        return 'content';
      }
    }
    const available = this.#bytes.length - this.#at;
    if (available === 0) return 'more';
    this.#requestAt = this.#at;
    if (this.#headerFill > 0 || available < requestHeaderBytes) return this.#collectHeader();
    if (!this.request.read(this.#view, this.#at)) return 'nonsense';
    const frameBytes = requestHeaderBytes + this.request.payloadBytes;
    if (frameBytes > available && frameBytes <= this.#redeliverBytes) {
      this.#left = true;
      return 'more';
    }
    this.#at += requestHeaderBytes;
    return 'request';
  }

  #collectHeader(): FrameStep {
    const missing = requestHeaderBytes - this.#headerFill;
    const count = Math.min(missing, this.#bytes.length - this.#at);
    this.#header.set(this.#bytes.subarray(this.#at, this.#at + count), this.#headerFill);
    this.#headerFill += count;
    this.#at += count;
    if (count < missing) return 'more';
    if (!this.request.read(this.#headerView, 0)) return 'nonsense';
    this.#headerFill = 0;
    return 'request';
  }

  /** The present request is not served now: its bytes in `bytes` count as not taken. */
  putBack(): void {
    // What came of its header before is still in `#header`.
    this.#headerFill = requestHeaderBytes - (this.#at - this.#requestAt);
    this.#at = this.#requestAt;
  }

  /** The present request's payload when it is here whole, else it comes as the step `content`. */
  takePayload(): Uint8Array | undefined {
    const { payloadBytes } = this.request;
    const start = this.#at;
    if (payloadBytes > this.#bytes.length - start) {
      this.#payload.collect(payloadBytes);
      return undefined;
    }
    this.#at += payloadBytes;
    return this.#bytes.subarray(start, this.#at);
  }

  skipPayload(): void {
    if (this.request.payloadBytes > 0) this.#payload.skip(this.request.payloadBytes);
  }
}
