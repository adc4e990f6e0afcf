// A client that knows what every cell of a volume may hold: what the last flush made durable, or
// anything it sent later. Cells are smaller than sectors; writes begin and end anywhere on them.
import { createRng, type Rng } from '../sim/rng.ts';
import type { NbdClient } from '../../src/nbd/client.ts';

const cellBytes = 512;
const cellsMax = 96;

interface Cell {
  /** Number of the write that the last acknowledged flush covered; 0 for none. */
  durable: number;
  /** Numbers of writes sent since: answered, refused or still open. */
  later: number[];
  /** The last that was answered well. */
  answered: number;
}

export class Ledger {
  readonly #rng: Rng;
  readonly #cells: Cell[];
  readonly #busy = new Set<number>();
  #number = 0;
  writes = 0;
  flushes = 0;

  constructor(seed: number, sizeBytes: number) {
    this.#rng = createRng(seed);
    const count = Math.floor(sizeBytes / cellBytes);
    this.#cells = Array.from({ length: count }, () => ({ durable: 0, later: [], answered: 0 }));
  }

  /** Writes and flushes, several at once, until the connection breaks or `stop` says so. */
  async work(client: NbdClient, stop: () => boolean, concurrency = 8): Promise<void> {
    const workers = Array.from({ length: concurrency }, () => this.#worker(client, stop));
    await Promise.all(workers);
  }

  /**
   * Every cell holds what it may. Afterwards what it holds is what it must. With `answered`, what
   * was answered is there even without a flush: only processes died, no machine.
   */
  async check(client: NbdClient, options: { readonly answered?: boolean } = {}): Promise<void> {
    const content = Buffer.alloc(this.#cells.length * cellBytes);
    const pieceBytes = 1024 * 1024;
    for (let at = 0; at < content.length; at += pieceBytes) {
      await client.read(content.subarray(at, at + pieceBytes), at);
    }
    this.#cells.forEach((cell, index) => {
      const bytes = content.subarray(index * cellBytes, (index + 1) * cellBytes);
      const found = bytes.readUInt32LE(0);
      const all = [cell.durable, ...cell.later];
      const isKept = (number: number) => options.answered !== true || number >= cell.answered;
      const allowed = all.filter(isKept);
      if (!allowed.includes(found)) {
        throw new Error(`cell ${index} holds write ${found}, not one of ${allowed.join(', ')}`);
      }
      if (!bytes.equals(contentOf(index, found))) throw new Error(`cell ${index} is torn`);
      cell.durable = found;
      cell.answered = found;
      cell.later = [];
    });
  }

  async #worker(client: NbdClient, stop: () => boolean): Promise<void> {
    try {
      while (!stop()) {
        if (this.#rng.chance(0.1)) await this.#flush(client);
        else await this.#write(client);
      }
    } catch {
      // The agent is gone: what was not answered may be there or not.
    }
  }

  async #flush(client: NbdClient): Promise<void> {
    // Only what was answered before the flush was sent counts.
    const marks: [Cell, number][] = [];
    for (const cell of this.#cells) {
      if (cell.answered > cell.durable) marks.push([cell, cell.answered]);
    }
    await client.flush();
    for (const [cell, number] of marks) {
      cell.later = cell.later.filter((one) => one > number);
      cell.durable = Math.max(cell.durable, number);
    }
    this.flushes += 1;
  }

  async #write(client: NbdClient): Promise<void> {
    const count = this.#rng.between(1, this.#rng.pick([1, 8, 17, cellsMax]));
    const first = this.#rng.below(this.#cells.length - count);
    const cells = Array.from({ length: count }, (_, i) => first + i);
    if (cells.some((index) => this.#busy.has(index))) {
      await client.read(Buffer.alloc(cellBytes), first * cellBytes);
      return;
    }
    this.#number += 1;
    const number = this.#number;
    for (const index of cells) {
      this.#busy.add(index);
      this.#cells[index]!.later.push(number);
    }
    const content = Buffer.concat(cells.map((index) => contentOf(index, number)));
    try {
      await client.write(content, first * cellBytes);
      this.writes += 1;
      for (const index of cells) this.#cells[index]!.answered = number;
    } finally {
      for (const index of cells) this.#busy.delete(index);
    }
  }
}

/** Of a cell after the write of this number; zeroes before any. */
function contentOf(index: number, number: number): Buffer {
  const bytes = Buffer.alloc(cellBytes);
  if (number === 0) return bytes;
  let word = Math.imul(number, 0x9e3779b1) ^ index;
  for (let at = 8; at < cellBytes; at += 4) {
    word = Math.imul(word ^ (word >>> 15), 0x85ebca6b);
    bytes.writeInt32LE(word, at);
  }
  bytes.writeUInt32LE(number, 0);
  bytes.writeUInt32LE(index, 4);
  return bytes;
}
