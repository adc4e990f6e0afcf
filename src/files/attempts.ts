/** When the next attempt is made. */

const firstMs = 1000;
const longestMs = 60_000;

/**
 * Milliseconds to wait after the attempt of this number (from 1): doubling from one second to one
 * minute, with `fraction` in [0, 1) taking up to a quarter off, so that many movers spread.
 */
export function delayAfter(attempt: number, fraction: number): number {
  const full = Math.min(longestMs, firstMs * 2 ** Math.min(attempt - 1, 16));
  return Math.round(full * (1 - fraction / 4));
}
