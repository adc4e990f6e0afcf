/** What differs between two versions of a volume, by the names of their trees: no data is read. */
import { assert } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { isZeroName, nameAt, sameName, zeroName } from './name.ts';
import { blockCount, entrySpan, treeDepth } from './tree.ts';
import type { BlockRange, Name, Version } from './types.ts';

const fan = limits.pageNames;

/** Brings a page of either tree, wherever it is. */
export type ReadPage = (name: Name, level: number, number: number) => Promise<Uint8Array>;

export interface DifferenceRequest {
  /** Absent: the empty volume, so that the answer is what `to` has allocated. */
  readonly from?: Version;
  readonly to: Version;
  readonly firstBlock: number;
  /** Bounds the answer and its memory. */
  readonly rangesMax: number;
  /** Bounds the work: pages read before the answer ends, however little was found. */
  readonly pagesMax: number;
}

export interface Difference {
  /** Blocks of `to` that are not as in `from`, rising, never two that touch. */
  readonly ranges: readonly BlockRange[];
  /** Where to go on; undefined when nothing follows. */
  readonly nextBlock: number | undefined;
}

type Side = Pick<Version, 'root'> & { readonly depth: number };

/**
 * A piece of the difference. Versions may differ in size: what `from` had behind the end of `to`
 * is no difference, and it counts as zeroes behind its own end. Always comes forward.
 */
export async function differenceOf(
  readPage: ReadPage,
  request: DifferenceRequest,
): Promise<Difference> {
  const { to, from, firstBlock, rangesMax, pagesMax } = request;
  assert(rangesMax > 0, 'room for a range');
  assert(from === undefined || from.blockBytes === to.blockBytes, 'versions of one volume');
  const walk = new Walk(readPage, {
    from: sideOf(from),
    to: sideOf(to),
    firstBlock,
    endBlock: blockCount(to.sizeBytes, to.blockBytes),
    rangesMax,
    pagesMax,
  });
  await walk.run();
  return { ranges: walk.ranges, nextBlock: walk.nextBlock };
}

function sideOf(version: Version | undefined): Side {
  if (version === undefined) return { root: zeroName, depth: 0 };
  return { root: version.root, depth: treeDepth(version.sizeBytes, version.blockBytes) };
}

interface WalkOptions extends Omit<DifferenceRequest, 'from' | 'to'> {
  readonly from: Side;
  readonly to: Side;
  readonly endBlock: number;
}

class Walk {
  readonly #readPage: ReadPage;
  readonly #o: WalkOptions;
  readonly ranges: { readonly first: number; count: number }[] = [];
  nextBlock: number | undefined;
  #pages = 0;

  constructor(readPage: ReadPage, options: WalkOptions) {
    this.#readPage = readPage;
    this.#o = options;
  }

  async run(): Promise<void> {
    const { from, to } = this.#o;
    await this.#visit(Math.max(from.depth, to.depth) - 1, 0, from.root, to.root);
  }

  /** The pages `number` at `level` of both trees; false when the answer is full. */
  async #visit(level: number, number: number, before: Name, after: Name): Promise<boolean> {
    const { from, to, firstBlock, endBlock, pagesMax } = this.#o;
    const start = number * entrySpan(level + 1);
    if (start >= endBlock || start + entrySpan(level + 1) <= firstBlock) return true;
    if (isZeroName(before) && isZeroName(after)) return true;
    // Above its tree a root stands for a page that has only it: that is not the name of this page.
    const real = (side: Side, name: Name) => level < side.depth || isZeroName(name);
    if (real(from, before) && real(to, after) && sameName(before, after)) return true;
    // The way to the first block is always gone, so that every piece comes forward.
    if (this.#pages >= pagesMax && start > firstBlock) return this.#stop(start);
    const [old, now] = await Promise.all([
      this.#names(from, before, level, number),
      this.#names(to, after, level, number),
    ]);
    for (let i = 0; i < fan; i++) {
      const [was, is] = [entryOf(old, i), entryOf(now, i)];
      const child = number * fan + i;
      const goesOn =
        level > 0 ? await this.#visit(level - 1, child, was, is) : this.#compare(child, was, is);
      if (!goesOn) return false;
    }
    return true;
  }

  async #names(side: Side, name: Name, level: number, number: number): Promise<Uint8Array> {
    if (isZeroName(name) || level >= side.depth) return name;
    this.#pages++;
    return this.#readPage(name, level, number);
  }

  #compare(block: number, before: Name, after: Name): boolean {
    const { firstBlock, endBlock, rangesMax } = this.#o;
    if (block < firstBlock || block >= endBlock || sameName(before, after)) return true;
    const last = this.ranges.at(-1);
    if (last !== undefined && last.first + last.count === block) last.count++;
    else if (this.ranges.length === rangesMax) return this.#stop(block);
    else this.ranges.push({ first: block, count: 1 });
    return true;
  }

  #stop(block: number): boolean {
    this.nextBlock = block;
    return false;
  }
}

/** Of a page, or of the one name that stands for a page with nothing else in it. */
function entryOf(page: Uint8Array, i: number): Name {
  const entry = nameAt(page, i);
  return entry.length === 0 ? zeroName : entry;
}
