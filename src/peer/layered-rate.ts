/** A rate that usually holds, and one that takes its place for a while. */
import type { RateLimit } from './rate.ts';

export class LayeredRate {
  readonly #limit: RateLimit;
  #usual: number | undefined;
  #now: number | undefined;

  constructor(limit: RateLimit) {
    this.#limit = limit;
  }

  setUsual(bytesPerSecond: number | undefined): void {
    this.#usual = bytesPerSecond;
    this.#apply();
  }

  /** Undefined: the usual one holds again. */
  setNow(bytesPerSecond: number | undefined): void {
    this.#now = bytesPerSecond;
    this.#apply();
  }

  #apply(): void {
    const wanted = this.#now ?? this.#usual;
    if (wanted !== this.#limit.get()) this.#limit.set(wanted);
  }
}
