/**
 * Brings chunks that the pool does not have: from the source of a teleported volume, in one round
 * trip for a whole path, or from anybody who can heal a damaged chunk. Everything is verified
 * before it is used.
 */
import { asTransshipError, fail } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { isZeroName, nameAt, nameKey, nameOfHex } from './name.ts';
import { type ChunkStore, pageBytes } from './store.ts';
import { entrySpan, treeDepth } from './tree.ts';
import type { VolumeOrigin } from './api.ts';
import type { ChunkSource, Name, StoredChunk } from './types.ts';

/** Blocks fetched at once when reads are sequential. */
const readAheadMax = 32;

export interface UpstreamOptions {
  readonly store: ChunkStore;
  readonly blockBytes: number;
  readonly volume: string;
  /** Other holders of a chunk, asked when the pool's own copy is damaged. */
  readonly heal: ((names: readonly Name[]) => Promise<readonly StoredChunk[]>) | undefined;
  readonly nowMs: () => number;
  readonly onDemand: (fetch: DemandFetch) => void;
}

export interface DemandFetch {
  /** Pages of the way to them not counted. */
  readonly blocks: number;
  readonly bytes: number;
  readonly seconds: number;
}

/** Verifies and stores chunks from outside; returns how many were right. */
export async function keepChunks(
  store: ChunkStore,
  chunks: readonly StoredChunk[],
): Promise<number> {
  // A walk looks into the pages next, so their content is worth having.
  const pages = await acceptChunks(
    store,
    chunks.filter((chunk) => chunk.kind === 'page'),
  );
  const blocks = chunks.filter((chunk) => chunk.kind === 'block' && isPlausible(chunk));
  const good = await store.packer.verify(blocks);
  const right = blocks.filter((_, i) => good[i] === true);
  store.add(right);
  return pages.size + right.length;
}

function isPlausible({ rawBytes }: StoredChunk): boolean {
  return limits.blockBytesAllowed.includes(rawBytes) || rawBytes === pageBytes;
}

/** Verifies and stores chunks from outside; returns the contents of those that were right. */
export async function acceptChunks(
  store: ChunkStore,
  chunks: readonly StoredChunk[],
): Promise<Map<string, Uint8Array>> {
  const plausible = chunks.filter(isPlausible);
  const contents = await store.packer.unpack(plausible);
  const accepted = new Map<string, Uint8Array>();
  const good: StoredChunk[] = [];
  plausible.forEach((chunk, i) => {
    const content = contents[i];
    if (content === undefined) return;
    good.push(chunk);
    accepted.set(nameKey(chunk.name), content);
    if (chunk.kind === 'page' && content.length === pageBytes) {
      store.rememberPage(chunk.name, content);
    }
  });
  store.add(good);
  return accepted;
}

/** What the pool's own disk gives, or why it gave nothing. */
async function attempt<T>(read: () => Promise<T>): Promise<{ value?: T; error?: Error }> {
  try {
    return { value: await read() };
  } catch (error) {
    return { error: asTransshipError(error) };
  }
}

export class Upstream {
  readonly #options: UpstreamOptions;
  readonly #running = new Map<number, Promise<void>>();
  origin: VolumeOrigin | undefined;
  source: ChunkSource | undefined;
  /** The volume is: who still waits for its data hears that, not how the source was given up. */
  isDeleted = false;
  #nextSequential = -1;
  #streak = 1;

  constructor(options: UpstreamOptions) {
    this.#options = options;
  }

  /**
   * A page of this volume's tree, wherever it is. `block` is the one the caller is on its way to:
   * the whole path to it comes in the same round trip.
   */
  async page(
    name: Name,
    level: number,
    number: number,
    block = number * entrySpan(level + 1),
  ): Promise<Uint8Array> {
    const { store } = this.#options;
    const first = await attempt(() => store.page(name));
    if (first.value !== undefined) return first.value;
    await this.#bring(name, block, 1);
    const { value, error } = await attempt(() => store.page(name));
    return value ?? this.#absent('a page of its tree', error);
  }

  /** The content of one of this volume's blocks, wherever it is. */
  async block(name: Name, block: number): Promise<Uint8Array> {
    const { store, blockBytes } = this.#options;
    const first = await attempt(() => store.content(name));
    if (first.value?.length === blockBytes) return first.value;
    await this.#bring(name, block, this.#ahead(block));
    const { value, error } = await attempt(() => store.content(name));
    return value?.length === blockBytes ? value : this.#absent(`block ${block}`, error);
  }

  #absent(what: string, error: Error | undefined): never {
    const { volume } = this.#options;
    // The disk did not give it: that is no statement about the data.
    if (error !== undefined) throw error;
    if (this.origin === undefined) {
      fail('DataCorrupt', `volume ${volume}: ${what} is damaged and nobody else has it`);
    }
    fail('DataMissing', `volume ${volume}: ${what} is not here and its source did not give it`);
  }

  async #bring(name: Name, firstBlock: number, blockCount: number): Promise<void> {
    const { store } = this.#options;
    try {
      await this.#fromSource(name, firstBlock, blockCount);
    } catch (error) {
      // The background fetch may have brought it meanwhile, and the source be given up for that.
      if (this.isDeleted) fail('NotFound', `volume ${this.#options.volume} was deleted`, error);
      if (!store.has(name)) throw error;
    }
    if (store.has(name)) return;
    const healed = await this.#options.heal?.([name]);
    if (healed !== undefined) await acceptChunks(store, healed);
  }

  async #fromSource(name: Name, firstBlock: number, blockCount: number): Promise<void> {
    const { source, origin } = this;
    if (source === undefined || origin === undefined) return;
    const running = this.#running.get(firstBlock);
    const fetch = running ?? this.#fetchPath(firstBlock, blockCount);
    if (running === undefined) {
      this.#running.set(firstBlock, fetch);
      const done = (): boolean => this.#running.delete(firstBlock);
      void fetch.catch(() => undefined).finally(done);
    }
    await fetch;
    const { store } = this.#options;
    if (store.has(name)) return;
    // Not under the teleported root any more: perhaps a damaged chunk that the source also has.
    await acceptChunks(store, await source.pull([name], 'demand'));
  }

  async #fetchPath(firstBlock: number, wanted: number): Promise<void> {
    const { origin, source } = this;
    const { store, nowMs, onDemand } = this.#options;
    if (origin === undefined || source === undefined) return;
    const root = nameOfHex(origin.root);
    const end = Math.ceil(origin.sizeBytes / origin.blockBytes);
    if (root === undefined || firstBlock >= end) return;
    const skipLevels = await this.#levelsHere(root, origin, firstBlock);
    const blockCount = Math.min(wanted, end - firstBlock);
    const startMs = nowMs();
    const { sizeBytes, blockBytes } = origin;
    const request = { root, sizeBytes, blockBytes, firstBlock, blockCount, skipLevels };
    const chunks = await source.readPath(request);
    const fresh = chunks.filter(({ kind, name }) => kind === 'block' && !store.has(name));
    const accepted = await acceptChunks(store, chunks);
    const blocks = fresh.filter(({ name }) => accepted.has(nameKey(name))).length;
    const cache = store.cache(blockBytes);
    let bytes = 0;
    for (const chunk of chunks) {
      bytes += chunk.bytes.length;
      const content = accepted.get(nameKey(chunk.name));
      if (chunk.kind === 'block' && content?.length === blockBytes) {
        cache.put(chunk.name, content);
      }
    }
    onDemand({ blocks, bytes, seconds: (nowMs() - startMs) / 1000 });
  }

  /** Pages on the path that need not travel again. */
  async #levelsHere(root: Name, origin: VolumeOrigin, block: number): Promise<number> {
    const { store } = this.#options;
    const depth = treeDepth(origin.sizeBytes, origin.blockBytes);
    let name = root;
    for (let skip = 0; skip < depth; skip++) {
      if (isZeroName(name)) return skip;
      const { value: page } = await attempt(() => store.page(name));
      if (page === undefined) return skip;
      const level = depth - 1 - skip;
      name = nameAt(page, Math.floor(block / entrySpan(level)) % limits.pageNames);
    }
    return depth;
  }

  #ahead(block: number): number {
    const sequential = block === this.#nextSequential;
    this.#streak = sequential ? Math.min(readAheadMax, this.#streak * 2) : 1;
    this.#nextSequential = block + this.#streak;
    return this.#streak;
  }
}
