/** Settles, checkpoints and makes history points when they are due, without being asked. */
import { asTransshipError } from '../base/errors.ts';
import type { Clock, Log, Timer } from '../base/ports.ts';
import { namesMax } from './rooting.ts';
import type { Space } from './space.ts';
import type { Volume } from './volume.ts';

const housekeepingMs = 1000;
/** Unsettled writes become chunks after so much quiet, or at the latest after so long. */
const quietMs = 1000;
const oldMs = 10_000;
/** More unsettled sectors than this (256 MiB) would make a teleport wait to become accessible. */
const unsettledSectorsMax = 64 * 1024;
/** Rounds between looks at what history no longer keeps. */
const pruneRounds = 60;

export interface HousekeeperOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly space: Space;
  readonly volumes: () => Iterable<Volume>;
  readonly stopped: () => boolean;
}

export class Housekeeper {
  readonly #o: HousekeeperOptions;
  #timer: Timer | undefined;
  #working = false;
  #rounds = 0;

  constructor(options: HousekeeperOptions) {
    this.#o = options;
  }

  start(): void {
    this.#timer = this.#o.clock.after(housekeepingMs, () => {
      void this.#round().finally(() => {
        if (!this.#o.stopped()) this.start();
      });
    });
  }

  stop(): void {
    this.#timer?.cancel();
  }

  /** The journal fills: do not wait for the timer. */
  soon(): void {
    void this.#round();
  }

  async #round(): Promise<void> {
    if (this.#working || this.#o.stopped()) return;
    this.#working = true;
    this.#rounds++;
    const prune = this.#rounds % pruneRounds === 0;
    try {
      this.#o.space.look();
      await Promise.all([...this.#o.volumes()].map((volume) => this.#keep(volume, prune)));
    } finally {
      this.#working = false;
      this.#o.space.look();
    }
  }

  async #keep(volume: Volume, prune: boolean): Promise<void> {
    try {
      const carry = this.#o.space.isPressed;
      await volume.keep({ checkpoint: prune || this.#isDue(volume), carry, prune });
      volume.clearCondition('Settled');
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      this.#o.log.log('warn', 'housekeeping of a volume failed; it is tried again', {
        volume: volume.name,
        problem,
      });
      const { reason, message } = asTransshipError(error);
      volume.setCondition({ type: 'Settled', status: 'False', reason, message });
    }
  }

  #isDue({ head }: Volume): boolean {
    const { active, frozen, names, isRooted } = head;
    if (frozen.length > 0 || names.size > namesMax) return true;
    if (active.sectors.size > unsettledSectorsMax) return true;
    const pressed = this.#o.space.isPressed;
    if (active.isEmpty) return pressed && !isRooted;
    const nowMs = this.#o.clock.monotonicMs();
    const ageMs = nowMs - (active.firstMs ?? nowMs);
    return pressed || nowMs - active.lastMs >= quietMs || ageMs >= oldMs;
  }
}
