/** Seeded random numbers: the only source of chance in a simulation. */

export interface Rng {
  /** An unsigned 32-bit number. */
  u32(): number;
  /** A float in [0, 1). */
  fraction(): number;
  /** An integer in [0, limit). */
  below(limit: number): number;
  /** An integer in [low, high]. */
  between(low: number, high: number): number;
  chance(probability: number): boolean;
  pick<T>(items: readonly T[]): T;
  /** A key of the table, as often as its weight says. */
  weighted<K extends string>(weights: Readonly<Record<K, number>>): K;
  bytes(count: number): Uint8Array;
  /** An independent stream, so that one consumer does not disturb another's numbers. */
  fork(label: string): Rng;
}

/** sfc32 seeded through splitmix32: small, fast, and good enough for any test. */
export function createRng(seed: number): Rng {
  let mixed = seed >>> 0;
  const mix = () => {
    mixed = (mixed + 0x9e3779b9) >>> 0;
    let z = mixed;
    z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
    z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  };
  let [a, b, c, counter] = [mix(), mix(), mix(), 1];
  const u32 = () => {
    const sum = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + sum) | 0;
    return sum >>> 0;
  };
  for (let round = 0; round < 12; round += 1) u32();
  return fromSource(u32);
}

function fromSource(u32: () => number): Rng {
  const fraction = () => u32() / 2 ** 32;
  const below = (limit: number) => Math.floor(fraction() * limit);
  return {
    u32,
    fraction,
    below,
    between: (low, high) => low + below(high - low + 1),
    chance: (probability) => fraction() < probability,
    pick: (items) => items[below(items.length)]!,
    weighted: (weights) => pickWeighted(weights, fraction()),
    bytes: (count) => {
      const bytes = new Uint8Array(count);
      for (let at = 0; at < count; at += 1) bytes[at] = u32();
      return bytes;
    },
    fork: (label) => {
      let hash = u32();
      for (const letter of label) hash = Math.imul(hash ^ letter.charCodeAt(0), 0x01000193);
      return createRng(hash);
    },
  };
}

function pickWeighted<K extends string>(weights: Readonly<Record<K, number>>, at: number): K {
  const entries = Object.entries(weights) as [K, number][];
  const total = entries.reduce((sum, [, weight]) => sum + weight, 0);
  let rest = at * total;
  for (const [key, weight] of entries) {
    rest -= weight;
    if (rest < 0) return key;
  }
  return entries.at(-1)![0];
}
