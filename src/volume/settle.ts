/** Settling: the blocks of a frozen layer become chunks. */
import { AssertionFailure } from '../base/errors.ts';
import type { Head } from './head.ts';
import { zeroName } from './name.ts';
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

interface Settling {
  readonly head: Head;
  readonly io: SettleIo;
  readonly layer: Layer;
}

async function fillBlock(
  { head, io, layer }: Settling,
  block: number,
  into: Uint8Array,
): Promise<void> {
  if (head.sectorsIn(layer, block) < head.sectorsPerBlock && !layer.zeroes.has(block)) {
    const name = await nameBelow(head, io, block);
    const cache = head.store.cache(head.blockBytes);
    if (Buffer.compare(name, zeroName) !== 0 && !cache.read(name, 0, into)) {
      const content = await io.block(name, block);
      into.set(content);
      cache.put(name, content);
    }
  }
  head.compose(layer, block, into);
}

/**
 * Packs and stores all blocks of the oldest frozen layer and merges their names into the head.
 * Returns the blocks that changed, with their new names. Rejects, changing nothing, when a block
 * that is overwritten in part cannot be had.
 */
export async function settleOldest(head: Head, io: SettleIo): Promise<Map<number, Name>> {
  const layer = head.frozen.at(-1);
  if (layer === undefined) return new Map();
  const blocks = layer.blocks();
  const perBatch = Math.max(1, Math.floor(batchBytes / head.blockBytes));
  const settled = new Map<number, Name>();
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < blocks.length) {
      const batch = blocks.slice(next, next + perBatch);
      next += batch.length;
      const bytes = new Uint8Array(batch.length * head.blockBytes);
      for (const [i, block] of batch.entries()) {
        const into = bytes.subarray(i * head.blockBytes, (i + 1) * head.blockBytes);
        await fillBlock({ head, io, layer }, block, into);
      }
      const names = await head.store.put(bytes, head.blockBytes, 'block');
      batch.forEach((block, i) => settled.set(block, new Uint8Array(names[i] ?? zeroName)));
    }
  };
  const results = await Promise.allSettled(Array.from({ length: batchesMax }, work));
  for (const result of results) if (result.status === 'rejected') throw result.reason;
  merge(head, layer, settled);
  return settled;
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
