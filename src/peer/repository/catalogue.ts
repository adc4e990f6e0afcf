/** Which chunks a repository has and where: about 40 bytes a chunk, in typed arrays. */
import { assert } from '../../base/errors.ts';
import { FingerprintTable } from '../../volume/fingerprints.ts';
import { nameHex } from '../../volume/name.ts';
import type { Name } from '../../volume/types.ts';
import type { IndexedPack } from './index-object.ts';
import type { PackInfo } from './pack.ts';

export interface Place {
  readonly pack: PackInfo;
  readonly offset: number;
  /** With the tag. */
  readonly lengthBytes: number;
}

interface Row {
  readonly pack: PackInfo;
  /** Offset and length of each record, one after the other. */
  readonly places: Uint32Array;
}

export class Catalogue {
  readonly #table = new FingerprintTable();
  readonly #rows: Row[] = [];
  readonly #byId = new Map<string, Row>();

  get chunks(): number {
    return this.#table.size;
  }

  get packs(): readonly PackInfo[] {
    return this.#rows.map(({ pack }) => pack);
  }

  hasPack(id: string): boolean {
    return this.#byId.has(id);
  }

  /** A chunk that is in several packs is read from the one that was added first. */
  add({ entries, ...pack }: IndexedPack): void {
    const id = nameHex(pack.id);
    if (this.#byId.has(id)) return;
    const places = new Uint32Array(entries.length * 2);
    // What comes from an index is a view into all of it.
    const own = { id: new Uint8Array(pack.id), salt: new Uint8Array(pack.salt) };
    const { kind, sizeBytes } = pack;
    const row = { pack: { ...own, kind, sizeBytes }, places };
    this.#rows.push(row);
    this.#byId.set(id, row);
    entries.forEach(({ name, offset, lengthBytes }, i) => {
      places[2 * i] = offset;
      places[2 * i + 1] = lengthBytes;
      if (!this.#table.has(name)) this.#table.set(name, this.#rows.length, i);
    });
  }

  has(name: Name): boolean {
    return this.#table.has(name);
  }

  find(name: Name): Place | undefined {
    const slot = this.#table.find(name);
    if (slot < 0) return undefined;
    const row = this.#rows[this.#table.first(slot) - 1];
    assert(row !== undefined, 'a chunk of a pack that is not there');
    const at = 2 * this.#table.second(slot);
    return { pack: row.pack, offset: row.places[at]!, lengthBytes: row.places[at + 1]! };
  }

  /** False when it was marked before, or is not there. */
  mark(name: Name): boolean {
    const slot = this.#table.find(name);
    if (slot < 0 || this.#table.mark(slot) !== 0) return false;
    this.#table.setMark(slot, 1);
    return true;
  }

  isMarked(name: Name): boolean {
    const slot = this.#table.find(name);
    return slot >= 0 && this.#table.mark(slot) !== 0;
  }
}
