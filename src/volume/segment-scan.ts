/** What a segment holds, by its trailer or record by record (docs/formats/segment.md). */
import { crc32 } from 'node:zlib';
import type { DiskFile } from '../base/ports.ts';
import { zeroName } from './name.ts';
import {
  decodeRecord,
  decodeRecordHeader,
  decodeTrailer,
  encodePlace,
  encodeRecordHeader,
  encodeTrailer,
  paddedBytes,
  recordHeaderBytes,
  segmentHeaderBytes,
  type TrailerEntry,
  trailerKind,
} from './record.ts';

const footerMagic = 'TSSEAL01';
const footerBytes = 64;

/** Every whole, valid record from the start to the first that is not; `end` is where that is. */
export function scanRecords(
  file: DiskFile,
  end?: number,
): { entries: TrailerEntry[]; end: number } {
  const size = Math.min(end ?? Number.POSITIVE_INFINITY, file.sizeBytes());
  const entries: TrailerEntry[] = [];
  let position = segmentHeaderBytes;
  const window = new Uint8Array(Math.max(0, Math.min(1024 * 1024, size - segmentHeaderBytes)));
  let windowStart = 0;
  let windowEnd = 0;
  while (position + recordHeaderBytes <= size) {
    const want = recordHeaderBytes + 256 * 1024;
    if (position + want > windowEnd && windowEnd < size) {
      windowStart = position;
      windowEnd = position + file.read(window, position);
    }
    const bytes = window.subarray(position - windowStart, windowEnd - windowStart);
    const header = decodeRecordHeader(bytes);
    if (header === undefined || header.kind === trailerKind) break;
    const record = decodeRecord(bytes);
    const next = position + paddedBytes(header.storedBytes);
    if (record === undefined || next > size) break;
    entries.push({
      name: header.name,
      place: encodePlace(position, header.storedBytes),
      rawBytes: header.rawBytes,
    });
    position = next;
  }
  return { entries, end: position };
}

/** The trailer of a sealed segment; undefined when it has none that is valid. */
export function readTrailer(file: DiskFile, size: number): TrailerEntry[] | undefined {
  const footer = new Uint8Array(footerBytes);
  if (size < segmentHeaderBytes + footerBytes) return undefined;
  if (file.read(footer, size - footerBytes) < footerBytes) return undefined;
  const view = new DataView(footer.buffer);
  if (Buffer.from(footer.subarray(0, 8)).toString('latin1') !== footerMagic) return undefined;
  if (view.getUint32(60, true) !== crc32(footer.subarray(0, 60))) return undefined;
  const at = view.getUint32(8, true);
  const bytes = new Uint8Array(size - footerBytes - at);
  file.read(bytes, at);
  const header = decodeRecordHeader(bytes);
  if (header?.kind !== trailerKind) return undefined;
  const stored = bytes.subarray(recordHeaderBytes, recordHeaderBytes + header.storedBytes);
  return crc32(stored) === header.checksum ? decodeTrailer(stored) : undefined;
}

/** The trailer's record and the footer that finds it, to be written at `position`. */
export function trailerParts(entries: readonly TrailerEntry[], position: number): Uint8Array[] {
  const stored = encodeTrailer(entries);
  const header = new Uint8Array(recordHeaderBytes);
  const checksum = crc32(stored);
  const { length } = stored;
  const lengths = { rawBytes: length, storedBytes: length };
  encodeRecordHeader({ kind: trailerKind, codec: 0, ...lengths, name: zeroName, checksum }, header);
  const footer = new Uint8Array(footerBytes);
  const view = new DataView(footer.buffer);
  footer.set(Buffer.from(footerMagic, 'latin1'), 0);
  view.setUint32(8, position, true);
  view.setUint32(60, crc32(footer.subarray(0, 60)), true);
  return [header, stored, new Uint8Array(paddedBytes(length) - recordHeaderBytes - length), footer];
}
