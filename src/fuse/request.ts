/** Requests of the kernel, as /dev/fuse gives them: one whole request for each read. */
import { sizes } from './protocol.ts';

/** The header of the request being served. Reused: what outlives the call copies its fields. */
export class RequestHeader {
  opcode = 0;
  /** Opaque; answered as it came. */
  unique = 0n;
  node = 0;

  /** False when this is no whole request: then there is nobody to answer. */
  read(view: DataView): boolean {
    if (view.byteLength < sizes.inHeader) return false;
    if (view.getUint32(0, true) !== view.byteLength) return false;
    this.opcode = view.getUint32(4, true);
    this.unique = view.getBigUint64(8, true);
    const node = view.getBigUint64(16, true);
    this.node = node <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(node) : 0;
    return true;
  }
}

export interface Transfer {
  readonly offset: number;
  readonly length: number;
}

export interface Allocation extends Transfer {
  readonly mode: number;
}

/** Undefined for numbers that JavaScript cannot hold; no file is that long. */
function uint64(view: DataView, at: number): number | undefined {
  const value = view.getBigUint64(at, true);
  return value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : undefined;
}

/** Of READ and WRITE; undefined when it is malformed. */
export function transferOf(view: DataView): Transfer | undefined {
  if (view.byteLength < sizes.inHeader + sizes.transferIn) return undefined;
  const offset = uint64(view, sizes.inHeader + 8);
  if (offset === undefined) return undefined;
  return { offset, length: view.getUint32(sizes.inHeader + 16, true) };
}

/** The data of a WRITE, in the memory of the request; undefined unless all of it is there. */
export function writeDataOf(request: Uint8Array, { length }: Transfer): Uint8Array | undefined {
  const data = request.subarray(sizes.inHeader + sizes.transferIn);
  return data.length === length ? data : undefined;
}

/** Of FALLOCATE; undefined when it is malformed. */
export function allocationOf(view: DataView): Allocation | undefined {
  if (view.byteLength < sizes.inHeader + sizes.fallocateIn) return undefined;
  const offset = uint64(view, sizes.inHeader + 8);
  const length = uint64(view, sizes.inHeader + 16);
  if (offset === undefined || length === undefined) return undefined;
  return { offset, length, mode: view.getUint32(sizes.inHeader + 24, true) };
}

export interface Init {
  readonly major: number;
  readonly minor: number;
  readonly readaheadBytesMax: number;
  readonly flags: number;
}

export function initOf(view: DataView): Init | undefined {
  if (view.byteLength < sizes.inHeader + sizes.initIn) return undefined;
  return {
    major: view.getUint32(sizes.inHeader, true),
    minor: view.getUint32(sizes.inHeader + 4, true),
    readaheadBytesMax: view.getUint32(sizes.inHeader + 8, true),
    flags: view.getUint32(sizes.inHeader + 12, true),
  };
}

/** The name of a LOOKUP, which ends with a zero byte. */
export function nameOf(request: Uint8Array): string | undefined {
  const bytes = request.subarray(sizes.inHeader);
  const end = bytes.indexOf(0);
  return end < 0 ? undefined : Buffer.from(bytes.subarray(0, end)).toString('utf8');
}
