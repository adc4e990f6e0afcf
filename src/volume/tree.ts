/** The tree of names that is a volume at one moment (docs/formats/tree.md). */
import { assert } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { IntervalSet } from './intervals.ts';
import { isZeroName, nameAt, zeroName } from './name.ts';
import { type Name, nameBytes } from './types.ts';

const fan = limits.pageNames;
const pageBytes = fan * nameBytes;
/** Pages packed together: bounds memory and lets others run in between. */
const batchPages = 128;
/** Zero ranges up to this long are handled block by block, with the other changes. */
const smallZeroBlocks = 4 * fan;

/** What the tree needs of the pool and, for a teleported volume, of its source. */
export interface TreeIo {
  /**
   * The page at a place of the tree; brings it from the source when it is not here, with what else
   * is on the way to `block`.
   */
  page(name: Name, level: number, number: number, block?: number): Promise<Uint8Array>;
  /** The page if it is in the pool. */
  pageHere(name: Name): Promise<Uint8Array | undefined>;
  /** Stores pages lying one after another; a page of zeroes gets the zero name. */
  putPages(pages: Uint8Array): Promise<Name[]>;
}

export interface TreeRoot {
  readonly root: Name;
  readonly depth: number;
  readonly allocatedBlocks: number;
}

export function blockCount(sizeBytes: number, blockBytes: number): number {
  return Math.ceil(sizeBytes / blockBytes);
}

export function treeDepth(sizeBytes: number, blockBytes: number): number {
  const blocks = blockCount(sizeBytes, blockBytes);
  let depth = 1;
  for (let reach = fan; reach < blocks; reach *= fan) depth++;
  return depth;
}

/** Blocks that one entry of a page at `level` covers. */
export function entrySpan(level: number): number {
  return fan ** level;
}

/** The names on the way from the root to a block, as far as `page` knows them, without waiting. */
export function lookupNow(
  root: Name,
  depth: number,
  block: number,
  page: (name: Name) => Uint8Array | undefined,
): Name | undefined {
  let name = root;
  for (let level = depth - 1; level >= 0; level--) {
    if (isZeroName(name)) return zeroName;
    const content = page(name);
    if (content === undefined) return undefined;
    name = nameAt(content, Math.floor(block / fan ** level) % fan);
  }
  return name;
}

export async function lookup(
  io: Pick<TreeIo, 'page'>,
  tree: Pick<TreeRoot, 'root' | 'depth'>,
  block: number,
): Promise<Name> {
  return descend(io, tree, -1, block);
}

/** Name of the page `number` at `level` (or of a block at level −1). */
async function descend(
  io: Pick<TreeIo, 'page'>,
  { root, depth }: Pick<TreeRoot, 'root' | 'depth'>,
  toLevel: number,
  number: number,
): Promise<Name> {
  let name = root;
  for (let level = depth - 1; level > toLevel; level--) {
    if (isZeroName(name)) return zeroName;
    const steps = level - toLevel - 1;
    const child = Math.floor(number / fan ** steps);
    const block = number * fan ** (toLevel + 1);
    const content = await io.page(name, level, Math.floor(child / fan), block);
    name = nameAt(content, child % fan);
  }
  return name;
}

/** A map from block to new name, applied on top of `zeroes`. Returns the new root. */
export async function applyChanges(
  io: TreeIo,
  tree: TreeRoot,
  names: ReadonlyMap<number, Name>,
  zeroes: IntervalSet,
): Promise<TreeRoot> {
  let now = tree;
  const changes = new Map<number, Name>();
  for (const { first, count } of zeroes.ranges()) {
    if (count <= smallZeroBlocks) {
      for (let i = 0; i < count; i++) changes.set(first + i, zeroName);
    } else {
      now = await zeroRange(io, now, first, count);
    }
  }
  for (const [block, name] of names) changes.set(block, name);
  if (changes.size === 0) return now;
  let level = 0;
  let pending: [number, Name][] = [...changes].sort((a, b) => a[0] - b[0]);
  let allocated = now.allocatedBlocks;
  for (; level < now.depth; level++) {
    const result = await replaceEntries(io, now, level, pending);
    if (level === 0) allocated += result.allocatedChange;
    pending = result.pages;
  }
  const root = pending[0]?.[1];
  assert(root !== undefined && pending.length === 1, 'one root at the top');
  return { root, depth: now.depth, allocatedBlocks: allocated };
}

/** Puts new names in the pages of one level; gives the new names of those pages. */
async function replaceEntries(
  io: TreeIo,
  tree: TreeRoot,
  level: number,
  entries: readonly [number, Name][],
): Promise<{ pages: [number, Name][]; allocatedChange: number }> {
  const pages: [number, Name][] = [];
  let allocatedChange = 0;
  let at = 0;
  while (at < entries.length) {
    const numbers: number[] = [];
    const most = Math.min(batchPages, entries.length - at);
    const contents = new Uint8Array(most * pageBytes);
    while (at < entries.length && numbers.length < batchPages) {
      const number = Math.floor((entries[at]?.[0] ?? 0) / fan);
      const content = contents.subarray(
        numbers.length * pageBytes,
        (numbers.length + 1) * pageBytes,
      );
      const old = await descend(io, tree, level, number);
      if (!isZeroName(old)) content.set(await io.page(old, level, number));
      for (; at < entries.length; at++) {
        const [child, name] = entries[at] ?? [0, zeroName];
        if (Math.floor(child / fan) !== number) break;
        const entry = nameAt(content, child % fan);
        allocatedChange += Number(!isZeroName(name)) - Number(!isZeroName(entry));
        entry.set(name);
      }
      numbers.push(number);
    }
    const names = await io.putPages(contents.subarray(0, numbers.length * pageBytes));
    numbers.forEach((number, i) => pages.push([number, new Uint8Array(names[i] ?? zeroName)]));
  }
  return { pages, allocatedChange };
}

/** Zeroes a range of blocks; touches at most two pages a level, whatever its length. */
export async function zeroRange(
  io: TreeIo,
  tree: TreeRoot,
  first: number,
  count: number,
): Promise<TreeRoot> {
  let freed = 0;
  const visit = async (name: Name, level: number, number: number): Promise<Name> => {
    if (isZeroName(name)) return zeroName;
    const start = number * fan ** (level + 1);
    const end = start + fan ** (level + 1);
    if (first + count <= start || end <= first) return name;
    if (first <= start && end <= first + count) {
      freed += await allocatedUnder(io, name, level);
      return zeroName;
    }
    const content = new Uint8Array(await io.page(name, level, number));
    for (let i = 0; i < fan; i++) {
      const entry = nameAt(content, i);
      const child = number * fan + i;
      if (level > 0) {
        entry.set(await visit(entry, level - 1, child));
      } else if (child >= first && child < first + count) {
        freed += Number(!isZeroName(entry));
        entry.fill(0);
      }
    }
    const [stored] = await io.putPages(content);
    return new Uint8Array(stored ?? zeroName);
  };
  const root = await visit(tree.root, tree.depth - 1, 0);
  return { ...tree, root, allocatedBlocks: tree.allocatedBlocks - freed };
}

/** Blocks with content under a page; pages that are not here count as empty. */
async function allocatedUnder(io: TreeIo, name: Name, level: number): Promise<number> {
  if (isZeroName(name)) return 0;
  const content = await io.pageHere(name);
  if (content === undefined) return 0;
  let count = 0;
  for (let i = 0; i < fan; i++) {
    const entry = nameAt(content, i);
    if (isZeroName(entry)) continue;
    count += level === 0 ? 1 : await allocatedUnder(io, entry, level - 1);
  }
  return count;
}

/** The same content under another size: blocks behind the new end are gone. */
export async function resizeTree(
  io: TreeIo,
  tree: TreeRoot,
  blocks: number,
  depth: number,
): Promise<TreeRoot> {
  let { root } = tree;
  let now = tree;
  const reach = fan ** tree.depth;
  if (blocks < reach) now = await zeroRange(io, tree, blocks, reach - blocks);
  root = now.root;
  for (let level = now.depth; level < depth; level++) {
    if (isZeroName(root)) break;
    const page = new Uint8Array(pageBytes);
    page.set(root);
    root = new Uint8Array((await io.putPages(page))[0] ?? zeroName);
  }
  for (let level = now.depth - 1; level >= depth; level--) {
    if (isZeroName(root)) break;
    root = new Uint8Array(nameAt(await io.page(root, level, 0), 0));
  }
  return { root, depth, allocatedBlocks: now.allocatedBlocks };
}
