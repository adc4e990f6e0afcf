/**
 * Snapshots of several volumes at one moment, also of several agents: every agent holds back what
 * is written to its part of them, all of them keep their snapshots, and each goes on by itself.
 * A hold ends by itself, so that nobody waits for a caller that is gone; what was kept after that
 * is of another moment, and is refused.
 */
import { fail, TransshipError } from '../base/errors.ts';
import type { Clock, Random, Timer } from '../base/ports.ts';
import type { Exports } from './doors.ts';
import { refuseFollowed } from './followed.ts';
import type { Pools } from './pools.ts';

/** Longer than agents take to answer, shorter than what applications take for a failed disk. */
export const holdMsMax = 10_000;
const idBytes = 16;

interface Hold {
  readonly volumes: readonly string[];
  readonly releases: (() => void)[];
  timer: Timer;
  isOver: boolean;
}

export interface HoldsOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly pools: Pools;
  readonly doors: Exports;
  readonly isFollowed: (volume: string) => boolean;
}

export class Holds {
  readonly #o: HoldsOptions;
  readonly #holds = new Map<string, Hold>();

  constructor(options: HoldsOptions) {
    this.#o = options;
  }

  /**
   * Resolves with the name of the hold when nothing is on its way to any of the volumes. `TimedOut`
   * when that takes longer than the hold may; then nothing is held.
   */
  async take(volumes: readonly string[], forMs: number): Promise<string> {
    const { clock, random, pools, doors, isFollowed } = this.#o;
    for (const name of volumes) {
      const { volume } = pools.locate(name);
      if (isFollowed(name)) refuseFollowed(volume);
    }
    // What is written since is all that has to be settled while writers wait.
    for (const name of volumes) await pools.locate(name).volume.seal();
    const id = Buffer.from(random.bytes(idBytes)).toString('hex');
    const hold: Hold = { volumes, releases: [], isOver: false, timer: { cancel: () => undefined } };
    hold.timer = clock.after(Math.min(forMs, holdMsMax), () => this.#end(id));
    this.#holds.set(id, hold);
    const taken = volumes.map(async (name) => {
      const release = await doors.hold(name);
      if (hold.isOver) release();
      else hold.releases.push(release);
    });
    try {
      const late = new Promise<never>((_, reject) => {
        hold.releases.push(() => reject(lateness(volumes)));
      });
      late.catch(() => undefined);
      await Promise.race([Promise.all(taken), late]);
      return id;
    } catch (error) {
      this.#end(id);
      throw error;
    }
  }

  /** Runs `work` with each volume and ends the hold. `TimedOut` when it had ended before that. */
  async use<T>(id: string, work: (volume: string) => Promise<T>): Promise<readonly T[]> {
    const hold = this.#holds.get(id);
    if (hold === undefined) return fail('TimedOut', `there is no hold ${id} any more: begin anew`);
    try {
      const results = await Promise.all(hold.volumes.map(work));
      if (hold.isOver) throw lateness(hold.volumes);
      return results;
    } finally {
      this.#end(id);
    }
  }

  /** Nothing to do for one that is over. */
  release(id: string): void {
    this.#end(id);
  }

  close(): void {
    for (const id of this.#holds.keys()) this.#end(id);
  }

  #end(id: string): void {
    const hold = this.#holds.get(id);
    if (hold === undefined) return;
    this.#holds.delete(id);
    hold.isOver = true;
    hold.timer.cancel();
    for (const release of hold.releases) release();
  }
}

function lateness(volumes: readonly string[]): TransshipError {
  const message = `volumes ${volumes.join(', ')} could not be held long enough; begin anew`;
  return new TransshipError('TimedOut', message);
}
