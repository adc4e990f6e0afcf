/** What of a volume was used recently: the order a prefetch at another place should follow. */
import type { BlockRange } from './types.ts';

const regionBytes = 1024 * 1024;
const regionsMax = 4096;

export class RecentUse {
  readonly #perRegion: number;
  /** Insertion order is the order of last use, oldest first. */
  readonly #regions = new Map<number, true>();
  #last = -1;

  constructor(blockBytes: number) {
    this.#perRegion = regionBytes / blockBytes;
  }

  touch(offset: number): void {
    const region = Math.floor(offset / regionBytes);
    if (region === this.#last) return;
    this.#last = region;
    this.#regions.delete(region);
    this.#regions.set(region, true);
    if (this.#regions.size <= regionsMax) return;
    for (const oldest of this.#regions.keys()) {
      this.#regions.delete(oldest);
      return;
    }
  }

  /** Most recent first; neighbours in time and place are one range. */
  ranges(): BlockRange[] {
    const ranges: { first: number; count: number }[] = [];
    for (const region of [...this.#regions.keys()].reverse()) {
      const first = region * this.#perRegion;
      const last = ranges.at(-1);
      if (last !== undefined && last.first + last.count === first) last.count += this.#perRegion;
      else if (last !== undefined && first + this.#perRegion === last.first) {
        last.first = first;
        last.count += this.#perRegion;
      } else ranges.push({ first, count: this.#perRegion });
    }
    return ranges;
  }

  load(ranges: readonly BlockRange[]): void {
    for (const { first, count } of [...ranges].reverse()) {
      for (let i = 0; i < count; i += this.#perRegion) {
        this.#regions.set(Math.floor((first + i) / this.#perRegion), true);
      }
    }
  }
}
