/**
 * The segments of a pool: where records are appended, found and dropped (docs/formats/segment.md).
 */
import { assert, fail } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Disk, DiskFile, Log } from '../base/ports.ts';
import {
  encodePlace,
  encodeRecordHeader,
  encodeSegmentHeader,
  kindCode,
  paddedBytes,
  recordHeaderBytes,
  segmentHeaderBytes,
  segmentHeaderProblem,
  type TrailerEntry,
} from './record.ts';
import { readRun } from './run.ts';
import { readTrailer, scanRecords, trailerParts } from './segment-scan.ts';
import type { StoredChunk } from './types.ts';

/** Open descriptors kept for reading. */
const openFilesMax = 256;

export interface Place {
  readonly segment: number;
  readonly place: number;
}

interface Segment {
  readonly number: number;
  bytes: number;
  /** Full: gets no more records, and its trailer once these are durable. */
  state: 'open' | 'full' | 'sealed';
  /** Length known to be durable. */
  trusted: number;
}

export interface OpenSegments {
  /** After a failed sync: the length of a segment that may be trusted. */
  readonly suspects: ReadonlyMap<number, number>;
  /** Sealed segments, with their lengths, whose records the caller knows already. */
  readonly known: ReadonlyMap<number, number>;
}

export type OnRecord = (entry: TrailerEntry, segment: number) => void;

function segmentPath(number: number): string {
  return `segments/${String(number).padStart(8, '0')}.seg`;
}

export interface SegmentStoreOptions {
  readonly disk: Disk;
  readonly poolId: Uint8Array;
  readonly log: Log;
  readonly segmentBytesMax?: number;
  /** A sync failed; called once. */
  readonly onFailure: (error: unknown) => void;
}

export class SegmentStore {
  readonly #disk: Disk;
  readonly #poolId: Uint8Array;
  readonly #log: Log;
  readonly #bytesMax: number;
  readonly #onFailure: (error: unknown) => void;
  readonly #segments = new Map<number, Segment>();
  readonly #files = new Map<number, DiskFile>();
  readonly #dirty = new Set<number>();
  /**
   * Reads under way: their descriptors must not be closed, or the number could mean another file.
   */
  readonly #readers = new Map<number, number>();
  #active: Segment | undefined;
  /** Of segments without a trailer. */
  readonly #entries = new Map<number, TrailerEntry[]>();
  #next = 1;
  #syncing: Promise<void> = Promise.resolve();
  #failed = false;
  totalBytes = 0;

  constructor(options: SegmentStoreOptions) {
    this.#disk = options.disk;
    this.#poolId = options.poolId;
    this.#log = options.log;
    this.#onFailure = options.onFailure;
    this.#bytesMax = options.segmentBytesMax ?? limits.segmentBytesMax;
  }

  get count(): number {
    return this.#segments.size;
  }

  /** Reads what is there and tells of every record, except those of `known` segments. */
  open(options: OpenSegments, onRecord: OnRecord): void {
    this.#disk.makeDirectory('segments');
    for (const name of this.#disk.list('segments')) {
      const number = Number(/^(\d{8})\.seg$/.exec(name)?.[1] ?? Number.NaN);
      if (!Number.isInteger(number)) continue;
      this.#next = Math.max(this.#next, number + 1);
      this.#openOne(number, options, onRecord);
    }
  }

  /**
   * Appends and returns where each chunk lies. Visible to readers at once, durable after a sync.
   */
  append(chunks: readonly StoredChunk[]): Place[] {
    const places: Place[] = [];
    let parts: Uint8Array[] = [];
    let fresh: TrailerEntry[] = [];
    let start = 0;
    let position = 0;
    for (const chunk of chunks) {
      const bytes = paddedBytes(chunk.bytes.length);
      let active = this.#active;
      if (active === undefined || active.bytes + (position - start) + bytes > this.#bytesMax) {
        this.#flushParts(parts, fresh, start, position);
        parts = [];
        fresh = [];
        active = this.#roll();
        start = position = active.bytes;
      } else if (parts.length === 0) {
        start = position = active.bytes;
      }
      const header = new Uint8Array(recordHeaderBytes);
      encodeRecordHeader(
        { ...chunk, kind: kindCode(chunk.kind), storedBytes: chunk.bytes.length },
        header,
      );
      parts.push(header, chunk.bytes);
      const pad = bytes - recordHeaderBytes - chunk.bytes.length;
      if (pad > 0) parts.push(new Uint8Array(pad));
      const place = encodePlace(position, chunk.bytes.length);
      fresh.push({ name: new Uint8Array(chunk.name), place, rawBytes: chunk.rawBytes });
      places.push({ segment: active.number, place });
      position += bytes;
    }
    this.#flushParts(parts, fresh, start, position);
    return places;
  }

  /**
   * The chunk at a place, or undefined when the record is not valid. Rejects with `DiskFailed` when
   * it cannot be read: that says nothing about what lies there.
   */
  async readLater({ segment, place }: Place): Promise<StoredChunk | undefined> {
    return (await this.readRunLater(segment, [place]))[0];
  }

  /** The same for several places of one segment, rising, with one read over all of them. */
  async readRunLater(
    segment: number,
    places: readonly number[],
  ): Promise<(StoredChunk | undefined)[]> {
    if (!this.#segments.has(segment)) return places.map(() => undefined);
    const readers = this.#readers.get(segment) ?? 0;
    this.#readers.set(segment, readers + 1);
    try {
      return await readRun(this.#file(segment), places);
    } finally {
      const left = (this.#readers.get(segment) ?? 1) - 1;
      if (left === 0) this.#readers.delete(segment);
      else this.#readers.set(segment, left);
    }
  }

  /** Makes durable everything appended before the call. A failure is final for this store. */
  syncLater(): Promise<void> {
    this.#syncing = this.#syncing.then(() => this.#syncDirty());
    return this.#syncing;
  }

  /** Lengths that may be trusted after a failed sync: the unsealed and the unsynced segments. */
  trustedLengths(): ReadonlyMap<number, number> {
    const lengths = new Map<number, number>();
    for (const segment of this.#segments.values()) {
      if (segment.trusted < segment.bytes) lengths.set(segment.number, segment.trusted);
    }
    return lengths;
  }

  all(): readonly number[] {
    return [...this.#segments.keys()];
  }

  /** All segments but the one being written. */
  sealed(): readonly { readonly number: number; readonly bytes: number }[] {
    return [...this.#segments.values()].filter((segment) => segment.state === 'sealed');
  }

  /** What lies in a sealed segment, in order; reads the trailer. */
  entriesOf(number: number): readonly TrailerEntry[] {
    const segment = this.#segments.get(number);
    if (segment === undefined) return [];
    const open = this.#entries.get(number);
    if (open !== undefined) return open;
    return (
      readTrailer(this.#file(number), segment.bytes) ?? scanRecords(this.#file(number)).entries
    );
  }

  /** The sealed segments and their lengths, as `known` for the next opening. */
  sealedLengths(): ReadonlyMap<number, number> {
    return new Map(this.sealed().map(({ number, bytes }) => [number, bytes]));
  }

  /** Whether exactly these lengths are on the disk. */
  matches(lengths: ReadonlyMap<number, number>): boolean {
    return [...lengths].every(([number, bytes]) => {
      const path = segmentPath(number);
      if (!this.#disk.exists(path)) return false;
      const file = this.#disk.open(path);
      const same = file.sizeBytes() === bytes;
      file.close();
      return same;
    });
  }

  /** Ends the segment being written when little in it lives; the next sync seals it. */
  retireActiveIfThin(live: (segment: number) => number, ratio: number): void {
    const active = this.#active;
    if (active !== undefined && live(active.number) <= active.bytes * ratio) this.#retireActive();
  }

  remove(number: number): void {
    const segment = this.#segments.get(number);
    if (segment === undefined) return;
    assert(segment.state === 'sealed', 'only sealed segments are removed');
    this.#segments.delete(number);
    this.#dirty.delete(number);
    this.totalBytes -= segment.bytes;
    // The descriptor stays open until it falls out of use: a reader may be in the middle.
    this.#disk.remove(segmentPath(number));
  }

  close(): void {
    for (const file of this.#files.values()) file.close();
    this.#files.clear();
  }

  #openOne(number: number, { suspects, known }: OpenSegments, onRecord: OnRecord): void {
    const file = this.#file(number);
    const suspect = suspects.get(number);
    if (known.has(number)) {
      const bytes = file.sizeBytes();
      this.#segments.set(number, { number, bytes, state: 'sealed', trusted: bytes });
      this.totalBytes += bytes;
      return;
    }
    const header = new Uint8Array(segmentHeaderBytes);
    const headerCount = file.read(header, 0);
    const problem = segmentHeaderProblem(header.subarray(0, headerCount), number, this.#poolId);
    if (problem !== undefined) {
      if (suspect === undefined && file.sizeBytes() > segmentHeaderBytes && headerCount > 0) {
        this.#log.log('error', 'a segment cannot be used', { segment: number, problem });
      }
      // Nothing durable refers into a segment whose header never became durable; a damaged one is
      // kept for `pool repair`, and its chunks are misses.
      file.close();
      this.#files.delete(number);
      return;
    }
    const size = file.sizeBytes();
    let entries = suspect === undefined ? readTrailer(file, size) : undefined;
    const state = entries === undefined ? 'open' : 'sealed';
    const segment: Segment = { number, bytes: size, state, trusted: size };
    if (entries === undefined) {
      const scan = scanRecords(file, suspect);
      entries = scan.entries;
      segment.bytes = segment.trusted = scan.end;
      if (scan.end < size) file.truncate(scan.end);
      file.sync();
    }
    this.#segments.set(number, segment);
    this.totalBytes += segment.bytes;
    for (const entry of entries) onRecord(entry, number);
    if (segment.state === 'open') this.#adopt(segment, entries);
  }

  /** An unsealed segment is written on; of several, all but the last are sealed. */
  #adopt(segment: Segment, entries: TrailerEntry[]): void {
    this.#retireActive();
    this.#active = segment;
    this.#entries.set(segment.number, entries);
  }

  #retireActive(): void {
    if (this.#active !== undefined) {
      this.#active.state = 'full';
      // Also one with nothing to sync: it is the next sync that seals it.
      this.#dirty.add(this.#active.number);
    }
    this.#active = undefined;
  }

  /** Only when the records are durable: a trailer promises that all of them are whole. */
  #seal(segment: Segment): void {
    this.#write(segment, trailerParts(this.#entries.get(segment.number) ?? [], segment.bytes));
    segment.state = 'sealed';
    this.#entries.delete(segment.number);
  }

  #roll(): Segment {
    this.#retireActive();
    const number = this.#next++;
    const file = this.#disk.open(segmentPath(number), { create: true });
    const header = encodeSegmentHeader(number, this.#poolId);
    try {
      file.write([header], 0);
    } catch (error) {
      // On a full disk this is tried again later: a segment without a header must not be used.
      file.close();
      this.#disk.remove(segmentPath(number));
      throw error;
    }
    this.#remember(number, file);
    const segment: Segment = { number, bytes: header.length, state: 'open', trusted: 0 };
    this.#segments.set(number, segment);
    this.totalBytes += header.length;
    this.#dirty.add(number);
    this.#active = segment;
    this.#entries.set(number, []);
    return segment;
  }

  #flushParts(
    parts: readonly Uint8Array[],
    fresh: readonly TrailerEntry[],
    start: number,
    end: number,
  ): void {
    if (parts.length === 0) return;
    const active = this.#active;
    assert(active !== undefined && active.bytes === start, 'records are appended in order');
    this.#write(active, parts);
    assert(active.bytes === end, 'records have the length they were given');
    // Only now: the trailer must never name a record whose write failed.
    this.#entries.get(active.number)?.push(...fresh);
  }

  #write(segment: Segment, parts: readonly Uint8Array[]): void {
    if (this.#failed) fail('DiskFailed', 'this pool stopped after a failed sync');
    let bytes = 0;
    for (const part of parts) bytes += part.length;
    this.#file(segment.number).write(parts, segment.bytes);
    segment.bytes += bytes;
    this.totalBytes += bytes;
    this.#dirty.add(segment.number);
  }

  async #syncDirty(): Promise<void> {
    if (this.#failed) fail('DiskFailed', 'this pool stopped after a failed sync');
    const batch = [...this.#dirty].map((number) => this.#segments.get(number));
    this.#dirty.clear();
    const fresh = batch.some((segment) => segment?.trusted === 0);
    try {
      if (fresh) this.#disk.syncDirectory('segments');
      for (const segment of batch) {
        if (segment === undefined || !this.#segments.has(segment.number)) continue;
        const bytes = segment.bytes;
        await this.#file(segment.number).syncLater();
        segment.trusted = bytes;
        if (segment.state === 'full' && segment.bytes === bytes) this.#seal(segment);
      }
    } catch (error) {
      this.#failed = true;
      this.#onFailure(error);
      throw error;
    }
  }

  #file(number: number): DiskFile {
    const known = this.#files.get(number);
    if (known !== undefined) {
      this.#files.delete(number);
      this.#files.set(number, known);
      return known;
    }
    const file = this.#disk.open(segmentPath(number));
    this.#remember(number, file);
    return file;
  }

  #remember(number: number, file: DiskFile): void {
    this.#files.set(number, file);
    if (this.#files.size <= openFilesMax) return;
    for (const [old, oldFile] of this.#files) {
      // A dirty file keeps its descriptor: through another one an fsync error could be lost.
      if (this.#dirty.has(old) || this.#readers.has(old) || old === number) continue;
      oldFile.close();
      this.#files.delete(old);
      return;
    }
  }
}
