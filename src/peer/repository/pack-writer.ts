/**
 * Writes chunks into packs and lists them, in the order that keeps a crash harmless: packs of
 * blocks, then the pages over them, then the index (docs/formats/repository.md, "Write order").
 */
import { asTransshipError, type TransshipError } from '../../base/errors.ts';
import { FingerprintTable } from '../../volume/fingerprints.ts';
import { nameHex } from '../../volume/name.ts';
import type { ChunkKind, Name, StoredChunk } from '../../volume/types.ts';
import type { RateLimit } from '../rate.ts';
import type { IndexedPack } from './index-object.ts';
import { PackBuilder } from './pack.ts';
import { putOnce, type Repository } from './repository.ts';

/** Packs on their way at a time: with the two being filled, 80 MiB of memory at most. */
const uploadsMax = 3;
/** A killed save leaves at most so many packs whose trailers have to be read. */
const unlistedMax = 64;
const unlistedRecordsMax = 200_000;

export interface PackWriterOptions {
  readonly repository: Repository;
  readonly rate: RateLimit;
  readonly signal: AbortSignal;
}

export class PackWriter {
  readonly #o: PackWriterOptions;
  readonly #queued = new FingerprintTable();
  readonly #builders: Partial<Record<ChunkKind, PackBuilder>> = {};
  readonly #uploads = new Set<Promise<void>>();
  #unlisted: IndexedPack[] = [];
  #failure: TransshipError | undefined;
  #addedBytes = 0;

  constructor(options: PackWriterOptions) {
    this.#o = options;
  }

  /** Of packs that were put. */
  get addedBytes(): number {
    return this.#addedBytes;
  }

  /** It was given to this writer, or one of its adopted packs has it. */
  has(name: Name): boolean {
    return this.#queued.has(name);
  }

  /** A pack of blocks that is there and that no index lists. */
  adopt(pack: IndexedPack): void {
    for (const { name } of pack.entries) this.#queued.set(name, 1, 0);
    this.#unlisted.push(pack);
  }

  /** A page only after everything under it. */
  async add(chunk: StoredChunk): Promise<void> {
    if (this.#queued.has(chunk.name)) return;
    const { kind } = chunk;
    if (this.#builders[kind]?.isFullFor(chunk) === true) {
      if (kind === 'page') await this.#putPages();
      else await this.#putBlocks();
    }
    const { key, ports } = this.#o.repository;
    const builder = (this.#builders[kind] ??= new PackBuilder(key, kind, ports.random));
    builder.add(chunk);
    this.#queued.set(chunk.name, 1, 0);
  }

  /** Everything that was added is there and listed. */
  async finish(): Promise<void> {
    await this.#putPages();
    await this.#list();
  }

  /** Waits for what is on its way; what it ends with does not matter any more. */
  async abandon(): Promise<void> {
    await Promise.all(this.#uploads);
  }

  async #putBlocks(): Promise<void> {
    const builder = this.#builders.block;
    delete this.#builders.block;
    if (builder === undefined) return;
    while (this.#uploads.size >= uploadsMax) await Promise.race(this.#uploads);
    this.#rethrow();
    const upload = this.#put(builder)
      .catch((error: unknown) => {
        this.#failure ??= asTransshipError(error);
      })
      .finally(() => this.#uploads.delete(upload));
    this.#uploads.add(upload);
    const records = this.#unlisted.reduce((sum, { entries }) => sum + entries.length, 0);
    // Blocks may be listed at any time.
    if (this.#unlisted.length >= unlistedMax || records >= unlistedRecordsMax) await this.#list();
  }

  async #putPages(): Promise<void> {
    await this.#putBlocks();
    await Promise.all(this.#uploads);
    this.#rethrow();
    const builder = this.#builders.page;
    delete this.#builders.page;
    if (builder === undefined) return;
    await this.#put(builder);
    await this.#list();
  }

  async #put(builder: PackBuilder): Promise<void> {
    const { repository, rate, signal } = this.#o;
    const { parts, ...pack } = builder.finish();
    signal.throwIfAborted();
    await rate.take(pack.sizeBytes, signal);
    const sha256 = nameHex(pack.id);
    await putOnce(repository.ports.store, `packs/${sha256}`, parts, { sha256, signal });
    this.#addedBytes += pack.sizeBytes;
    this.#unlisted.push(pack);
  }

  async #list(): Promise<void> {
    const packs = this.#unlisted;
    this.#unlisted = [];
    await this.#o.repository.putIndexes(packs, this.#o.signal);
  }

  #rethrow(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }
}
