// Counts of tests, and how to read them from the output of a program.

export interface Tally {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export function addTallies(tallies: readonly Tally[]): Tally {
  return tallies.reduce(
    (sum, tally) => ({
      passed: sum.passed + tally.passed,
      failed: sum.failed + tally.failed,
      skipped: sum.skipped + tally.skipped,
    }),
    { passed: 0, failed: 0, skipped: 0 },
  );
}

export function closingLine({ passed, failed, skipped }: Tally): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}

const closing = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/gm;
// The summary of node:test's own reporters, for programs that use them.
const summary = /^(?:ℹ|#) (pass|fail|cancelled|skipped|todo) (\d+)$/gm;

export function tallyOf(output: string, succeeded: boolean): Tally {
  const last = [...output.matchAll(closing)].at(-1);
  if (last !== undefined) {
    return { passed: Number(last[1]), failed: Number(last[2]), skipped: Number(last[3] ?? 0) };
  }
  const counts = [...output.matchAll(summary)];
  const sumOf = (...names: readonly string[]): number =>
    counts
      .filter((match) => names.includes(match[1] ?? ''))
      .reduce((sum, match) => sum + Number(match[2]), 0);
  if (counts.length > 0) {
    return {
      passed: sumOf('pass'),
      failed: sumOf('fail', 'cancelled'),
      skipped: sumOf('skipped', 'todo'),
    };
  }
  return { passed: succeeded ? 1 : 0, failed: succeeded ? 0 : 1, skipped: 0 };
}
