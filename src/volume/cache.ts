/**
 * Hot blocks, uncompressed, in a file that nobody else sees and that goes with the process. The
 * kernel's page cache keeps what is used, so the agent's own memory stays small. Checksums per
 * sector are in memory: what comes back damaged is a miss.
 */
import { crc32 } from 'node:zlib';
import { limits } from '../base/limits.ts';
import type { Disk, DiskFile } from '../base/ports.ts';
import { FingerprintTable } from './fingerprints.ts';
import type { Name } from './types.ts';

const sectorBytes = limits.sectorBytes;

export class HotCache {
  readonly #file: DiskFile;
  readonly #blockBytes: number;
  readonly #slots: number;
  readonly #table = new FingerprintTable();
  readonly #names: (Name | undefined)[] = [];
  readonly #used: Uint8Array;
  readonly #checksums: Uint32Array;
  readonly #perBlock: number;
  #hand = 0;
  #broken = false;

  constructor(disk: Disk, blockBytes: number, capacityBytes: number) {
    const path = `cache-${blockBytes}`;
    this.#file = disk.open(path, { create: true });
    this.#file.truncate(0);
    // The descriptor keeps the file; a crash leaves nothing behind.
    disk.remove(path);
    this.#blockBytes = blockBytes;
    this.#slots = Math.max(16, Math.floor(capacityBytes / blockBytes));
    this.#perBlock = blockBytes / sectorBytes;
    this.#used = new Uint8Array(this.#slots);
    this.#checksums = new Uint32Array(this.#slots * this.#perBlock);
  }

  has(name: Name): boolean {
    return this.#table.has(name);
  }

  /** Fills `into` with whole sectors of a block from `firstSector`; false when it is not here. */
  read(name: Name, firstSector: number, into: Uint8Array): boolean {
    const found = this.#table.find(name);
    if (found < 0) return false;
    const slot = this.#table.first(found) - 1;
    const count = this.#file.read(into, slot * this.#blockBytes + firstSector * sectorBytes);
    if (count < into.length) return this.#forget(name, slot);
    let sum = slot * this.#perBlock + firstSector;
    for (let at = 0; at < into.length; at += sectorBytes) {
      const sector = into.length === sectorBytes ? into : into.subarray(at, at + sectorBytes);
      if (crc32(sector) !== this.#checksums[sum++]) return this.#forget(name, slot);
    }
    this.#used[slot] = 1;
    return true;
  }

  put(name: Name, content: Uint8Array): void {
    if (this.#broken || this.#table.has(name)) return;
    const slot = this.#claim();
    try {
      this.#file.write([content], slot * this.#blockBytes);
    } catch {
      // No space for a cache is no failure; it starts again when the pool is opened.
      this.#broken = true;
      return;
    }
    for (let i = 0; i < this.#perBlock; i++) {
      const sector = content.subarray(i * sectorBytes, (i + 1) * sectorBytes);
      this.#checksums[slot * this.#perBlock + i] = crc32(sector);
    }
    const own = new Uint8Array(name);
    this.#names[slot] = own;
    this.#table.set(own, slot + 1, 0);
  }

  close(): void {
    this.#file.close();
  }

  #forget(name: Name, slot: number): boolean {
    this.#table.remove(name);
    this.#names[slot] = undefined;
    return false;
  }

  /** The next slot whose block was not used since the hand last passed (second chance). */
  #claim(): number {
    if (this.#names.length < this.#slots) return this.#names.push(undefined) - 1;
    while (this.#used[this.#hand] === 1) {
      this.#used[this.#hand] = 0;
      this.#hand = (this.#hand + 1) % this.#slots;
    }
    const slot = this.#hand;
    this.#hand = (this.#hand + 1) % this.#slots;
    const old = this.#names[slot];
    if (old !== undefined) this.#table.remove(old);
    this.#names[slot] = undefined;
    return slot;
  }
}
