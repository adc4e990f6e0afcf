/** The history log of a volume as a file of frames (docs/formats/pool.md, "History log"). */
import { crc32 } from 'node:zlib';
import type { Disk, DiskFile } from '../base/ports.ts';
import { type Name, nameBytes } from './types.ts';

const magic = 0x54534948;
const headerBytes = 32;
const entryBytes = 8 + nameBytes;
const baseCount = 0xffffffff;

/** What is kept in memory of a frame. */
export interface HistoryPoint {
  readonly atMs: number;
  readonly sizeBytes: number;
  /** Entries, or undefined for a base. */
  readonly count: number | undefined;
  readonly position: number;
}

export interface HistoryBase {
  readonly root: Name;
  readonly allocatedBlocks: number;
}

function frameBytes(point: Pick<HistoryPoint, 'count'>): number {
  return headerBytes + (point.count === undefined ? nameBytes + 8 : point.count * entryBytes);
}

export function encodeChanges(
  atMs: number,
  sizeBytes: number,
  changes: ReadonlyMap<number, Name>,
): Uint8Array {
  const bytes = new Uint8Array(frameBytes({ count: changes.size }));
  const view = new DataView(bytes.buffer);
  let at = headerBytes;
  for (const [block, name] of changes) {
    view.setFloat64(at, block, true);
    bytes.set(name, at + 8);
    at += entryBytes;
  }
  return seal(bytes, changes.size, atMs, sizeBytes);
}

export function encodeBase(atMs: number, sizeBytes: number, base: HistoryBase): Uint8Array {
  const bytes = new Uint8Array(frameBytes({ count: undefined }));
  bytes.set(base.root, headerBytes);
  new DataView(bytes.buffer).setFloat64(headerBytes + nameBytes, base.allocatedBlocks, true);
  return seal(bytes, baseCount, atMs, sizeBytes);
}

function seal(bytes: Uint8Array, count: number, atMs: number, sizeBytes: number): Uint8Array {
  const view = new DataView(bytes.buffer);
  view.setUint32(0, magic, true);
  view.setUint32(4, count, true);
  view.setFloat64(8, atMs, true);
  view.setFloat64(16, sizeBytes, true);
  view.setUint32(28, crc32(bytes), true);
  return bytes;
}

/** The frame at a position, or undefined when it is cut off or damaged. */
function readFrame(
  file: DiskFile,
  position: number,
): { point: HistoryPoint; bytes: Uint8Array } | undefined {
  const header = new Uint8Array(headerBytes);
  if (file.read(header, position) < headerBytes) return undefined;
  const view = new DataView(header.buffer);
  if (view.getUint32(0, true) !== magic) return undefined;
  const code = view.getUint32(4, true);
  const count = code === baseCount ? undefined : code;
  const length = frameBytes({ count });
  if (position + length > file.sizeBytes()) return undefined;
  const bytes = new Uint8Array(length);
  file.read(bytes, position);
  const frame = new DataView(bytes.buffer);
  const sum = frame.getUint32(28, true);
  frame.setUint32(28, 0, true);
  if (crc32(bytes) !== sum) return undefined;
  const atMs = frame.getFloat64(8, true);
  return { point: { atMs, sizeBytes: frame.getFloat64(16, true), count, position }, bytes };
}

export class HistoryLog {
  readonly #disk: Disk;
  readonly #path: string;
  #file: DiskFile;
  #end = 0;
  points: HistoryPoint[] = [];

  constructor(disk: Disk, path: string) {
    this.#disk = disk;
    this.#path = path;
    this.#file = this.#open();
  }

  append(frame: Uint8Array, point: Omit<HistoryPoint, 'position'>): void {
    this.#file.write([frame], this.#end);
    this.points.push({ ...point, position: this.#end });
    this.#end += frame.length;
  }

  syncLater(): Promise<void> {
    return this.#file.syncLater();
  }

  changesOf(point: HistoryPoint): Map<number, Name> {
    const changes = new Map<number, Name>();
    const frame = readFrame(this.#file, point.position);
    if (frame === undefined || point.count === undefined) return changes;
    const view = new DataView(frame.bytes.buffer);
    for (let i = 0; i < point.count; i++) {
      const at = headerBytes + i * entryBytes;
      changes.set(view.getFloat64(at, true), frame.bytes.subarray(at + 8, at + entryBytes));
    }
    return changes;
  }

  baseOf(point: HistoryPoint): HistoryBase | undefined {
    const frame = readFrame(this.#file, point.position);
    if (frame === undefined || point.count !== undefined) return undefined;
    const root = frame.bytes.slice(headerBytes, headerBytes + nameBytes);
    const view = new DataView(frame.bytes.buffer);
    return { root, allocatedBlocks: view.getFloat64(headerBytes + nameBytes, true) };
  }

  /** Replaces the whole log by these frames; a crash leaves the old or the new one. */
  rewrite(frames: readonly Uint8Array[]): void {
    const fresh = `${this.#path}.new`;
    const file = this.#disk.open(fresh, { create: true });
    file.truncate(0);
    let end = 0;
    for (const frame of frames) {
      file.write([frame], end);
      end += frame.length;
    }
    file.sync();
    file.close();
    this.#disk.rename(fresh, this.#path);
    this.#disk.syncDirectory('history');
    this.#file.close();
    this.#file = this.#open();
  }

  remove(): void {
    this.#file.close();
    this.#disk.remove(this.#path);
    this.#disk.syncDirectory('history');
  }

  close(): void {
    this.#file.close();
  }

  #open(): DiskFile {
    const known = this.#disk.exists(this.#path);
    const file = this.#disk.open(this.#path, { create: true });
    if (!known) this.#disk.syncDirectory('history');
    this.points = [];
    this.#end = 0;
    for (;;) {
      const frame = readFrame(file, this.#end);
      if (frame === undefined) break;
      this.points.push(frame.point);
      this.#end += frame.bytes.length;
    }
    if (file.sizeBytes() > this.#end) file.truncate(this.#end);
    // Frames that a killed process left in the kernel's memory are relied on from here.
    file.sync();
    return file;
  }
}
