/**
 * Proof that every saved version can be opened: its chunks are there, and what they were. And that
 * every backup has all of its parts.
 */
import { nameHex } from '../../volume/name.ts';
import type { Name, Packer } from '../../volume/types.ts';
import { verifyBackups, type VerifiedBackup } from './backups.ts';
import { ChunkReader } from './chunk-reader.ts';
import type { SavedVersion } from './documents.ts';
import { markReachable } from './reach.ts';
import { Catalogue } from './catalogue.ts';
import type { Repository } from './repository.ts';

export interface VerifyOptions {
  /** Reads every chunk and checks it against its name; else only that its pack is there. */
  readonly deep: boolean;
  readonly packer: Packer;
  readonly signal: AbortSignal;
  readonly onProgress: (doneBytes: number, totalBytes: number) => void;
}

export interface VerifiedVersion {
  readonly version: SavedVersion;
  /** Chunks that are not there, or not what they were; of what versions share, told once. */
  readonly badChunks: number;
}

export interface VerifyReport {
  readonly versions: readonly VerifiedVersion[];
  /** Version objects that cannot be read. */
  readonly damagedVersions: readonly string[];
  readonly backups: readonly VerifiedBackup[];
  /** Objects of backups that cannot be read. */
  readonly damagedBackups: readonly string[];
  /** Packs that are listed and not there as they were. */
  readonly missingPacks: readonly string[];
  readonly chunks: number;
}

export async function verifyRepository(
  repository: Repository,
  { deep, packer, signal, onProgress }: VerifyOptions,
): Promise<VerifyReport> {
  const { catalogue, missingPacks } = await presentChunks(repository);
  const damagedVersions: string[] = [];
  const all = await repository.versions((object) => damagedVersions.push(object));
  const totalBytes = all.reduce((sum, one) => sum + one.allocatedBlocks * one.blockBytes, 0);
  const reader = new ChunkReader(repository);
  const read = { store: repository.ports.store, signal };
  const versions: VerifiedVersion[] = [];
  let doneBytes = 0;
  for (const version of all) {
    let bad = 0;
    const onBlocks = async (names: readonly Name[]): Promise<void> => {
      doneBytes += names.length * version.blockBytes;
      onProgress(Math.min(doneBytes, totalBytes), totalBytes);
      if (!deep) return;
      const chunks = await reader.read(names, read);
      const good = await packer.verify(chunks);
      bad += names.length - good.filter((is) => is).length;
    };
    const missing = await markReachable({ reader, catalogue, read, onBlocks }, version);
    versions.push({ version, badChunks: missing + bad });
  }
  const { backups, damaged: damagedBackups } = await verifyBackups(repository);
  const { chunks } = catalogue;
  return { versions, damagedVersions, backups, damagedBackups, missingPacks, chunks };
}

/** What is listed, without what is in packs that are gone or have another length. */
export async function presentChunks(
  repository: Repository,
): Promise<{ readonly catalogue: Catalogue; readonly missingPacks: readonly string[] }> {
  // Indexes first: what they name was put before them.
  const indexes = await repository.indexes();
  const packs = await repository.list('packs/');
  const sizes = new Map(packs.map(({ name, sizeBytes }) => [name, sizeBytes]));
  const catalogue = new Catalogue();
  const missingPacks: string[] = [];
  await repository.eachIndex(indexes, (listed) => {
    for (const pack of listed) {
      const name = `packs/${nameHex(pack.id)}`;
      if (sizes.get(name) === pack.sizeBytes) catalogue.add(pack);
      else missingPacks.push(name);
    }
  });
  return { catalogue, missingPacks: [...new Set(missingPacks)] };
}
