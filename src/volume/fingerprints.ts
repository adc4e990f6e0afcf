/**
 * An open-addressing table from names to two 32-bit values, in typed arrays (24 bytes a slot plus
 * one for the collector's mark). It keeps the first 128 bits of a name: enough that two names that
 * meet are the same name; the record's header, read with the data, holds all 256 bits.
 */
import { assert } from '../base/errors.ts';
import type { Name } from './types.ts';

const slotWords = 6;
const fullestRatio = 0.8;
const growth = 1.5;

function word(name: Name, at: number): number {
  const [a, b, c, d] = [name[at] ?? 0, name[at + 1] ?? 0, name[at + 2] ?? 0, name[at + 3] ?? 0];
  return (a | (b << 8) | (c << 16) | (d << 24)) >>> 0;
}

export class FingerprintTable {
  #slots: Uint32Array;
  #marks: Uint8Array;
  #capacity: number;
  #count = 0;
  /** Rises when slots move, so that a walk over slots knows to start again. */
  generation = 0;

  constructor(capacity = 1024) {
    this.#capacity = capacity;
    this.#slots = new Uint32Array(capacity * slotWords);
    this.#marks = new Uint8Array(capacity);
  }

  get size(): number {
    return this.#count;
  }

  get capacity(): number {
    return this.#capacity;
  }

  get memoryBytes(): number {
    return this.#slots.byteLength + this.#marks.byteLength;
  }

  /** The slot of a name, or -1. Valid until the next `set` or `removeSlot`. */
  find(name: Name): number {
    const w0 = word(name, 0);
    const w1 = word(name, 4);
    const w2 = word(name, 8);
    const w3 = word(name, 12);
    const slots = this.#slots;
    let slot = w0 % this.#capacity;
    for (;;) {
      const at = slot * slotWords;
      if (slots[at + 4] === 0) return -1;
      if (
        slots[at] === w0 &&
        slots[at + 1] === w1 &&
        slots[at + 2] === w2 &&
        slots[at + 3] === w3
      ) {
        return slot;
      }
      slot++;
      if (slot === this.#capacity) slot = 0;
    }
  }

  has(name: Name): boolean {
    return this.find(name) >= 0;
  }

  /** First value; 0 in an empty slot. */
  first(slot: number): number {
    return this.#slots[slot * slotWords + 4] ?? 0;
  }

  second(slot: number): number {
    return this.#slots[slot * slotWords + 5] ?? 0;
  }

  mark(slot: number): number {
    return this.#marks[slot] ?? 0;
  }

  setMark(slot: number, mark: number): void {
    this.#marks[slot] = mark;
  }

  clearMarks(): void {
    this.#marks.fill(0);
  }

  /** Inserts or replaces; `first` must not be 0. Returns the slot. */
  set(name: Name, first: number, second: number): number {
    assert(first !== 0, 'a slot with first value 0 would read as empty');
    const known = this.find(name);
    if (known >= 0) {
      this.#slots[known * slotWords + 4] = first;
      this.#slots[known * slotWords + 5] = second;
      return known;
    }
    if (this.#count + 1 > this.#capacity * fullestRatio) {
      this.#resize(Math.ceil(this.#capacity * growth));
    }
    const slot = this.#insert(word(name, 0), word(name, 4), word(name, 8), word(name, 12));
    this.#slots[slot * slotWords + 4] = first;
    this.#slots[slot * slotWords + 5] = second;
    this.#count++;
    return slot;
  }

  remove(name: Name): boolean {
    const slot = this.find(name);
    if (slot < 0) return false;
    this.removeSlot(slot);
    return true;
  }

  /** Removes and closes the gap: the slot may hold another name afterwards. */
  removeSlot(slot: number): void {
    const slots = this.#slots;
    let gap = slot;
    let next = slot;
    for (;;) {
      next++;
      if (next === this.#capacity) next = 0;
      const at = next * slotWords;
      if (slots[at + 4] === 0) break;
      const home = (slots[at] ?? 0) % this.#capacity;
      const reach = next >= home ? next - home : next + this.#capacity - home;
      const back = next >= gap ? next - gap : next + this.#capacity - gap;
      if (reach < back) continue;
      slots.copyWithin(gap * slotWords, at, at + slotWords);
      this.#marks[gap] = this.#marks[next] ?? 0;
      gap = next;
    }
    slots.fill(0, gap * slotWords, gap * slotWords + slotWords);
    this.#marks[gap] = 0;
    this.#count--;
  }

  /** All slots as they are, for the snapshot file. */
  raw(): { readonly slots: Uint32Array; readonly count: number } {
    return { slots: this.#slots, count: this.#count };
  }

  static fromRaw(slots: Uint32Array, count: number): FingerprintTable {
    const table = new FingerprintTable(1);
    table.#capacity = slots.length / slotWords;
    table.#slots = slots;
    table.#marks = new Uint8Array(table.#capacity);
    table.#count = count;
    return table;
  }

  #insert(w0: number, w1: number, w2: number, w3: number): number {
    const slots = this.#slots;
    let slot = w0 % this.#capacity;
    while (slots[slot * slotWords + 4] !== 0) {
      slot++;
      if (slot === this.#capacity) slot = 0;
    }
    slots.set([w0, w1, w2, w3], slot * slotWords);
    return slot;
  }

  #resize(capacity: number): void {
    const old = this.#slots;
    const oldMarks = this.#marks;
    const oldCapacity = this.#capacity;
    this.#capacity = capacity;
    this.#slots = new Uint32Array(capacity * slotWords);
    this.#marks = new Uint8Array(capacity);
    this.generation++;
    for (let slot = 0; slot < oldCapacity; slot++) {
      const at = slot * slotWords;
      if (old[at + 4] === 0) continue;
      const to = this.#insert(old[at] ?? 0, old[at + 1] ?? 0, old[at + 2] ?? 0, old[at + 3] ?? 0);
      this.#slots[to * slotWords + 4] = old[at + 4] ?? 0;
      this.#slots[to * slotWords + 5] = old[at + 5] ?? 0;
      this.#marks[to] = oldMarks[slot] ?? 0;
    }
  }
}
