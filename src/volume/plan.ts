/** Scratch of `fillBlock`: where each sector of one block is. */
export interface Plan {
  readonly file: Uint32Array;
  readonly position: Uint32Array;
  readonly checksum: Uint32Array;
  readonly kind: Uint8Array;
}

export const kindBase = 0;
export const kindZero = 1;
export const kindJournal = 2;

export function emptyPlan(sectors: number): Plan {
  return {
    file: new Uint32Array(sectors),
    position: new Uint32Array(sectors),
    checksum: new Uint32Array(sectors),
    kind: new Uint8Array(sectors),
  };
}
