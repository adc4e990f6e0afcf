/** Numbers of several rounds: medians, spreads, ratios round by round. */

export function median(values: readonly number[]): number {
  return quantile(values, 0.5);
}

/** Linear between neighbours; NaN of nothing. */
export function quantile(values: readonly number[], part: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (sorted.length - 1) * part;
  const below = sorted[Math.floor(at)] ?? Number.NaN;
  const above = sorted[Math.ceil(at)] ?? Number.NaN;
  return below + (above - below) * (at - Math.floor(at));
}

export interface Spread {
  readonly median: number;
  readonly min: number;
  readonly max: number;
}

export function spreadOf(values: readonly number[]): Spread {
  return { median: median(values), min: Math.min(...values), max: Math.max(...values) };
}

/** Round by round, because neighbours in time saw the same machine. */
export function ratios(above: readonly number[], below: readonly number[]): number[] {
  return above.map((value, round) => value / (below[round] ?? Number.NaN));
}

/** The best of several contenders in every round. */
export function best(
  series: readonly (readonly number[])[],
  direction: 'most' | 'least',
): readonly number[] {
  const rounds = series[0] ?? [];
  const pick = direction === 'most' ? Math.max : Math.min;
  return rounds.map((_, round) => pick(...series.map((one) => one[round] ?? Number.NaN)));
}

/**
 * Runs contenders one after another in every round; who begins changes from round to round, so that
 * nobody always follows the same neighbour.
 */
export async function interleave<Name extends string, Value>(
  rounds: number,
  contenders: Readonly<Record<Name, (round: number) => Promise<Value>>>,
): Promise<Record<Name, Value[]>> {
  const names = Object.keys(contenders) as Name[];
  const results = Object.fromEntries(names.map((name) => [name, [] as Value[]]));
  for (let round = 0; round < rounds; round++) {
    for (let i = 0; i < names.length; i++) {
      const name = names[(i + round) % names.length]!;
      results[name]!.push(await contenders[name](round));
    }
  }
  return results as Record<Name, Value[]>;
}
