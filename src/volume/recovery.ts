/** Gives the volumes of a pool what the journal still holds for them (docs/formats/journal.md). */
import type { Disk } from '../base/ports.ts';
import { entryKinds } from './frame.ts';
import type { Journal } from './journal.ts';
import { type ReplayEntry, replayJournal } from './replay.ts';
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
  const unmarked = new Map<Volume, ReplayEntry[]>();
  const result = replayJournal(disk, poolId, from, (entry) => {
    lastNumber = Math.max(lastNumber, entry.volume);
    const volume = byNumber.get(entry.volume);
    if (volume === undefined || entry.sequence < volume.document.journalFrom) return;
    if (volume.head.mark === undefined) apply(volume, entry);
    else applyMarked(volume, entry, unmarked);
  });
  // A document may be ahead of a journal whose unacknowledged tail was lost.
  const nextSequence = Math.max(result.nextSequence, 1, ...froms);
  journal.adopt({ ...result, nextSequence });
  for (const [volume, entries] of unmarked) {
    if (entries.length > 0) volume.head.dropUnmarked();
  }
  return { damaged: result.damaged, lastNumber };
}

function apply({ head }: Volume, entry: ReplayEntry): void {
  if (entry.kind === entryKinds.mark || entry.kind === entryKinds.drop) return;
  const layer = head.replayLayer(entry.sequence);
  if (entry.kind === entryKinds.zero) {
    head.applyZero(entry.firstSector, entry.sectors);
    return;
  }
  entry.checksums.forEach((checksum, i) => {
    layer.sectors.set(entry.firstSector + i, entry.file, entry.position + i, checksum);
  });
}

/** Of a replicated volume only what a mark covers: then its content is exactly that of the mark. */
function applyMarked(
  volume: Volume,
  entry: ReplayEntry,
  unmarked: Map<Volume, ReplayEntry[]>,
): void {
  const waiting = unmarked.get(volume) ?? [];
  unmarked.set(volume, waiting);
  const { kind, firstSector: sequence, sectors: epoch } = entry;
  if (kind === entryKinds.mark || kind === entryKinds.drop) {
    if (kind === entryKinds.mark) {
      for (const one of waiting) apply(volume, one);
      volume.head.mark = { epoch, sequence };
    }
    waiting.length = 0;
    return;
  }
  waiting.push(entry);
}
