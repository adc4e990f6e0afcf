/**
 * Keys that want work. A key waits once however often it is added, is never worked on twice at
 * once, and is worked on again when it was added while it was at work. Ready keys go in the order
 * in which they came. A key that fails comes back later and later.
 */
import { AssertionFailure } from '../base/errors.ts';
import type { Clock, Random, Timer } from '../base/ports.ts';
import type { Outcome, WorkQueue } from './api.ts';
import { type BackoffLimits, backoffMs } from './waiting.ts';

export const queueBackoffDefault: BackoffLimits = { minMs: 5, maxMs: 300_000 };

export interface WorkQueueOptions {
  readonly clock: Clock;
  readonly random: Random;
  /** Keys worked on at once. */
  readonly concurrency: number;
  run(key: string): Promise<Outcome>;
  /** Told of each failure; the key comes back by itself after `againAfterMs`. */
  onError?(key: string, error: unknown, retry: QueueRetry): void;
  /** Called after `size` changed. */
  onSize?(): void;
  readonly backoff?: BackoffLimits;
}

export interface QueueRetry {
  /** Failures in a row, this one included. */
  readonly failures: number;
  readonly againAfterMs: number;
}

export function createWorkQueue(options: WorkQueueOptions): WorkQueue {
  return new KeyedQueue(options);
}

interface Alarm {
  readonly atMs: number;
  readonly timer: Timer;
}

interface Entry {
  state: 'idle' | 'ready' | 'running';
  /** Added while it ran. */
  again: boolean;
  failures: number;
  /** Asked for by `addAfter`. */
  asked: Alarm | undefined;
  /** Wanted by the last run: its outcome, or its failure. The next run decides anew. */
  wanted: Alarm | undefined;
}

class KeyedQueue implements WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #entries = new Map<string, Entry>();
  readonly #ready = new Set<string>();
  readonly #idle = Promise.withResolvers<void>();
  #running = 0;
  #isStopped = false;
  #isPumping = false;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#ready.size + this.#running;
  }

  add(key: string): void {
    if (this.#isStopped) return;
    const entry = this.#entry(key);
    if (entry.state === 'running') entry.again = true;
    else if (entry.state === 'idle') this.#makeReady(key, entry);
  }

  addAfter(key: string, ms: number): void {
    if (this.#isStopped) return;
    if (ms <= 0) return this.add(key);
    const entry = this.#entry(key);
    const atMs = this.#options.clock.monotonicMs() + ms;
    if (entry.asked !== undefined && entry.asked.atMs <= atMs) return;
    entry.asked?.timer.cancel();
    const timer = this.#options.clock.after(ms, () => {
      entry.asked = undefined;
      this.add(key);
    });
    entry.asked = { atMs, timer };
  }

  stop(): Promise<void> {
    if (!this.#isStopped) {
      this.#isStopped = true;
      for (const entry of this.#entries.values()) this.#silence(entry);
      this.#ready.clear();
      this.#options.onSize?.();
      if (this.#running === 0) this.#idle.resolve();
    }
    return this.#idle.promise;
  }

  #entry(key: string): Entry {
    const known = this.#entries.get(key);
    if (known !== undefined) return known;
    const entry: Entry = {
      state: 'idle',
      again: false,
      failures: 0,
      asked: undefined,
      wanted: undefined,
    };
    this.#entries.set(key, entry);
    return entry;
  }

  #silence(entry: Entry): void {
    entry.asked?.timer.cancel();
    entry.wanted?.timer.cancel();
  }

  #makeReady(key: string, entry: Entry): void {
    entry.state = 'ready';
    this.#ready.add(key);
    this.#options.onSize?.();
    this.#pumpSoon();
  }

  /** Not at once: whoever adds a key is in the middle of something. */
  #pumpSoon(): void {
    if (this.#isPumping) return;
    this.#isPumping = true;
    queueMicrotask(() => {
      this.#isPumping = false;
      this.#pump();
    });
  }

  #pump(): void {
    while (!this.#isStopped && this.#running < this.#options.concurrency) {
      const [key] = this.#ready;
      if (key === undefined) return;
      this.#ready.delete(key);
      this.#running++;
      void this.#work(key, this.#entry(key));
    }
  }

  async #work(key: string, entry: Entry): Promise<void> {
    entry.state = 'running';
    entry.again = false;
    entry.wanted?.timer.cancel();
    entry.wanted = undefined;
    try {
      const { againAfterMs } = await this.#options.run(key);
      entry.failures = 0;
      if (againAfterMs !== undefined) this.#wantAfter(key, entry, againAfterMs);
    } catch (error) {
      // A broken promise of our own code: it must surface, not be tried again.
      if (error instanceof AssertionFailure) throw error;
      this.#failed(key, entry, error);
    } finally {
      this.#running--;
      this.#worked(key, entry);
    }
  }

  #failed(key: string, entry: Entry, error: unknown): void {
    const limits = this.#options.backoff ?? queueBackoffDefault;
    const againAfterMs = backoffMs(limits, entry.failures++, this.#options.random);
    this.#options.onError?.(key, error, { failures: entry.failures, againAfterMs });
    this.#wantAfter(key, entry, againAfterMs);
  }

  #wantAfter(key: string, entry: Entry, ms: number): void {
    if (this.#isStopped) return;
    const delayMs = Math.max(0, ms);
    const timer = this.#options.clock.after(delayMs, () => {
      entry.wanted = undefined;
      this.add(key);
    });
    entry.wanted = { atMs: this.#options.clock.monotonicMs() + delayMs, timer };
  }

  #worked(key: string, entry: Entry): void {
    entry.state = 'idle';
    if (this.#isStopped) {
      if (this.#running === 0) this.#idle.resolve();
    } else if (entry.again) {
      this.#makeReady(key, entry);
    } else if (entry.asked === undefined && entry.wanted === undefined && entry.failures === 0) {
      this.#entries.delete(key);
    }
    this.#options.onSize?.();
    this.#pumpSoon();
  }
}
