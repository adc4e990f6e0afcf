/**
 * What a volume may contain: the judge of the simulation. Per sector it knows every content that a
 * read now may give (nearly always one) and every content that a crash may bring back.
 */

export const sectorBytes = 4096;

export type Content = Uint8Array;

const zeroes: Content = new Uint8Array(sectorBytes);

interface VersionOf {
  /** Operations up to this number are in it; a flush that began later makes it the oldest. */
  readonly ended: number;
  /** One of these; several when an operation failed half-way or a crash left it open. */
  readonly contents: readonly Content[];
}

interface OpenSector {
  /** Oldest first; the last is what reads give. */
  versions: VersionOf[];
  /** A write that was not answered yet. */
  pending: readonly Content[];
}

export class Mismatch extends Error {}

/** Content that must never change again: a snapshot, a lease, a moment of history. */
export class Frozen {
  readonly sizeBytes: number;
  readonly blockBytes: number;
  readonly what: string;
  #sectors: (readonly Content[])[];

  constructor(
    what: string,
    shape: { readonly sizeBytes: number; readonly blockBytes: number },
    sectors: (readonly Content[])[],
  ) {
    this.what = what;
    this.sizeBytes = shape.sizeBytes;
    this.blockBytes = shape.blockBytes;
    this.#sectors = sectors;
  }

  /** A write overlapped the freezing: either content is right. */
  mayAlsoBe(sector: number, contents: readonly Content[]): void {
    const known = this.#sectors[sector];
    if (known !== undefined) this.#sectors[sector] = [...known, ...contents];
  }

  /** Fails unless `bytes` is the content; from then on it is exactly that. */
  check(bytes: Uint8Array): void {
    this.#sectors = this.#sectors.map((contents, sector) => {
      const at = sector * sectorBytes;
      const actual = bytes.subarray(at, Math.min(at + sectorBytes, this.sizeBytes));
      return [match(contents, actual, 0) ?? mismatch(this.what, sector, contents, actual)];
    });
  }

  /** True when `bytes` may be the content; fixes nothing. */
  fits(bytes: Uint8Array): boolean {
    if (bytes.length !== this.sizeBytes) return false;
    return this.#sectors.every((contents, sector) => {
      const at = sector * sectorBytes;
      return match(contents, bytes.subarray(at, at + sectorBytes), 0) !== undefined;
    });
  }

  /** The content when nothing about it is open. */
  exact(): Uint8Array | undefined {
    if (this.#sectors.some(({ length }) => length !== 1)) return undefined;
    return Buffer.concat(this.#sectors.map(([only]) => only!)).subarray(0, this.sizeBytes);
  }

  sectors(): (readonly Content[])[] {
    return [...this.#sectors];
  }
}

export class VolumeModel {
  readonly name: string;
  readonly blockBytes: number;
  sizeBytes: number;
  #stable: Content[];
  readonly #open = new Map<number, OpenSector>();
  readonly #freezing = new Set<Frozen>();
  #operations = 0;

  constructor(
    name: string,
    shape: { readonly sizeBytes: number; readonly blockBytes: number },
    from?: Frozen,
  ) {
    this.name = name;
    this.blockBytes = shape.blockBytes;
    this.sizeBytes = shape.sizeBytes;
    this.#stable = Array.from({ length: Math.ceil(shape.sizeBytes / sectorBytes) }, () => zeroes);
    for (const [sector, contents] of from?.sectors().entries() ?? []) {
      if (contents.length === 1) this.#stable[sector] = contents[0]!;
      else this.#open.set(sector, { versions: [{ ended: 0, contents }], pending: [] });
    }
  }

  get sectorCount(): number {
    return this.#stable.length;
  }

  /** A write (or zeroes) was handed in. Ranges of unanswered writes must not overlap. */
  begin(offset: number, bytes: Uint8Array): void {
    this.#eachSector(offset, bytes.length, (sector, from, part) => {
      const open = this.#openSector(sector);
      const now = open.versions.at(-1)!.contents;
      open.pending = now.map((content) =>
        merged(content, from, bytes.subarray(part.from, part.to)),
      );
      for (const frozen of this.#freezing) frozen.mayAlsoBe(sector, open.pending);
    });
  }

  /** It was answered; with `failed`, each sector may have the old or the new content. */
  end(offset: number, length: number, failed = false): void {
    this.#operations += 1;
    this.#eachSector(offset, length, (sector) => {
      const open = this.#open.get(sector)!;
      const before = failed ? open.versions.at(-1)!.contents : [];
      open.versions.push({ ended: this.#operations, contents: [...before, ...open.pending] });
      open.pending = [];
    });
  }

  /** Call when a flush is handed in, and `flushed` with the result when it was answered. */
  mark(): number {
    return this.#operations;
  }

  flushed(mark: number): void {
    for (const [sector, open] of this.#open) {
      const oldest = open.versions.findLastIndex(({ ended }) => ended <= mark);
      open.versions.splice(0, oldest);
      const [only, second] = open.versions;
      if (second !== undefined || only?.contents.length !== 1 || open.pending.length > 0) continue;
      this.#stable[sector] = only.contents[0]!;
      this.#open.delete(sector);
    }
  }

  /** Fails unless a read now may give these bytes. */
  checkRead(offset: number, bytes: Uint8Array): void {
    this.#eachSector(offset, bytes.length, (sector, from, part) => {
      const open = this.#open.get(sector);
      const contents = open?.versions.at(-1)!.contents ?? [this.#stable[sector]!];
      const actual = bytes.subarray(part.from, part.to);
      if (match(contents, actual, from) === undefined) {
        mismatch(`read of ${this.name}`, sector, contents, actual);
      }
    });
  }

  /**
   * The process ended and the pool was opened again: takes over the content that is there now, or
   * fails if it cannot come from what was written. Until a flush a further crash may undo it.
   */
  reopened(bytes: Uint8Array, powerLost: boolean): void {
    this.#operations += 1;
    this.#freezing.clear();
    for (let sector = 0; sector < this.sectorCount; sector += 1) {
      const at = sector * sectorBytes;
      const actual = bytes.subarray(at, Math.min(at + sectorBytes, this.sizeBytes));
      const open = this.#open.get(sector);
      const versions = open?.versions ?? [];
      const possible =
        open === undefined
          ? [this.#stable[sector]!]
          : [...(powerLost ? versions : versions.slice(-1)), { contents: open.pending }].flatMap(
              ({ contents }) => contents,
            );
      const found = match(possible, actual, 0);
      const what = `${this.name} after ${powerLost ? 'power loss' : 'kill'}`;
      if (found === undefined) mismatch(what, sector, possible, actual);
      if (open === undefined) continue;
      // A crash right after this one may still choose among all that was on its way.
      const earlier = versions.length > 0 ? versions : [{ ended: 0, contents: [found] }];
      open.versions = [...earlier, { ended: this.#operations, contents: [found] }];
      open.pending = [];
    }
  }

  /** What a read of everything may give now; writes that overlap the freezing are added. */
  freeze(what: string): Frozen {
    const frozen = new Frozen(what, this, this.#now());
    this.#freezing.add(frozen);
    return frozen;
  }

  /** All that a crash may have chosen, as long as nobody has looked. */
  anyOf(what: string): Frozen {
    const sectors = this.#stable.map((stable, sector) => {
      const open = this.#open.get(sector);
      if (open === undefined) return [stable];
      return [...open.versions.flatMap(({ contents }) => contents), ...open.pending];
    });
    return new Frozen(what, this, sectors);
  }

  endFreeze(frozen: Frozen): void {
    this.#freezing.delete(frozen);
  }

  /** Durable at once, because the volume's document says it. Nothing may be in flight. */
  resize(sizeBytes: number): void {
    const count = Math.ceil(sizeBytes / sectorBytes);
    for (const sector of this.#open.keys()) if (sector >= count) this.#open.delete(sector);
    this.#stable = Array.from({ length: count }, (_, sector) => this.#stable[sector] ?? zeroes);
    this.sizeBytes = sizeBytes;
  }

  /** The content became that of another moment; a crash meanwhile leaves either. */
  restored(from: Frozen): void {
    this.#open.clear();
    this.#freezing.clear();
    this.resize(from.sizeBytes);
    for (const [sector, contents] of from.sectors().entries()) {
      this.#stable[sector] = contents[0] ?? zeroes;
      if (contents.length === 1) continue;
      this.#open.set(sector, { versions: [{ ended: 0, contents }], pending: [] });
    }
  }

  /** Sectors that have content, roughly: to aim writes and reads where something is. */
  isZero(sector: number): boolean {
    return !this.#open.has(sector) && this.#stable[sector] === zeroes;
  }

  #now(): (readonly Content[])[] {
    return this.#stable.map((stable, sector) => {
      const open = this.#open.get(sector);
      return open === undefined ? [stable] : [...open.versions.at(-1)!.contents, ...open.pending];
    });
  }

  #openSector(sector: number): OpenSector {
    let open = this.#open.get(sector);
    if (open === undefined) {
      open = { versions: [{ ended: 0, contents: [this.#stable[sector]!] }], pending: [] };
      this.#open.set(sector, open);
    }
    return open;
  }

  #eachSector(
    offset: number,
    length: number,
    visit: (sector: number, from: number, part: { from: number; to: number }) => void,
  ): void {
    for (let at = offset; at < offset + length; ) {
      const sector = Math.floor(at / sectorBytes);
      const from = at - sector * sectorBytes;
      const count = Math.min(sectorBytes - from, offset + length - at);
      visit(sector, from, { from: at - offset, to: at - offset + count });
      at += count;
    }
  }
}

function merged(content: Content, from: number, bytes: Uint8Array): Content {
  const fresh = new Uint8Array(content);
  fresh.set(bytes, from);
  return fresh;
}

function match(
  contents: readonly Content[],
  actual: Uint8Array,
  from: number,
): Content | undefined {
  return contents.find(
    (content) => Buffer.compare(content.subarray(from, from + actual.length), actual) === 0,
  );
}

/** Shows where the content leaves the likeliest one; its words name the write they come from. */
function mismatch(
  what: string,
  sector: number,
  possible: readonly Content[],
  actual: Uint8Array,
): never {
  const from = possible.map((content) => actual.findIndex((byte, at) => byte !== content[at]));
  const at = Math.max(...from);
  const show = (content: Uint8Array) => {
    return Buffer.from(content.subarray(at, at + 16)).toString('hex');
  };
  const expected = possible.slice(-6).map(show).join(' or ');
  throw new Mismatch(`${what}: sector ${sector} at ${at}: ${show(actual)}, not ${expected}`);
}
