/** Who waits for a number to be reached, in rising order. */
import type { TransshipError } from '../../base/errors.ts';

interface Waiter {
  readonly sequence: number;
  readonly sinceMs: number;
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: TransshipError) => void;
}

export class Waiters {
  #waiting: Waiter[] = [];
  #from = 0;

  get isEmpty(): boolean {
    return this.#from === this.#waiting.length;
  }

  /** The highest number that somebody waits for; 0 when nobody does. */
  get last(): number {
    return this.isEmpty ? 0 : (this.#waiting.at(-1)?.sequence ?? 0);
  }

  add(sequence: number, nowMs: number): Promise<void> {
    const last = this.isEmpty ? undefined : this.#waiting.at(-1);
    // All that wait for one flush share it.
    if (last !== undefined && last.sequence === sequence) return last.promise;
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const at = this.#place(sequence);
    this.#waiting.splice(at, 0, { sequence, sinceMs: nowMs, promise, resolve, reject });
    return promise;
  }

  reached(sequence: number): void {
    while (!this.isEmpty && this.#waiting[this.#from]!.sequence <= sequence) {
      this.#waiting[this.#from++]!.resolve();
    }
    if (this.#from < 64 && !this.isEmpty) return;
    this.#waiting.splice(0, this.#from);
    this.#from = 0;
  }

  /** Those that began to wait before a moment get the error. */
  expire(beforeMs: number, error: () => TransshipError): void {
    const old = this.#waiting.slice(this.#from).filter(({ sinceMs }) => sinceMs < beforeMs);
    if (old.length === 0) return;
    this.#waiting = this.#waiting.slice(this.#from).filter(({ sinceMs }) => sinceMs >= beforeMs);
    this.#from = 0;
    const problem = error();
    for (const one of old) one.reject(problem);
  }

  fail(error: TransshipError): void {
    this.expire(Number.POSITIVE_INFINITY, () => error);
  }

  #place(sequence: number): number {
    let at = this.#waiting.length;
    while (at > this.#from && this.#waiting[at - 1]!.sequence > sequence) at--;
    return at;
  }
}
