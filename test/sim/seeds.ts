/** Seeds that found a bug once; they run first, for ever, and in the unit tests. */
export const pastSeeds: readonly { readonly seed: number; readonly found: string }[] = [
  { seed: 29, found: 'a write kept the client’s buffer (Buffer.slice is a view)' },
  { seed: 34, found: 'a cached tree page was changed in place' },
  { seed: 74, found: 'replay took released journal files for a lost tail' },
  { seed: 109, found: 'a flush met a journal file that a checkpoint had closed' },
];
