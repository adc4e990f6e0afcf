/** Ends containers: hook, SIGTERM, and SIGKILL when their time is over. */
import type { Clock, Timer } from '../../../base/ports.ts';
import type { Attempt, Processes } from '../ports.ts';

interface Ending {
  readonly attempt: Attempt;
  deadlineMs: number;
  timer: Timer;
}

export class Stopper {
  readonly #clock: Clock;
  readonly #processes: Processes;
  readonly #endings = new Map<string, Ending>();

  constructor(clock: Clock, processes: Processes) {
    this.#clock = clock;
    this.#processes = processes;
  }

  isStopping(attempt: Attempt): boolean {
    return this.#endings.has(keyOf(attempt));
  }

  /** Asked again it only gets shorter. The hook's time is part of the grace. */
  stop(attempt: Attempt, graceMs: number, hook: (() => Promise<void>) | undefined): void {
    const nowMs = this.#clock.monotonicMs();
    const known = this.#endings.get(keyOf(attempt));
    if (known !== undefined) {
      if (nowMs + graceMs >= known.deadlineMs) return;
      known.timer.cancel();
      known.deadlineMs = nowMs + graceMs;
      known.timer = this.#killAfter(attempt, graceMs);
      return;
    }
    const timer = this.#killAfter(attempt, graceMs);
    this.#endings.set(keyOf(attempt), { attempt, deadlineMs: nowMs + graceMs, timer });
    const terminate = () => {
      if (this.isStopping(attempt)) this.#processes.signal(attempt, 'SIGTERM');
    };
    if (hook === undefined) terminate();
    // A hook that fails does not keep the container.
    else void hook().then(terminate, terminate);
  }

  /** It has ended. */
  forget(attempt: Attempt): void {
    this.#endings.get(keyOf(attempt))?.timer.cancel();
    this.#endings.delete(keyOf(attempt));
  }

  close(): void {
    for (const one of this.#endings.values()) one.timer.cancel();
    this.#endings.clear();
  }

  #killAfter(attempt: Attempt, ms: number): Timer {
    return this.#clock.after(Math.max(0, ms), () => this.#processes.signal(attempt, 'SIGKILL'));
  }
}

function keyOf({ pod, container, number }: Attempt): string {
  return `${pod}/${container}/${number}`;
}
