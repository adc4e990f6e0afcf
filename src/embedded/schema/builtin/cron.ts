/** Is it a schedule as CronJobs have it? Five fields, or a name such as `@daily`. */

const names: ReadonlySet<string> = new Set(
  '@yearly @annually @monthly @weekly @daily @midnight @hourly'.split(' '),
);

interface Field {
  readonly min: number;
  readonly max: number;
  readonly words?: readonly string[];
}

const months = 'jan feb mar apr may jun jul aug sep oct nov dec'.split(' ');
const days = 'sun mon tue wed thu fri sat'.split(' ');

const fields: readonly Field[] = [
  { min: 0, max: 59 },
  { min: 0, max: 23 },
  { min: 1, max: 31 },
  { min: 1, max: 12, words: months },
  { min: 0, max: 6, words: days },
];

/** What is wrong with it; undefined when nothing is. */
export function cronTrouble(schedule: string): string | undefined {
  if (names.has(schedule)) return undefined;
  if (/^@every \d+(h|m|s)(\d+(m|s))*$/.test(schedule)) return undefined;
  if (schedule.startsWith('@')) return `unrecognized descriptor: ${schedule}`;
  const parts = schedule.trim().split(/\s+/);
  if (parts.length !== fields.length) {
    return `expected exactly 5 fields, found ${parts.length}: [${parts.join(' ')}]`;
  }
  for (const [i, part] of parts.entries()) {
    const field = fields[i];
    if (field === undefined) continue;
    for (const range of part.split(',')) {
      const trouble = rangeTrouble(range, field);
      if (trouble !== undefined) return trouble;
    }
  }
  return undefined;
}

function rangeTrouble(text: string, { min, max, words = [] }: Field): string | undefined {
  const [range = '', step, more] = text.split('/');
  if (more !== undefined) return `too many slashes: ${text}`;
  if (step !== undefined && !/^[1-9]\d*$/.test(step)) {
    return `failed to parse int from ${step}: step of range should be a positive number`;
  }
  if (range === '*' || range === '?') return undefined;
  const [from = '', to = from, rest] = range.split('-');
  if (rest !== undefined) return `too many hyphens: ${text}`;
  const value = (word: string): number => {
    const index = words.indexOf(word.toLowerCase());
    if (index >= 0) return index + min;
    return /^\d+$/.test(word) ? Number(word) : Number.NaN;
  };
  const [first, last] = [value(from), value(to)];
  if (Number.isNaN(first)) return `failed to parse int from ${from}`;
  if (Number.isNaN(last)) return `failed to parse int from ${to}`;
  if (first < min) return `beginning of range (${first}) below minimum (${min}): ${text}`;
  if (last > max) return `end of range (${last}) above maximum (${max}): ${text}`;
  if (first > last) return `beginning of range (${first}) beyond end of range (${last}): ${text}`;
  return undefined;
}
