/**
 * How many background bytes may be asked for and not yet here. Too few leave a long link idle, too
 * many only wait in its queues (and in memory), so the window follows twice the product of the best
 * rate seen lately and the shortest round trip.
 */
import type { Clock } from '../base/ports.ts';

const gain = 2;
/** The best rate of the last few slots counts, so that one pause does not shrink the window. */
const slotMs = 250;
const slots = 16;
const roundTripMemoryMs = 60_000;

export interface Window {
  /** Resolves when the credit fits; in order. Something always fits into an empty window. */
  acquire(credit: number, signal: AbortSignal): Promise<void>;
  release(credit: number, receivedBytes: number): void;
  measured(roundTripMs: number): void;
  status(): WindowStatus;
}

export interface WindowStatus {
  readonly windowBytes: number;
  readonly openBytes: number;
  readonly roundTripMs: number | undefined;
  /** Best of the last four seconds. */
  readonly bytesPerSecond: number;
}

export interface WindowLimits {
  readonly bytesMin: number;
  readonly bytesMax: number;
}

export function createWindow(clock: Clock, limits: WindowLimits): Window {
  return new CreditWindow(clock, limits);
}

interface Waiter {
  readonly credit: number;
  readonly go: () => void;
}

class CreditWindow implements Window {
  readonly #clock: Clock;
  readonly #limits: WindowLimits;
  readonly #waiters = new Set<Waiter>();
  #open = 0;
  #roundTripMs: number | undefined;
  #roundTripAtMs = 0;
  #slotStartMs: number;
  #slotBytes = 0;
  #rates: number[] = [];

  constructor(clock: Clock, limits: WindowLimits) {
    this.#clock = clock;
    this.#limits = limits;
    this.#slotStartMs = clock.monotonicMs();
  }

  acquire(credit: number, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#waiters.size === 0 && this.#fits(credit)) {
      this.#open += credit;
      return Promise.resolve();
    }
    return new Promise((resolve, reject) => {
      const waiter: Waiter = {
        credit,
        go: () => {
          signal.removeEventListener('abort', leave);
          resolve();
        },
      };
      const leave = () => {
        this.#waiters.delete(waiter);
        this.#serve();
        reject(signal.reason as Error);
      };
      signal.addEventListener('abort', leave, { once: true });
      this.#waiters.add(waiter);
    });
  }

  release(credit: number, receivedBytes: number): void {
    this.#open -= credit;
    this.#count(receivedBytes);
    this.#serve();
  }

  measured(roundTripMs: number): void {
    const nowMs = this.#clock.monotonicMs();
    const old = nowMs - this.#roundTripAtMs > roundTripMemoryMs;
    if (this.#roundTripMs !== undefined && roundTripMs > this.#roundTripMs && !old) return;
    this.#roundTripMs = roundTripMs;
    this.#roundTripAtMs = nowMs;
    this.#serve();
  }

  status(): WindowStatus {
    this.#count(0);
    return {
      windowBytes: this.#size(),
      openBytes: this.#open,
      roundTripMs: this.#roundTripMs,
      bytesPerSecond: Math.max(0, ...this.#rates),
    };
  }

  #size(): number {
    const rate = Math.max(0, ...this.#rates);
    const bytes = gain * rate * ((this.#roundTripMs ?? 0) / 1000);
    return Math.min(this.#limits.bytesMax, Math.max(this.#limits.bytesMin, bytes));
  }

  #fits(credit: number): boolean {
    return this.#open === 0 || this.#open + credit <= this.#size();
  }

  #serve(): void {
    for (const waiter of this.#waiters) {
      if (!this.#fits(waiter.credit)) return;
      this.#waiters.delete(waiter);
      this.#open += waiter.credit;
      waiter.go();
    }
  }

  #count(bytes: number): void {
    const nowMs = this.#clock.monotonicMs();
    const elapsedMs = nowMs - this.#slotStartMs;
    this.#slotBytes += bytes;
    if (elapsedMs < slotMs) return;
    this.#rates.push(this.#slotBytes / (elapsedMs / 1000));
    // A long pause is many empty slots.
    const passed = Math.min(slots, Math.floor(elapsedMs / slotMs) - 1);
    for (let i = 0; i < passed; i++) this.#rates.push(0);
    this.#rates = this.#rates.slice(-slots);
    this.#slotStartMs = nowMs;
    this.#slotBytes = 0;
  }
}
