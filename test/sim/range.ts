/** Pieces of volumes. */

const sectorBytes = 4096;

export interface Range {
  readonly offset: number;
  readonly length: number;
}

/** The range itself when no request that is under way touches it. */
export function ifFree(range: Range, busy: Iterable<Range>): Range | undefined {
  return [...busy].some((one) => touches(one, range)) ? undefined : range;
}

/** Sectors count as a whole: a write of some bytes reads and writes its sector. */
function touches(a: Range, b: Range): boolean {
  const first = (range: Range) => Math.floor(range.offset / sectorBytes);
  const last = (range: Range) => Math.floor((range.offset + range.length - 1) / sectorBytes);
  return first(a) <= last(b) && first(b) <= last(a);
}
