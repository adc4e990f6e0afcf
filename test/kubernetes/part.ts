/** Which cases a run takes on each side. Pure. */
import type { Side } from './fleet/fleet.ts';

export interface Wanted {
  /** Only these sides; none is named: both. */
  readonly sides: readonly Side[];
  /** For `npm test`: without what takes minutes. */
  readonly quick: boolean;
  /** What `npm test` has left out: all of the real side, and of the embedded one what is long. */
  readonly rest: boolean;
}

export interface Part {
  readonly side: Side;
  /** Cases of the API server alone. */
  readonly api: boolean;
  /** Cases of the controllers, by how long they take. */
  readonly short: boolean;
  readonly long: boolean;
}

export function partsOf({ sides, quick, rest }: Wanted): readonly Part[] {
  const all: readonly Side[] = ['embedded', 'real'];
  return all
    .filter((side) => sides.length === 0 || sides.includes(side))
    .map((side) => {
      const known = rest && side === 'embedded';
      return { side, api: !known, short: !known, long: !quick };
    });
}
