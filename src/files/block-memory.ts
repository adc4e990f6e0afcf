/** A link, a device and content in memory, for tests. */
import { createHash } from 'node:crypto';
import { assert, TransshipError } from '../base/errors.ts';
import type { BlockLink, RawDevice } from './block-ports.ts';

const bufferBytes = 256 * 1024;

export interface MemoryBlockLinks {
  readonly ends: readonly [BlockLink, BlockLink];
  /** That each end sent. */
  readonly sentBytes: readonly [number, number];
}

/** The link is lost, in the middle of whatever it is, after `cutAfterBytes` of the first end. */
export function createMemoryBlockLinks(cutAfterBytes = Infinity): MemoryBlockLinks {
  const first = new MemoryEnd(cutAfterBytes);
  const second = new MemoryEnd(Infinity);
  first.other = second;
  second.other = first;
  return {
    ends: [first, second],
    get sentBytes() {
      return [first.sentBytes, second.sentBytes] as const;
    },
  };
}

class MemoryEnd implements BlockLink {
  readonly #cutAfterBytes: number;
  #other: MemoryEnd | undefined;
  #arrived: Uint8Array[] = [];
  #arrivedBytes = 0;
  #isOver = false;
  #isClosed = false;
  #wake: (() => void)[] = [];
  sentBytes = 0;

  constructor(cutAfterBytes: number) {
    this.#cutAfterBytes = cutAfterBytes;
  }

  set other(end: MemoryEnd) {
    this.#other = end;
  }

  async receive(): Promise<Uint8Array | undefined> {
    while (this.#arrived.length === 0 && !this.#isOver && !this.#isClosed) await this.#changed();
    if (this.#isClosed) throw closed();
    const bytes = this.#arrived.shift();
    if (bytes !== undefined) this.#arrivedBytes -= bytes.length;
    this.#other!.#rouse();
    return bytes;
  }

  async send(parts: readonly Uint8Array[], onGone?: () => void): Promise<void> {
    if (this.#isClosed) throw closed();
    const bytes = Uint8Array.from(Buffer.concat(parts));
    onGone?.();
    const through = bytes.subarray(0, Math.max(0, this.#cutAfterBytes - this.sentBytes));
    this.sentBytes += through.length;
    const other = this.#other!;
    if (through.length > 0 && !other.#isClosed) {
      other.#arrived.push(through);
      other.#arrivedBytes += through.length;
      other.#rouse();
    }
    if (through.length < bytes.length) this.close();
    while (other.#arrivedBytes > bufferBytes && !this.#isClosed) {
      if (other.#isClosed) throw closed();
      await this.#changed();
    }
    if (this.#isClosed) throw closed();
  }

  close(): void {
    this.#isClosed = true;
    this.#other!.#isOver = true;
    this.#rouse();
    this.#other!.#rouse();
  }

  #changed(): Promise<void> {
    return new Promise((resolve) => this.#wake.push(resolve));
  }

  #rouse(): void {
    const waiting = this.#wake;
    this.#wake = [];
    for (const wake of waiting) wake();
  }
}

function closed(): TransshipError {
  return new TransshipError('SourceUnreachable', 'the link is closed');
}

export interface MemoryRawDevice extends RawDevice {
  readonly bytes: Uint8Array;
  /** Bytes given to `write` and `zero`. */
  readonly writtenBytes: number;
  readonly flushes: number;
}

export function createMemoryRawDevice(bytes: Uint8Array): MemoryRawDevice {
  let writtenBytes = 0;
  let flushes = 0;
  const within = (position: number, length: number) => {
    assert(position >= 0 && position + length <= bytes.length, 'inside the device');
  };
  return {
    bytes,
    sizeBytes: bytes.length,
    get writtenBytes() {
      return writtenBytes;
    },
    get flushes() {
      return flushes;
    },
    read: async (into, position) => {
      within(position, into.length);
      into.set(bytes.subarray(position, position + into.length));
    },
    write: async (from, position) => {
      within(position, from.length);
      writtenBytes += from.length;
      bytes.set(from, position);
    },
    zero: async (position, lengthBytes) => {
      within(position, lengthBytes);
      writtenBytes += lengthBytes;
      bytes.fill(0, position, position + lengthBytes);
    },
    flush: async () => {
      flushes++;
    },
  };
}

/** Bytes that do not compress, always the same of one seed. */
export function blockNoise(bytes: number, seed = ''): Buffer {
  return createHash('shake256', { outputLength: bytes }).update(`${seed} ${bytes}`).digest();
}
