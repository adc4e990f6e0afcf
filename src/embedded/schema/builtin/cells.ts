// What many columns of built-in kinds are made of.
import { ageOf, humanDuration } from '../ages.ts';
import type { Json, JsonObject, PrinterColumn } from '../api.ts';
import { nameColumn } from '../columns.ts';
import { at, isObject, listAt, textAt } from '../json.ts';

type Value = (object: JsonObject, nowMs: number) => Json;

export function column(name: string, value: Value, type = 'string'): PrinterColumn {
  return { name, type, priority: 0, value };
}

/** Only with `-o wide`. */
export function wide(name: string, value: Value): PrinterColumn {
  return { name, type: 'string', priority: 1, value };
}

export const name: PrinterColumn = nameColumn;

export const age: PrinterColumn = column('Age', (object, nowMs) =>
  ageOf(textAt(object, 'metadata', 'creationTimestamp'), nowMs),
);

/** kubectl shows the time itself in these tables. */
export const createdAt: PrinterColumn = column(
  'Created At',
  (object) => textAt(object, 'metadata', 'creationTimestamp') ?? '<unknown>',
  'date',
);

export function text(...path: readonly string[]): Value {
  return (object) => {
    const value = at(object, ...path);
    if (typeof value === 'number' || typeof value === 'boolean') return String(value);
    return typeof value === 'string' ? value : '';
  };
}

/** The text, or what stands for none. */
export function textOr(fallback: string, ...path: readonly string[]): Value {
  return (object) => textAt(object, ...path) || fallback;
}

export function count(...path: readonly string[]): Value {
  return (object) => numberAt(object, ...path);
}

export function numberAt(value: Json, ...path: readonly string[]): number {
  const found = at(value, ...path);
  return typeof found === 'number' ? found : 0;
}

export function flag(...path: readonly string[]): Value {
  return (object) => at(object, ...path) === true;
}

export function since(...path: readonly string[]): Value {
  return (object, nowMs) => {
    const time = textAt(object, ...path);
    return time === undefined ? '<none>' : ageOf(time, nowMs);
  };
}

export function between(from: string, toMs: number): string {
  return humanDuration(toMs - Date.parse(from));
}

export function podSpecColumns(...path: readonly string[]): readonly PrinterColumn[] {
  const containers = (object: JsonObject, key: string): string =>
    listAt(object, ...path, 'containers')
      .map((container) => textAt(container, key) ?? '')
      .join(',');
  return [
    wide('Containers', (object) => containers(object, 'name')),
    wide('Images', (object) => containers(object, 'image')),
  ];
}

/** A map of labels: `a=b,c=d`. */
export function labelsText(labels: Json | undefined): string {
  if (!isObject(labels) || Object.keys(labels).length === 0) return '<none>';
  return Object.keys(labels)
    .sort()
    .map((key) => `${key}=${String(labels[key])}`)
    .join(',');
}

/** A label selector as kubectl's `-l` takes it. */
export function selectorText(selector: Json | undefined): string {
  const parts = Object.entries(at(selector, 'matchLabels') ?? {}).map(
    ([key, value]) => `${key}=${String(value)}`,
  );
  for (const expression of listAt(selector, 'matchExpressions')) {
    const key = textAt(expression, 'key') ?? '';
    const values = listAt(expression, 'values').join(',');
    const words: Readonly<Record<string, string>> = {
      In: `${key} in (${values})`,
      NotIn: `${key} notin (${values})`,
      Exists: key,
      DoesNotExist: `!${key}`,
    };
    parts.push(words[textAt(expression, 'operator') ?? ''] ?? key);
  }
  return parts.length === 0 ? '<none>' : parts.sort().join(',');
}

const modes: Readonly<Record<string, string>> = {
  ReadWriteOnce: 'RWO',
  ReadOnlyMany: 'ROX',
  ReadWriteMany: 'RWX',
  ReadWriteOncePod: 'RWOP',
};

export function accessModes(...path: readonly string[]): Value {
  return (object) =>
    [...new Set(listAt(object, ...path))].map((mode) => modes[String(mode)] ?? '').join(',');
}
