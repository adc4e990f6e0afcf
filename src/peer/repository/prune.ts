/** Gives back what no version and no lease reaches (docs/formats/repository.md, "Forgetting"). */
import { asTransshipError, fail } from '../../base/errors.ts';
import { nameHex } from '../../volume/name.ts';
import { createRateLimit } from '../rate.ts';
import type { Catalogue } from './catalogue.ts';
import { ChunkReader, type ReadOptions } from './chunk-reader.ts';
import type { LockDocument } from './documents.ts';
import type { IndexedPack } from './index-object.ts';
import { findLocks, HeldLock, staleMs } from './locks.ts';
import { PackWriter } from './pack-writer.ts';
import { markReachable } from './reach.ts';
import type { Repository } from './repository.ts';
import { presentChunks } from './verify.ts';

/** A pack of which less is needed is written anew. */
const keptRatio = 0.5;
/** Where there is nothing to give back, so many indexes are put together into fewer. */
const indexesMax = 16;
const deletesPerLook = 64;

export interface PruneOptions {
  /** Who gives space back, for people. */
  readonly holder: string;
  readonly signal: AbortSignal;
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
}

export interface PruneReport {
  readonly versions: number;
  readonly deletedPacks: number;
  readonly rewrittenPacks: number;
  /** What the place has less than before. */
  readonly freedBytes: number;
  readonly keptBytes: number;
}

/** `InUse` while somebody saves; `DataMissing` when a version is damaged: nothing is done then. */
export async function pruneRepository(
  repository: Repository,
  options: PruneOptions,
): Promise<PruneReport> {
  const lock = await HeldLock.take(repository, 'prune', options.holder);
  try {
    return await new Pruning(repository, options, lock).run();
  } finally {
    await lock.release();
  }
}

interface Sorted {
  readonly kept: IndexedPack[];
  /** Only what is needed of them. */
  readonly thin: IndexedPack[];
}

class Pruning {
  readonly #repository: Repository;
  readonly #o: PruneOptions;
  readonly #lock: HeldLock;
  readonly #read: ReadOptions;

  constructor(repository: Repository, options: PruneOptions, lock: HeldLock) {
    this.#repository = repository;
    this.#o = options;
    this.#lock = lock;
    this.#read = { store: repository.ports.store, signal: options.signal };
  }

  async run(): Promise<PruneReport> {
    const repository = this.#repository;
    const leases = await this.#leases();
    const indexes = await repository.indexes();
    const before = (await repository.list('indexes/')).map(({ name }) => name);
    const said = (await repository.list('replaced/')).map(({ name }) => name);
    const packs = await repository.list('packs/');
    const { catalogue } = await presentChunks(repository);
    const versions = await this.#mark(catalogue, leases);
    const { kept, thin } = await this.#sort(indexes, catalogue);
    const names = new Set(kept.map(({ id }) => `packs/${nameHex(id)}`));
    const gone = packs.filter(({ name }) => !names.has(name));
    const rewrittenBytes = await this.#rewrite(thin);
    if (gone.length > 0 || indexes.length > indexesMax) {
      await repository.putIndexes(kept, this.#o.signal);
      await this.#lock.check();
      said.push(await repository.replace(before));
      await this.#delete(before);
      await this.#delete(gone.map(({ name }) => name));
    } else await this.#delete(before.filter((name) => !indexes.includes(name)));
    await this.#delete(said);
    await repository.reload();
    const sum = (bytes: number, { sizeBytes }: { readonly sizeBytes: number }) => bytes + sizeBytes;
    return {
      versions,
      deletedPacks: gone.length - thin.length,
      rewrittenPacks: thin.length,
      freedBytes: gone.reduce(sum, 0) - rewrittenBytes,
      keptBytes: kept.reduce(sum, 0) + rewrittenBytes,
    };
  }

  /** Stale locks are taken away: whoever comes back to one finds it gone. */
  async #leases(): Promise<NonNullable<LockDocument['reads']>[]> {
    const { store } = this.#repository.ports;
    const reads: NonNullable<LockDocument['reads']>[] = [];
    for (const { object, ageMs, document } of await findLocks(this.#repository, '')) {
      if (ageMs > staleMs[document?.use ?? 'lease']) await store.delete(object);
      else if (document?.reads !== undefined) reads.push(document.reads);
    }
    return reads;
  }

  async #mark(
    catalogue: Catalogue,
    leases: readonly NonNullable<LockDocument['reads']>[],
  ): Promise<number> {
    const repository = this.#repository;
    const reader = new ChunkReader(repository);
    await repository.reload();
    const versions = await repository.versions();
    const reach = { reader, catalogue, read: this.#read };
    for (const version of versions) {
      if ((await markReachable(reach, version)) === 0) continue;
      const { volume, name } = version;
      const what = `version ${name} of volume ${volume} is damaged`;
      fail('DataMissing', `${what}; save that volume there again, or forget the version`);
    }
    for (const lease of leases) {
      if ((await markReachable(reach, lease)) === 0) continue;
      fail('DataMissing', 'what a volume elsewhere still reads is damaged; wait until it is whole');
    }
    return versions.length;
  }

  /** Names again from the indexes: the catalogue does not keep all of them. */
  async #sort(indexes: readonly string[], catalogue: Catalogue): Promise<Sorted> {
    const sorted: Sorted = { kept: [], thin: [] };
    const seen = new Set<string>();
    await this.#repository.eachIndex(indexes, (packs) => {
      for (const pack of packs) {
        const id = nameHex(pack.id);
        if (seen.has(id)) continue;
        seen.add(id);
        // Of what is in two packs, that which the catalogue reads is needed.
        const entries = pack.entries.filter(({ name }) => {
          if (!catalogue.isMarked(name)) return false;
          return nameHex(catalogue.find(name)!.pack.id) === id;
        });
        const bytes = entries.reduce((sum, { lengthBytes }) => sum + lengthBytes, 0);
        if (entries.length === 0) continue;
        const isThin = bytes < pack.sizeBytes * keptRatio;
        (isThin ? sorted.thin : sorted.kept).push({ ...pack, entries });
      }
    });
    return sorted;
  }

  /** Returns the bytes of the new packs. */
  async #rewrite(thin: readonly IndexedPack[]): Promise<number> {
    const { signal, onProgress } = this.#o;
    const repository = this.#repository;
    const rate = createRateLimit(repository.ports.clock);
    const writer = new PackWriter({ repository, rate, signal });
    const reader = new ChunkReader(repository);
    const totalBytes = thin.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
    let doneBytes = 0;
    try {
      for (const { entries, sizeBytes } of thin) {
        const chunks = await reader.read(
          entries.map(({ name }) => name),
          this.#read,
        );
        if (chunks.length < entries.length) {
          fail('DataMissing', 'a pack is damaged that is still needed; verify the repository');
        }
        for (const chunk of chunks) await writer.add(chunk);
        doneBytes += sizeBytes;
        onProgress(doneBytes, totalBytes);
      }
      await writer.finish();
    } catch (error) {
      throw signal.aborted ? asTransshipError(signal.reason) : error;
    } finally {
      await writer.abandon();
    }
    return writer.addedBytes;
  }

  /** Whoever lost the lock may not be alone any more. */
  async #delete(names: readonly string[]): Promise<void> {
    for (const [i, name] of names.entries()) {
      this.#o.signal.throwIfAborted();
      if (i % deletesPerLook === 0) await this.#lock.check();
      await this.#repository.ports.store.delete(name);
    }
  }
}
