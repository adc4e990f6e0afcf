/** What a pool's volumes can get from elsewhere, and who suffers when nobody has it. */
import type { Log } from '../base/ports.ts';
import { nameAt, nameKey } from './name.ts';
import type { ChunkStore } from './store.ts';
import { treeDepth } from './tree.ts';
import { type ChunkSource, type Name, nameBytes, type StoredChunk } from './types.ts';
import { acceptChunks } from './upstream.ts';
import type { Volume } from './volume.ts';

export interface OthersOptions {
  readonly store: ChunkStore;
  readonly log: Log;
  readonly volumes: () => Iterable<Volume>;
  readonly heal: ((names: readonly Name[]) => Promise<readonly StoredChunk[]>) | undefined;
}

export class Others {
  readonly #o: OthersOptions;

  constructor(options: OthersOptions) {
    this.#o = options;
  }

  /** Unverified copies of chunks from every source there is. */
  async heal(names: readonly Name[]): Promise<readonly StoredChunk[]> {
    const found: StoredChunk[] = [];
    for (const source of this.#sources()) {
      found.push(...(await this.#ask(() => source.pull(names, 'demand'))));
    }
    const { heal } = this.#o;
    if (heal !== undefined) found.push(...(await this.#ask(() => heal(names))));
    return found;
  }

  /** Onward teleport: what a peer asks us for may still be at our own source. */
  async bring(absent: readonly Name[]): Promise<void> {
    const { store } = this.#o;
    for (const source of this.#sources()) {
      const left = absent.filter((name) => !store.has(name));
      if (left.length === 0) return;
      await acceptChunks(store, await this.#ask(() => source.pull(left, 'demand')));
    }
  }

  #sources(): Set<ChunkSource> {
    const sources = new Set<ChunkSource>();
    for (const { upstream } of this.#o.volumes()) {
      if (upstream.source !== undefined) sources.add(upstream.source);
    }
    return sources;
  }

  /** Nothing, instead of an error: another source may have it, and the asker asks again. */
  async #ask(pull: () => Promise<readonly StoredChunk[]>): Promise<readonly StoredChunk[]> {
    try {
      return await pull();
    } catch (error) {
      const problem = error instanceof Error ? error.message : String(error);
      this.#o.log.log('debug', 'a source did not give chunks', { problem });
      return [];
    }
  }
}

/** Names of volumes that reach one of these chunks (keys of names). */
export async function affectedVolumes(
  store: ChunkStore,
  volumes: Iterable<Volume>,
  names: ReadonlySet<string>,
): Promise<readonly string[]> {
  const affected: string[] = [];
  for (const volume of volumes) {
    if (await reaches(store, volume, names)) affected.push(volume.name);
  }
  return affected;
}

async function reaches(
  store: ChunkStore,
  volume: Volume,
  names: ReadonlySet<string>,
): Promise<boolean> {
  const visit = async (name: Name, level: number): Promise<boolean> => {
    if (names.has(nameKey(name))) return true;
    if (level < 0) return false;
    const page = await store.page(name).catch(() => undefined);
    // What it names cannot be told any more.
    if (page === undefined) return true;
    for (let i = 0; i < page.length / nameBytes; i++) {
      const child = nameAt(page, i);
      if (level === 0 ? names.has(nameKey(child)) : await visit(child, level - 1)) return true;
    }
    return false;
  };
  for (const { name, sizeBytes, root } of volume.held()) {
    const level = root ? treeDepth(sizeBytes, volume.blockSizeBytes) - 1 : -1;
    if (await visit(name, level)) return true;
  }
  return false;
}

/**
 * A document names a root only when its chunks were durable: where the root itself is gone, the
 * disk lost what it had acknowledged, and perhaps much more. What arrives by a teleport or a
 * rebuild may lack it.
 */
export function noteRootless(store: ChunkStore, volumes: Iterable<Volume>): void {
  for (const volume of volumes) {
    const { origin, replica } = volume.document;
    const arrives = origin !== undefined || (replica?.phase ?? 'Healthy') !== 'Healthy';
    if (arrives || store.has(volume.head.tree.root)) continue;
    const message = 'the disk has lost chunks of this volume that it had acknowledged';
    const reason = 'DataCorrupt';
    volume.setCondition({ type: 'DataDamaged', status: 'True', reason, message });
  }
}
