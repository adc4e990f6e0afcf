/** The journal's files and the packer, with what goes through them counted for the metrics. */
import type { Disk, DiskFile, Metrics } from '../base/ports.ts';
import type { Packer } from '../volume/types.ts';

const journalDirectory = 'journal/';

/** Other files of the pool are passed on as they are: their reads are the hot path. */
export function meterDisk(disk: Disk, metrics: Metrics, pool: string): Disk {
  return {
    ...disk,
    open: (path, options) => {
      const file = disk.open(path, options);
      return path.startsWith(journalDirectory) ? meterJournal(file, metrics, pool) : file;
    },
  };
}

function meterJournal(file: DiskFile, metrics: Metrics, pool: string): DiskFile {
  const labels = { pool };
  return {
    ...file,
    write: (parts, position) => {
      file.write(parts, position);
      const bytes = parts.reduce((sum, part) => sum + part.length, 0);
      metrics.add('transship_journal_written_bytes_total', bytes, labels);
    },
    syncLater: async () => {
      const startMs = performance.now();
      await file.syncLater();
      const seconds = (performance.now() - startMs) / 1000;
      metrics.observe('transship_journal_sync_seconds', seconds, labels);
    },
  };
}

export function meterPacker(packer: Packer, metrics: Metrics, pool: string): Packer {
  const reject = (count: number): void => {
    if (count > 0) metrics.add('transship_rejected_chunks_total', count, { pool });
  };
  return {
    pack: async (blocks, blockBytes, known) => {
      metrics.add('transship_packed_bytes_total', blocks.length, { pool });
      return packer.pack(blocks, blockBytes, known);
    },
    unpack: async (chunks) => {
      const contents = await packer.unpack(chunks);
      reject(contents.filter((content) => content === undefined).length);
      return contents;
    },
    verify: async (chunks) => {
      const good = await packer.verify(chunks);
      reject(good.filter((one) => !one).length);
      return good;
    },
  };
}
