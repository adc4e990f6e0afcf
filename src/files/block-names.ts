/** Names of blocks: docs/formats/block-mover.md, "Terms". */
import { hash } from 'node:crypto';
import { pieceBytes, type Shape } from './block-shape.ts';

export const nameBytes = 32;
const zeroName = Buffer.alloc(nameBytes);
const zeroBlock = Buffer.alloc(pieceBytes);

/** At most 1 MiB. */
export function isZero(bytes: Uint8Array): boolean {
  return zeroBlock.compare(bytes, 0, bytes.length, 0, bytes.length) === 0;
}

/** The names of blocks that lie one after another, `nameBytes` each. */
export function namesOf(blocks: Uint8Array, blockBytes: number): Buffer {
  const names = Buffer.alloc(Math.ceil(blocks.length / blockBytes) * nameBytes);
  for (let at = 0, name = 0; at < blocks.length; at += blockBytes, name += nameBytes) {
    const block = blocks.subarray(at, at + blockBytes);
    if (!isZero(block)) hash('sha256', block, 'buffer').copy(names, name);
  }
  return names;
}

/** The name at a place of a list of names. */
export function nameAt(names: Uint8Array, index: number): Uint8Array {
  return names.subarray(index * nameBytes, (index + 1) * nameBytes);
}

export function isZeroName(name: Uint8Array): boolean {
  return zeroName.equals(name);
}

/** Splits `count` things into runs of the same kind, in order. */
export function* runsOf<Kind>(
  count: number,
  kindOf: (index: number) => Kind,
): Generator<{ readonly from: number; readonly to: number; readonly kind: Kind }> {
  for (let from = 0; from < count; ) {
    const kind = kindOf(from);
    let to = from + 1;
    while (to < count && kindOf(to) === kind) to++;
    yield { from, to, kind };
    from = to;
  }
}

/** The names that are announced and not settled, by the number of their block. */
export class NameWindow {
  readonly #bytes: Buffer;
  readonly #blocks: number;

  constructor({ windowBlocks, blockCount }: Shape) {
    this.#blocks = Math.min(windowBlocks, blockCount);
    this.#bytes = Buffer.alloc(this.#blocks * nameBytes);
  }

  put(first: number, names: Uint8Array): void {
    for (let index = 0; index * nameBytes < names.length; index++) {
      this.#bytes.set(nameAt(names, index), ((first + index) % this.#blocks) * nameBytes);
    }
  }

  putZeros(first: number, count: number): void {
    for (let block = first; block < first + count; block++) {
      const at = (block % this.#blocks) * nameBytes;
      this.#bytes.fill(0, at, at + nameBytes);
    }
  }

  /** A copy. */
  get(first: number, count: number): Buffer {
    const names = Buffer.alloc(count * nameBytes);
    for (let index = 0; index < count; index++) {
      names.set(nameAt(this.#bytes, (first + index) % this.#blocks), index * nameBytes);
    }
    return names;
  }
}
