/**
 * One file of the simulated disk: what processes see (`live`), what the medium has (`durable`), and
 * what is on the way between the two. Sectors of 512 bytes are written whole or not at all.
 */
import type { Rng } from './rng.ts';

const sectorBytes = 512;

type Change =
  | {
      readonly kind: 'write';
      readonly order: number;
      readonly at: number;
      readonly bytes: Uint8Array;
    }
  | { readonly kind: 'truncate'; readonly order: number; readonly sizeBytes: number };

/** Bytes that grow; beyond `size` they are zero. */
class Content {
  bytes = new Uint8Array(0);
  size = 0;

  write(at: number, from: Uint8Array): void {
    this.resize(Math.max(this.size, at + from.length));
    this.bytes.set(from, at);
  }

  resize(size: number): void {
    if (size > this.bytes.length) {
      const grown = new Uint8Array(Math.max(size, this.bytes.length * 2, 4096));
      grown.set(this.bytes);
      this.bytes = grown;
    }
    if (size < this.size) this.bytes.fill(0, size, this.size);
    this.size = size;
  }

  copy(): Content {
    const copy = new Content();
    copy.bytes = this.bytes.slice();
    copy.size = this.size;
    return copy;
  }
}

export class SimFile {
  #live = new Content();
  #durable = new Content();
  #changes: Change[] = [];
  #order = 0;

  get sizeBytes(): number {
    return this.#live.size;
  }

  /** Writes that a crash may lose. */
  get unsynced(): number {
    return this.#changes.length;
  }

  read(into: Uint8Array, position: number): number {
    const end = Math.min(this.#live.size, position + into.length);
    if (end <= position) return 0;
    into.set(this.#live.bytes.subarray(position, end));
    return end - position;
  }

  write(parts: readonly Uint8Array[], position: number): void {
    let at = position;
    for (const part of parts) {
      this.#live.write(at, part);
      at += part.length;
    }
    if (at === position) return;
    // A sector goes to the medium as it is in memory, with its neighbours' bytes in it.
    const first = Math.floor(position / sectorBytes) * sectorBytes;
    const last = Math.min(this.#live.size, Math.ceil(at / sectorBytes) * sectorBytes);
    const bytes = this.#live.bytes.slice(first, last);
    this.#changes.push({ kind: 'write', order: this.#nextOrder(), at: first, bytes });
  }

  truncate(sizeBytes: number): void {
    if (sizeBytes === this.#live.size) return;
    this.#live.resize(sizeBytes);
    this.#changes.push({ kind: 'truncate', order: this.#nextOrder(), sizeBytes });
  }

  /** What a sync that starts now must bring to the medium. */
  mark(): number {
    return this.#order;
  }

  /** The sync that started at `mark` has ended well. */
  makeDurable(mark: number): void {
    const done = this.#changes.filter(({ order }) => order <= mark);
    this.#changes = this.#changes.filter(({ order }) => order > mark);
    for (const change of done) applyWhole(this.#durable, change);
  }

  /** The sync failed: the kernel calls the pages clean, and some never reach the medium. */
  failSync(mark: number, rng: Rng): void {
    const concerned = this.#changes.filter(({ order }) => order <= mark);
    this.#changes = this.#changes.filter(({ order }) => order > mark);
    applySome(this.#durable, concerned, { rng, share: rng.fraction(), garbage: false });
  }

  /** Power is lost: the medium has any subset of the sectors on the way; memory is gone. */
  crash(rng: Rng): void {
    const share = rng.pick([0, 0.1, 0.5, 0.9, 1]);
    applySome(this.#durable, this.#changes, { rng, share, garbage: rng.chance(0.1) });
    this.#changes = [];
    this.#live = this.#durable.copy();
  }

  /** The process is gone, the kernel is not: everything written is still there. */
  kill(): void {
    // Nothing to do: the page cache survives its writers.
  }

  /** Damages bytes at rest, on the medium and in memory alike. */
  rot(at: number, mask: number): void {
    for (const content of [this.#live, this.#durable]) {
      if (at < content.size) content.bytes[at]! ^= mask;
    }
  }

  #nextOrder(): number {
    this.#order += 1;
    return this.#order;
  }
}

function applyWhole(content: Content, change: Change): void {
  if (change.kind === 'truncate') content.resize(change.sizeBytes);
  else content.write(change.at, change.bytes);
}

interface Luck {
  readonly rng: Rng;
  /** How many of the sectors make it. */
  readonly share: number;
  /** A grown file whose data was lost shows garbage instead of zeroes. */
  readonly garbage: boolean;
}

/** Applies some sectors of some writes; a truncation that is lost loses what follows it too. */
function applySome(content: Content, changes: readonly Change[], luck: Luck): void {
  const { rng, share, garbage } = luck;
  const sizeBefore = content.size;
  // In one half of the cases a tail is lost as a whole, as a journal of the file system does.
  const cut = rng.chance(0.5) ? rng.below(changes.length + 1) : changes.length;
  for (const change of changes.slice(0, cut)) {
    if (change.kind === 'truncate') {
      if (!rng.chance(Math.max(share, 0.5))) break;
      content.resize(change.sizeBytes);
      continue;
    }
    applySectors(content, change, { rng, share, garbage });
  }
  if (garbage && content.size > sizeBefore) scribble(content, sizeBefore, rng);
}

function applySectors(
  content: Content,
  { at, bytes }: { readonly at: number; readonly bytes: Uint8Array },
  { rng, share }: Luck,
): void {
  for (let offset = 0; offset < bytes.length; offset += sectorBytes) {
    if (share < 1 && !rng.chance(share)) continue;
    content.write(at + offset, bytes.subarray(offset, offset + sectorBytes));
  }
}

/** Sectors of the new part that no write reached hold what was on the medium before. */
function scribble(content: Content, from: number, rng: Rng): void {
  const start = Math.ceil(from / sectorBytes) * sectorBytes;
  for (let at = start; at < content.size; at += sectorBytes) {
    const sector = content.bytes.subarray(at, Math.min(content.size, at + sectorBytes));
    if (sector.every((byte) => byte === 0) && rng.chance(0.3)) sector.set(rng.bytes(sector.length));
  }
}
