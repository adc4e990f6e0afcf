/**
 * The index as a file, so that a clean start need not read every segment's trailer
 * (docs/formats/pool.md). Derived data: written by a clean close, removed before anything changes,
 * ignored when in doubt.
 */
import { crc32 } from 'node:zlib';
import type { Disk } from '../base/ports.ts';

export const indexSnapshotPath = 'index.snapshot';
const magic = 'TSINDEX1';
const headerBytes = 64;
const segmentBytes = 16;
/** Written and read in pieces, so that a large index does not need its memory twice. */
const pieceBytes = 8 * 1024 * 1024;

export interface IndexSnapshot {
  readonly slots: Uint32Array;
  readonly count: number;
  readonly uniqueBytes: number;
  /** Lengths of the sealed segments that the slots may name. */
  readonly segments: ReadonlyMap<number, number>;
}

export function writeIndexSnapshot(disk: Disk, poolId: Uint8Array, index: IndexSnapshot): void {
  const fresh = `${indexSnapshotPath}.new`;
  const file = disk.open(fresh, { create: true });
  file.truncate(0);
  const segments = encodeSegments(index.segments);
  const slots = bytesOf(index.slots);
  let at = headerBytes;
  let sum = crc32(segments);
  file.write([segments], at);
  at += segments.length;
  for (let from = 0; from < slots.length; from += pieceBytes) {
    const piece = slots.subarray(from, from + pieceBytes);
    sum = crc32(piece, sum);
    file.write([piece], at);
    at += piece.length;
  }
  const header = new Uint8Array(headerBytes);
  const view = new DataView(header.buffer);
  header.set(Buffer.from(magic, 'latin1'), 0);
  view.setUint32(8, index.segments.size, true);
  view.setUint32(12, sum, true);
  header.set(poolId.subarray(0, 16), 16);
  view.setFloat64(32, slots.length, true);
  view.setFloat64(40, index.count, true);
  view.setFloat64(48, index.uniqueBytes, true);
  view.setUint32(60, crc32(header.subarray(0, 60)), true);
  file.write([header], 0);
  file.sync();
  file.close();
  disk.rename(fresh, indexSnapshotPath);
  disk.syncDirectory('.');
}

/** The snapshot, which is gone from the disk afterwards; undefined when there is no usable one. */
export function takeIndexSnapshot(disk: Disk, poolId: Uint8Array): IndexSnapshot | undefined {
  if (!disk.exists(indexSnapshotPath)) return undefined;
  const snapshot = read(disk, poolId);
  disk.remove(indexSnapshotPath);
  // Before the first new segment: a stale index must never be met again.
  disk.syncDirectory('.');
  return snapshot;
}

function read(disk: Disk, poolId: Uint8Array): IndexSnapshot | undefined {
  const file = disk.open(indexSnapshotPath);
  try {
    const header = new Uint8Array(headerBytes);
    if (file.read(header, 0) < headerBytes) return undefined;
    const view = new DataView(header.buffer);
    if (Buffer.from(header.subarray(0, 8)).toString('latin1') !== magic) return undefined;
    if (view.getUint32(60, true) !== crc32(header.subarray(0, 60))) return undefined;
    if (!Buffer.from(poolId.subarray(0, 16)).equals(header.subarray(16, 32))) return undefined;
    const segments = new Uint8Array(view.getUint32(8, true) * segmentBytes);
    const slots = new Uint32Array(view.getFloat64(32, true) / 4);
    const bytes = bytesOf(slots);
    if (file.read(segments, headerBytes) < segments.length) return undefined;
    if (file.read(bytes, headerBytes + segments.length) < bytes.length) return undefined;
    if (crc32(bytes, crc32(segments)) !== view.getUint32(12, true)) return undefined;
    return {
      slots,
      count: view.getFloat64(40, true),
      uniqueBytes: view.getFloat64(48, true),
      segments: decodeSegments(segments),
    };
  } finally {
    file.close();
  }
}

function bytesOf(words: Uint32Array): Uint8Array {
  return new Uint8Array(words.buffer, words.byteOffset, words.byteLength);
}

function encodeSegments(segments: ReadonlyMap<number, number>): Uint8Array {
  const bytes = new Uint8Array(segments.size * segmentBytes);
  const view = new DataView(bytes.buffer);
  let at = 0;
  for (const [number, length] of segments) {
    view.setUint32(at, number, true);
    view.setFloat64(at + 8, length, true);
    at += segmentBytes;
  }
  return bytes;
}

function decodeSegments(bytes: Uint8Array): Map<number, number> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const segments = new Map<number, number>();
  for (let at = 0; at < bytes.length; at += segmentBytes) {
    segments.set(view.getUint32(at, true), view.getFloat64(at + 8, true));
  }
  return segments;
}
