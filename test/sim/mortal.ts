/** Processes that can end at any moment, and those who wait for their answers. */
import type { Dialer } from '../../src/peer/link.ts';
import { Crashed, type Scheduler } from './scheduler.ts';

/** The process that an operation belonged to is gone: its answer never came. */
export class Gone extends Error {}

export interface Mortal {
  /** Rises when a process ends; what belonged to an earlier one counts no more. */
  readonly life: number;
}

/** An answer of a process; throws `Gone` when it has ended meanwhile. */
export async function answerOf<T>(one: Mortal, call: () => T | Promise<T>): Promise<T> {
  const { life } = one;
  try {
    const result = await call();
    if (one.life !== life) throw new Gone();
    return result;
  } catch (error) {
    throw one.life !== life || error instanceof Crashed ? new Gone() : error;
  }
}

/** Lets things happen until some work ends or its process does. */
export class Endings<N extends Mortal> {
  readonly #scheduler: Scheduler;
  readonly #onEnd = new Map<N, () => void>();

  constructor(scheduler: Scheduler) {
    this.#scheduler = scheduler;
  }

  /** Throws `Gone` when the process ends first. */
  drive<T>(one: N, work: Promise<T>): Promise<T> {
    const end = new Promise<never>((_, reject) => {
      this.#onEnd.set(one, () => reject(new Gone()));
    });
    work.catch(() => undefined);
    end.catch(() => undefined);
    return answerOf(one, () => this.#scheduler.drive(Promise.race([work, end])));
  }

  ended(one: N): void {
    this.#onEnd.get(one)?.();
  }
}

/** Answers to a process that is gone never come. */
export function laterWhile(scheduler: Scheduler, isAlive: () => boolean): Scheduler['later'] {
  return (label, value) =>
    new Promise((resolve, reject) => {
      scheduler
        .later(label, () => (isAlive() ? { value: value() } : undefined))
        .then((answer) => {
          if (answer !== undefined) resolve(answer.value);
        }, reject);
    });
}

/** The same for links: one that is made for nobody is closed. */
export function dialerWhile(dialer: Dialer, isAlive: () => boolean): Dialer {
  return {
    connect: async (target) => {
      if (!isAlive()) return never();
      const link = await dialer.connect(target);
      if (isAlive()) return link;
      link.start({ onBytes: () => undefined, onDrain: () => undefined, onClose: () => undefined });
      link.close();
      return never();
    },
  };
}

function never<T>(): Promise<T> {
  return new Promise(() => undefined);
}
