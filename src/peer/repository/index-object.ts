/** Indexes: which chunks are in which pack (docs/formats/repository.md, "Index"). */
import { assert, fail } from '../../base/errors.ts';
import { nameBytes } from '../../volume/types.ts';
import {
  decodeEntries,
  encodeEntries,
  entryBytes,
  kindNumber,
  kindOf,
  type PackEntry,
  type PackInfo,
} from './pack.ts';
import { saltBytes } from './keys.ts';

export const indexRecordsMax = 262_144;

const packBytes = nameBytes + saltBytes + 12;

export interface IndexedPack extends PackInfo {
  readonly entries: readonly PackEntry[];
}

export function encodeIndex(packs: readonly IndexedPack[]): Uint8Array {
  const records = packs.reduce((sum, { entries }) => sum + entries.length, 0);
  assert(records <= indexRecordsMax, `${records} records in one index`);
  const count = Buffer.alloc(4);
  count.writeUInt32LE(packs.length);
  const parts: Uint8Array[] = [count];
  for (const { id, salt, kind, sizeBytes, entries } of packs) {
    const numbers = Buffer.alloc(12);
    numbers.writeUInt32LE(kindNumber(kind), 0);
    numbers.writeUInt32LE(sizeBytes, 4);
    numbers.writeUInt32LE(entries.length, 8);
    parts.push(id, salt, numbers, encodeEntries(entries));
  }
  return Buffer.concat(parts);
}

/** Names are views into the bytes. `DataCorrupt`. */
export function decodeIndex(bytes: Uint8Array): IndexedPack[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const packs: IndexedPack[] = [];
  let at = 4;
  const count = bytes.length < at ? 0 : view.getUint32(0, true);
  for (let i = 0; i < count; i++) {
    if (bytes.length - at < packBytes) fail('DataCorrupt', 'an index is cut off');
    const id = bytes.subarray(at, at + nameBytes);
    const salt = bytes.subarray(at + nameBytes, at + nameBytes + saltBytes);
    const numbers = at + nameBytes + saltBytes;
    const kind = kindOf(view.getUint32(numbers, true));
    const sizeBytes = view.getUint32(numbers + 4, true);
    const length = view.getUint32(numbers + 8, true) * entryBytes;
    at += packBytes;
    if (bytes.length - at < length) fail('DataCorrupt', 'an index is cut off');
    const entries = decodeEntries(bytes.subarray(at, at + length), sizeBytes);
    packs.push({ id, salt, kind, sizeBytes, entries });
    at += length;
  }
  if (at !== bytes.length) fail('DataCorrupt', 'an index that is longer than it says');
  return packs;
}
