/**
 * The head of a volume: what it contains now. Newest first: the active layer, frozen layers being
 * settled, names not yet in the tree, zeroed ranges not yet in the tree, the tree
 * (docs/ARCHITECTURE.md).
 */
import { crc32 } from 'node:zlib';
import { fail } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { HotCache } from './cache.ts';
import { IntervalSet } from './intervals.ts';
import { entrySectorsMax, type Journal, sectorChecksums } from './journal.ts';
import { Layer, zeroPosition } from './layer.ts';
import { isZeroName, nameKey, zeroName } from './name.ts';
import { emptyPlan, kindBase, kindJournal, kindZero, type Plan } from './plan.ts';
import type { Mark, SectorRecord } from './replica-types.ts';
import type { ChunkStore } from './store.ts';
import { lookupNow, type TreeRoot } from './tree.ts';
import type { Name } from './types.ts';

const sectorBytes = limits.sectorBytes;

/** Pages and blocks that a slow read has in hand, by name. */
export type Loaded = Map<string, Uint8Array>;

export interface HeadOptions {
  readonly number: number;
  readonly blockBytes: number;
  readonly journal: Journal;
  readonly store: ChunkStore;
  readonly nowMs: () => number;
}

export class Head {
  readonly number: number;
  readonly blockBytes: number;
  readonly sectorsPerBlock: number;
  readonly journal: Journal;
  readonly store: ChunkStore;
  readonly #nowMs: () => number;
  readonly #plan: Plan;
  readonly #cache: HotCache;
  active: Layer;
  /** Newest first; settled from the end. */
  frozen: Layer[] = [];
  names = new Map<number, Name>();
  zeroes = new IntervalSet();
  /** Where the frames of `names` and `zeroes` begin. */
  namesFrom = Number.POSITIVE_INFINITY;
  tree: TreeRoot;
  /** The last write that is here; undefined unless the volume is replicated. */
  mark: Mark | undefined;
  /** The mark before the first write of the active layer. */
  #activeFrom: Mark | undefined;
  #applying = false;

  constructor(options: HeadOptions, tree: TreeRoot) {
    this.number = options.number;
    this.blockBytes = options.blockBytes;
    this.sectorsPerBlock = options.blockBytes / sectorBytes;
    this.journal = options.journal;
    this.store = options.store;
    this.#nowMs = options.nowMs;
    this.#cache = options.store.cache(options.blockBytes);
    this.active = new Layer(Number.POSITIVE_INFINITY, this.sectorsPerBlock);
    this.tree = tree;
    this.#plan = emptyPlan(this.sectorsPerBlock);
  }

  get isSettled(): boolean {
    return this.active.isEmpty && this.frozen.length === 0 && this.isRooted;
  }

  /** Nothing waits for a tree update. */
  get isRooted(): boolean {
    return this.names.size === 0 && this.zeroes.isEmpty;
  }

  /** The lowest sequence that a replay would need. */
  get pinSequence(): number {
    let pin = this.namesFrom;
    for (const layer of [this.active, ...this.frozen]) {
      if (!layer.isEmpty) pin = Math.min(pin, layer.fromSequence);
    }
    return pin;
  }

  get unsettledSectors(): number {
    return this.frozen.reduce((sum, layer) => sum + layer.sectors.size, this.active.sectors.size);
  }

  /** Writes from now on are in a new layer. */
  freeze(): void {
    if (this.active.isEmpty) return;
    this.frozen.unshift(this.active);
    this.active = new Layer(this.journal.nextSequence, this.sectorsPerBlock);
  }

  /** Of a root that takes everything but the active layer. */
  get settledMark(): Mark | undefined {
    return this.active.isEmpty ? this.mark : this.#activeFrom;
  }

  /** Whole sectors and zeroes that one leader numbered, and the mark behind them, as one. */
  apply(records: readonly SectorRecord[], mark: Mark): void {
    this.#applying = true;
    this.journal.cork();
    try {
      for (const { firstSector, sectors, data } of records) {
        if (data === undefined) this.zero(firstSector, sectors);
        else this.write(firstSector, data);
      }
      this.setMark(mark);
    } finally {
      this.#applying = false;
      this.journal.uncork();
    }
  }

  setMark(mark: Mark): void {
    this.mark = mark;
    this.journal.appendMark(this.number, mark);
  }

  /** After a replay: entries without a mark stay in the journal's files and must never count. */
  dropUnmarked(): void {
    if (this.mark !== undefined) this.journal.appendMark(this.number, this.mark, 'drop');
  }

  /** Forgets everything but a tree: the volume was restored to it. */
  reset(tree: TreeRoot): void {
    this.active = new Layer(this.journal.nextSequence, this.sectorsPerBlock);
    this.frozen = [];
    this.names.clear();
    this.zeroes.clear();
    this.namesFrom = Number.POSITIVE_INFINITY;
    this.tree = tree;
  }

  /** Whole sectors; visible at once. Room in the journal was checked before. */
  write(firstSector: number, data: Uint8Array): void {
    const layer = this.#touch();
    for (let at = 0; at < data.length; at += entrySectorsMax * sectorBytes) {
      const part = data.subarray(at, at + entrySectorsMax * sectorBytes);
      const checksums = sectorChecksums(part);
      const sector = firstSector + at / sectorBytes;
      const position = this.journal.append(this.number, sector, part, checksums);
      const file = this.journal.currentFile;
      for (let i = 0; i < checksums.length; i++) {
        layer.sectors.set(sector + i, file, position + i, checksums[i] ?? 0);
      }
    }
    this.#markAgain();
  }

  /** Whole sectors become zeroes. */
  zero(firstSector: number, sectors: number): void {
    this.#touch();
    this.journal.appendZero(this.number, firstSector, sectors);
    this.applyZero(firstSector, sectors);
    this.#markAgain();
  }

  /** What no leader numbered (moved within the journal, cut off behind the end) changes no mark. */
  #markAgain(): void {
    if (this.mark !== undefined && !this.#applying) this.setMark(this.mark);
  }

  /** The effect of `zero` without the journal; also used by replay. */
  applyZero(firstSector: number, sectors: number): void {
    const layer = this.active;
    const per = this.sectorsPerBlock;
    const end = firstSector + sectors;
    const firstBlock = Math.ceil(firstSector / per);
    const endBlock = Math.floor(end / per);
    if (endBlock <= firstBlock) {
      layer.zeroSectors(firstSector, sectors);
      return;
    }
    layer.zeroSectors(firstSector, firstBlock * per - firstSector);
    layer.zeroBlocks(firstBlock, endBlock - firstBlock);
    layer.zeroSectors(endBlock * per, end - endBlock * per);
  }

  /** Replay: the active layer starts where its first frame is. */
  replayLayer(sequence: number): Layer {
    if (this.active.isEmpty) {
      this.active = new Layer(sequence, this.sectorsPerBlock);
      this.#activeFrom = this.mark;
    }
    this.active.touch(this.#nowMs());
    return this.active;
  }

  /**
   * Fills `into` with the content at a byte offset. Returns the blocks whose content is not at
   * hand; then `into` is not complete.
   */
  fill(into: Uint8Array, offset: number, loaded?: Loaded): number[] {
    const missing: number[] = [];
    const { blockBytes } = this;
    for (let done = 0; done < into.length; ) {
      const block = Math.floor((offset + done) / blockBytes);
      const from = offset + done - block * blockBytes;
      const count = Math.min(blockBytes - from, into.length - done);
      const whole = done === 0 && count === into.length;
      const part = whole ? into : into.subarray(done, done + count);
      if (!this.#fillPart(block, from, part, loaded)) missing.push(block);
      done += count;
    }
    return missing;
  }

  /**
   * Without waiting: the name of what lies under all layers, or undefined when a page is absent.
   */
  baseName(block: number, loaded?: Loaded): Name | undefined {
    const name = this.names.get(block);
    if (name !== undefined) return name;
    if (!this.zeroes.isEmpty && this.zeroes.has(block)) return zeroName;
    const { root, depth } = this.tree;
    return lookupNow(root, depth, block, (page) => {
      return this.store.pageCached(page) ?? loaded?.get(nameKey(page));
    });
  }

  /** Blocks of a range that are data above the tree, rising. */
  dataBlocks(first: number, end: number): number[] {
    const found = new Set<number>();
    for (const { sectors } of [this.active, ...this.frozen]) {
      for (const block of sectors.blocksIn(first, end, this.sectorsPerBlock)) found.add(block);
    }
    for (const [block, name] of this.names) {
      if (block >= first && block < end && !isZeroName(name)) found.add(block);
    }
    return [...found].sort((a, b) => a - b);
  }

  /** For a block that is no data above the tree: where the zeroes over it end; else the block. */
  zeroUntil(block: number): number {
    for (const { zeroes } of [this.active, ...this.frozen, this]) {
      if (zeroes.has(block)) return zeroes.boundAfter(block);
    }
    return this.names.has(block) ? block + 1 : block;
  }

  /** Overwrites a block's base with the sectors of one layer. */
  compose(layer: Layer, block: number, into: Uint8Array): void {
    const plan = this.#plan;
    const first = block * this.sectorsPerBlock;
    for (let i = 0; i < this.sectorsPerBlock; i++) {
      plan.kind[i] = kindBase;
      this.#planSector(layer, first + i, i);
    }
    this.#fromPlan(0, this.sectorsPerBlock, into);
  }

  /** Content of a sector that a layer holds; undefined for zeroes. */
  sectorOf(layer: Layer, sector: number): Uint8Array | undefined {
    if (!this.#planSector(layer, sector, 0) || this.#plan.kind[0] === kindZero) return undefined;
    const into = new Uint8Array(sectorBytes);
    this.#fromPlan(0, 1, into);
    return into;
  }

  /** How many sectors of a block a layer holds. */
  sectorsIn(layer: Layer, block: number): number {
    const first = block * this.sectorsPerBlock;
    let count = 0;
    for (let i = 0; i < this.sectorsPerBlock; i++) {
      if (layer.sectors.find(first + i) >= 0) count++;
    }
    return count;
  }

  #touch(): Layer {
    if (this.active.isEmpty) {
      this.active = new Layer(this.journal.nextSequence, this.sectorsPerBlock);
      this.#activeFrom = this.mark;
    }
    this.active.touch(this.#nowMs());
    return this.active;
  }

  #fillPart(block: number, from: number, part: Uint8Array, loaded?: Loaded): boolean {
    if (from % sectorBytes === 0 && part.length % sectorBytes === 0) {
      return this.#fillSectors(block, from / sectorBytes, part, loaded);
    }
    const first = Math.floor(from / sectorBytes);
    const end = Math.ceil((from + part.length) / sectorBytes);
    const whole = new Uint8Array((end - first) * sectorBytes);
    if (!this.#fillSectors(block, first, whole, loaded)) return false;
    const skip = from - first * sectorBytes;
    part.set(whole.subarray(skip, skip + part.length));
    return true;
  }

  #fillSectors(block: number, first: number, part: Uint8Array, loaded?: Loaded): boolean {
    if (this.frozen.length === 0 && this.active.isEmpty) {
      return this.#fillBase(block, first, part, loaded);
    }
    const count = part.length / sectorBytes;
    const plan = this.#plan;
    let based = 0;
    for (let i = 0; i < count; i++) {
      plan.kind[i] = kindBase;
      const sector = block * this.sectorsPerBlock + first + i;
      if (this.#planSector(this.active, sector, i)) continue;
      if (this.active.zeroes.has(block)) plan.kind[i] = kindZero;
      else if (!this.#planFrozen(block, sector, i)) based++;
    }
    if (based > 0 && !this.#fillBase(block, first, part, loaded)) return false;
    this.#fromPlan(0, count, part);
    return true;
  }

  #planFrozen(block: number, sector: number, at: number): boolean {
    for (const layer of this.frozen) {
      if (this.#planSector(layer, sector, at)) return true;
      if (layer.zeroes.has(block)) {
        this.#plan.kind[at] = kindZero;
        return true;
      }
    }
    return false;
  }

  #planSector(layer: Layer, sector: number, at: number): boolean {
    const { sectors } = layer;
    if (sectors.size === 0) return false;
    const slot = sectors.find(sector);
    if (slot < 0) return false;
    const position = sectors.position(slot);
    const plan = this.#plan;
    plan.kind[at] = position === zeroPosition ? kindZero : kindJournal;
    plan.file[at] = sectors.file(slot);
    plan.position[at] = position;
    plan.checksum[at] = sectors.checksum(slot);
    return true;
  }

  /**
   * Carries out the plan for sectors that are not the base's; neighbours in the journal at once.
   */
  #fromPlan(start: number, count: number, into: Uint8Array): void {
    const { kind, file, position, checksum } = this.#plan;
    for (let i = start; i < count; ) {
      if (kind[i] === kindBase) {
        i++;
        continue;
      }
      if (kind[i] === kindZero) {
        into.fill(0, i * sectorBytes, (i + 1) * sectorBytes);
        i++;
        continue;
      }
      let end = i + 1;
      while (
        end < count &&
        kind[end] === kindJournal &&
        file[end] === file[i] &&
        position[end] === (position[i] ?? 0) + (end - i)
      ) {
        end++;
      }
      const run = into.subarray(i * sectorBytes, end * sectorBytes);
      this.journal.read(run, file[i] ?? 0, position[i] ?? 0);
      for (; i < end; i++) {
        const sector = into.subarray(i * sectorBytes, (i + 1) * sectorBytes);
        if (crc32(sector) !== checksum[i]) {
          fail('DataCorrupt', 'a sector of the journal fails its checksum');
        }
      }
    }
  }

  #fillBase(block: number, first: number, part: Uint8Array, loaded?: Loaded): boolean {
    const name = this.baseName(block, loaded);
    if (name === undefined) return false;
    if (isZeroName(name)) {
      part.fill(0);
      return true;
    }
    if (this.#cache.read(name, first, part)) return true;
    const content = loaded?.get(nameKey(name));
    if (content === undefined) return false;
    const from = first * sectorBytes;
    part.set(content.subarray(from, from + part.length));
    return true;
  }
}
