/**
 * Space of a pool: read-only before anything breaks, writable again by itself (design.md 4.1.5).
 */
import { fail } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Disk } from '../base/ports.ts';
import type { Conditions } from './conditions.ts';

export interface SpaceOptions {
  readonly disk: Disk;
  readonly capacityBytes?: number;
  readonly reserveBytes?: number;
  readonly journalBytesMax?: number;
  /** Bytes of segments and journal. */
  readonly usedBytes: () => number;
  readonly journalBytes: () => number;
  readonly conditions: Conditions;
  /** The journal fills: settle now. */
  readonly pressure: () => void;
}

export class Space {
  readonly #o: SpaceOptions;
  readonly #reserve: number;
  readonly #journalMax: number;
  #waiters: (() => void)[] = [];
  #sinceLook = 0;
  readOnly = false;

  constructor(options: SpaceOptions) {
    this.#o = options;
    this.#reserve = options.reserveBytes ?? limits.reserveBytes;
    this.#journalMax = options.journalBytesMax ?? limits.journalBytesMax;
  }

  /** Half the journal is in use: checkpoints should not wait for quiet. */
  get isPressed(): boolean {
    return this.#o.journalBytes() > this.#journalMax / 2;
  }

  now(): { capacityBytes: number; allocatedBytes: number; freeBytes: number } {
    const disk = this.#o.disk.space();
    const allocatedBytes = this.#o.usedBytes();
    const capacityBytes = Math.min(
      this.#o.capacityBytes ?? Number.POSITIVE_INFINITY,
      disk.freeBytes + allocatedBytes,
    );
    const freeBytes = Math.max(0, capacityBytes - allocatedBytes - this.#reserve);
    return { capacityBytes, allocatedBytes, freeBytes };
  }

  /** Looks at the disk and turns read-only or back. */
  look(): void {
    const { capacityBytes, allocatedBytes } = this.now();
    const usable = Math.max(0, capacityBytes - this.#reserve);
    // What is in the journal may come to the segments as large as it is.
    const taken = allocatedBytes + this.#o.journalBytes();
    if (!this.readOnly && taken >= usable) this.#turn(true, taken, usable);
    else if (this.readOnly && taken < usable * limits.writableAgainRatio) {
      this.#turn(false, taken, usable);
    }
    if (this.#o.journalBytes() < this.#journalMax || this.readOnly) this.#wake();
  }

  checkWritable(): void {
    if (this.readOnly) fail('ReadOnly', 'the pool is full, its volumes are read-only');
  }

  /** Before a write: throws when read-only, waits while the journal is full. */
  admit(): undefined | Promise<void> {
    this.checkWritable();
    if (++this.#sinceLook >= 256) {
      this.#sinceLook = 0;
      this.look();
      this.checkWritable();
      if (this.isPressed) this.#o.pressure();
    }
    if (this.#o.journalBytes() < this.#journalMax) return undefined;
    this.#o.pressure();
    return new Promise<void>((resolve) => this.#waiters.push(resolve)).then(() => this.admit());
  }

  #turn(readOnly: boolean, taken: number, usable: number): void {
    this.readOnly = readOnly;
    this.#o.conditions.set({
      type: 'Writable',
      status: readOnly ? 'False' : 'True',
      reason: readOnly ? 'PoolFull' : 'SpaceReturned',
      message: `${taken} of ${usable} bytes are taken`,
    });
  }

  #wake(): void {
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const wake of waiters) wake();
  }
}
