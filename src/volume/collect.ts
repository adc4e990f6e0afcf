/**
 * Collection: finds chunks that nothing reaches and gives their space back, while writes go on
 * (docs/formats/pool.md).
 *
 * Mark: at one moment, with no long operation inside the gate, everything held is listed; what is
 * stored or counted on later is marked as it happens. Sweep: unmarked names leave the index.
 * Compact: live records of thin segments are appended elsewhere and synced before the segment goes.
 */
import { fail } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { CollectReport } from './api.ts';
import type { Gate } from './gate.ts';
import { isZeroName, nameAt } from './name.ts';
import type { ChunkStore } from './store.ts';
import { treeDepth } from './tree.ts';
import type { Name } from './types.ts';

/** Segments with a smaller live share are rewritten. */
const thinRatio = 0.5;
/** Slots looked at in one turn of the loop. */
const sweepSlots = 64 * 1024;

export interface Held {
  readonly name: Name;
  readonly sizeBytes: number;
  readonly blockBytes: number;
  /** A root with a tree under it, else the name of a block. */
  readonly root: boolean;
  /** Pages may be absent, because a teleport still has to bring them. */
  readonly partial: boolean;
}

export interface CollectOptions {
  readonly store: ChunkStore;
  readonly gate: Gate;
  /** Everything that must stay; called once, synchronously. */
  readonly held: () => Iterable<Held>;
  /** Lets other work run. */
  readonly breathe: () => Promise<void>;
  /** True when the pool stopped: the collection ends without removing anything more. */
  readonly stopped: () => boolean;
}

/**
 * Marks are 1 for a block and level + 2 for a page whose children are, or will be, marked: a
 * guest's block that happens to equal a page must not hide the page's children.
 */
export async function collect(options: CollectOptions): Promise<CollectReport> {
  const { store, gate } = options;
  const marker = new Marker(store);
  const before = store.segments.totalBytes;
  const countBefore = store.segments.count;
  try {
    const roots = await gate.exclusive(() => {
      store.index.clearMarks();
      store.onTouched = (name) => {
        marker.mark(name, -1);
      };
      return [...markBlocks(options.held(), marker)];
    });
    for (const root of roots) {
      await marker.markTree(root, root.name, treeDepth(root.sizeBytes, root.blockBytes) - 1);
      if (options.stopped()) return none;
    }
    const chunksFreed = await sweep(options);
    await compact(options);
    return {
      chunksFreed,
      bytesFreed: Math.max(0, before - store.segments.totalBytes),
      segmentsRemoved: Math.max(0, countBefore - store.segments.count),
    };
  } finally {
    store.onTouched = undefined;
  }
}

/** Marks single blocks at once, for a long history has many; gives the roots. */
function* markBlocks(held: Iterable<Held>, marker: Marker): Generator<Held> {
  for (const one of held) {
    if (one.root) yield one;
    else marker.mark(one.name, -1);
  }
}

const none: CollectReport = { chunksFreed: 0, bytesFreed: 0, segmentsRemoved: 0 };

class Marker {
  readonly #store: ChunkStore;

  constructor(store: ChunkStore) {
    this.#store = store;
  }

  /** Marks; true when what is under it must be visited. */
  mark(name: Name, level: number): boolean {
    const { index } = this.#store;
    const slot = isZeroName(name) ? -1 : index.find(name);
    if (slot < 0) return false;
    const wanted = level + 2;
    if (index.mark(slot) >= wanted) return false;
    index.setMark(slot, wanted);
    return level >= 0;
  }

  /**
   * An absent page is one that a teleport still has to bring. What it names may be here unmarked
   * and be swept: then it is fetched again, and the teleport's last walk claims all it counts on.
   * Under any other root an absent page is damage: nobody knows what it names, so nothing may be
   * swept.
   */
  async markTree(held: Held, name: Name, level: number): Promise<void> {
    if (!this.mark(name, level) && (isZeroName(name) || this.#store.has(name))) return;
    const page = await this.#store.page(name);
    if (page === undefined) {
      if (held.partial) return;
      fail('DataCorrupt', 'a page is damaged; nothing is collected until a scrub has healed it');
    }
    for (let i = 0; i < limits.pageNames; i++) {
      const child = nameAt(page, i);
      if (level === 0) this.mark(child, -1);
      else await this.markTree(held, child, level - 1);
    }
  }
}

async function sweep(options: CollectOptions): Promise<number> {
  const { store } = options;
  const { index } = store;
  let freed = 0;
  let { generation } = index;
  for (let slot = 0; slot < index.capacity; ) {
    // Removing closes gaps from behind, so the same slot is looked at again.
    const end = Math.min(slot + sweepSlots, index.capacity);
    if (options.stopped()) return freed;
    while (slot < end) {
      if (index.first(slot) !== 0 && index.mark(slot) === 0) {
        store.forgetSlot(slot);
        freed++;
      } else slot++;
    }
    await options.breathe();
    if (index.generation !== generation) {
      ({ generation } = index);
      slot = 0;
    }
  }
  return freed;
}

async function compact(options: CollectOptions): Promise<void> {
  const { store } = options;
  store.segments.retireActiveIfThin((number) => store.liveIn(number), thinRatio);
  await store.segments.syncLater();
  for (const { number, bytes } of store.segments.sealed()) {
    if (options.stopped()) return;
    const live = store.liveIn(number);
    if (live > bytes * thinRatio) continue;
    if (live > 0 && !(await moveLive(store, number))) continue;
    // The copies must be durable before the only other record of them goes.
    await store.segments.syncLater();
    store.segments.remove(number);
    store.segmentGone(number);
    await options.breathe();
  }
}

/** Copies what lives in a segment; false when a record could not be read, so that it must stay. */
async function moveLive(store: ChunkStore, number: number): Promise<boolean> {
  for (const { name, place } of store.segments.entriesOf(number)) {
    const now = store.place(name);
    if (now?.segment !== number || now.place !== place) continue;
    const chunk = await store.stored(name);
    if (chunk === undefined) return false;
    const still = store.place(name);
    if (still?.segment !== number || still.place !== place) continue;
    const [to] = store.segments.append([chunk]);
    if (to !== undefined) store.moved(new Uint8Array(name), to);
  }
  return true;
}
