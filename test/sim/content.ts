/** Bytes that say which write they come from, so that a mismatch names its culprit. */
import type { Rng } from './rng.ts';

const unitBytes = 512;

export class ContentSource {
  readonly #rng: Rng;
  #writes = 0;

  constructor(rng: Rng) {
    this.#rng = rng;
  }

  /** For a write of `length` bytes at `offset`: new, seen before, zeroes or noise. */
  next(offset: number, length: number): Uint8Array {
    this.#writes += 1;
    const kind = this.#rng.weighted({ fresh: 6, again: 4, zero: 1, noise: 0.5 });
    if (kind === 'zero') return new Uint8Array(length);
    if (kind === 'noise') return noise(length, this.#rng.u32());
    const stamp = kind === 'fresh' ? 0x1000 + this.#writes : this.#rng.below(6);
    return stamped(offset, length, stamp);
  }
}

/** The same stamp at the same place in a block gives the same bytes: a duplicate. */
function stamped(offset: number, length: number, stamp: number): Uint8Array {
  const start = Math.floor(offset / unitBytes) * unitBytes;
  const end = Math.ceil((offset + length) / unitBytes) * unitBytes;
  const words = new Uint32Array((end - start) / 4);
  words.fill(0xabcd0000 + (stamp & 0xffff));
  for (let at = 0; at < words.length; at += unitBytes / 4) {
    words[at] = stamp;
    words[at + 1] = (start / unitBytes + at / (unitBytes / 4)) % 32;
  }
  return new Uint8Array(words.buffer, offset - start, length).slice();
}

function noise(length: number, seed: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = seed | 1;
  for (let at = 0; at < words.length; at += 1) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[at] = state;
  }
  return new Uint8Array(words.buffer, 0, length);
}
