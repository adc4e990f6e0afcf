/**
 * Saves one version of a volume: what the repository does not have is written, then the version
 * (docs/formats/repository.md, "Write order"). Asked again after any crash it goes on from the
 * packs that are there.
 */
import { fail } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { isZeroName, nameAt, nameHex, nameKey } from '../../volume/name.ts';
import { FingerprintTable } from '../../volume/fingerprints.ts';
import { blockCount, entrySpan, treeDepth } from '../../volume/tree.ts';
import type { PoolApi } from '../../volume/api.ts';
import type { LeaseGrant, Name, StoredChunk, Version } from '../../volume/types.ts';
import { createRateLimit } from '../rate.ts';
import { findLeftPacks } from './adopt.ts';
import { Catalogue } from './catalogue.ts';
import type { SavedVersion } from './documents.ts';
import { HeldLock } from './locks.ts';
import { PackWriter } from './pack-writer.ts';
import type { Repository } from './repository.ts';

/** Read from the pool at a time. */
const batchNames = 32;

export type SavePool = Pick<
  PoolApi,
  'grantLease' | 'renewLease' | 'releaseLease' | 'readPage' | 'readStored' | 'readPath'
>;

export interface SaveProgress {
  /** Bytes of the volume that were dealt with, of all that it may have. */
  readonly doneBytes: number;
  readonly totalBytes: number;
  /** Sent to the repository. */
  readonly addedBytes: number;
}

export interface SaveRequest {
  readonly pool: SavePool;
  readonly volume: string;
  /** Of the version: one that is there already is not saved again. */
  readonly name: string;
  readonly atMs?: number;
  readonly snapshot?: string;
  /** Who saves, for people. */
  readonly cluster: string;
  readonly bytesPerSecond?: number;
  readonly signal: AbortSignal;
  readonly onProgress: (progress: SaveProgress) => void;
}

/**
 * `InUse` while somebody gives space back there, `DataMissing` when a part of the volume is not
 * here and does not come, `Conflict` when the lock was lost: save again.
 */
export async function saveVersion(
  repository: Repository,
  request: SaveRequest,
): Promise<SavedVersion> {
  const { volume, name, cluster, pool, signal } = request;
  const known = await repository.version(volume, name);
  if (known !== undefined) return known;
  const lock = await HeldLock.take(repository, 'save', `${cluster}/${volume}`);
  try {
    const grant = await leaseOf(request);
    try {
      const addedBytes = await writeTree(repository, request, grant);
      signal.throwIfAborted();
      const saved = versionOf(repository, request, { grant, addedBytes });
      await lock.check();
      await repository.putVersion(saved);
      await lock.check().catch(async (error: unknown) => {
        await repository.forget(volume, name);
        throw error;
      });
      return saved;
    } finally {
      await pool.releaseLease(grant.leaseId);
    }
  } finally {
    await lock.release();
  }
}

function leaseOf(request: SaveRequest): Promise<LeaseGrant> {
  const { pool, volume, name, atMs, snapshot } = request;
  return pool.grantLease({
    volume,
    holder: `repository/${name}`,
    lifeMs: limits.leaseMs,
    ...(atMs === undefined ? {} : { atMs }),
    ...(snapshot === undefined ? {} : { snapshot }),
  });
}

function versionOf(
  { ports: { clock } }: Repository,
  { volume, name, cluster, atMs }: SaveRequest,
  { grant, addedBytes }: { readonly grant: LeaseGrant; readonly addedBytes: number },
): SavedVersion {
  const savedMs = clock.wallMs();
  const { version, recentUse } = grant;
  const { root, sizeBytes, blockBytes, allocatedBlocks } = version;
  const shape = { root, sizeBytes, blockBytes, allocatedBlocks };
  return { ...shape, volume, name, cluster, atMs: atMs ?? savedMs, savedMs, addedBytes, recentUse };
}

/** Returns how many bytes were sent. */
async function writeTree(
  repository: Repository,
  request: SaveRequest,
  grant: LeaseGrant,
): Promise<number> {
  const { signal, bytesPerSecond } = request;
  const rate = createRateLimit(repository.ports.clock, bytesPerSecond);
  const writer = new PackWriter({ repository, rate, signal });
  const catalogue = await repository.reload();
  const packs = await repository.list('packs/');
  for (const pack of await findLeftPacks(repository, catalogue, packs)) writer.adopt(pack);
  const there = new Set(packs.map(({ name }) => name));
  const isWhole = catalogue.packs.every(({ id }) => there.has(`packs/${nameHex(id)}`));
  const known = isWhole ? catalogue : await onlyThere(repository, there);
  const walk = new SaveWalk({ request, writer, version: grant.version, known, isWhole });
  try {
    await walk.run();
    await writer.finish();
  } finally {
    await writer.abandon();
  }
  return writer.addedBytes;
}

/** Somebody deleted packs that are listed: what they had counts as absent. */
async function onlyThere(repository: Repository, there: ReadonlySet<string>): Promise<Catalogue> {
  const catalogue = new Catalogue();
  await repository.eachIndex(await repository.indexes(), (packs) => {
    for (const pack of packs) if (there.has(`packs/${nameHex(pack.id)}`)) catalogue.add(pack);
  });
  return catalogue;
}

interface WalkOptions {
  readonly request: SaveRequest;
  readonly writer: PackWriter;
  readonly version: Version;
  readonly known: Catalogue;
  /** Nothing listed is gone: under a page that is known everything is. */
  readonly isWhole: boolean;
}

/** From the root down to what is not known, and up again: children before their page. */
class SaveWalk {
  readonly #o: WalkOptions;
  readonly #visited = new FingerprintTable();
  readonly #blocks: number;

  constructor(options: WalkOptions) {
    this.#o = options;
    const { sizeBytes, blockBytes } = options.version;
    this.#blocks = blockCount(sizeBytes, blockBytes);
  }

  async run(): Promise<void> {
    const { root, sizeBytes, blockBytes } = this.#o.version;
    await this.#page(root, treeDepth(sizeBytes, blockBytes) - 1, 0);
    this.#report(this.#blocks);
  }

  async #page(name: Name, level: number, number: number): Promise<void> {
    const { known, isWhole, writer, request } = this.#o;
    if (isZeroName(name) || this.#visited.has(name)) return;
    if (isWhole && known.has(name)) return;
    request.signal.throwIfAborted();
    const firstBlock = number * entrySpan(level + 1);
    const content = await this.#contentOf(name, firstBlock);
    if (level === 0) await this.#leaf(content, firstBlock);
    for (let i = 0; i < limits.pageNames && level > 0; i++) {
      await this.#page(nameAt(content, i), level - 1, number * limits.pageNames + i);
    }
    this.#visited.set(name, 1, 0);
    if (known.has(name) || writer.has(name)) return;
    for (const chunk of await this.#stored([{ name, block: firstBlock }])) await writer.add(chunk);
  }

  async #leaf(page: Uint8Array, firstBlock: number): Promise<void> {
    const { known, writer } = this.#o;
    const wanted = new Map<string, Wanted>();
    for (let i = 0; i < limits.pageNames; i++) {
      const name = nameAt(page, i);
      if (isZeroName(name) || known.has(name) || writer.has(name)) continue;
      wanted.set(nameKey(name), { name, block: firstBlock + i });
    }
    const all = [...wanted.values()];
    for (let first = 0; first < all.length; first += batchNames) {
      const some = all.slice(first, first + batchNames);
      for (const chunk of await this.#stored(some)) await writer.add(chunk);
      this.#o.request.signal.throwIfAborted();
    }
    this.#report(firstBlock + limits.pageNames);
  }

  /** Of a page, wherever the pool gets it from. */
  async #contentOf(name: Name, block: number): Promise<Uint8Array> {
    const { pool, volume } = this.#o.request;
    const here = await pool.readPage(name);
    if (here !== undefined) return here;
    await this.#bring(block);
    const brought = await pool.readPage(name);
    if (brought !== undefined) return brought;
    return fail('DataMissing', `volume ${volume}: a page of its tree is not here, and not coming`);
  }

  async #stored(wanted: readonly Wanted[]): Promise<readonly StoredChunk[]> {
    const { pool, volume } = this.#o.request;
    const found = await pool.readStored(wanted.map(({ name }) => name));
    if (found.length === wanted.length) return found;
    const here = new Set(found.map(({ name }) => nameKey(name)));
    const missing = wanted.filter(({ name }) => !here.has(nameKey(name)));
    for (const { block } of missing) await this.#bring(block);
    const brought = await pool.readStored(missing.map(({ name }) => name));
    if (brought.length === missing.length) return [...found, ...brought];
    return fail('DataMissing', `volume ${volume}: block ${missing[0]!.block} is not here`);
  }

  /** A volume that is still arriving fetches what lies on the way to this block. */
  async #bring(firstBlock: number): Promise<void> {
    const { root, sizeBytes, blockBytes } = this.#o.version;
    const way = { root, sizeBytes, blockBytes, firstBlock, blockCount: 1, skipLevels: 0 };
    await this.#o.request.pool.readPath(way);
  }

  #report(blocks: number): void {
    const { request, version, writer } = this.#o;
    const { sizeBytes, blockBytes } = version;
    request.onProgress({
      doneBytes: Math.min(sizeBytes, blocks * blockBytes),
      totalBytes: sizeBytes,
      addedBytes: writer.addedBytes,
    });
  }
}

interface Wanted {
  readonly name: Name;
  readonly block: number;
}
