/** What a measurement gives: series of numbers, and how they compare with the goals. */
import type { Fleet } from './fleet.ts';
import type { Images } from './image.ts';
import type { Programs } from './programs.ts';
import { spreadOf } from './stats.ts';

export type Unit = 'IOPS' | 'MB/s' | 's' | 'ms' | 'MB' | 'MiB' | 'KiB' | 'us' | 'requests';

export interface Series {
  readonly name: string;
  readonly unit: Unit;
  readonly values: readonly number[];
}

/** One number that has a goal: a ratio (no unit) or an absolute value. */
export interface Check {
  readonly what: string;
  readonly values: readonly number[];
  /** Absent where the number is only worth knowing. */
  readonly goal?: { readonly sense: 'least' | 'most'; readonly limit: number };
  readonly unit?: Unit | 'GB/s';
}

export interface Measured {
  readonly row: string;
  readonly ours: Series;
  readonly peers: readonly Series[];
  readonly checks: readonly Check[];
  /** Further numbers that a reader of the result wants. */
  readonly beside?: readonly Series[];
}

export interface Skipped {
  readonly row: string;
  readonly why: string;
  /** An error, as opposed to a program that is not installed. */
  readonly failed: boolean;
}

export type Outcome = Measured | Skipped;

export function isMeasured(outcome: Outcome): outcome is Measured {
  return 'ours' in outcome;
}

export function isMet({ values, goal }: Check): boolean {
  if (goal === undefined) return true;
  const { median } = spreadOf(values);
  return goal.sense === 'least' ? median >= goal.limit : median <= goal.limit;
}

export interface Bench {
  readonly quick: boolean;
  /** A directory on the disk of the repository. */
  readonly directory: string;
  readonly programs: Programs;
  readonly fleet: Fleet;
  readonly images: Images;
  /** Rounds of something that costs seconds, or much less. */
  rounds(cost: 'cheap' | 'dear'): number;
  /** Counts bytes that this run sends between processes, by the kernel's own counters. */
  wireBytes(): number;
  say(text: string): void;
}

/** Rows that are measured together, because they share what is dear to prepare. */
export interface Section {
  readonly name: string;
  readonly rows: readonly string[];
  /** Programs without which the section is skipped. */
  readonly needs: readonly string[];
  run(bench: Bench): Promise<readonly Measured[]>;
}
