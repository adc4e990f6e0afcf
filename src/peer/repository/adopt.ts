/** Packs that a killed save left: found by listing, read by their trailers. */
import { asTransshipError } from '../../base/errors.ts';
import type { Catalogue } from './catalogue.ts';
import type { IndexedPack } from './index-object.ts';
import type { ObjectInfo } from './object-store.ts';
import { decodeFooter, decodePackHeader, footerBytes, PackOpener } from './pack.ts';
import type { Repository } from './repository.ts';
import { headerBytes } from './sealed.ts';

const prefix = 'packs/';

/**
 * Packs of blocks that no index lists. Those of pages are left to `prune`: nothing says that all
 * under them is there. One that is damaged is left, too.
 */
export async function findLeftPacks(
  repository: Repository,
  catalogue: Catalogue,
  listed: readonly ObjectInfo[],
): Promise<IndexedPack[]> {
  const left = listed.filter(({ name }) => !catalogue.hasPack(name.slice(prefix.length)));
  const found: IndexedPack[] = [];
  for (const { name, sizeBytes } of left) {
    try {
      const pack = await readTrailer(repository, name, sizeBytes);
      if (pack.kind === 'block') found.push(pack);
    } catch (error) {
      const { reason, message } = asTransshipError(error);
      // It may have been taken away meanwhile.
      if (reason !== 'DataCorrupt' && reason !== 'NotFound') throw error;
      repository.ports.log.log('warn', 'a pack cannot be taken up', { name, problem: message });
    }
  }
  return found;
}

/** What a pack says of itself. `DataCorrupt`, `NotFound`. */
export async function readTrailer(
  { ports: { store }, key }: Repository,
  name: string,
  sizeBytes: number,
): Promise<IndexedPack> {
  const { kind, salt } = decodePackHeader(key, await store.get(name, { lengthBytes: headerBytes }));
  const footer = decodeFooter(await store.get(name, { offset: -footerBytes }), sizeBytes);
  const { offset, lengthBytes } = footer;
  const sealed = await store.get(name, { offset, lengthBytes });
  const entries = new PackOpener(key, salt).trailer(offset, sealed, sizeBytes);
  const id = Buffer.from(name.slice(prefix.length), 'hex');
  return { id, kind, salt, sizeBytes, entries };
}
