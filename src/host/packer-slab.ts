/** Memory that a packer's owner and one of its threads share for one job. */

/** Small enough that a read waiting for a thread waits about a millisecond, see packer.ts. */
export const slabBytes = 512 * 1024;
/** One entry per block or chunk of a job; 4 KiB blocks fill it. */
export const slabEntries = slabBytes / 4096;

const nameBytes = 32;
const lanes = 8;

export const states = {
  /** All zeroes, or (unpack) refused. */
  none: 0,
  /** Has a name; its bytes are not wanted. */
  named: 1,
  /** Its bytes are those of the input. */
  raw: 2,
  /** Its bytes are in the output, at the entry's place. */
  out: 3,
} as const;

export type Operation = 'name' | 'pack' | 'compress' | 'unpack' | 'verify';

export interface Job {
  readonly slab: number;
  readonly operation: Operation;
  readonly count: number;
}

export interface Entry {
  readonly state: number;
  readonly codec: number;
  readonly checksum: number;
  readonly inPlace: number;
  readonly inBytes: number;
  readonly outPlace: number;
  readonly outBytes: number;
}

export interface Slab {
  readonly shared: SharedArrayBuffer;
  readonly input: Uint8Array;
  readonly output: Uint8Array;
  readonly names: Uint8Array;
  readonly table: Int32Array;
}

export function slabOver(
  shared = new SharedArrayBuffer(2 * slabBytes + slabEntries * (nameBytes + lanes * 4)),
): Slab {
  const tableAt = 2 * slabBytes + slabEntries * nameBytes;
  return {
    shared,
    input: new Uint8Array(shared, 0, slabBytes),
    output: new Uint8Array(shared, slabBytes, slabBytes),
    names: new Uint8Array(shared, 2 * slabBytes, slabEntries * nameBytes),
    table: new Int32Array(shared, tableAt, slabEntries * lanes),
  };
}

export function readEntry(slab: Slab, at: number): Entry {
  const { table } = slab;
  const lane = at * lanes;
  return {
    state: table[lane]!,
    codec: table[lane + 1]!,
    checksum: table[lane + 2]! >>> 0,
    inPlace: table[lane + 3]!,
    inBytes: table[lane + 4]!,
    outPlace: table[lane + 5]!,
    outBytes: table[lane + 6]!,
  };
}

export function writeEntry(slab: Slab, at: number, entry: Entry): void {
  const { table } = slab;
  const lane = at * lanes;
  table[lane] = entry.state;
  table[lane + 1] = entry.codec;
  table[lane + 2] = entry.checksum;
  table[lane + 3] = entry.inPlace;
  table[lane + 4] = entry.inBytes;
  table[lane + 5] = entry.outPlace;
  table[lane + 6] = entry.outBytes;
}

export function setState(slab: Slab, at: number, state: number): void {
  slab.table[at * lanes] = state;
}

/** Shares the slab's memory: copy it before the slab has its next job. */
export function slabName(slab: Slab, at: number): Uint8Array {
  return slab.names.subarray(at * nameBytes, (at + 1) * nameBytes);
}

export function inputOf(slab: Slab, entry: Entry): Uint8Array {
  return slab.input.subarray(entry.inPlace, entry.inPlace + entry.inBytes);
}

export function outputOf(slab: Slab, entry: Entry): Uint8Array {
  return slab.output.subarray(entry.outPlace, entry.outPlace + entry.outBytes);
}
