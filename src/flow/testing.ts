/** A small model of two clusters for tests: workloads, data, undo records; slow, and breakable. */
import { fail } from '../base/errors.ts';
import type { Clock, Log } from '../base/ports.ts';
import type { Reason } from '../base/reasons.ts';
import type { ItineraryState } from './state.ts';

export const wanted = 3;

export type SideName = 'source' | 'destination';

export interface Side {
  replicas: number;
  pods: number;
  /** Version of the data; -1: none, or torn. */
  data: number;
  isFenced: boolean;
}

interface Transfer {
  readonly value: number;
  readonly to: SideName;
  leftTicks: number;
}

export interface Fault {
  /** Of the call, such as `scaleDown source`. */
  readonly call: string;
  readonly lasts: 'once' | 'forever';
  /** After: the effect is there, but the answer is lost. */
  readonly when: 'before' | 'after';
  readonly reason: Reason;
}

/** The number of a call, and whether its effect still happens. */
export interface Kill {
  readonly at: number;
  readonly when: 'before' | 'after';
}

export class World {
  readonly sides: Record<SideName, Side> = {
    source: { replicas: wanted, pods: wanted, data: 0, isFenced: false },
    destination: { replicas: 0, pods: 0, data: -1, isFenced: false },
  };
  readonly records = new Map<SideName, number>();
  readonly paused = new Set<SideName>();
  readonly flags = new Set<string>();
  readonly transfers = new Map<string, Transfer>();
  readonly servers = new Set<string>();
  readonly violations: string[] = [];
  readonly callNames: string[] = [];
  saved: ItineraryState = [];
  kill: Kill | undefined;
  fault: Fault | undefined;
  keepsData = true;
  #lastWritten = 0;
  #nowMs = 0;
  #killed = Promise.withResolvers<'killed'>();

  readonly clock: Clock = {
    wallMs: () => 1_700_000_000_000 + this.#nowMs,
    monotonicMs: () => this.#nowMs,
    after: () => fail('Unsupported', 'the model has no timers'),
  };
  readonly log: Log = { log: () => undefined };

  get killed(): Promise<'killed'> {
    return this.#killed.promise;
  }

  /** A new process: what the old one awaits never comes back. */
  revive(): void {
    this.kill = undefined;
    this.#killed = Promise.withResolvers<'killed'>();
  }

  /** Everything that leaves the process passes here. */
  async call<T>(name: string, effect: () => T): Promise<T> {
    const number = this.callNames.push(name) - 1;
    const dies = this.kill?.at === number ? this.kill : undefined;
    const hit = this.fault?.call === name ? this.fault : undefined;
    if (hit?.lasts === 'once') this.fault = undefined;
    await Promise.resolve();
    if (dies?.when === 'before') return this.#die();
    if (hit?.when === 'before') fail(hit.reason, `${name} failed`);
    const result = effect();
    if (dies !== undefined) return this.#die();
    if (hit !== undefined) fail(hit.reason, `the answer of ${name} was lost`);
    return result;
  }

  #die(): Promise<never> {
    this.#killed.resolve('killed');
    return new Promise(() => undefined);
  }

  save = async (state: ItineraryState): Promise<void> => {
    const text = JSON.stringify(state);
    await this.call('save', () => {
      this.saved = JSON.parse(text) as ItineraryState;
    });
  };

  /** Time passes; a second is a tick, but long waits are not worth their ticks. */
  pass(ms: number): void {
    this.#nowMs += Math.max(ms, 1);
    const ticks = Math.min(5, Math.ceil(ms / 1000));
    for (let tick = 0; tick < ticks; tick += 1) this.#tick();
  }

  #tick(): void {
    for (const name of ['source', 'destination'] as const) {
      const side = this.sides[name];
      // A manager, such as GitOps, starts again what it did not stop.
      if (name === 'source' && !this.paused.has(name)) side.replicas = wanted;
      const isStarting = side.pods === 0 && side.replicas > 0;
      side.pods += Math.sign(side.replicas - side.pods);
      if (isStarting) this.#checkStart(name, side);
      if (side.pods === 0) continue;
      if (side.isFenced) this.violations.push(`${name} runs behind its fence`);
      this.#lastWritten += 1;
      side.data = this.#lastWritten;
    }
    const { source, destination } = this.sides;
    if (source.pods > 0 && destination.pods > 0) this.violations.push('two copies run');
    for (const [name, transfer] of this.transfers) {
      if (!this.servers.has(name) || transfer.leftTicks === 0) continue;
      transfer.leftTicks -= 1;
      this.sides[transfer.to].data = transfer.leftTicks === 0 ? transfer.value : -1;
    }
  }

  #checkStart(name: SideName, side: Side): void {
    if (name === 'source' && !this.keepsData) {
      this.#lastWritten = side.data;
    } else if (side.data !== this.#lastWritten) {
      this.violations.push(`${name} starts with ${side.data}, not with ${this.#lastWritten}`);
    }
  }

  /** What a run that is taken back must leave as it found it. */
  standing(): string {
    const { source, destination } = this.sides;
    const sides = [source, destination].map(({ replicas, pods, isFenced }) => {
      return { replicas, pods, isFenced };
    });
    const sets = [this.records.keys(), this.paused, this.flags].map((set) => [...set].toSorted());
    return JSON.stringify([sides, sets]);
  }
}
