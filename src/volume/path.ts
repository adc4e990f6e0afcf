/** Answers the peer protocol's `read`: pages on a path and chunks of a range, in one go. */
import { limits } from '../base/limits.ts';
import { isZeroName, nameAt, nameKey } from './name.ts';
import type { ChunkStore } from './store.ts';
import { entrySpan, treeDepth } from './tree.ts';
import type { Name, PathRequest, StoredChunk } from './types.ts';
import type { Upstream } from './upstream.ts';

const fan = limits.pageNames;

/**
 * Pages first, each once. What is absent here is left out, unless an upstream of one of our volumes
 * has the same root: then it is fetched on the way (onward teleport).
 */
export async function readPath(
  store: ChunkStore,
  request: PathRequest,
  upstreams: readonly Upstream[],
): Promise<StoredChunk[]> {
  const { root, sizeBytes, blockBytes, firstBlock, blockCount, skipLevels } = request;
  const depth = treeDepth(sizeBytes, blockBytes);
  const carriers = upstreams.filter((one) => one.source !== undefined);
  const page = async (name: Name, level: number, number: number) => {
    const here = await store.page(name).catch(() => undefined);
    if (here !== undefined) return here;
    for (const upstream of carriers) {
      if (upstream.origin?.blockBytes !== blockBytes) continue;
      try {
        return await upstream.page(name, level, number);
      } catch {
        // Another upstream may have it; the asker learns of the gap by its absence.
      }
    }
    return undefined;
  };
  const pages: Name[] = [];
  const blocks: { readonly name: Name; readonly block: number }[] = [];
  const visit = async (name: Name, level: number, number: number): Promise<void> => {
    if (isZeroName(name)) return;
    const content = await page(name, level, number);
    if (content === undefined) return;
    if (depth - 1 - level >= skipLevels) pages.push(name);
    const span = entrySpan(level);
    const first = Math.max(0, Math.floor(firstBlock / span) - number * fan);
    const last = Math.floor((firstBlock + blockCount - 1) / span) - number * fan;
    for (let i = first; i <= Math.min(fan - 1, last); i++) {
      const child = nameAt(content, i);
      if (level > 0) await visit(child, level - 1, number * fan + i);
      else if (!isZeroName(child)) blocks.push({ name: child, block: number * fan + i });
    }
  };
  await visit(root, depth - 1, 0);
  const chunks: StoredChunk[] = [];
  const seen = new Set<string>();
  for (const name of pages) await give(store, name, seen, chunks);
  for (const { name, block } of blocks) {
    if (!store.has(name)) await bring(carriers, name, block, blockBytes);
    await give(store, name, seen, chunks);
  }
  return chunks;
}

async function give(
  store: ChunkStore,
  name: Name,
  seen: Set<string>,
  into: StoredChunk[],
): Promise<void> {
  const key = nameKey(name);
  if (seen.has(key)) return;
  seen.add(key);
  const chunk = await store.storedOrNot(name);
  if (chunk !== undefined) into.push(chunk);
}

async function bring(
  carriers: readonly Upstream[],
  name: Name,
  block: number,
  blockBytes: number,
): Promise<void> {
  for (const upstream of carriers) {
    if (upstream.origin?.blockBytes !== blockBytes) continue;
    try {
      await upstream.block(name, block);
      return;
    } catch {
      // See above.
    }
  }
}
