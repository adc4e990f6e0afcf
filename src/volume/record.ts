/** Records of a segment as bytes (docs/formats/segment.md). */
import { crc32 } from 'node:zlib';
import { assert } from '../base/errors.ts';
import { type ChunkKind, type Name, nameBytes, type StoredChunk } from './types.ts';

export const recordAlign = 64;
export const recordHeaderBytes = 64;
export const segmentHeaderBytes = 64;
export const trailerEntryBytes = nameBytes + 8;

const magicRecord = 0x4b4e4843;
const segmentMagic = 'TSSEGMT1';
const version = 1;
const kinds = ['block', 'page'] as const;
export const trailerKind = 2;

/** Where a record starts and how long it is at most, in one 32-bit number. */
export function encodePlace(position: number, storedBytes: number): number {
  const unit = position / recordAlign;
  const span = Math.ceil((recordHeaderBytes + storedBytes) / 256);
  assert(Number.isInteger(unit) && unit < 2 ** 22, `record at ${position} cannot be named`);
  return ((unit << 10) | Math.min(1023, span)) >>> 0;
}

export function placePosition(place: number): number {
  return (place >>> 10) * recordAlign;
}

/** Bytes to read to have the whole record; up to 255 more than it has. */
export function placeSpan(place: number): number {
  return (place & 1023) * 256;
}

export function paddedBytes(storedBytes: number): number {
  return Math.ceil((recordHeaderBytes + storedBytes) / recordAlign) * recordAlign;
}

export interface RecordHeader {
  readonly kind: number;
  readonly codec: number;
  readonly rawBytes: number;
  readonly storedBytes: number;
  readonly name: Name;
  readonly checksum: number;
}

export function encodeRecordHeader(header: RecordHeader, into: Uint8Array): void {
  const view = new DataView(into.buffer, into.byteOffset, recordHeaderBytes);
  into.fill(0, 0, recordHeaderBytes);
  view.setUint32(0, magicRecord, true);
  view.setUint8(4, header.kind);
  view.setUint8(5, header.codec);
  view.setUint32(8, header.rawBytes, true);
  view.setUint32(12, header.storedBytes, true);
  into.set(header.name, 16);
  view.setUint32(48, header.checksum, true);
  view.setUint32(60, crc32(into.subarray(0, 60)), true);
}

/** Undefined for anything that is not a whole, valid record header. */
export function decodeRecordHeader(bytes: Uint8Array): RecordHeader | undefined {
  if (bytes.length < recordHeaderBytes) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, recordHeaderBytes);
  if (view.getUint32(0, true) !== magicRecord) return undefined;
  if (view.getUint32(60, true) !== crc32(bytes.subarray(0, 60))) return undefined;
  return {
    kind: view.getUint8(4),
    codec: view.getUint8(5),
    rawBytes: view.getUint32(8, true),
    storedBytes: view.getUint32(12, true),
    name: bytes.slice(16, 48),
    checksum: view.getUint32(48, true),
  };
}

export function kindCode(kind: ChunkKind): number {
  return kinds.indexOf(kind);
}

/** The chunk of a record that was read with its header; undefined when it fails its checksum. */
export function decodeRecord(bytes: Uint8Array): StoredChunk | undefined {
  const header = decodeRecordHeader(bytes);
  if (header === undefined) return undefined;
  const kind = kinds[header.kind];
  if (kind === undefined) return undefined;
  const end = recordHeaderBytes + header.storedBytes;
  if (bytes.length < end) return undefined;
  const stored = bytes.subarray(recordHeaderBytes, end);
  if (crc32(stored) !== header.checksum) return undefined;
  const { name, codec, rawBytes, checksum } = header;
  return { name, kind, codec, rawBytes, checksum, bytes: stored };
}

export function encodeSegmentHeader(segment: number, poolId: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(segmentHeaderBytes);
  const view = new DataView(bytes.buffer);
  bytes.set(Buffer.from(segmentMagic, 'latin1'), 0);
  view.setUint32(8, version, true);
  view.setUint32(12, segment, true);
  bytes.set(poolId.subarray(0, 16), 16);
  view.setUint32(60, crc32(bytes.subarray(0, 60)), true);
  return bytes;
}

/** Why a segment's header cannot be used, or undefined when it can. */
export function segmentHeaderProblem(
  bytes: Uint8Array,
  segment: number,
  poolId: Uint8Array,
): string | undefined {
  if (bytes.length < segmentHeaderBytes) return 'it is shorter than its header';
  const view = new DataView(bytes.buffer, bytes.byteOffset, segmentHeaderBytes);
  if (Buffer.from(bytes.subarray(0, 8)).toString('latin1') !== segmentMagic) return 'wrong magic';
  if (view.getUint32(60, true) !== crc32(bytes.subarray(0, 60))) return 'header checksum';
  if (view.getUint32(8, true) !== version) return `version ${view.getUint32(8, true)} is unknown`;
  if (view.getUint32(12, true) !== segment) return 'another segment number';
  if (!Buffer.from(poolId.subarray(0, 16)).equals(bytes.subarray(16, 32))) return 'another pool';
  return undefined;
}

export interface TrailerEntry {
  readonly name: Name;
  readonly place: number;
  readonly rawBytes: number;
}

export function encodeTrailer(entries: readonly TrailerEntry[]): Uint8Array {
  const bytes = new Uint8Array(4 + entries.length * trailerEntryBytes);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, entries.length, true);
  entries.forEach((entry, i) => {
    const at = 4 + i * trailerEntryBytes;
    bytes.set(entry.name, at);
    view.setUint32(at + nameBytes, entry.place, true);
    view.setUint32(at + nameBytes + 4, entry.rawBytes, true);
  });
  return bytes;
}

export function decodeTrailer(bytes: Uint8Array): TrailerEntry[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const count = view.getUint32(0, true);
  assert(bytes.length === 4 + count * trailerEntryBytes, 'trailer length');
  const entries: TrailerEntry[] = [];
  for (let i = 0; i < count; i++) {
    const at = 4 + i * trailerEntryBytes;
    entries.push({
      name: bytes.subarray(at, at + nameBytes),
      place: view.getUint32(at + nameBytes, true),
      rawBytes: view.getUint32(at + nameBytes + 4, true),
    });
  }
  return entries;
}
