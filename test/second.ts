// A second look, for tests of real processes that run beside each other on few cores: what failed
// beside others runs again by itself. What passes then is named as unsteady, in every run, and is
// a defect to look for; it does not fail the run. What fails again has failed.
import type { Tally } from './tally.ts';

/** More than these, and it is no accident of a busy machine. */
export const secondLooksMax = 2;

const fileLine = /^(\S+\.test\.ts): (\d+) passed, (\d+) failed, (\d+) skipped/gm;

/** The files that did not pass, with what each of them counted, from the output of a run. */
export function failedFiles(output: string): ReadonlyMap<string, Tally> {
  const found = new Map<string, Tally>();
  for (const [, file = '', passed, failed, skipped] of output.matchAll(fileLine)) {
    if (Number(failed) === 0) continue;
    found.set(file, { passed: Number(passed), failed: Number(failed), skipped: Number(skipped) });
  }
  return found;
}

/** What a run counts when some of it ran again: for those, only the second time. */
export function withSecond(all: Tally, first: readonly Tally[], second: Tally): Tally {
  const count = (key: keyof Tally): number =>
    all[key] - first.reduce((sum, one) => sum + one[key], 0) + second[key];
  return { passed: count('passed'), failed: count('failed'), skipped: count('skipped') };
}

export function unsteadyLine(name: string): string {
  return `UNSTEADY ${name}: failed beside others, passed by itself`;
}
