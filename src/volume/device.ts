/**
 * A volume's head as a block device: any offset, any length, short waits only where data is far.
 */
import { assert, fail } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { BlockDevice, Extent } from '../base/ports.ts';
import type { Head, Loaded } from './head.ts';
import { isZeroName, nameAt, nameKey, zeroName } from './name.ts';
import { entrySpan } from './tree.ts';
import type { Name } from './types.ts';
import type { Upstream } from './upstream.ts';
import type { RecentUse } from './use.ts';

const sectorBytes = limits.sectorBytes;
/** A read that still lacks something after so many rounds meets a cache that is far too small. */
const roundsMax = 64;
const extentsMax = 2048;
const prefetchBlocks = 16;

export interface DeviceOptions {
  readonly head: Head;
  readonly upstream: Upstream;
  readonly use: RecentUse;
  readonly sizeBytes: () => number;
  /** Throws when the pool stopped. */
  readonly checkAlive: () => void;
  /**
   * Called before bytes go to the journal: throws `ReadOnly` or `DiskFailed`; a promise when the
   * writer must wait for settling.
   */
  readonly admit: () => undefined | Promise<void>;
}

export class Device implements BlockDevice {
  readonly #o: DeviceOptions;
  readonly #head: Head;

  constructor(options: DeviceOptions) {
    this.#o = options;
    this.#head = options.head;
  }

  get sizeBytes(): number {
    return this.#o.sizeBytes();
  }

  get blockSizeBytes(): number {
    return this.#head.blockBytes;
  }

  get readOnly(): boolean {
    return false;
  }

  read(into: Uint8Array, offset: number): undefined | Promise<void> {
    this.#o.checkAlive();
    this.#checkRange(offset, into.length);
    this.#o.use.touch(offset);
    const missing = this.#head.fill(into, offset);
    return missing.length === 0 ? undefined : this.#readSlow(into, offset, missing);
  }

  write(from: Uint8Array, offset: number): undefined | Promise<void> {
    this.#checkRange(offset, from.length);
    if (from.length === 0) return undefined;
    this.#o.use.touch(offset);
    const wait = this.#o.admit();
    if (wait !== undefined) {
      // Not slice: on a Buffer, which is what doors pass, that is a view.
      const copy = new Uint8Array(from);
      return wait.then(() => this.write(copy, offset));
    }
    const ragged = offset % sectorBytes !== 0 || from.length % sectorBytes !== 0;
    if (ragged) return this.#writeRagged(from, offset);
    this.#head.write(offset / sectorBytes, from);
    return undefined;
  }

  writeZeroes(offset: number, lengthBytes: number): undefined | Promise<void> {
    this.#checkRange(offset, lengthBytes);
    if (lengthBytes === 0) return undefined;
    const wait = this.#o.admit();
    if (wait !== undefined) return wait.then(() => this.writeZeroes(offset, lengthBytes));
    const end = offset + lengthBytes;
    const first = Math.ceil(offset / sectorBytes);
    // The sector that holds the volume's end is whole: nothing of it lies behind the end.
    const last =
      end === this.sizeBytes ? Math.ceil(end / sectorBytes) : Math.floor(end / sectorBytes);
    if (last <= first) return this.#writeRagged(new Uint8Array(lengthBytes), offset);
    this.#head.zero(first, last - first);
    const edges: (Promise<void> | undefined)[] = [];
    const before = first * sectorBytes - offset;
    const behind = end - last * sectorBytes;
    // A promise for every edge, so that the failure of one never leaves another without a holder.
    const edge = async (bytes: number, at: number) => this.#writeRagged(new Uint8Array(bytes), at);
    if (before > 0) edges.push(edge(before, offset));
    if (behind > 0) edges.push(edge(behind, end - behind));
    const waits = edges.filter((edge) => edge !== undefined);
    return waits.length === 0 ? undefined : Promise.all(waits).then(() => undefined);
  }

  async flush(): Promise<void> {
    this.#o.checkAlive();
    await this.#head.journal.flush();
  }

  cork(): void {
    this.#head.journal.cork();
  }

  uncork(): void {
    this.#head.journal.uncork();
  }

  async prefetch(offset: number, lengthBytes: number): Promise<void> {
    this.#checkRange(offset, lengthBytes);
    const { blockBytes } = this.#head;
    const end = Math.ceil((offset + lengthBytes) / blockBytes);
    for (let block = Math.floor(offset / blockBytes); block < end; block += prefetchBlocks) {
      const count = Math.min(prefetchBlocks, end - block);
      const blocks = Array.from({ length: count }, (_, i) => block + i);
      const loaded: Loaded = new Map();
      await Promise.all(blocks.map((one) => this.#load(one, loaded)));
    }
  }

  async extents(offset: number, lengthBytes: number): Promise<readonly Extent[]> {
    this.#o.checkAlive();
    this.#checkRange(offset, lengthBytes);
    const extents: { lengthBytes: number; hole: boolean }[] = [];
    const { blockBytes } = this.#head;
    const end = offset + lengthBytes;
    const firstBlock = Math.floor(offset / blockBytes);
    const data = this.#head.dataBlocks(firstBlock, Math.ceil(end / blockBytes));
    let next = 0;
    for (let at = offset; at < end; ) {
      const block = Math.floor(at / blockBytes);
      while ((data[next] ?? Number.POSITIVE_INFINITY) < block) next++;
      const { hole, blocks } = await this.#status(block, data[next]);
      const to = Math.min(end, (block + blocks) * blockBytes);
      const last = extents.at(-1);
      if (last?.hole === hole) last.lengthBytes += to - at;
      else if (extents.length === extentsMax) break;
      else extents.push({ lengthBytes: to - at, hole });
      at = to;
    }
    return extents;
  }

  /** Name of a block's base, bringing pages that are not at hand. */
  async baseName(block: number, loaded?: Loaded): Promise<Name> {
    return this.#head.baseName(block, loaded) ?? (await this.#descend(block, loaded)).name;
  }

  async #readSlow(into: Uint8Array, offset: number, first: readonly number[]): Promise<void> {
    const loaded: Loaded = new Map();
    let missing = first;
    for (let round = 0; round < roundsMax; round++) {
      await Promise.all(missing.map((block) => this.#load(block, loaded)));
      this.#o.checkAlive();
      missing = this.#head.fill(into, offset, loaded);
      if (missing.length === 0) return;
    }
    fail('Internal', 'a read found its blocks changing faster than it could load them');
  }

  /** Brings a block's base and the pages on its path into `loaded` and into the caches. */
  async #load(block: number, loaded: Loaded): Promise<void> {
    const name = await this.baseName(block, loaded);
    if (isZeroName(name)) return;
    const key = nameKey(name);
    if (loaded.has(key)) return;
    const content = await this.#o.upstream.block(name, block);
    loaded.set(key, content);
    this.#head.store.cache(this.#head.blockBytes).put(name, content);
  }

  /** Walks down to a block; `span` is how many blocks share the answer when it is zero. */
  async #descend(block: number, loaded?: Loaded): Promise<{ name: Name; level: number }> {
    const { root, depth } = this.#head.tree;
    let name = root;
    for (let level = depth - 1; level >= 0; level--) {
      if (isZeroName(name)) return { name: zeroName, level };
      const number = Math.floor(block / entrySpan(level + 1));
      const page = await this.#o.upstream.page(name, level, number, block);
      loaded?.set(nameKey(name), page);
      name = nameAt(page, Math.floor(block / entrySpan(level)) % limits.pageNames);
    }
    return { name, level: -1 };
  }

  /**
   * Whether a block is a hole, and for how many blocks the answer holds. `nextData` is the first
   * block from here on that is data above the tree.
   */
  async #status(
    block: number,
    nextData = Number.POSITIVE_INFINITY,
  ): Promise<{ hole: boolean; blocks: number }> {
    const head = this.#head;
    if (block === nextData) return { hole: false, blocks: 1 };
    const zeroUntil = head.zeroUntil(block);
    if (zeroUntil > block) return { hole: true, blocks: Math.min(zeroUntil, nextData) - block };
    const { name, level } = await this.#descend(block);
    if (!isZeroName(name)) return { hole: false, blocks: 1 };
    const span = entrySpan(level + 1);
    return { hole: true, blocks: Math.min(span - (block % span), nextData - block) };
  }

  /** Not whole sectors: what surrounds them in their sectors is read first. */
  #writeRagged(from: Uint8Array, offset: number): undefined | Promise<void> {
    const first = Math.floor(offset / sectorBytes);
    const end = Math.ceil((offset + from.length) / sectorBytes);
    const whole = new Uint8Array((end - first) * sectorBytes);
    const missing = this.#head.fill(whole, first * sectorBytes);
    if (missing.length === 0) {
      whole.set(from, offset - first * sectorBytes);
      this.#head.write(first, whole);
      return undefined;
    }
    return this.#writeRaggedSlow(new Uint8Array(from), offset, missing);
  }

  async #writeRaggedSlow(
    from: Uint8Array,
    offset: number,
    absent: readonly number[],
  ): Promise<void> {
    const first = Math.floor(offset / sectorBytes);
    const end = Math.ceil((offset + from.length) / sectorBytes);
    const loaded: Loaded = new Map();
    let missing = absent;
    for (let round = 0; round < roundsMax; round++) {
      await Promise.all(missing.map((block) => this.#load(block, loaded)));
      await this.#o.admit();
      // Read and written in one turn, so that no other write to these sectors is lost.
      const whole = new Uint8Array((end - first) * sectorBytes);
      missing = this.#head.fill(whole, first * sectorBytes, loaded);
      if (missing.length > 0) continue;
      whole.set(from, offset - first * sectorBytes);
      this.#head.write(first, whole);
      return;
    }
    fail('Internal', 'a write found its blocks changing faster than it could load them');
  }

  #checkRange(offset: number, lengthBytes: number): void {
    assert(Number.isSafeInteger(offset) && offset >= 0, `offset ${offset}`);
    if (offset + lengthBytes > this.sizeBytes) {
      fail('BadArgument', `${offset}+${lengthBytes} is past the end (${this.sizeBytes} bytes)`);
    }
  }
}
