/** Gives the volumes of a pool what the journal still holds for them (docs/formats/journal.md). */
import type { Disk } from '../base/ports.ts';
import type { Journal } from './journal.ts';
import { replayJournal } from './replay.ts';
import type { Volume } from './volume.ts';

export interface Recovery {
  /** Acknowledged frames that could not be read. */
  readonly damaged: number;
  /** Highest volume number that any frame names. */
  readonly lastNumber: number;
}

export function recover(
  disk: Disk,
  poolId: Uint8Array,
  volumes: Iterable<Volume>,
  journal: Journal,
): Recovery {
  const byNumber = new Map<number, Volume>();
  for (const volume of volumes) byNumber.set(volume.document.number, volume);
  const froms = [...byNumber.values()].map((volume) => volume.document.journalFrom);
  const from = froms.length === 0 ? 1 : Math.min(...froms);
  let lastNumber = 0;
  const result = replayJournal(disk, poolId, from, (entry) => {
    lastNumber = Math.max(lastNumber, entry.volume);
    const volume = byNumber.get(entry.volume);
    if (volume === undefined || entry.sequence < volume.document.journalFrom) return;
    const layer = volume.head.replayLayer(entry.sequence);
    if (entry.zero) {
      volume.head.applyZero(entry.firstSector, entry.sectors);
      return;
    }
    entry.checksums.forEach((checksum, i) => {
      layer.sectors.set(entry.firstSector + i, entry.file, entry.position + i, checksum);
    });
  });
  // A document may be ahead of a journal whose unacknowledged tail was lost.
  const nextSequence = Math.max(result.nextSequence, 1, ...froms);
  journal.adopt({ ...result, nextSequence });
  return { damaged: result.damaged, lastNumber };
}
