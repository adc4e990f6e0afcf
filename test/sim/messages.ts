/** What the simulator's processes say to each other. */

import type { Story } from './move-story.ts';
import type { CallSite, EffectSite, Survey } from './move-trouble.ts';

export interface Order {
  readonly seed: number;
  readonly mutant: string | undefined;
  /** In place of the one that the seed would tell: of a migration. */
  readonly story?: Story;
}

export interface Verdict {
  readonly seed: number;
  readonly traceHash: string;
  readonly events: number;
  readonly lives: number;
  /** What was violated, with its stack; absent when all was well. */
  readonly violation: string | undefined;
  /** Of a story. */
  readonly told?: Told;
}

export interface Told {
  readonly survey: Survey;
  readonly happened: boolean;
  readonly missed: readonly (CallSite | EffectSite)[];
  readonly endings: readonly string[];
}
