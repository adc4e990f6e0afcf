/** Reads the journal back after a stop of any kind (docs/formats/journal.md, invariants). */
import { crc32 } from 'node:zlib';
import { limits } from '../base/limits.ts';
import type { Disk, DiskFile } from '../base/ports.ts';
import { decodeFrame, entryKinds, type Frame, frameHeaderBytes, journalSalt } from './frame.ts';
import { journalPath } from './journal.ts';

const sectorBytes = limits.sectorBytes;

/** One entry of a frame with the place of its data. */
export interface ReplayEntry {
  readonly sequence: number;
  readonly wallMs: number;
  readonly volume: number;
  /** One of `entryKinds`. */
  readonly kind: number;
  readonly firstSector: number;
  readonly sectors: number;
  readonly file: number;
  /** Of the first data sector, in sectors. */
  readonly position: number;
  readonly checksums: Uint32Array;
}

export interface ReplayResult {
  readonly files: { number: number; file: DiskFile; end: number; lastSequence: number }[];
  readonly nextFile: number;
  readonly nextSequence: number;
  readonly spares: string[];
  /** Durable frames that could not be read. */
  readonly damaged: number;
}

interface Found {
  readonly frame: Frame;
  readonly position: number;
  readonly file: DiskFile;
}

interface Opened {
  readonly number: number;
  readonly salt: Uint8Array;
  readonly file: DiskFile;
}

function openFiles(
  disk: Disk,
  poolId: Uint8Array,
): { files: Opened[]; numbers: ReadonlySet<number>; spares: string[]; last: number } {
  const files: Opened[] = [];
  const numbers = new Set<number>();
  const spares: string[] = [];
  let last = 0;
  for (const name of disk.list('journal')) {
    const match = /^(\d{8})\.log$/.exec(name);
    if (match === null) {
      // A spare's name may collide with a later one; they only save allocation.
      disk.remove(`journal/${name}`);
      continue;
    }
    const number = Number(match[1]);
    last = Math.max(last, number);
    numbers.add(number);
    const file = disk.open(journalPath(number));
    const header = new Uint8Array(64);
    const count = file.read(header, 0);
    const salt = journalSalt(header.subarray(0, count), number, poolId);
    if (salt !== undefined) {
      files.push({ number, salt, file });
    } else {
      file.close();
      disk.remove(journalPath(number));
    }
  }
  return { files, numbers, spares, last };
}

/** All valid frames of a file, also behind damage; they rise in sequence. */
function framesOf({ number, salt, file }: Opened): Found[] {
  const found: Found[] = [];
  const size = file.sizeBytes();
  const header = new Uint8Array(frameHeaderBytes);
  let last = 0;
  for (let position = frameHeaderBytes; position + frameHeaderBytes <= size; ) {
    file.read(header, position);
    const frame = decodeFrame(header, number, salt);
    if (frame === undefined || frame.sequence <= last) {
      position += frameHeaderBytes;
      continue;
    }
    found.push({ frame, position, file });
    last = frame.sequence;
    position += frameHeaderBytes + frame.dataBytes;
  }
  return found;
}

function dataIsWhole({ frame, position, file }: Found): boolean {
  const data = new Uint8Array(frame.dataBytes);
  if (file.read(data, position + frameHeaderBytes) < data.length) return false;
  return frame.checksums.every(
    (sum, i) => crc32(data.subarray(i * sectorBytes, (i + 1) * sectorBytes)) === sum,
  );
}

function emit({ frame, position }: Found, onEntry: (entry: ReplayEntry) => void): void {
  let at = (position + frameHeaderBytes) / sectorBytes;
  let sum = 0;
  for (const { volume, kind, firstSector, sectors } of frame.entries) {
    const count = kind === entryKinds.write ? sectors : 0;
    onEntry({
      sequence: frame.sequence,
      wallMs: frame.wallMs,
      volume,
      kind,
      firstSector,
      sectors,
      file: frame.file,
      position: at,
      checksums: frame.checksums.subarray(sum, sum + count),
    });
    at += count;
    sum += count;
  }
}

/**
 * Gives every entry that must be applied, in order. `from` is the lowest `journalFrom` of all
 * volumes: gaps below it do not matter. What was never acknowledged and cannot be used is cut off.
 */
export function replayJournal(
  disk: Disk,
  poolId: Uint8Array,
  from: number,
  onEntry: (entry: ReplayEntry) => void,
): ReplayResult {
  disk.makeDirectory('journal');
  const { files, numbers, spares, last } = openFiles(disk, poolId);
  const all = files.flatMap(framesOf).sort((a, b) => a.frame.sequence - b.frame.sequence);
  const durable = all.reduce((max, { frame }) => Math.max(max, frame.durable), 0);
  let expected = Math.min(from, all[0]?.frame.sequence ?? from);
  let damaged = 0;
  let stopAt: Found | undefined;
  for (const found of all) {
    const { sequence } = found.frame;
    const needed = wasReleased(found, numbers) ? sequence : Math.max(expected, from);
    const gap = sequence - needed;
    if (gap > 0) {
      if (needed > durable) {
        stopAt = found;
        break;
      }
      damaged += gap;
    }
    if (sequence > durable && sequence >= from && !dataIsWhole(found)) {
      stopAt = found;
      break;
    }
    emit(found, onEntry);
    expected = sequence + 1;
  }
  const kept = cutOff(disk, files, all, stopAt?.frame.sequence ?? Number.POSITIVE_INFINITY);
  const nextSequence = Math.max(expected, from, durable + 1);
  return { files: kept, nextFile: last + 1, nextSequence, spares, damaged };
}

/**
 * True for the first frame of a file whose predecessor is not there. A file is made durable in its
 * directory before its first frame and only release removes it, so what came before was released.
 */
function wasReleased({ frame, position }: Found, numbers: ReadonlySet<number>): boolean {
  return position === frameHeaderBytes && !numbers.has(frame.file - 1);
}

/** Removes frames from `sequence` on, so that a later replay cannot meet them beside new ones. */
function cutOff(
  disk: Disk,
  files: readonly Opened[],
  all: readonly Found[],
  sequence: number,
): ReplayResult['files'] {
  const kept: ReplayResult['files'] = [];
  for (const { number, file } of files) {
    let end = frameHeaderBytes;
    let lastSequence = 0;
    for (const found of all) {
      if (found.file !== file || found.frame.sequence >= sequence) continue;
      end = found.position + frameHeaderBytes + found.frame.dataBytes;
      lastSequence = found.frame.sequence;
    }
    if (lastSequence === 0) {
      file.close();
      disk.remove(journalPath(number));
      continue;
    }
    file.truncate(end);
    // What is replayed from here was perhaps only in the kernel's memory: it must be durable
    // before anything new is acknowledged on top of it.
    file.sync();
    kept.push({ number, file, end, lastSequence });
  }
  disk.syncDirectory('journal');
  return kept;
}
