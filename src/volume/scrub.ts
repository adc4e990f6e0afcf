/** Scrub: reads every chunk back, and replaces damaged ones from whoever has them. */
import type { ScrubReport } from './api.ts';
import { nameKey } from './name.ts';
import type { ChunkStore } from './store.ts';
import type { Name, StoredChunk } from './types.ts';
import { acceptChunks } from './upstream.ts';

const batch = 64;

export interface ScrubOptions {
  readonly store: ChunkStore;
  readonly heal: (names: readonly Name[]) => Promise<readonly StoredChunk[]>;
  /** Names of volumes that reach one of these chunks. */
  readonly affected: (names: ReadonlySet<string>) => Promise<readonly string[]>;
  readonly onProgress: (done: number, total: number) => void;
  readonly stopped: () => boolean;
}

export async function scrub(options: ScrubOptions): Promise<ScrubReport> {
  const { store } = options;
  const places = [...store.segments.all()];
  const total = store.index.size;
  const damaged: Name[] = [];
  let chunks = 0;
  let bytes = 0;
  for (const segment of places) {
    const live = store.segments.entriesOf(segment).filter(({ name, place }) => {
      const now = store.place(name);
      return now?.segment === segment && now.place === place;
    });
    for (let at = 0; at < live.length && !options.stopped(); at += batch) {
      const names = live.slice(at, at + batch).map((entry) => new Uint8Array(entry.name));
      const found = await Promise.all(names.map((name) => store.storedOrNot(name)));
      const stored = found.filter((chunk) => chunk !== undefined);
      const contents = await store.packer.unpack(stored);
      stored.forEach((chunk, i) => {
        bytes += chunk.bytes.length;
        if (contents[i] === undefined) {
          store.forget(chunk.name);
          damaged.push(chunk.name);
        }
      });
      found.forEach((chunk, i) => {
        const name = names[i];
        if (chunk === undefined && name !== undefined && !store.has(name)) damaged.push(name);
      });
      chunks += names.length;
      options.onProgress(chunks, total);
    }
  }
  const repaired = damaged.length === 0 ? 0 : await repair(options, damaged);
  const left = new Set(damaged.filter((name) => !store.has(name)).map(nameKey));
  const affectedVolumes = left.size === 0 ? [] : await options.affected(left);
  return { chunks, bytes, corrupt: damaged.length, repaired, affectedVolumes };
}

async function repair({ store, heal }: ScrubOptions, damaged: readonly Name[]): Promise<number> {
  for (let at = 0; at < damaged.length; at += batch) {
    await acceptChunks(store, await heal(damaged.slice(at, at + batch)));
  }
  await store.segments.syncLater();
  return damaged.filter((name) => store.has(name)).length;
}
