/**
 * The life of one process of the control plane. It can be paused, and go on as if no time had
 * passed; it can be killed, and then nothing of it runs again. All that reaches a process comes
 * through `enter`.
 */
import type { Clock, Timer } from '../../src/base/ports.ts';
import { type Scheduler, wallStartMs } from './scheduler.ts';

/** As Node.js has it; and time must pass, or what is nearly due is never due. */
const timerMsMin = 1;

/** What was held back while a process was paused reaches it one thing after another. */
const tickMs = 0.001;

export class Life {
  readonly name: string;
  readonly #scheduler: Scheduler;
  readonly #onEnd = new Set<() => void>();
  #alive = true;
  #paused = false;
  #held: (() => void)[] = [];

  constructor(name: string, scheduler: Scheduler) {
    this.name = name;
    this.#scheduler = scheduler;
  }

  get isAlive(): boolean {
    return this.#alive;
  }

  get isPaused(): boolean {
    return this.#paused;
  }

  /** Runs it now, when the process goes on, or never. */
  enter(run: () => void): void {
    if (!this.#alive) return;
    if (this.#paused) this.#held.push(run);
    else run();
  }

  pause(): void {
    this.#paused = true;
  }

  resume(): void {
    this.#paused = false;
    for (const [at, run] of this.#held.splice(0).entries()) {
      this.#scheduler.at(at * tickMs, `${this.name} goes on`, () => this.enter(run));
    }
  }

  end(): void {
    if (!this.#alive) return;
    this.#alive = false;
    this.#held = [];
    for (const tell of this.#onEnd) tell();
    this.#onEnd.clear();
  }

  onEnd(tell: () => void): () => void {
    this.#onEnd.add(tell);
    return () => void this.#onEnd.delete(tell);
  }

  clock(skewMs: () => number): Clock {
    return {
      wallMs: () => wallStartMs + this.#scheduler.nowMs + skewMs(),
      monotonicMs: () => this.#scheduler.nowMs,
      after: (ms, run) => this.#timer(ms, run),
    };
  }

  #timer(ms: number, run: () => void): Timer {
    let isOver = false;
    const timer = this.#scheduler.at(Math.max(timerMsMin, ms), `timer of ${this.name}`, () => {
      this.enter(() => {
        if (!isOver) run();
      });
    });
    return {
      cancel: () => {
        isOver = true;
        timer.cancel();
      },
    };
  }
}
