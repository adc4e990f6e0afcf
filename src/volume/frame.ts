/** Frames of the journal as bytes (docs/formats/journal.md). */
import { crc32 } from 'node:zlib';
import { limits } from '../base/limits.ts';

export const frameHeaderBytes = 4096;
const fixedBytes = 64;
const entryBytes = 24;
const frameMagic = 0x4d415246;
const fileMagic = 'TSJRNL01';
const version = 1;

/** A mark or drop has the sequence as its first sector and the epoch as its sectors. */
export const entryKinds = { write: 0, zero: 1, mark: 2, drop: 3 } as const;

export interface FrameEntry {
  readonly volume: number;
  readonly kind: number;
  readonly firstSector: number;
  readonly sectors: number;
}

export interface Frame {
  readonly file: number;
  readonly sequence: number;
  readonly durable: number;
  readonly wallMs: number;
  readonly dataBytes: number;
  readonly entries: readonly FrameEntry[];
  /** One per data sector, in the order of the write entries. */
  readonly checksums: Uint32Array;
}

/** Collects the entries of the frame that is being filled. */
export class FrameBuilder {
  readonly header = new Uint8Array(frameHeaderBytes);
  readonly #view = new DataView(this.header.buffer);
  readonly #checksums = new Uint32Array(frameHeaderBytes / 4);
  entries = 0;
  sectors = 0;

  fits(sectors: number): boolean {
    const bytes = (this.entries + 1) * entryBytes + (this.sectors + sectors) * 4;
    return fixedBytes + bytes <= frameHeaderBytes;
  }

  /** `checksums` holds one value per data sector; empty for zeroes. */
  add(entry: FrameEntry, checksums: Uint32Array): void {
    const at = fixedBytes + this.entries * entryBytes;
    this.#view.setUint32(at, entry.volume, true);
    this.#view.setUint32(at + 4, entry.kind, true);
    this.#view.setFloat64(at + 8, entry.firstSector, true);
    this.#view.setUint32(at + 16, entry.sectors, true);
    this.#view.setUint32(at + 20, 0, true);
    this.#checksums.set(checksums, this.sectors);
    this.entries++;
    this.sectors += checksums.length;
  }

  /** Fills in the fixed part and returns the header; the builder starts anew. */
  finish(frame: {
    readonly file: number;
    readonly sequence: number;
    readonly durable: number;
    readonly wallMs: number;
    readonly salt: Uint8Array;
  }): Uint8Array {
    const view = this.#view;
    const at = fixedBytes + this.entries * entryBytes;
    for (let i = 0; i < this.sectors; i++)
      view.setUint32(at + i * 4, this.#checksums[i] ?? 0, true);
    this.header.fill(0, at + this.sectors * 4);
    view.setUint32(0, frameMagic, true);
    view.setUint32(4, frameHeaderBytes, true);
    view.setUint32(8, frame.file, true);
    view.setUint32(12, this.entries, true);
    view.setFloat64(16, frame.sequence, true);
    view.setUint32(24, this.sectors * limits.sectorBytes, true);
    view.setUint32(28, 0, true);
    view.setFloat64(32, frame.wallMs, true);
    view.setFloat64(40, frame.durable, true);
    this.header.set(frame.salt, 48);
    this.header.fill(0, 60, 64);
    view.setUint32(60, crc32(this.header), true);
    this.entries = 0;
    this.sectors = 0;
    return this.header;
  }
}

/** Undefined for anything but a whole, valid header of a frame of this file. */
export function decodeFrame(header: Uint8Array, file: number, salt: Uint8Array): Frame | undefined {
  if (header.length < frameHeaderBytes) return undefined;
  const view = new DataView(header.buffer, header.byteOffset, frameHeaderBytes);
  if (view.getUint32(0, true) !== frameMagic) return undefined;
  if (view.getUint32(4, true) !== frameHeaderBytes || view.getUint32(8, true) !== file) {
    return undefined;
  }
  if (!Buffer.from(salt).equals(header.subarray(48, 60))) return undefined;
  const copy = header.slice(0, frameHeaderBytes);
  copy.fill(0, 60, 64);
  if (crc32(copy) !== view.getUint32(60, true)) return undefined;
  const entries: FrameEntry[] = [];
  const count = view.getUint32(12, true);
  for (let i = 0; i < count; i++) {
    const at = fixedBytes + i * entryBytes;
    entries.push({
      volume: view.getUint32(at, true),
      kind: view.getUint32(at + 4, true),
      firstSector: view.getFloat64(at + 8, true),
      sectors: view.getUint32(at + 16, true),
    });
  }
  const dataBytes = view.getUint32(24, true);
  const checksums = new Uint32Array(dataBytes / limits.sectorBytes);
  const from = fixedBytes + count * entryBytes;
  for (let i = 0; i < checksums.length; i++) checksums[i] = view.getUint32(from + i * 4, true);
  return {
    file,
    sequence: view.getFloat64(16, true),
    durable: view.getFloat64(40, true),
    wallMs: view.getFloat64(32, true),
    dataBytes,
    entries,
    checksums,
  };
}

export const saltBytes = 12;

export function encodeJournalHeader(
  file: number,
  poolId: Uint8Array,
  salt: Uint8Array,
): Uint8Array {
  const bytes = new Uint8Array(frameHeaderBytes);
  const view = new DataView(bytes.buffer);
  bytes.set(Buffer.from(fileMagic, 'latin1'), 0);
  view.setUint32(8, version, true);
  view.setUint32(12, file, true);
  bytes.set(poolId.subarray(0, 16), 16);
  bytes.set(salt, 32);
  view.setUint32(60, crc32(bytes.subarray(0, 60)), true);
  return bytes;
}

/** The salt of a file with a valid header, else undefined. */
export function journalSalt(
  header: Uint8Array,
  file: number,
  poolId: Uint8Array,
): Uint8Array | undefined {
  if (header.length < 64) return undefined;
  const salt = header.slice(32, 32 + saltBytes);
  const expected = Buffer.from(encodeJournalHeader(file, poolId, salt).subarray(0, 64));
  return expected.equals(header.subarray(0, 64)) ? salt : undefined;
}
