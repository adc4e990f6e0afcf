/** Durations as kubectl's tables show them: `5s`, `3m12s`, `4h`, `2d3h`, `1y20d`. */

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;
const year = 365 * day;

/** Two units while the first is small (apimachinery, `duration.HumanDuration`). */
export function humanDuration(ms: number): string {
  if (ms < -1999) return '<invalid>';
  if (ms < 0) return '0s';
  if (ms < 2 * minute) return `${Math.floor(ms / second)}s`;
  if (ms < 10 * minute) return two(ms, [minute, 'm'], [second, 's']);
  if (ms < 3 * hour) return `${Math.floor(ms / minute)}m`;
  if (ms < 8 * hour) return two(ms, [hour, 'h'], [minute, 'm']);
  if (ms < 2 * day) return `${Math.floor(ms / hour)}h`;
  if (ms < 8 * day) return two(ms, [day, 'd'], [hour, 'h']);
  if (ms < 2 * year) return `${Math.floor(ms / day)}d`;
  if (ms < 8 * year) return two(ms, [year, 'y'], [day, 'd']);
  return `${Math.floor(ms / year)}y`;
}

type Unit = readonly [ms: number, letter: string];

function two(ms: number, [large, a]: Unit, [small, b]: Unit): string {
  const rest = Math.floor((ms % large) / small);
  return `${Math.floor(ms / large)}${a}${rest === 0 ? '' : `${rest}${b}`}`;
}

/** Since an RFC 3339 time. */
export function ageOf(time: string | undefined, nowMs: number): string {
  const ms = time === undefined ? Number.NaN : Date.parse(time);
  return Number.isNaN(ms) ? '<unknown>' : humanDuration(nowMs - ms);
}
