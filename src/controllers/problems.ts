/** What went wrong with which key, and when it is tried again; a restart tries at once. */
import type { TransshipError } from '../base/errors.ts';
import type { Clock, Random } from '../base/ports.ts';

interface Problem {
  readonly error: TransshipError;
  readonly failures: number;
  readonly generation: number;
  readonly nextMs: number;
}

const retryable = { minMs: 1_000, maxMs: 30_000 };
/** Nothing helps until somebody does something: looked at again because that may be elsewhere. */
const stubborn = { minMs: 10_000, maxMs: 300_000 };

export class Problems {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #problems = new Map<string, Problem>();

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  note(key: string, generation: number, error: TransshipError): void {
    const before = this.#problems.get(key);
    const isAgain = before?.error.reason === error.reason && before.generation === generation;
    const failures = isAgain ? before.failures + 1 : 1;
    const { minMs, maxMs } = error.retryable ? retryable : stubborn;
    const waitMs = Math.min(maxMs, minMs * 2 ** Math.min(failures - 1, 20));
    const nextMs = this.#clock.monotonicMs() + waitMs * (0.75 + this.#random.fraction() / 2);
    this.#problems.set(key, { error, failures, generation, nextMs });
  }

  clear(key: string): void {
    this.#problems.delete(key);
  }

  /** What still stands in the way; a change of the spec is worth a new try at once. */
  blocking(key: string, generation: number): TransshipError | undefined {
    const problem = this.#problems.get(key);
    if (problem === undefined || problem.generation !== generation) return undefined;
    return this.#clock.monotonicMs() < problem.nextMs ? problem.error : undefined;
  }

  /** The last one, due or not. */
  last(key: string): TransshipError | undefined {
    return this.#problems.get(key)?.error;
  }

  /** Milliseconds until the next try. */
  againAfterMs(key: string): number | undefined {
    const problem = this.#problems.get(key);
    if (problem === undefined) return undefined;
    return Math.max(0, problem.nextMs - this.#clock.monotonicMs());
  }
}
