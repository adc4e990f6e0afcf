/** What is remembered between two slices of a run, and may be lost: it only costs time. */

const firstMs = 1000;
const longestMs = 60_000;

/** Attempts at the step at hand, and since when it does not get on. Monotonic milliseconds. */
export class Backoff {
  #step = '';
  #attempts = 0;
  #stuckSinceMs: number | undefined;
  #notBeforeMs = 0;

  /** Another step, or another direction, begins with a clean slate. */
  turnTo(step: string): void {
    if (this.#step === step) return;
    this.#step = step;
    this.gotOn();
  }

  gotOn(): void {
    this.#attempts = 0;
    this.#stuckSinceMs = undefined;
    this.#notBeforeMs = 0;
  }

  /** It does not get on for so long already, as somebody else has counted. */
  resume(nowMs: number, stuckMs: number): void {
    this.#stuckSinceMs ??= nowMs - Math.max(0, stuckMs);
  }

  /** Milliseconds since it last got on. */
  stuckMs(nowMs: number): number {
    this.#stuckSinceMs ??= nowMs;
    return nowMs - this.#stuckSinceMs;
  }

  /** Counts an attempt; milliseconds until the next: doubled each time, a minute at most. */
  countAttempt(nowMs: number): number {
    const waitMs = Math.min(longestMs, firstMs * 2 ** Math.min(this.#attempts, 16));
    this.#attempts += 1;
    this.#notBeforeMs = nowMs + waitMs;
    return waitMs;
  }

  /** Forgets the wait, but not the attempt. */
  lookNow(): void {
    this.#notBeforeMs = 0;
  }

  /** Milliseconds that are left of the last wait. */
  leftMs(nowMs: number): number {
    return Math.max(0, this.#notBeforeMs - nowMs);
  }

  get attempts(): number {
    return this.#attempts;
  }
}
