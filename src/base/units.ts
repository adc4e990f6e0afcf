/**
 * Sizes, rates, durations and moments as people write them, and back. Bytes and milliseconds are
 * the only units inside the program; text with units exists at its edges only.
 */
import { fail } from './errors.ts';
import { limits } from './limits.ts';

const binary: Readonly<Record<string, number>> = {
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
  Pi: 2 ** 50,
};

/** As Kubernetes reads quantities: a bare letter is decimal. */
const decimal: Readonly<Record<string, number>> = {
  k: 1e3,
  K: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  P: 1e15,
};

const sizePattern = /^(\d+(?:\.\d+)?)\s*(?:([KMGTP]i)B?|([kKMGTP])B?|B)?$/;

/**
 * Bytes of "10Gi", "64KiB", "1.5T" (decimal, as in Kubernetes), "4096". Fractions are rounded up to
 * a whole byte. `BadSize` for anything else, also beyond 2^53.
 */
export function parseSize(text: string): number {
  const match = sizePattern.exec(text.trim());
  if (match === null) {
    fail('BadSize', `'${text}' is not a size; write a number with a unit, such as 10Gi or 512MiB`);
  }
  const [, number, two, one] = match;
  const factor = two !== undefined ? binary[two]! : one !== undefined ? decimal[one]! : 1;
  const bytes = Math.ceil(Number(number) * factor);
  if (!Number.isSafeInteger(bytes)) fail('BadSize', `${text} is larger than anything can be`);
  return bytes;
}

/** A volume's size: within the limits, rounded up to whole sectors. `BadSize` names the limits. */
export function parseVolumeSize(text: string): number {
  const bytes = parseSize(text);
  if (bytes < limits.volumeBytesMin || bytes > limits.volumeBytesMax) {
    const range = `${formatSize(limits.volumeBytesMin)} to ${formatSize(limits.volumeBytesMax)}`;
    fail('BadSize', `a volume of ${text} is outside ${range}`);
  }
  return roundUp(bytes, limits.sectorBytes);
}

/** `BadSize` unless it is one of the block sizes of `limits.ts`. */
export function parseBlockSize(text: string): number {
  // Block sizes are powers of two in every system: `16k` can only mean 16 KiB.
  const kilo = /^(\d+)[kK]B?$/.exec(text);
  const bytes = parseSize(kilo === null ? text : `${kilo[1]}Ki`);
  if (!limits.blockBytesAllowed.includes(bytes)) {
    const allowed = limits.blockBytesAllowed.map(formatSize).join(', ');
    fail('BadSize', `a block of ${text} is not possible; choose one of ${allowed}`);
  }
  return bytes;
}

export function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

const ratePattern = /^(.*?)(?:\/s|ps)?$/;

/**
 * Bytes a second of "100MiB/s", "100Mi", "1Gbit/s", "800Mbps" (bits); `undefined` (no limit) for
 * "unlimited" and "0". `BadArgument` otherwise.
 */
export function parseRate(text: string): number | undefined {
  const trimmed = text.trim();
  if (trimmed === 'unlimited' || trimmed === '0') return undefined;
  const amount = ratePattern.exec(trimmed)?.[1] ?? '';
  const bits = /^(\d+(?:\.\d+)?[kKMGT]i?)(?:bit|b)$/.exec(amount);
  const size = bits?.[1] ?? amount;
  if (!sizePattern.test(size)) {
    fail('BadArgument', `'${text}' is not a rate; write 100MiB/s, 1Gbit/s or unlimited`);
  }
  const bytes = parseSize(size) / (bits === null ? 1 : 8);
  if (bytes < 1) fail('BadArgument', `a rate of ${text} would never end; write unlimited for none`);
  return Math.ceil(bytes);
}

const durationUnits: Readonly<Record<string, number>> = {
  ms: 1,
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 7 * 86_400_000,
};

const durationPattern = /^(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+$/;

function durationOf(text: string): number | undefined {
  const trimmed = text.trim();
  if (trimmed === '0') return 0;
  if (!durationPattern.test(trimmed)) return undefined;
  let totalMs = 0;
  for (const [, number, unit] of trimmed.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d|w)/g)) {
    totalMs += Number(number) * durationUnits[unit!]!;
  }
  return Math.round(totalMs);
}

/** Milliseconds of "90s", "5m", "24h", "7d", "1h30m", "0". `BadTime` otherwise. */
export function parseDuration(text: string): number {
  const durationMs = durationOf(text);
  if (durationMs === undefined || !Number.isSafeInteger(durationMs)) {
    fail('BadTime', `'${text}' is not a duration; write 90s, 5m, 24h or 7d`);
  }
  return durationMs;
}

const momentPattern = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}:\d{2}(?:\.\d+)?(?:[Zz]|[+-]\d{2}:\d{2})$/;

/**
 * Wall-clock milliseconds of an RFC 3339 time, or of an age ("90s" is ninety seconds before
 * `nowMs`), or of "now". `BadTime` otherwise, also for the future and for dates that do not exist.
 */
export function parseMoment(text: string, nowMs: number): number {
  const trimmed = text.trim();
  if (trimmed === 'now') return nowMs;
  const ageMs = durationOf(trimmed.replace(/ ago$/, ''));
  if (ageMs !== undefined) return nowMs - ageMs;
  const atMs = momentPattern.test(trimmed) ? dateMs(trimmed) : Number.NaN;
  if (Number.isNaN(atMs)) {
    fail('BadTime', `'${text}' is not a moment; write 2026-01-31T12:00:00Z or an age such as 5m`);
  }
  if (atMs > nowMs) fail('BadTime', `${text} is in the future`);
  return atMs;
}

/** `Date.parse` accepts 30 February and shifts it; the day of the month must survive. */
function dateMs(text: string): number {
  const day = Number(text.slice(8, 10));
  const monthDays = new Date(Date.UTC(Number(text.slice(0, 4)), Number(text.slice(5, 7)), 0));
  if (day < 1 || day > monthDays.getUTCDate()) return Number.NaN;
  return Date.parse(`${text.slice(0, 10)}T${text.slice(11)}`.toUpperCase());
}

/** A quantity for tables and specs: "10Gi", "1.5Gi", "64Ki", "700". Exact when it divides. */
export function formatSize(bytes: number): string {
  const [value, unit] = scaled(bytes);
  return `${trimmedNumber(value)}${unit}`;
}

/** The exact quantity: the largest unit that gives a whole number, so that it parses back. */
export function exactSize(bytes: number): string {
  for (const [unit, factor] of Object.entries(binary).toReversed()) {
    if (bytes >= factor && bytes % factor === 0) return `${bytes / factor}${unit}`;
  }
  return String(bytes);
}

/** For sentences and progress: "10.0 GiB", "512 B". Constant width within a unit. */
export function formatBytes(bytes: number): string {
  const [value, unit] = scaled(bytes);
  return unit === '' ? `${Math.round(value)} B` : `${value.toFixed(1)} ${unit}B`;
}

/** "105.3 MiB/s". */
export function formatRate(bytesPerSecond: number): string {
  return `${formatBytes(bytesPerSecond)}/s`;
}

function scaled(bytes: number): readonly [number, string] {
  const magnitude = Math.abs(bytes);
  // 1023.96 KiB would print as 1024.0 KiB: the next unit takes over where rounding would.
  for (const [unit, factor] of Object.entries(binary).toReversed()) {
    if (magnitude >= factor * 0.99995 && magnitude >= 1000) return [bytes / factor, unit];
  }
  return [bytes, ''];
}

function trimmedNumber(value: number): string {
  const digits = Math.abs(value) < 10 ? 2 : 1;
  return String(Number(value.toFixed(Number.isInteger(value) ? 0 : digits)));
}

/** As kubectl prints ages: "45s", "2m10s", "3h5m", "2d3h", "400d". At most two units. */
export function formatAge(ageMs: number): string {
  const seconds = Math.max(0, Math.floor(ageMs / 1000));
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return pair(minutes, 'm', seconds % 60, 's');
  const hours = Math.floor(minutes / 60);
  if (hours < 3) return `${minutes}m`;
  if (hours < 8) return pair(hours, 'h', minutes % 60, 'm');
  const days = Math.floor(hours / 24);
  if (days < 2) return `${hours}h`;
  return days < 8 ? pair(days, 'd', hours % 24, 'h') : `${days}d`;
}

function pair(high: number, highUnit: string, low: number, lowUnit: string): string {
  return low === 0 ? `${high}${highUnit}` : `${high}${highUnit}${low}${lowUnit}`;
}

/** The shortest exact form that `parseDuration` reads: "24h" is "1d", "90m" is "1h30m". */
export function formatDuration(durationMs: number): string {
  if (durationMs === 0) return '0';
  let rest = Math.round(durationMs);
  let text = '';
  for (const unit of ['d', 'h', 'm', 's', 'ms'] as const) {
    const count = Math.floor(rest / durationUnits[unit]!);
    if (count > 0) text += `${count}${unit}`;
    rest -= count * durationUnits[unit]!;
  }
  return text;
}

/** RFC 3339 in UTC, cut to whole seconds: times of Kubernetes objects (`metav1.Time`). */
export function formatSecond(atMs: number): string {
  return `${new Date(atMs).toISOString().slice(0, 19)}Z`;
}

/** RFC 3339 in UTC; whole seconds unless there are milliseconds. */
export function formatMoment(atMs: number): string {
  return new Date(atMs).toISOString().replace('.000Z', 'Z');
}
