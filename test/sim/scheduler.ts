/**
 * Virtual time. Everything that would happen later in the world (a timer, a disk that answers, a
 * message that arrives) is an event here, and the seed decides how long each takes. Between two
 * events all promises that can go on do so; nothing else ever runs, so a seed is a history.
 */
import { crc32 } from 'node:zlib';
import type { Clock, Random, Timer } from '../../src/base/ports.ts';
import type { Rng } from './rng.ts';

/** When virtual time begins. */
export const wallStartMs = Date.UTC(2026, 0, 1);

export class Stuck extends Error {}

/** Thrown by every call of a process that is gone, so that its code stops where it is. */
export class Crashed extends Error {}

interface Event {
  readonly dueMs: number;
  readonly order: number;
  readonly label: string;
  readonly run: () => void;
  canceled: boolean;
}

export interface SchedulerOptions {
  readonly rng: Rng;
  /** A schedule that needs more than this waits for something that will never come. */
  readonly eventsMax?: number;
  /** Called with every label, for people who replay a seed. */
  readonly onEvent?: (label: string, nowMs: number) => void;
}

export class Scheduler {
  readonly #rng: Rng;
  readonly #eventsMax: number;
  readonly #onEvent: SchedulerOptions['onEvent'];
  readonly #heap: Event[] = [];
  #nowMs = 0;
  #traceHash = 0;
  events = 0;

  constructor(options: SchedulerOptions) {
    this.#rng = options.rng;
    this.#eventsMax = options.eventsMax ?? 1_000_000;
    this.#onEvent = options.onEvent;
  }

  get nowMs(): number {
    return this.#nowMs;
  }

  /** Two runs of one seed must agree on this. */
  get traceHash(): string {
    return this.#traceHash.toString(16).padStart(8, '0');
  }

  note(label: string): void {
    this.#traceHash = crc32(`${label}@${this.#nowMs}`, this.#traceHash);
    this.#onEvent?.(label, this.#nowMs);
  }

  at(delayMs: number, label: string, run: () => void): Timer {
    const dueMs = this.#nowMs + Math.max(0, delayMs);
    const event: Event = { dueMs, order: this.#rng.u32(), label, run, canceled: false };
    this.#push(event);
    return {
      cancel: () => {
        event.canceled = true;
      },
    };
  }

  /** Mostly quick, sometimes slow, now and then very slow. */
  soon(label: string, run: () => void): Timer {
    const scale = this.#rng.chance(0.02) ? 200 : this.#rng.chance(0.2) ? 5 : 0.2;
    return this.at(this.#rng.fraction() * scale, label, run);
  }

  /** Resolves with `value()` evaluated when the event happens, so that its effect is then too. */
  later<T>(label: string, value: () => T): Promise<T> {
    return new Promise((resolve, reject) => {
      this.soon(label, () => {
        try {
          resolve(value());
        } catch (error) {
          reject(error instanceof Error ? error : new Error(String(error)));
        }
      });
    });
  }

  /** Drops every event: the process that waited for them is gone. */
  clear(): void {
    this.#heap.length = 0;
  }

  clock(startMs: number): Clock {
    return {
      wallMs: () => startMs + this.#nowMs,
      monotonicMs: () => this.#nowMs,
      after: (ms, run) => this.at(ms, 'timer', run),
    };
  }

  /** Lets things happen until the promise settles; rejects with `Stuck` when nothing is left. */
  async drive<T>(work: Promise<T>): Promise<T> {
    let settled = false;
    const mark = () => {
      settled = true;
    };
    work.then(mark, mark);
    for (;;) {
      await letPromisesRun();
      if (settled) return work;
      if (!this.#step()) throw new Stuck('nothing left to happen, but work is unfinished');
    }
  }

  /** Lets so many events happen, or all there are. */
  async turns(count: number): Promise<void> {
    await letPromisesRun();
    for (let turn = 0; turn < count && this.#step(); turn += 1) await letPromisesRun();
  }

  /** Lets things happen for so many virtual milliseconds. */
  async idle(forMs: number): Promise<void> {
    await this.drive(new Promise<void>((resolve) => void this.at(forMs, 'idle', resolve)));
  }

  #step(): boolean {
    const event = this.#pop();
    if (event === undefined) return false;
    if (event.canceled) return true;
    this.events += 1;
    if (this.events > this.#eventsMax) throw new Stuck(`no end after ${this.#eventsMax} events`);
    this.#nowMs = event.dueMs;
    this.note(event.label);
    try {
      event.run();
    } catch (error) {
      if (!(error instanceof Crashed)) throw error;
    }
    return true;
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(heap[at]!, heap[parent]!)) break;
      [heap[at], heap[parent]] = [heap[parent]!, heap[at]!];
      at = parent;
    }
  }

  #pop(): Event | undefined {
    const heap = this.#heap;
    const first = heap[0];
    const last = heap.pop();
    if (first === undefined || last === undefined || heap.length === 0) return first;
    heap[0] = last;
    let at = 0;
    for (;;) {
      let least = at;
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < heap.length && isBefore(heap[child]!, heap[least]!)) least = child;
      }
      if (least === at) return first;
      [heap[at], heap[least]] = [heap[least]!, heap[at]!];
      at = least;
    }
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);
}

/** A turn of the real loop: every promise reaction that can run has run by then. */
function letPromisesRun(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}

export function simRandom(rng: Rng): Random {
  return { bytes: (count) => rng.bytes(count), fraction: () => rng.fraction() };
}
