import type { RawDevice } from './block-ports.ts';

/** Few enough that a flush is no burden, and what is left at the end is soon durable. */
const everyBytes = 64 * 1024 * 1024;

/**
 * Makes a device durable while more is written to it, one flush at a time, so that the last one
 * has little to do. One that fails is not tried again: it is told to whoever writes next.
 */
export class EarlyFlush {
  readonly #device: RawDevice;
  #unflushedBytes = 0;
  #running: Promise<void> | undefined;
  #failure: { readonly error: unknown } | undefined;

  constructor(device: RawDevice) {
    this.#device = device;
  }

  wrote(bytes: number): void {
    this.#throwIfFailed();
    this.#unflushedBytes += bytes;
    if (this.#unflushedBytes < everyBytes || this.#running !== undefined) return;
    this.#unflushedBytes = 0;
    this.#running = this.#flush();
  }

  /** Everything that was written before is durable. */
  async finish(): Promise<void> {
    await this.idle();
    this.#throwIfFailed();
    await this.#device.flush();
  }

  /** Nothing is done to the device any more. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #flush(): Promise<void> {
    try {
      await this.#device.flush();
    } catch (error) {
      this.#failure = { error };
    } finally {
      this.#running = undefined;
    }
  }

  #throwIfFailed(): void {
    if (this.#failure !== undefined) throw this.#failure.error;
  }
}
