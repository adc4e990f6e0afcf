import type { Clock } from '../base/ports.ts';
import type { Condition } from './api.ts';

/** Conditions by type; the time changes only when the status does. */
export class Conditions {
  readonly #clock: Clock;
  readonly #byType = new Map<string, Condition>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  set(condition: Omit<Condition, 'sinceMs'>): void {
    const old = this.#byType.get(condition.type);
    const same = old?.status === condition.status;
    const sinceMs = same ? old.sinceMs : this.#clock.wallMs();
    this.#byType.set(condition.type, { ...condition, sinceMs });
  }

  clear(type: string): void {
    this.#byType.delete(type);
  }

  list(): readonly Condition[] {
    return [...this.#byType.values()];
  }
}
