/** A token bucket: the rate limits of the background lane, changeable while they work. */
import { assert } from '../base/errors.ts';
import type { Clock, Timer } from '../base/ports.ts';

/** Allowed at once after a pause: long enough for large frames, short enough to look steady. */
const burstSeconds = 0.25;

export interface RateLimit {
  /** Bytes a second; undefined is no limit. Those who wait are reconsidered at once. */
  set(bytesPerSecond: number | undefined): void;
  get(): number | undefined;
  /**
   * Resolves when so many bytes may go, first come first served. More than a burst is taken into
   * debt instead of waiting for ever, so over any time t at most rate × (t + 0.25 s) and one taking
   * pass. Rejects with the signal's reason.
   */
  take(bytes: number, signal?: AbortSignal): Promise<void>;
  /** What was taken and not used, or, negative, used beyond what was taken. */
  giveBack(bytes: number): void;
}

export function createRateLimit(clock: Clock, bytesPerSecond?: number): RateLimit {
  return new TokenBucket(clock, bytesPerSecond);
}

interface Waiter {
  readonly bytes: number;
  readonly go: () => void;
}

class TokenBucket implements RateLimit {
  readonly #clock: Clock;
  #rate: number | undefined;
  #tokens = 0;
  #filledMs: number;
  #waiters: Waiter[] = [];
  #timer: Timer | undefined;

  constructor(clock: Clock, rate: number | undefined) {
    this.#clock = clock;
    this.#filledMs = clock.monotonicMs();
    this.#rate = rate;
    this.#tokens = (rate ?? 0) * burstSeconds;
  }

  get(): number | undefined {
    return this.#rate;
  }

  set(bytesPerSecond: number | undefined): void {
    assert(bytesPerSecond === undefined || bytesPerSecond > 0, 'a rate is above zero');
    this.#fill();
    this.#rate = bytesPerSecond;
    // An old debt was made at the old rate: at the new one it could mean minutes of silence.
    const burst = (bytesPerSecond ?? 0) * burstSeconds;
    this.#tokens = Math.max(-burst, Math.min(this.#tokens, burst));
    this.#serve();
  }

  take(bytes: number, signal?: AbortSignal): Promise<void> {
    if (this.#rate === undefined) return Promise.resolve();
    signal?.throwIfAborted();
    return new Promise((resolve, reject) => {
      const leave = () => {
        this.#waiters = this.#waiters.filter((other) => other !== waiter);
        this.#serve();
        reject(signal?.reason as Error);
      };
      const go = () => {
        signal?.removeEventListener('abort', leave);
        resolve();
      };
      const waiter = { bytes, go };
      signal?.addEventListener('abort', leave, { once: true });
      this.#waiters.push(waiter);
      this.#serve();
    });
  }

  giveBack(bytes: number): void {
    if (this.#rate === undefined) return;
    this.#fill();
    this.#tokens = Math.min(this.#tokens + bytes, this.#rate * burstSeconds);
    this.#serve();
  }

  #fill(): void {
    const nowMs = this.#clock.monotonicMs();
    const seconds = (nowMs - this.#filledMs) / 1000;
    this.#filledMs = nowMs;
    if (this.#rate === undefined) return;
    this.#tokens = Math.min(this.#tokens + seconds * this.#rate, this.#rate * burstSeconds);
  }

  #serve(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#fill();
    while (this.#waiters.length > 0 && (this.#rate === undefined || this.#tokens > 0)) {
      const waiter = this.#waiters.shift()!;
      this.#tokens -= waiter.bytes;
      waiter.go();
    }
    if (this.#waiters.length === 0 || this.#rate === undefined) return;
    // One byte more than the debt, so that rounding cannot wake it just too early for ever.
    const waitMs = ((1 - this.#tokens) / this.#rate) * 1000;
    this.#timer = this.#clock.after(Math.max(1, waitMs), () => this.#serve());
  }
}
