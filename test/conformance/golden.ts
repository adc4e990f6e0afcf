// Makes the golden files of the formats: fixed input, no compression, no clock, no chance.
import { writeFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import { MasterKey } from '../../src/peer/repository/keys.ts';
import { PackBuilder } from '../../src/peer/repository/pack.ts';
import { replaceDocument } from '../../src/volume/document.ts';
import { encodeBase, encodeChanges } from '../../src/volume/history-log.ts';
import { Journal, sectorChecksums } from '../../src/volume/journal.ts';
import { nameOf } from '../../src/volume/pack.ts';
import { SegmentStore } from '../../src/volume/segments.ts';
import {
  createMemoryDisk,
  createTestRandom,
  HandClock,
  type MemoryDisk,
  pattern,
  quietLog,
} from '../../src/volume/testing.ts';
import { codecs, type StoredChunk } from '../../src/volume/types.ts';

export const goldenPoolId = Uint8Array.from({ length: 16 }, (_, i) => i * 3);

export function goldenChunks(): StoredChunk[] {
  return [1, 2, 3].map((label) => {
    const bytes = pattern(label, label === 3 ? 8192 : 4096);
    const kind = label === 3 ? 'page' : 'block';
    const checksum = crc32(bytes);
    const rawBytes = bytes.length;
    return { name: nameOf(bytes), kind, codec: codecs.raw, rawBytes, checksum, bytes };
  });
}

async function segment(): Promise<Uint8Array> {
  const disk = createMemoryDisk();
  const onFailure = () => undefined;
  const store = new SegmentStore({ disk, poolId: goldenPoolId, log: quietLog, onFailure });
  store.append(goldenChunks());
  store.retireActiveIfThin(() => 0, 1);
  await store.syncLater();
  return disk.bytes('segments/00000001.seg');
}

function emptyJournal(): { readonly disk: MemoryDisk; readonly one: Journal } {
  const disk = createMemoryDisk();
  const one = new Journal({
    disk,
    clock: new HandClock(),
    random: createTestRandom(3),
    poolId: goldenPoolId,
    fileBytes: 64 * 1024,
    onFailure: () => undefined,
  });
  return { disk, one };
}

function journal(): Uint8Array {
  const { disk, one } = emptyJournal();
  const append = (volume: number, sector: number, data: Uint8Array) => {
    one.append(volume, sector, data, sectorChecksums(data));
  };
  append(1, 0, pattern(1, 4096));
  one.cork();
  append(2, 7, pattern(2, 8192));
  one.appendZero(1, 100, 50);
  one.uncork();
  return disk.bytes('journal/00000001.log');
}

function markedJournal(): Uint8Array {
  const { disk, one } = emptyJournal();
  const mark = { epoch: 4_000_000_000, sequence: 2 ** 40 };
  one.cork();
  one.append(3, 9, pattern(4, 4096), sectorChecksums(pattern(4, 4096)));
  one.appendMark(3, mark);
  one.uncork();
  one.appendMark(3, mark, 'drop');
  return disk.bytes('journal/00000001.log');
}

function history(): Uint8Array {
  const root = nameOf(pattern(9, 8192));
  const changes = new Map([
    [3, nameOf(pattern(1, 4096))],
    [2 ** 33, nameOf(pattern(2, 4096))],
  ]);
  const sizeBytes = 2 ** 46;
  const base = encodeBase(1000, sizeBytes, { root, allocatedBlocks: 5 });
  return Buffer.concat([base, encodeChanges(2000, sizeBytes, changes)]);
}

function volumeDocument(): Uint8Array {
  const disk = createMemoryDisk();
  replaceDocument(disk, 'volumes/a.json', { id: 'a', name: 'db' });
  return disk.bytes('volumes/a.json');
}

/** The key of `repository-1.bin`; real ones come from a password. */
export const goldenKey = new MasterKey(
  goldenPoolId,
  Uint8Array.from({ length: 32 }, (_, i) => 255 - i),
);

function repositoryPack(): Uint8Array {
  const builder = new PackBuilder(goldenKey, 'block', createTestRandom(5));
  for (const chunk of goldenChunks()) if (chunk.kind === 'block') builder.add(chunk);
  return new Uint8Array(Buffer.concat(builder.finish().parts));
}

export async function goldenFiles(): Promise<Readonly<Record<string, Uint8Array>>> {
  return {
    'segment-1.bin': await segment(),
    'journal-1.bin': journal(),
    'journal-marks-1.bin': markedJournal(),
    'history-1.bin': history(),
    'document-1.json': volumeDocument(),
    'repository-1.bin': repositoryPack(),
  };
}

if (import.meta.main) {
  for (const [name, bytes] of Object.entries(await goldenFiles())) {
    writeFileSync(new URL(`../golden/${name}`, import.meta.url), bytes);
  }
}
