/** What the simulator's processes say to each other. */

export interface Order {
  readonly seed: number;
  readonly mutant: string | undefined;
}

export interface Verdict {
  readonly seed: number;
  readonly traceHash: string;
  readonly events: number;
  readonly lives: number;
  /** What was violated, with its stack; absent when all was well. */
  readonly violation: string | undefined;
}
