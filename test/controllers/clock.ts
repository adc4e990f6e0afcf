// Time that moves when a test says so; everything that can happen at one moment happens first.
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Clock, Timer } from '../../src/base/ports.ts';

const startMs = Date.UTC(2026, 0, 1);

interface Alarm {
  readonly atMs: number;
  readonly run: () => void;
}

export class TestClock implements Clock {
  #nowMs = 0;
  readonly #alarms = new Set<Alarm>();

  wallMs(): number {
    return startMs + this.#nowMs;
  }

  monotonicMs(): number {
    return this.#nowMs;
  }

  /** What only lets others go first does not wait for a test. */
  after(ms: number, run: () => void): Timer {
    if (ms <= 0) {
      const turn = setImmediate(run);
      return { cancel: () => clearImmediate(turn) };
    }
    const alarm = { atMs: this.#nowMs + ms, run };
    this.#alarms.add(alarm);
    return { cancel: () => void this.#alarms.delete(alarm) };
  }

  async advance(ms: number): Promise<void> {
    const untilMs = this.#nowMs + ms;
    await nextTurn();
    for (let next = this.#next(untilMs); next !== undefined; next = this.#next(untilMs)) {
      this.#alarms.delete(next);
      this.#nowMs = Math.max(this.#nowMs, next.atMs);
      next.run();
      await nextTurn();
    }
    this.#nowMs = untilMs;
  }

  #next(untilMs: number): Alarm | undefined {
    let first: Alarm | undefined;
    for (const alarm of this.#alarms) {
      if (alarm.atMs <= untilMs && (first === undefined || alarm.atMs < first.atMs)) first = alarm;
    }
    return first;
  }
}
