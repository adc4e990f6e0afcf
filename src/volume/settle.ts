/** Settling: the blocks of a frozen layer become chunks. */
import { AssertionFailure, TransshipError } from '../base/errors.ts';
import type { Reason } from '../base/reasons.ts';
import type { Head } from './head.ts';
import { isZeroName, zeroName } from './name.ts';
import { lookup } from './tree.ts';
import type { TreeIo } from './tree.ts';
import type { Layer } from './layer.ts';
import type { Name } from './types.ts';

const batchBytes = 1024 * 1024;
/** Batches in the packers at once: enough to keep each busy, few enough to bound memory. */
const batchesMax = 4;

export interface SettleIo {
  readonly tree: Pick<TreeIo, 'page'>;
  block(name: Name, block: number): Promise<Uint8Array>;
}

/** Name of a block below a layer, from the part of the head that is older than the layer. */
async function nameBelow(head: Head, io: SettleIo, block: number): Promise<Name> {
  return head.baseName(block) ?? (await lookup(io.tree, head.tree, block));
}

export interface SettleOptions {
  /**
   * Blocks whose older content is out of reach stay behind: their sectors are written to the
   * journal again, so that the rest can become durable and the journal does not fill (I-13).
   */
  readonly carry: boolean;
}

export interface Settled {
  /** The blocks that changed, with their new names. */
  readonly names: ReadonlyMap<number, Name>;
  readonly carried: number;
}

/**
 * Packs and stores all blocks of the oldest frozen layer and merges their names into the head.
 * Rejects, changing nothing, when a block that is overwritten in part cannot be had, unless it may
 * be carried.
 */
export async function settleOldest(
  head: Head,
  io: SettleIo,
  options: SettleOptions,
): Promise<Settled> {
  const layer = head.frozen.at(-1);
  if (layer === undefined) return { names: new Map(), carried: 0 };
  const settling = new Settling(head, io, layer, options);
  await settling.run();
  merge(head, layer, settling.names);
  for (const block of settling.stuck) carry(head, layer, block);
  return { names: settling.names, carried: settling.stuck.length };
}

class Settling {
  readonly names = new Map<number, Name>();
  readonly stuck: number[] = [];
  readonly #head: Head;
  readonly #io: SettleIo;
  readonly #layer: Layer;
  readonly #carry: boolean;
  /** The source did not answer once: do not wait for it with every further block. */
  #unreachable = false;
  #next = 0;

  constructor(head: Head, io: SettleIo, layer: Layer, options: SettleOptions) {
    this.#head = head;
    this.#io = io;
    this.#layer = layer;
    this.#carry = options.carry;
  }

  async run(): Promise<void> {
    const blocks = this.#layer.blocks();
    const perBatch = Math.max(1, Math.floor(batchBytes / this.#head.blockBytes));
    const work = async (): Promise<void> => {
      while (this.#next < blocks.length) {
        const batch = blocks.slice(this.#next, this.#next + perBatch);
        this.#next += batch.length;
        await this.#settle(batch);
      }
    };
    const results = await Promise.allSettled(Array.from({ length: batchesMax }, work));
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  async #settle(batch: readonly number[]): Promise<void> {
    const { blockBytes, store } = this.#head;
    const bytes = new Uint8Array(batch.length * blockBytes);
    const based = await Promise.all(batch.map((block) => this.#base(block)));
    const ready: number[] = [];
    batch.forEach((block, i) => {
      const base = based[i];
      if (base === undefined) {
        this.stuck.push(block);
        return;
      }
      const at = ready.push(block) - 1;
      const into = bytes.subarray(at * blockBytes, (at + 1) * blockBytes);
      into.set(base);
      this.#head.compose(this.#layer, block, into);
    });
    const names = await store.put(
      bytes.subarray(0, ready.length * blockBytes),
      blockBytes,
      'block',
    );
    ready.forEach((block, i) => this.names.set(block, new Uint8Array(names[i] ?? zeroName)));
  }

  /** What lies under the layer's sectors: empty when nothing of it shows; undefined when stuck. */
  async #base(block: number): Promise<Uint8Array | undefined> {
    const head = this.#head;
    const covered = head.sectorsIn(this.#layer, block) === head.sectorsPerBlock;
    if (covered || this.#layer.zeroes.has(block)) return nothing;
    if (this.#unreachable && !this.#isHere(block)) return undefined;
    try {
      const name = await nameBelow(head, this.#io, block);
      if (isZeroName(name)) return nothing;
      const cache = head.store.cache(head.blockBytes);
      const cached = new Uint8Array(head.blockBytes);
      if (cache.read(name, 0, cached)) return cached;
      const content = await this.#io.block(name, block);
      cache.put(name, content);
      return content;
    } catch (error) {
      if (!this.#carry || !isOutOfReach(error)) throw error;
      this.#unreachable = true;
      return undefined;
    }
  }

  #isHere(block: number): boolean {
    const name = this.#head.baseName(block);
    return name !== undefined && this.#head.store.has(name);
  }
}

const nothing = new Uint8Array(0);
const outOfReach: ReadonlySet<Reason> = new Set([
  'SourceUnreachable',
  'SourceGone',
  'DataMissing',
  'DataCorrupt',
  'DiskFailed',
]);

/**
 * The source has it and cannot be asked now, or it is damaged or unreadable and nobody else
 * has it: either way one
 * block must not keep the journal, and with it every volume of the pool, from going on.
 */
export function isOutOfReach(error: unknown): boolean {
  if (!(error instanceof TransshipError)) return false;
  return outOfReach.has(error.reason);
}

function merge(head: Head, layer: Layer, settled: ReadonlyMap<number, Name>): void {
  if (head.frozen.pop() !== layer) throw new AssertionFailure('layers are settled in order');
  for (const { first, count } of layer.zeroes.ranges()) {
    dropNames(head.names, first, count);
    head.zeroes.add(first, count);
  }
  for (const [block, name] of settled) head.names.set(block, name);
  head.namesFrom = Math.min(head.namesFrom, layer.fromSequence);
}

/** Writes a block's sectors of a layer again, except those that are newer in the active layer. */
function carry(head: Head, layer: Layer, block: number): void {
  if (head.active.zeroes.has(block)) return;
  const first = block * head.sectorsPerBlock;
  for (let sector = first; sector < first + head.sectorsPerBlock; sector++) {
    if (layer.sectors.find(sector) < 0 || head.active.sectors.find(sector) >= 0) continue;
    const content = head.sectorOf(layer, sector);
    if (content === undefined) head.zero(sector, 1);
    else head.write(sector, content);
  }
}

/** By whichever walk is shorter: mkfs zeroes the whole volume, a file system trims a little. */
function dropNames(names: Map<number, Name>, first: number, count: number): void {
  if (count < names.size) {
    for (let block = first; block < first + count; block++) names.delete(block);
    return;
  }
  for (const block of names.keys()) {
    if (block >= first && block < first + count) names.delete(block);
  }
}
