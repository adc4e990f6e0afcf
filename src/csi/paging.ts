/** Lists in pages: a token is the place in a list that is sorted by name. */
import { codes, CsiError } from './errors.ts';

export interface Page<T> {
  readonly entries: readonly T[];
  /** Empty at the end. */
  readonly nextToken: string;
}

/** `ABORTED` for a token that this driver cannot have given, as the specification says. */
export function pageOf<T>(all: readonly T[], maxEntries: number, startingToken: string): Page<T> {
  if (maxEntries < 0) {
    throw new CsiError(codes.invalidArgument, 'BadArgument', `${maxEntries} entries at most`);
  }
  const start = startingToken === '' ? 0 : Number(startingToken);
  if (!/^\d*$/.test(startingToken) || start > all.length) {
    throw new CsiError(codes.aborted, 'BadArgument', `the token ${startingToken} is not of a list`);
  }
  const end = maxEntries === 0 ? all.length : Math.min(all.length, start + maxEntries);
  return { entries: all.slice(start, end), nextToken: end < all.length ? String(end) : '' };
}
