/**
 * A layer: the writes of one stretch of time that are not yet in the tree. Sectors say where in the
 * journal their newest content lies; whole blocks of zeroes are ranges. Sectors win over the
 * layer's zeroes, the layer over everything below it.
 */
import { IntervalSet } from './intervals.ts';

const words = 5;
const multiplier = 0x9e3779b1;
const fullestRatio = 0.7;
/** In place of a journal position: the sector is all zeroes. No data ever lies at position 0. */
export const zeroPosition = 0;

/** Sector number to journal place; 20 bytes a slot. */
export class SectorTable {
  #slots = new Uint32Array(16 * words);
  #mask = 15;
  size = 0;

  #home(low: number, high: number): number {
    return (Math.imul(low ^ Math.imul(high, 0x85ebca6b), multiplier) >>> 7) & this.#mask;
  }

  /** Slot of a sector or -1; valid until the next change. */
  find(sector: number): number {
    const low = sector >>> 0;
    const high = Math.floor(sector / 2 ** 32) + 1;
    const slots = this.#slots;
    let slot = this.#home(low, high);
    for (;;) {
      const at = slot * words;
      const key = slots[at + 1];
      if (key === 0) return -1;
      if (slots[at] === low && key === high) return slot;
      slot = (slot + 1) & this.#mask;
    }
  }

  file(slot: number): number {
    return this.#slots[slot * words + 2] ?? 0;
  }

  /** In sectors from the start of the file, or `zeroPosition`. */
  position(slot: number): number {
    return this.#slots[slot * words + 3] ?? 0;
  }

  checksum(slot: number): number {
    return this.#slots[slot * words + 4] ?? 0;
  }

  set(sector: number, file: number, position: number, checksum: number): void {
    let slot = this.find(sector);
    if (slot < 0) {
      if (this.size + 1 > (this.#mask + 1) * fullestRatio) this.#grow();
      slot = this.#claim(sector >>> 0, Math.floor(sector / 2 ** 32) + 1);
      this.size++;
    }
    const at = slot * words;
    this.#slots[at + 2] = file;
    this.#slots[at + 3] = position;
    this.#slots[at + 4] = checksum;
  }

  remove(sector: number): void {
    const found = this.find(sector);
    if (found < 0) return;
    const slots = this.#slots;
    let gap = found;
    let next = found;
    for (;;) {
      next = (next + 1) & this.#mask;
      const at = next * words;
      if (slots[at + 1] === 0) break;
      const home = this.#home(slots[at] ?? 0, slots[at + 1] ?? 0);
      if (((next - home) & this.#mask) < ((next - gap) & this.#mask)) continue;
      slots.copyWithin(gap * words, at, at + words);
      gap = next;
    }
    slots.fill(0, gap * words, gap * words + words);
    this.size--;
  }

  /** Removes all sectors of a range, by whichever walk is shorter. */
  removeRange(first: number, count: number): void {
    if (this.size === 0) return;
    if (count <= this.size) {
      for (let sector = first; sector < first + count; sector++) this.remove(sector);
      return;
    }
    const doomed = [...this.sectors()].filter((s) => s >= first && s < first + count);
    for (const sector of doomed) this.remove(sector);
  }

  /** Blocks of a range with at least one sector here, in no order. */
  *blocksIn(first: number, end: number, sectorsPerBlock: number): Generator<number> {
    if ((end - first) * sectorsPerBlock > this.size) {
      for (const sector of this.sectors()) {
        const block = Math.floor(sector / sectorsPerBlock);
        if (block >= first && block < end) yield block;
      }
      return;
    }
    for (let sector = first * sectorsPerBlock; sector < end * sectorsPerBlock; sector++) {
      if (this.find(sector) >= 0) yield Math.floor(sector / sectorsPerBlock);
    }
  }

  *sectors(): Generator<number> {
    for (let slot = 0; slot <= this.#mask; slot++) {
      const high = this.#slots[slot * words + 1] ?? 0;
      if (high !== 0) yield (high - 1) * 2 ** 32 + (this.#slots[slot * words] ?? 0);
    }
  }

  #claim(low: number, high: number): number {
    let slot = this.#home(low, high);
    while (this.#slots[slot * words + 1] !== 0) slot = (slot + 1) & this.#mask;
    this.#slots[slot * words] = low;
    this.#slots[slot * words + 1] = high;
    return slot;
  }

  #grow(): void {
    const old = this.#slots;
    const oldCount = this.#mask + 1;
    this.#mask = oldCount * 2 - 1;
    this.#slots = new Uint32Array(oldCount * 2 * words);
    for (let slot = 0; slot < oldCount; slot++) {
      const at = slot * words;
      const high = old[at + 1] ?? 0;
      if (high === 0) continue;
      const to = this.#claim(old[at] ?? 0, high) * words;
      this.#slots[to + 2] = old[at + 2] ?? 0;
      this.#slots[to + 3] = old[at + 3] ?? 0;
      this.#slots[to + 4] = old[at + 4] ?? 0;
    }
  }
}

export class Layer {
  readonly sectors = new SectorTable();
  /** Whole blocks. */
  readonly zeroes = new IntervalSet();
  /** Frames with a lower sequence are not in this layer or above. */
  readonly fromSequence: number;
  /** Monotonic milliseconds of the first and the last write. */
  firstMs: number | undefined;
  lastMs = 0;
  readonly #sectorsPerBlock: number;

  constructor(fromSequence: number, sectorsPerBlock: number) {
    this.fromSequence = fromSequence;
    this.#sectorsPerBlock = sectorsPerBlock;
  }

  get isEmpty(): boolean {
    return this.sectors.size === 0 && this.zeroes.isEmpty;
  }

  touch(nowMs: number): void {
    this.firstMs ??= nowMs;
    this.lastMs = nowMs;
  }

  zeroBlocks(first: number, count: number): void {
    this.sectors.removeRange(first * this.#sectorsPerBlock, count * this.#sectorsPerBlock);
    this.zeroes.add(first, count);
  }

  zeroSectors(first: number, count: number): void {
    for (let i = first; i < first + count; i++) this.sectors.set(i, 1, zeroPosition, 0);
  }

  /** Blocks with at least one sector here, rising. */
  blocks(): number[] {
    const seen = new Set<number>();
    for (const sector of this.sectors.sectors()) {
      seen.add(Math.floor(sector / this.#sectorsPerBlock));
    }
    return [...seen].sort((a, b) => a - b);
  }

  /** Drops what lies at or behind a block: the volume shrank. */
  cut(blocks: number, blocksMax: number): void {
    const count = blocksMax - blocks;
    this.sectors.removeRange(blocks * this.#sectorsPerBlock, count * this.#sectorsPerBlock);
    this.zeroes.remove(blocks, count);
  }
}
