/** A repository as the place where a volume's missing chunks come from. */
import { asTransshipError, TransshipError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { isZeroName, nameAt, nameKey } from '../../volume/name.ts';
import { unpackChunk } from '../../volume/pack.ts';
import { entrySpan, treeDepth } from '../../volume/tree.ts';
import type { Name, PathRequest, StoredChunk } from '../../volume/types.ts';
import type { RateLimit } from '../rate.ts';
import type { PeerSource } from '../source.ts';
import { ChunkReader, missingChunks } from './chunk-reader.ts';
import type { ObjectStore } from './object-store.ts';
import type { Repository } from './repository.ts';

/** Pages that paths go through again and again. */
const pagesMax = 512;

export interface RepositorySourceOptions {
  /** Opened when first needed: it may not be reachable yet. */
  readonly repository: () => Promise<Repository>;
  readonly incoming: RateLimit;
  /** The place with the patience of each lane. */
  readonly stores: Readonly<Record<'demand' | 'background', ObjectStore>>;
  /** Chunks were not there, or are there again (undefined). */
  readonly onMissing: (problem: TransshipError | undefined) => void;
}

export class RepositorySource implements PeerSource {
  readonly #o: RepositorySourceOptions;
  readonly #closer = new AbortController();
  readonly #pages = new Map<string, Page>();
  #repository: Repository | undefined;
  #reader: ChunkReader | undefined;

  constructor(options: RepositorySourceOptions) {
    this.#o = options;
  }

  close(): void {
    const { place } = this.#o.stores.demand;
    this.#closer.abort(new TransshipError('Canceled', `fetching from ${place} was cancelled`));
  }

  async readPath(request: PathRequest): Promise<readonly StoredChunk[]> {
    const { root, sizeBytes, blockBytes, firstBlock, blockCount, skipLevels } = request;
    const depth = treeDepth(sizeBytes, blockBytes);
    const chunks: StoredChunk[] = [];
    let names: Name[] = [root];
    let starts = [0];
    for (let level = depth - 1; level >= 0; level--) {
      const pages = await this.#pagesOf(names, level < depth - skipLevels ? chunks : []);
      const next: Name[] = [];
      const nextStarts: number[] = [];
      const span = entrySpan(level);
      starts.forEach((start, i) => {
        const page = pages.get(nameKey(names[i]!));
        for (let entry = 0; page !== undefined && entry < limits.pageNames; entry++) {
          const first = start + entry * span;
          const isWanted = first < firstBlock + blockCount && first + span > firstBlock;
          const name = nameAt(page, entry);
          if (!isWanted || isZeroName(name)) continue;
          next.push(name);
          nextStarts.push(first);
        }
      });
      names = next;
      starts = nextStarts;
    }
    chunks.push(...(await this.pull(unique(names), 'demand')));
    return chunks;
  }

  async pull(
    names: readonly Name[],
    lane: 'demand' | 'background',
    signal?: AbortSignal,
  ): Promise<readonly StoredChunk[]> {
    if (names.length === 0) return [];
    const closed = this.#closer.signal;
    const ending = signal === undefined ? closed : AbortSignal.any([closed, signal]);
    ending.throwIfAborted();
    const { incoming, stores, onMissing } = this.#o;
    const repository = await this.#open(ending);
    this.#reader ??= new ChunkReader(repository);
    const pace = (bytes: number) => incoming.take(bytes, ending);
    const options = { store: stores[lane], signal: ending, ...(lane === 'demand' ? {} : { pace }) };
    const chunks = await this.#reader.read(names, options);
    const missing = names.length - chunks.length;
    onMissing(missing === 0 ? undefined : missingChunks(repository, missing));
    return chunks;
  }

  /** A place that cannot be reached yet may be waited for longer than somebody wants. */
  async #open(signal: AbortSignal): Promise<Repository> {
    this.#repository ??= await Promise.race([this.#o.repository(), abortion(signal)]);
    return this.#repository;
  }

  /** Pages are handed over in `into`, and looked into for the way on. */
  async #pagesOf(
    names: readonly Name[],
    into: StoredChunk[],
  ): Promise<ReadonlyMap<string, Uint8Array>> {
    const asked = unique(names);
    const unknown = asked.filter((name) => !this.#pages.has(nameKey(name)));
    const found = new Map<string, Page>();
    for (const chunk of await this.pull(unknown, 'demand')) {
      const content = chunk.kind === 'page' ? unpackChunk(chunk) : undefined;
      if (content !== undefined) {
        found.set(nameKey(chunk.name), { chunk, content: new Uint8Array(content) });
      }
    }
    const contents = new Map<string, Uint8Array>();
    for (const name of asked) {
      const key = nameKey(name);
      const page = found.get(key) ?? this.#pages.get(key);
      if (page === undefined) continue;
      into.push(page.chunk);
      contents.set(key, page.content);
      this.#remember(key, page);
    }
    return contents;
  }

  #remember(key: string, page: Page): void {
    this.#pages.delete(key);
    const [oldest] = this.#pages.keys();
    if (this.#pages.size >= pagesMax && oldest !== undefined) this.#pages.delete(oldest);
    this.#pages.set(key, page);
  }
}

interface Page {
  readonly chunk: StoredChunk;
  readonly content: Uint8Array;
}

function abortion(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const abort = () => reject(asTransshipError(signal.reason));
    if (signal.aborted) abort();
    else signal.addEventListener('abort', abort, { once: true });
  });
}

function unique(names: readonly Name[]): Name[] {
  return [...new Map(names.map((name) => [nameKey(name), name])).values()];
}
