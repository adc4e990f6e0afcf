/**
 * Schedules of CronJobs: five fields or a word such as `@daily` (Kubernetes documentation,
 * "CronJob", "Schedule syntax"), in a time zone of the IANA database.
 */
import { fail } from '../../../base/errors.ts';

export interface Schedule {
  /** The first time after this one; undefined when there is none for years. */
  next(afterMs: number): number | undefined;
}

const minuteMs = 60_000;
const hourMs = 60 * minuteMs;
/** The 29th of February may be eight years away. */
const horizonMs = 8 * 366 * 24 * hourMs + 24 * hourMs;

const words: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

const months = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec'];
const weekdays = ['sun', 'mon', 'tue', 'wed', 'thu', 'fri', 'sat'];

interface Field {
  readonly values: ReadonlySet<number>;
  readonly isAny: boolean;
}

interface Fields {
  readonly minute: Field;
  readonly hour: Field;
  readonly day: Field;
  readonly month: Field;
  readonly weekday: Field;
}

/** `BadArgument` for what is no schedule or no time zone. UTC when none is given. */
export function parseSchedule(text: string, timeZone = 'UTC'): Schedule {
  const every = /^@every (.+)$/.exec(text.trim())?.[1];
  if (every !== undefined) {
    const stepMs = parseDuration(every);
    return { next: (afterMs) => Math.floor(afterMs / 1000) * 1000 + stepMs };
  }
  const fields = parseFields(text);
  const local = localTime(timeZone);
  return { next: (afterMs) => nextTime(fields, local, afterMs) };
}

/** The last time that is after `fromMs` and not after `nowMs`. */
export function latestBetween(
  schedule: Schedule,
  fromMs: number,
  nowMs: number,
): number | undefined {
  // Short windows first: a schedule missed a thousand times is not walked through from its start.
  const windowsMs = [minuteMs, hourMs, 24 * hourMs, 32 * 24 * hourMs, 366 * 24 * hourMs, horizonMs];
  for (const windowMs of windowsMs) {
    const startMs = Math.max(fromMs, nowMs - windowMs);
    let latest: number | undefined;
    for (let at = schedule.next(startMs); at !== undefined && at <= nowMs; at = schedule.next(at)) {
      latest = at;
    }
    if (latest !== undefined || startMs === fromMs) return latest;
  }
  return undefined;
}

function parseDuration(text: string): number {
  const unitMs: Readonly<Record<string, number>> = { h: hourMs, m: minuteMs, s: 1000 };
  if (!/^(\d{1,6}[hms])+$/.test(text)) fail('BadArgument', `"${text}" is no duration`);
  const parts = [...text.matchAll(/(\d+)([hms])/g)];
  const ms = parts.reduce((sum, [, count, unit]) => sum + Number(count) * unitMs[unit ?? 's']!, 0);
  return Math.max(1000, ms);
}

function parseFields(text: string): Fields {
  if (/^(CRON_)?TZ=/.test(text)) {
    fail('BadArgument', `schedule "${text}": give the time zone in spec.timeZone`);
  }
  const parts = (words[text.trim()] ?? text).trim().split(/\s+/);
  if (parts.length !== 5) {
    fail('BadArgument', `schedule "${text}": expected 5 fields, found ${parts.length}`);
  }
  const [minute = '', hour = '', day = '', month = '', weekday = ''] = parts;
  return {
    minute: parseField(minute, { min: 0, max: 59, names: [] }),
    hour: parseField(hour, { min: 0, max: 23, names: [] }),
    day: parseField(day, { min: 1, max: 31, names: [] }),
    month: parseField(month, { min: 1, max: 12, names: months }),
    weekday: parseField(weekday, { min: 0, max: 6, names: weekdays }),
  };
}

interface Range {
  readonly min: number;
  readonly max: number;
  readonly names: readonly string[];
}

function parseField(text: string, range: Range): Field {
  const values = new Set<number>();
  for (const part of text.split(',')) {
    const [span = '', stepText, extra] = part.split('/');
    const step = stepText === undefined ? 1 : Number(stepText);
    if (extra !== undefined || !Number.isInteger(step) || step < 1) bad(text, part);
    const [first, last] = parseSpan(span, range, stepText !== undefined, text);
    for (let value = first; value <= last; value += step) values.add(value);
  }
  return { values, isAny: /^[*?](\/1)?$/.test(text) || /^[*?]\//.test(text) };
}

function parseSpan(span: string, range: Range, isOpen: boolean, text: string): [number, number] {
  if (span === '*' || span === '?') return [range.min, range.max];
  const [from = '', to, extra] = span.split('-');
  const first = parseValue(from, range, text);
  const last = to === undefined ? (isOpen ? range.max : first) : parseValue(to, range, text);
  if (extra !== undefined || first > last) bad(text, span);
  return [first, last];
}

function parseValue(word: string, { min, max, names }: Range, text: string): number {
  const named = names.indexOf(word.toLowerCase());
  const value = named >= 0 ? named + min : /^\d{1,2}$/.test(word) ? Number(word) : Number.NaN;
  if (!(value >= min && value <= max)) bad(text, word);
  return value;
}

function bad(text: string, part: string): never {
  return fail('BadArgument', `schedule field "${text}": "${part}" is not in it`);
}

interface Local {
  readonly minute: number;
  readonly hour: number;
  readonly day: number;
  readonly month: number;
  readonly weekday: number;
}

function localTime(timeZone: string): (ms: number) => Local {
  if (timeZone === 'UTC' || timeZone === 'Etc/UTC') return utc;
  const format = formatOf(timeZone);
  return (ms) => {
    const parts = Object.fromEntries(format.formatToParts(ms).map((one) => [one.type, one.value]));
    const { minute, hour, day, month, weekday = '' } = parts;
    return {
      minute: Number(minute),
      hour: Number(hour),
      day: Number(day),
      month: Number(month),
      weekday: weekdays.indexOf(weekday.toLowerCase()),
    };
  };
}

function formatOf(timeZone: string): Intl.DateTimeFormat {
  try {
    return new Intl.DateTimeFormat('en-US', {
      timeZone,
      hourCycle: 'h23',
      month: 'numeric',
      day: 'numeric',
      weekday: 'short',
      hour: 'numeric',
      minute: 'numeric',
    });
  } catch {
    return fail('BadArgument', `unknown time zone "${timeZone}"`);
  }
}

function utc(ms: number): Local {
  const date = new Date(ms);
  return {
    minute: date.getUTCMinutes(),
    hour: date.getUTCHours(),
    day: date.getUTCDate(),
    month: date.getUTCMonth() + 1,
    weekday: date.getUTCDay(),
  };
}

function nextTime(
  fields: Fields,
  local: (ms: number) => Local,
  afterMs: number,
): number | undefined {
  let at = Math.floor(afterMs / minuteMs) * minuteMs + minuteMs;
  const untilMs = afterMs + horizonMs;
  while (at <= untilMs) {
    const now = local(at);
    const toHour = (60 - now.minute) * minuteMs;
    if (!isDay(fields, now)) {
      // Not to midnight at once: on the day clocks change it may be an hour earlier.
      const toMidnight = (23 - now.hour) * hourMs + toHour;
      at += toMidnight > 2 * hourMs ? toMidnight - 2 * hourMs : Math.min(toHour, 30 * minuteMs);
    } else if (!fields.hour.values.has(now.hour)) {
      // Half an hour: where clocks change by less than a whole one.
      at += Math.min(toHour, 30 * minuteMs);
    } else if (fields.minute.values.has(now.minute)) {
      return at;
    } else {
      at += minuteMs;
    }
  }
  return undefined;
}

/** Where both days are given, either will do. */
function isDay({ day, month, weekday }: Fields, now: Local): boolean {
  if (!month.values.has(now.month)) return false;
  const isOfMonth = day.values.has(now.day);
  const isOfWeek = weekday.values.has(now.weekday);
  return day.isAny || weekday.isAny ? isOfMonth && isOfWeek : isOfMonth || isOfWeek;
}
