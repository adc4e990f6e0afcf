/**
 * The filler: brings everything under a teleported root that the pool does not have, first what the
 * source used most recently, then the rest in order (design.md 4.5). It asks for many chunks at
 * once and keeps walking while they travel. Calling it again after any stop asks only for what is
 * still missing.
 */
import { asTransshipError, TransshipError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { PoolApi, VolumeOrigin } from '../volume/api.ts';
import { IntervalSet } from '../volume/intervals.ts';
import { isZeroName, nameAt, nameKey, nameOfHex } from '../volume/name.ts';
import { blockCount, entrySpan, treeDepth } from '../volume/tree.ts';
import type { BlockRange, ChunkSource, Name, StoredChunk } from '../volume/types.ts';

const fan = limits.pageNames;
/**
 * Names in one request, and requests under way: together enough to fill a long link, bounded in
 * memory; each so small that what a crash takes along, and what progress leaps by, is little.
 */
const batchNames = 32;
const batchesMax = 48;

export interface FillProgress {
  /** Blocks whose chunk the walk found here, or that share one it had asked for. */
  readonly presentBlocks: number;
  /** Blocks that came because the walk asked. */
  readonly fetchedBlocks: number;
  /** As stored at the source: what travelled, without framing. */
  readonly fetchedBytes: number;
}

export interface FillOptions {
  readonly pool: Pick<PoolApi, 'missing' | 'readPage' | 'push'>;
  readonly source: ChunkSource;
  readonly origin: VolumeOrigin;
  readonly recentUse: readonly BlockRange[];
  readonly onProgress: (progress: FillProgress) => void;
  /** Ends the walk at the next step; `fill` then resolves with false. */
  readonly stopped: () => boolean;
  /** Before asking again for what a source did not give. */
  readonly pause: () => Promise<void>;
  /**
   * Told what to call when chunks have come that it did not ask for: requests of which nothing is
   * missing any more are taken back, however long they would still have waited for their rate.
   */
  readonly listen?: (lookAgain: () => void) => void;
}

interface Request {
  readonly names: readonly Name[];
  readonly ending: AbortController;
}

/** Resolves with true when a whole walk found nothing missing. Rejects with `SourceGone`. */
export async function fill(options: FillOptions): Promise<boolean> {
  const walk = new Walk(options);
  options.listen?.(() => walk.dropNeedless());
  for (const { first, count } of options.recentUse) await walk.range(first, count);
  const blocks = blockCount(options.origin.sizeBytes, options.origin.blockBytes);
  for (;;) {
    if (options.stopped()) return false;
    walk.beginPass();
    await walk.range(0, blocks);
    await walk.drain();
    if (options.stopped()) return false;
    // Only a pass in which nothing had to be asked for proves that all is here.
    if (walk.isComplete) return true;
    if (walk.wasRefused) await options.pause();
  }
}

class Walk {
  readonly #o: FillOptions;
  readonly #root: Name | undefined;
  readonly #depth: number;
  readonly #walked = new IntervalSet();
  readonly #asked = new Set<string>();
  readonly #running = new Set<Promise<void>>();
  readonly #requests = new Set<Request>();
  #batch: Name[] = [];
  #failure: TransshipError | undefined;
  #asks = 0;
  #refusals = 0;
  #present = 0;
  #fetched = 0;
  #bytes = 0;

  constructor(options: FillOptions) {
    this.#o = options;
    this.#root = nameOfHex(options.origin.root);
    this.#depth = treeDepth(options.origin.sizeBytes, options.origin.blockBytes);
  }

  get isComplete(): boolean {
    return this.#asks === 0;
  }

  get wasRefused(): boolean {
    return this.#refusals > 0;
  }

  dropNeedless(): void {
    for (const { names, ending } of this.#requests) {
      if (this.#o.pool.missing(names).length > 0) continue;
      ending.abort(new TransshipError('Canceled', 'its chunks have come in another way'));
    }
  }

  beginPass(): void {
    this.#asks = 0;
    this.#refusals = 0;
  }

  async range(first: number, count: number): Promise<void> {
    if (this.#root === undefined) return;
    await this.#ensurePages([this.#root]);
    await this.#visit(this.#root, this.#depth - 1, 0, { first, count });
  }

  async drain(): Promise<void> {
    await this.#send();
    while (this.#running.size > 0) await Promise.race(this.#running);
    this.#rethrow();
  }

  async #visit(name: Name, level: number, number: number, range: BlockRange): Promise<void> {
    if (isZeroName(name) || this.#o.stopped()) return;
    this.#rethrow();
    const page = await this.#o.pool.readPage(name);
    // The source did not give it; a later pass asks again.
    if (page === undefined) return;
    const span = entrySpan(level);
    const start = number * fan;
    const from = Math.max(0, Math.floor(range.first / span) - start);
    const last = Math.ceil((range.first + range.count) / span) - start;
    const to = Math.min(fan, last);
    if (level === 0) {
      await this.#blocks(page, start, from, to);
      return;
    }
    const children: Name[] = [];
    for (let i = from; i < to; i++) children.push(nameAt(page, i));
    await this.#ensurePages(children);
    for (let i = from; i < to; i++) {
      await this.#visit(nameAt(page, i), level - 1, start + i, range);
    }
  }

  /** Pages are few and the walk needs them: they are waited for. */
  async #ensurePages(names: readonly Name[]): Promise<void> {
    const missing = this.#o.pool.missing(names);
    if (missing.length === 0) return;
    this.#asks += missing.length;
    await this.#fetch(unique(missing));
  }

  async #blocks(page: Uint8Array, start: number, from: number, to: number): Promise<void> {
    const names: Name[] = [];
    const fresh: number[] = [];
    for (let i = from; i < to; i++) {
      const name = nameAt(page, i);
      if (isZeroName(name)) continue;
      names.push(name);
      if (!this.#walked.has(start + i)) fresh.push(start + i);
    }
    const missing = this.#o.pool.missing(names);
    this.#asks += missing.length;
    for (const block of fresh) this.#walked.add(block, 1);
    let asked = 0;
    for (const name of missing) {
      const key = nameKey(name);
      if (this.#asked.has(key)) continue;
      this.#asked.add(key);
      this.#batch.push(new Uint8Array(name));
      asked++;
      if (this.#batch.length >= batchNames) await this.#send();
    }
    this.#present += Math.max(0, fresh.length - asked);
    this.#report();
  }

  async #send(): Promise<void> {
    const names = this.#batch;
    if (names.length === 0) return;
    this.#batch = [];
    while (this.#running.size >= batchesMax) await Promise.race(this.#running);
    this.#rethrow();
    const work = this.#fetch(names)
      .then((accepted) => {
        this.#fetched += accepted;
        this.#report();
      })
      .catch((error: unknown) => {
        this.#failure ??= asTransshipError(error);
      })
      .finally(() => {
        for (const name of names) this.#asked.delete(nameKey(name));
        this.#running.delete(work);
      });
    this.#running.add(work);
  }

  /** Resolves with how many came and were right. */
  async #fetch(names: readonly Name[]): Promise<number> {
    const request: Request = { names, ending: new AbortController() };
    this.#requests.add(request);
    const chunks = await this.#pull(request).finally(() => this.#requests.delete(request));
    if (this.#o.stopped() || chunks === undefined) return 0;
    const accepted = await this.#o.pool.push(chunks);
    this.#refusals += names.length - accepted;
    for (const chunk of chunks) this.#bytes += chunk.bytes.length;
    return accepted;
  }

  /** Undefined: it was taken back. */
  async #pull({ names, ending }: Request): Promise<readonly StoredChunk[] | undefined> {
    try {
      return await this.#o.source.pull(names, 'background', ending.signal);
    } catch (error) {
      if (ending.signal.aborted) return undefined;
      throw error;
    }
  }

  #report(): void {
    this.#o.onProgress({
      presentBlocks: this.#present,
      fetchedBlocks: this.#fetched,
      fetchedBytes: this.#bytes,
    });
  }

  #rethrow(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}

function unique(names: readonly Name[]): Name[] {
  return [...new Map(names.map((name) => [nameKey(name), name])).values()];
}
