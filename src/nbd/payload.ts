import { nbdLimits } from './protocol.ts';

/** A write's payload that does not lie whole in the received bytes: collected, or thrown away. */
export class PayloadReader {
  #buffer: Uint8Array = new Uint8Array(0);
  #lengthBytes = 0;
  #filledBytes = 0;
  #skipping = false;

  /** True from `collect` or `skip` until all bytes were taken. */
  get active(): boolean {
    return this.#filledBytes < this.#lengthBytes;
  }

  collect(lengthBytes: number): void {
    this.#lengthBytes = lengthBytes;
    this.#filledBytes = 0;
    this.#skipping = false;
    if (this.#buffer.length < lengthBytes) this.#buffer = Buffer.allocUnsafeSlow(lengthBytes);
  }

  skip(lengthBytes: number): void {
    this.#lengthBytes = lengthBytes;
    this.#filledBytes = 0;
    this.#skipping = true;
  }

  /** Takes what belongs to the payload from `at` on; returns how many bytes that was. */
  take(bytes: Uint8Array, at: number): number {
    const count = Math.min(this.#lengthBytes - this.#filledBytes, bytes.length - at);
    if (!this.#skipping) this.#buffer.set(bytes.subarray(at, at + count), this.#filledBytes);
    this.#filledBytes += count;
    return count;
  }

  /** The whole payload, valid until the next `collect`; `undefined` when it was thrown away. */
  content(): Uint8Array | undefined {
    if (this.#skipping) return undefined;
    const content = this.#buffer.subarray(0, this.#lengthBytes);
    // Rare large writes must not pin their memory for the life of the connection.
    if (this.#buffer.length > nbdLimits.payloadBytesKept) this.#buffer = new Uint8Array(0);
    return content;
  }
}
