/**
 * The device of a volume that clients hold: what is behind it may change while they do, because a
 * plain volume can become a replicated one under its writer.
 */
import type { BlockDevice, Extent } from '../base/ports.ts';

export class Door implements BlockDevice {
  #target: BlockDevice;
  #hold: Promise<void> | undefined;
  #release: () => void = () => undefined;
  /** Those who asked for a pause and have not said `resume`. */
  #holders = 0;
  /** Requests that the device answers later. */
  #inside = 0;
  #onEmpty: () => void = () => undefined;

  constructor(target: BlockDevice) {
    this.#target = target;
  }

  get sizeBytes(): number {
    return this.#target.sizeBytes;
  }
  get blockSizeBytes(): number {
    return this.#target.blockSizeBytes;
  }
  get readOnly(): boolean {
    return this.#target.readOnly;
  }

  lead(target: BlockDevice): void {
    this.#target = target;
  }

  /**
   * Resolves when nothing is on its way any more; requests wait until everybody who called this
   * has called `resume`.
   */
  async pause(): Promise<void> {
    this.#holders++;
    if (this.#hold === undefined) {
      const { promise, resolve } = Promise.withResolvers<void>();
      this.#hold = promise;
      this.#release = resolve;
    }
    if (this.#inside === 0) return;
    await new Promise<void>((empty) => {
      const before = this.#onEmpty;
      this.#onEmpty = () => {
        before();
        empty();
      };
    });
  }

  resume(): void {
    this.#holders--;
    if (this.#holders > 0) return;
    this.#hold = undefined;
    this.#release();
  }

  read(into: Uint8Array, offset: number): undefined | Promise<void> {
    if (this.#hold !== undefined) return this.#hold.then(() => this.read(into, offset));
    return this.#track(this.#target.read(into, offset));
  }

  write(from: Uint8Array, offset: number): undefined | Promise<void> {
    if (this.#hold !== undefined) {
      const copy = new Uint8Array(from);
      return this.#hold.then(() => this.write(copy, offset));
    }
    return this.#track(this.#target.write(from, offset));
  }

  writeZeroes(offset: number, lengthBytes: number): undefined | Promise<void> {
    if (this.#hold !== undefined) {
      return this.#hold.then(() => this.writeZeroes(offset, lengthBytes));
    }
    return this.#track(this.#target.writeZeroes(offset, lengthBytes));
  }

  async flush(): Promise<void> {
    while (this.#hold !== undefined) await this.#hold;
    await this.#track(this.#target.flush());
  }

  prefetch(offset: number, lengthBytes: number): Promise<void> {
    return this.#target.prefetch(offset, lengthBytes);
  }

  extents(offset: number, lengthBytes: number): Promise<readonly Extent[]> {
    return this.#target.extents(offset, lengthBytes);
  }

  cork(): void {
    this.#target.cork();
  }
  uncork(): void {
    this.#target.uncork();
  }

  #track(wait: undefined | Promise<void>): undefined | Promise<void> {
    if (wait === undefined) return undefined;
    this.#inside++;
    return wait.finally(() => {
      this.#inside--;
      if (this.#inside > 0) return;
      const told = this.#onEmpty;
      this.#onEmpty = () => undefined;
      told();
    });
  }
}
