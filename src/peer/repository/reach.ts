/** What a version reaches: its pages are read, its names are marked. */
import { limits } from '../../base/limits.ts';
import { isZeroName, nameAt, nameKey } from '../../volume/name.ts';
import { unpackChunk } from '../../volume/pack.ts';
import { treeDepth } from '../../volume/tree.ts';
import type { Name, Version } from '../../volume/types.ts';
import type { Catalogue } from './catalogue.ts';
import type { ChunkReader, ReadOptions } from './chunk-reader.ts';

export interface ReachOptions {
  readonly reader: ChunkReader;
  readonly catalogue: Catalogue;
  readonly read: ReadOptions;
  /** After each page, with the blocks that were newly marked. */
  readonly onBlocks?: (names: readonly Name[]) => Promise<void>;
}

type Shape = Pick<Version, 'root' | 'sizeBytes' | 'blockBytes'>;

/** Marks everything under the root; resolves with how many chunks are not there. */
export async function markReachable(options: ReachOptions, version: Shape): Promise<number> {
  const marking = new Marking(options);
  const { root, sizeBytes, blockBytes } = version;
  await marking.pages([root], treeDepth(sizeBytes, blockBytes) - 1);
  return marking.missing;
}

class Marking {
  readonly #o: ReachOptions;
  missing = 0;

  constructor(options: ReachOptions) {
    this.#o = options;
  }

  async pages(names: readonly Name[], level: number): Promise<void> {
    const { reader, read, onBlocks } = this.#o;
    const fresh = this.#mark(names);
    if (fresh.length === 0) return;
    const chunks = await reader.read(fresh, read);
    let found = 0;
    for (const chunk of chunks) {
      const content = chunk.kind === 'page' ? unpackChunk(chunk) : undefined;
      if (content === undefined) continue;
      found++;
      const page = new Uint8Array(content);
      const children = Array.from({ length: limits.pageNames }, (_, i) => nameAt(page, i));
      read.signal.throwIfAborted();
      if (level > 0) await this.pages(children, level - 1);
      else {
        const blocks = this.#mark(children);
        await onBlocks?.(blocks);
      }
    }
    this.missing += fresh.length - found;
  }

  /** Those that are new; what is not in the catalogue is missing. */
  #mark(names: readonly Name[]): Name[] {
    const { catalogue } = this.#o;
    const unique = new Map(names.map((name) => [nameKey(name), name]));
    return [...unique.values()].filter((name) => {
      if (isZeroName(name)) return false;
      if (!catalogue.has(name)) this.missing++;
      return catalogue.mark(name);
    });
  }
}
