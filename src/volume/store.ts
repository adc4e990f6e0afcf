/** Chunks of a pool by name: index over segments, deduplication, hot blocks, space. */
import { assert, fail } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Disk, Log } from '../base/ports.ts';
import { HotCache } from './cache.ts';
import { FingerprintTable } from './fingerprints.ts';
import { type IndexSnapshot, takeIndexSnapshot, writeIndexSnapshot } from './index-snapshot.ts';
import { isZeroName, nameHex, nameKey } from './name.ts';
import { decompressChunk } from './pack.ts';
import { placeSpan } from './record.ts';
import { runsOf } from './run.ts';
import { type Place, SegmentStore } from './segments.ts';
import type { ChunkKind, Name, PackedBlock, Packer, StoredChunk } from './types.ts';
import { createZstd, type Zstd } from './zstd.ts';

export const pageBytes = limits.pageNames * 32;
const pageCacheMax = limits.pageCacheEntries;
const rawClassBits = 3;

/**
 * Raw sizes are powers of two from 4 KiB, so that three bits beside the segment number say them.
 */
function rawClass(rawBytes: number): number {
  const log = Math.log2(rawBytes / limits.sectorBytes);
  assert(Number.isInteger(log) && log >= 0 && log < 8, `chunks have no size ${rawBytes}`);
  return log;
}

export interface StoreOptions {
  readonly disk: Disk;
  readonly poolId: Uint8Array;
  readonly log: Log;
  readonly packer: Packer;
  readonly cacheBytes: number;
  readonly segmentBytesMax?: number;
  readonly onFailure: (error: unknown) => void;
}

interface Wanted extends Place {
  /** Its position in what was asked for. */
  readonly at: number;
  readonly name: Name;
}

export class ChunkStore {
  readonly segments: SegmentStore;
  readonly packer: Packer;
  index = new FingerprintTable();
  readonly #disk: Disk;
  readonly #poolId: Uint8Array;
  readonly #log: Log;
  readonly #cacheBytes: number;
  readonly #caches = new Map<number, HotCache>();
  readonly #pages = new Map<string, Uint8Array>();
  readonly #reading = new Map<string, Promise<Uint8Array | undefined>>();
  readonly #live = new Map<number, number>();
  #zstd: Zstd | undefined;
  /** Content of all chunks before compression. */
  uniqueBytes = 0;
  /** The collector listens while it marks. */
  onTouched: ((name: Name) => void) | undefined;
  /** Called with the name of a chunk whose record failed its checksum. */
  onCorrupt: ((name: Name) => void) | undefined;

  constructor(options: StoreOptions) {
    this.#disk = options.disk;
    this.#poolId = options.poolId;
    this.#log = options.log;
    this.#cacheBytes = options.cacheBytes;
    this.packer = options.packer;
    this.segments = new SegmentStore(options);
  }

  open(suspects: ReadonlyMap<number, number>): void {
    const snapshot = takeIndexSnapshot(this.#disk, this.#poolId);
    const usable = snapshot !== undefined && suspects.size === 0;
    const known =
      usable && this.segments.matches(snapshot.segments) ? snapshot.segments : new Map();
    if (snapshot !== undefined && known.size > 0) this.#load(snapshot);
    this.segments.open({ suspects, known }, (entry, segment) => {
      this.#enter(entry.name, { segment, place: entry.place }, entry.rawBytes);
    });
  }

  /** For a quick next opening; everything must be durable, and nothing may change after it. */
  saveIndex(): void {
    const { slots, count } = this.index.raw();
    const segments = this.segments.sealedLengths();
    const snapshot = { slots, count, uniqueBytes: this.uniqueBytes, segments };
    writeIndexSnapshot(this.#disk, this.#poolId, snapshot);
  }

  close(): void {
    this.segments.close();
    for (const cache of this.#caches.values()) cache.close();
  }

  has(name: Name): boolean {
    return isZeroName(name) || this.index.has(name);
  }

  /** Like `has`, and the collector learns that somebody counts on it. */
  claim(name: Name): boolean {
    if (isZeroName(name)) return true;
    if (!this.index.has(name)) return false;
    this.onTouched?.(name);
    return true;
  }

  place(name: Name): Place | undefined {
    const slot = this.index.find(name);
    if (slot < 0) return undefined;
    const segment = this.index.first(slot) >>> rawClassBits;
    return { segment, place: this.index.second(slot) };
  }

  rawBytesOf(slot: number): number {
    return limits.sectorBytes << (this.index.first(slot) & 7);
  }

  /** Live bytes of a segment, to choose what to compact. */
  liveIn(segment: number): number {
    return this.#live.get(segment) ?? 0;
  }

  /** Stores chunks that are not here yet. Their names must have been verified. */
  add(chunks: readonly StoredChunk[]): number {
    const fresh: StoredChunk[] = [];
    const seen = new Set<string>();
    for (const chunk of chunks) {
      const key = nameKey(chunk.name);
      if (this.index.has(chunk.name) || seen.has(key)) continue;
      seen.add(key);
      fresh.push(chunk);
    }
    const places = this.segments.append(fresh);
    fresh.forEach((chunk, i) => {
      const place = places[i];
      assert(place !== undefined, 'a place for every chunk');
      this.#enter(chunk.name, place, chunk.rawBytes);
    });
    for (const chunk of chunks) this.onTouched?.(chunk.name);
    return fresh.length;
  }

  /**
   * Packs blocks and stores what is new; returns their names.
   * Between the answer and the caller's use of the names no turn of the loop passes.
   */
  async put(blocks: Uint8Array, blockBytes: number, kind: ChunkKind): Promise<Name[]> {
    return this.keep(await this.pack(blocks, blockBytes), { blocks, blockBytes, kind });
  }

  /** The first half of `put`: changes nothing. */
  pack(blocks: Uint8Array, blockBytes: number): Promise<readonly PackedBlock[]> {
    return this.packer.pack(blocks, blockBytes, (name) => this.index.has(name));
  }

  /** The second half of `put`, with what it was made of. */
  async keep(
    packed: readonly PackedBlock[],
    from: { readonly blocks: Uint8Array; readonly blockBytes: number; readonly kind: ChunkKind },
  ): Promise<Name[]> {
    const { blocks, blockBytes, kind } = from;
    const vanished = packed.some((one) => one.bytes === undefined && !this.has(one.name));
    // Collected between the packer's look and now: pack again, storing everything.
    const sure = vanished ? await this.packer.pack(blocks, blockBytes) : packed;
    return this.#store(sure, blockBytes, kind);
  }

  /** The uncompressed content, or undefined when it is not here or damaged (a miss). */
  content(name: Name): Promise<Uint8Array | undefined> {
    const key = nameKey(name);
    const running = this.#reading.get(key);
    if (running !== undefined) return running;
    const reading = this.#read(name).finally(() => this.#reading.delete(key));
    this.#reading.set(key, reading);
    return reading;
  }

  /**
   * The chunk, or undefined when it is not here or damaged. Rejects with `DiskFailed` when the disk
   * does not give it: then nobody knows, and nothing is forgotten.
   */
  async stored(name: Name): Promise<StoredChunk | undefined> {
    // A second look, because compaction may move the record while it is being read.
    for (let attempt = 0; attempt < 3; attempt++) {
      const place = this.place(name);
      if (place === undefined) return undefined;
      const chunk = await this.segments.readLater(place);
      if (chunk !== undefined && Buffer.compare(chunk.name, name) === 0) return chunk;
      const now = this.place(name);
      if (now?.segment === place.segment && now.place === place.place) break;
    }
    if (this.index.has(name)) {
      this.forget(name);
      this.onCorrupt?.(name);
    }
    return undefined;
  }

  /** Like `stored`, with one read for records that lie beside each other. */
  async storedMany(names: readonly Name[]): Promise<(StoredChunk | undefined)[]> {
    const wanted: Wanted[] = [];
    names.forEach((name, at) => {
      const place = this.place(name);
      if (place !== undefined) wanted.push({ at, name, ...place });
    });
    const found: (StoredChunk | undefined)[] = names.map(() => undefined);
    const read = async (run: readonly Wanted[]): Promise<void> => {
      const chunks = await this.#readRun(run);
      for (const [i, { at, name }] of run.entries()) {
        const chunk = chunks[i];
        const isIt = chunk !== undefined && Buffer.compare(chunk.name, name) === 0;
        // What moved or is damaged is looked at by itself.
        found[at] = isIt ? chunk : await this.storedOrNot(name);
      }
    };
    await Promise.all(runsOf(wanted).map(read));
    return found;
  }

  /** For those who can go on without it. */
  async storedOrNot(name: Name): Promise<StoredChunk | undefined> {
    try {
      return await this.stored(name);
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      this.#log.log('warn', 'a chunk could not be read', { name: nameHex(name), problem });
      return undefined;
    }
  }

  /** A page's names; cached in memory. Rejects as `stored` does. */
  async page(name: Name): Promise<Uint8Array | undefined> {
    const known = this.pageCached(name);
    if (known !== undefined) return known;
    const page = await this.content(name);
    if (page === undefined || page.length !== pageBytes) return undefined;
    this.rememberPage(name, page);
    return page;
  }

  pageCached(name: Name): Uint8Array | undefined {
    return this.#pages.get(nameKey(name));
  }

  rememberPage(name: Name, page: Uint8Array): void {
    const key = nameKey(name);
    this.#pages.delete(key);
    this.#pages.set(key, page);
    if (this.#pages.size <= pageCacheMax) return;
    for (const oldest of this.#pages.keys()) {
      this.#pages.delete(oldest);
      return;
    }
  }

  cache(blockBytes: number): HotCache {
    let cache = this.#caches.get(blockBytes);
    if (cache === undefined) {
      cache = new HotCache(this.#disk, blockBytes, this.#cacheBytes);
      this.#caches.set(blockBytes, cache);
    }
    return cache;
  }

  /** Drops a name: it was collected or is damaged. */
  forget(name: Name): void {
    const slot = this.index.find(name);
    if (slot >= 0) this.forgetSlot(slot);
  }

  forgetSlot(slot: number): void {
    const segment = this.index.first(slot) >>> rawClassBits;
    this.#account(segment, this.index.second(slot), -1);
    this.uniqueBytes -= this.rawBytesOf(slot);
    this.index.removeSlot(slot);
  }

  /** A record was copied to another place. */
  moved(name: Name, to: Place): void {
    const slot = this.index.find(name);
    assert(slot >= 0, 'only live records move');
    const word = this.index.first(slot);
    this.#account(word >>> rawClassBits, this.index.second(slot), -1);
    this.index.set(name, ((to.segment << rawClassBits) | (word & 7)) >>> 0, to.place);
    this.#account(to.segment, to.place, 1);
  }

  segmentGone(segment: number): void {
    this.#live.delete(segment);
  }

  #load(snapshot: IndexSnapshot): void {
    this.index = FingerprintTable.fromRaw(snapshot.slots, snapshot.count);
    this.uniqueBytes = snapshot.uniqueBytes;
    for (let slot = 0; slot < this.index.capacity; slot++) {
      const word = this.index.first(slot);
      if (word !== 0) this.#account(word >>> rawClassBits, this.index.second(slot), 1);
    }
  }

  #store(packed: readonly PackedBlock[], rawBytes: number, kind: ChunkKind): Name[] {
    const chunks: StoredChunk[] = [];
    for (const { name, codec, checksum, bytes } of packed) {
      if (bytes !== undefined) chunks.push({ name, kind, codec, rawBytes, checksum, bytes });
      else if (!this.claim(name)) fail('Internal', 'a known chunk vanished');
    }
    this.add(chunks);
    return packed.map((one) => one.name);
  }

  #enter(name: Name, place: Place, rawBytes: number): void {
    // A name found twice by a scan (a crash during compaction): the later record serves.
    const slot = this.index.find(name);
    if (slot >= 0) this.forgetSlot(slot);
    const word = ((place.segment << rawClassBits) | rawClass(rawBytes)) >>> 0;
    this.index.set(name, word, place.place);
    this.uniqueBytes += rawBytes;
    this.#account(place.segment, place.place, 1);
  }

  #account(segment: number, place: number, sign: number): void {
    const bytes = placeSpan(place) * sign;
    this.#live.set(segment, (this.#live.get(segment) ?? 0) + bytes);
  }

  async #readRun(run: readonly Wanted[]): Promise<readonly (StoredChunk | undefined)[]> {
    if (run.length === 1) return [undefined];
    try {
      const places = run.map(({ place }) => place);
      return await this.segments.readRunLater(run[0]?.segment ?? 0, places);
    } catch {
      // Read one by one, each says what is wrong with it.
      return [];
    }
  }

  async #read(name: Name): Promise<Uint8Array | undefined> {
    const chunk = await this.stored(name);
    if (chunk === undefined) return undefined;
    this.#zstd ??= createZstd();
    const content = decompressChunk(chunk, this.#zstd);
    // Its own memory: the next call would overwrite it, and a run is larger than a chunk.
    if (content !== undefined) return new Uint8Array(content);
    this.forget(name);
    this.onCorrupt?.(name);
    return undefined;
  }
}
