/** A block device in memory: for tests, and the bench's yardstick of the protocol alone. */
import { TransshipError } from '../base/errors.ts';
import { type BlockDevice, type Extent } from '../base/ports.ts';

export class MemoryDevice implements BlockDevice {
  readonly sizeBytes: number;
  readonly blockSizeBytes: number;
  readOnly: boolean;
  readonly bytes: Uint8Array;
  /** One per block: 1 when something was written there. */
  readonly #written: Uint8Array;
  flushes = 0;
  corks = 0;
  #corked = false;

  constructor(options: {
    readonly sizeBytes: number;
    readonly blockSizeBytes?: number;
    readonly readOnly?: boolean;
  }) {
    this.sizeBytes = options.sizeBytes;
    this.blockSizeBytes = options.blockSizeBytes ?? 65536;
    this.readOnly = options.readOnly ?? false;
    this.bytes = new Uint8Array(options.sizeBytes);
    this.#written = new Uint8Array(Math.ceil(options.sizeBytes / this.blockSizeBytes));
  }

  read(into: Uint8Array, offset: number): undefined | Promise<void> {
    into.set(this.bytes.subarray(offset, offset + into.length));
    return undefined;
  }

  write(from: Uint8Array, offset: number): undefined | Promise<void> {
    this.#refuseReadOnly();
    this.bytes.set(from, offset);
    const last = Math.floor((offset + from.length - 1) / this.blockSizeBytes);
    for (let block = Math.floor(offset / this.blockSizeBytes); block <= last; block += 1) {
      this.#written[block] = 1;
    }
    return undefined;
  }

  writeZeroes(offset: number, lengthBytes: number): undefined | Promise<void> {
    this.#refuseReadOnly();
    this.bytes.fill(0, offset, offset + lengthBytes);
    const first = Math.ceil(offset / this.blockSizeBytes);
    const end = Math.floor((offset + lengthBytes) / this.blockSizeBytes);
    if (end > first) this.#written.fill(0, first, end);
    return undefined;
  }

  flush(): Promise<void> {
    this.flushes += 1;
    return Promise.resolve();
  }

  prefetch(): Promise<void> {
    return Promise.resolve();
  }

  extents(offset: number, lengthBytes: number): Promise<readonly Extent[]> {
    const extents: { lengthBytes: number; hole: boolean }[] = [];
    let at = offset;
    while (at < offset + lengthBytes) {
      const block = Math.floor(at / this.blockSizeBytes);
      const end = Math.min((block + 1) * this.blockSizeBytes, offset + lengthBytes);
      const hole = this.#written[block] === 0;
      const last = extents.at(-1);
      if (last?.hole === hole) last.lengthBytes += end - at;
      else extents.push({ lengthBytes: end - at, hole });
      at = end;
    }
    return Promise.resolve(extents);
  }

  cork(): void {
    if (this.#corked) throw new Error('corked twice');
    this.#corked = true;
    this.corks += 1;
  }

  uncork(): void {
    if (!this.#corked) throw new Error('not corked');
    this.#corked = false;
  }

  #refuseReadOnly(): void {
    if (this.readOnly) throw new TransshipError('ReadOnly', 'the device is read-only');
  }
}
