/** Chunks out of packs: neighbours in one request, nothing that is not what it was. */
import { asTransshipError, TransshipError } from '../../base/errors.ts';
import { nameHex, nameKey, sameName } from '../../volume/name.ts';
import type { Name, StoredChunk } from '../../volume/types.ts';
import type { Place } from './catalogue.ts';
import type { ObjectStore } from './object-store.ts';
import { PackOpener } from './pack.ts';
import type { Repository } from './repository.ts';

/** What lies between two chunks is read too when it is less than another request costs. */
const gapBytesMax = 64 * 1024;
const spanBytesMax = 2 * 1024 * 1024;
const togetherMax = 4;

export interface ReadOptions {
  /** The same place, with the patience of this reader. */
  readonly store: ObjectStore;
  readonly signal: AbortSignal;
  /** Before each request, with its length. */
  readonly pace?: (bytes: number) => Promise<void>;
}

interface Wanted extends Place {
  readonly name: Name;
}

interface Span {
  readonly wanted: Wanted[];
  end: number;
}

/** Those that are there and whole, in no order; contents are for the packer to verify. */
export class ChunkReader {
  readonly #repository: Repository;
  readonly #openers = new Map<string, PackOpener>();

  constructor(repository: Repository) {
    this.#repository = repository;
  }

  async read(names: readonly Name[], options: ReadOptions): Promise<StoredChunk[]> {
    const first = await this.#attempt(names, options);
    if (first.gone.length === 0) return first.found;
    // Unknown, or in a pack that was replaced: newer indexes tell.
    await this.#repository.lookAgain();
    const second = await this.#attempt(first.gone, options);
    return [...first.found, ...second.found];
  }

  async #attempt(
    names: readonly Name[],
    options: ReadOptions,
  ): Promise<{ readonly found: StoredChunk[]; readonly gone: Name[] }> {
    const catalogue = await this.#repository.catalogue();
    const found: StoredChunk[] = [];
    const gone: Name[] = [];
    const wanted: Wanted[] = [];
    for (const name of names) {
      const place = catalogue.find(name);
      if (place === undefined) gone.push(name);
      else wanted.push({ ...place, name });
    }
    const spans = spansOf(wanted);
    const work = async (): Promise<void> => {
      for (let span = spans.pop(); span !== undefined; span = spans.pop()) {
        const bytes = await this.#bytesOf(span, options);
        if (bytes === undefined) gone.push(...span.wanted.map(({ name }) => name));
        else found.push(...this.#chunksOf(span, bytes));
      }
    };
    await Promise.all(Array.from({ length: togetherMax }, work));
    return { found, gone };
  }

  async #bytesOf(span: Span, options: ReadOptions): Promise<Uint8Array | undefined> {
    const { store, signal, pace } = options;
    const { pack, offset } = span.wanted[0]!;
    const lengthBytes = span.end - offset;
    await pace?.(lengthBytes);
    try {
      return await store.get(`packs/${nameHex(pack.id)}`, { offset, lengthBytes, signal });
    } catch (error) {
      if (asTransshipError(error).reason !== 'NotFound') throw error;
      this.#repository.lostPack(pack.id);
      return undefined;
    }
  }

  #chunksOf({ wanted }: Span, bytes: Uint8Array): StoredChunk[] {
    const start = wanted[0]!.offset;
    return wanted.flatMap(({ pack, offset, lengthBytes, name }) => {
      const key = nameKey(pack.id);
      let opener = this.#openers.get(key);
      if (opener === undefined) {
        // Keys of packs are quick to make again.
        if (this.#openers.size > 1024) this.#openers.clear();
        opener = new PackOpener(this.#repository.key, pack.salt);
        this.#openers.set(key, opener);
      }
      const sealed = bytes.subarray(offset - start, offset - start + lengthBytes);
      const chunk = sealed.length === lengthBytes ? opener.chunk(offset, sealed) : undefined;
      return chunk !== undefined && sameName(chunk.name, name) ? [chunk] : [];
    });
  }
}

function spansOf(wanted: readonly Wanted[]): Span[] {
  const order = wanted.toSorted((a, b) => {
    return Buffer.compare(a.pack.id, b.pack.id) || a.offset - b.offset;
  });
  const spans: Span[] = [];
  for (const one of order) {
    const last = spans.at(-1);
    const end = one.offset + one.lengthBytes;
    const joins =
      last !== undefined &&
      sameName(last.wanted[0]!.pack.id, one.pack.id) &&
      one.offset - last.end <= gapBytesMax &&
      end - last.wanted[0]!.offset <= spanBytesMax;
    if (joins) {
      last.wanted.push(one);
      last.end = Math.max(last.end, end);
    } else spans.push({ wanted: [one], end });
  }
  return spans;
}

/** What a reader says when chunks that must be there are not. */
export function missingChunks(repository: Repository, count: number): TransshipError {
  const { place } = repository.ports.store;
  const what = `${count} chunks are missing or damaged in ${place}`;
  return new TransshipError('DataMissing', `${what}; save the volume there again`);
}
