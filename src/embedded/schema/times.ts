/** Times as built-in kinds keep them: UTC, whole seconds (`Time`) or microseconds (`MicroTime`). */

const shape = /^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(\.\d+)?(Z|[+-](?:[01]\d|2[0-3]):[0-5]\d)$/;
const microDigits = 6;

/** Undefined when the text is no time (RFC 3339); microseconds must be written in full. */
export function canonicalTime(text: string, isMicro: boolean): string | undefined {
  const [, day = '', clock = '', fraction = '', zone = ''] = shape.exec(text) ?? [];
  if (day === '' || (isMicro && fraction.length !== microDigits + 1)) return undefined;
  const isDay = new Date(`${day}T00:00:00Z`).toJSON()?.startsWith(day) === true;
  const at = new Date(`${day}T${clock}${zone}`);
  if (!isDay || Number.isNaN(at.getTime())) return undefined;
  const seconds = at.toISOString().slice(0, -'.000Z'.length);
  return `${seconds}${isMicro ? fraction : ''}Z`;
}

/** Why a text is no such time, as Go says it. */
export function timeTrouble(text: string, isMicro: boolean): string {
  const layout = isMicro ? '2006-01-02T15:04:05.000000Z07:00' : '2006-01-02T15:04:05Z07:00';
  const [, , , fraction = '', zone = ''] = shape.exec(text) ?? [];
  const [rest, part] = zone !== '' && isMicro ? [`${fraction}${zone}`, '.000000'] : [text, '2006'];
  const [whole, left] = [text, rest].map((value) => JSON.stringify(value));
  return `parsing time ${whole} as "${layout}": cannot parse ${left} as "${part}"`;
}
