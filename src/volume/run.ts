/** Runs: records of one segment that lie close to each other and are read at once. */
import type { DiskFile } from '../base/ports.ts';
import { decodeRecord, placePosition, placeSpan } from './record.ts';
import type { StoredChunk } from './types.ts';

/** Reading over a gap is cheaper than another read. */
const gapBytes = 8 * 1024;
const runBytesMax = 512 * 1024;

interface Placed {
  readonly segment: number;
  readonly place: number;
}

/** Each run in the order in which its records lie. */
export function runsOf<One extends Placed>(wanted: readonly One[]): One[][] {
  const sorted = wanted.toSorted((a, b) => a.segment - b.segment || a.place - b.place);
  const runs: One[][] = [];
  let run: One[] = [];
  for (const one of sorted) {
    if (!continues(run, one)) {
      run = [];
      runs.push(run);
    }
    run.push(one);
  }
  return runs;
}

function continues(run: readonly Placed[], one: Placed): boolean {
  const [first] = run;
  const last = run.at(-1);
  if (first === undefined || last === undefined || last.segment !== one.segment) return false;
  const position = placePosition(one.place);
  const end = placePosition(last.place) + placeSpan(last.place);
  return position <= end + gapBytes && position < placePosition(first.place) + runBytesMax;
}

/** The chunks at rising places of a file; undefined for each whose record is not valid. */
export async function readRun(
  file: DiskFile,
  places: readonly number[],
): Promise<(StoredChunk | undefined)[]> {
  const start = placePosition(places[0] ?? 0);
  const ends = places.map((place) => placePosition(place) + placeSpan(place) - start);
  const bytes = Buffer.allocUnsafeSlow(Math.max(0, ...ends));
  const there = bytes.subarray(0, await file.readLater(bytes, start));
  return places.map((place, i) => {
    return decodeRecord(there.subarray(placePosition(place) - start, ends[i]));
  });
}
