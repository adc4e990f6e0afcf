/**
 * JSON as CEL sees it through a schema: integers are int (bigint), `date-time` texts timestamps,
 * fields whose names CEL does not allow are escaped (`__dash__`, …).
 */
import type { Json } from '../api.ts';
import { isArray, isObject } from '../json.ts';
import type { SchemaNode } from '../node.ts';

/** Words of CEL that cannot be field names. */
const reserved: ReadonlySet<string> = new Set(
  (
    'true false null in as break const continue else for function if import let loop package ' +
    'namespace return var void while'
  ).split(' '),
);

const escapes: readonly (readonly [RegExp, string])[] = [
  [/__/g, '__underscores__'],
  [/\./g, '__dot__'],
  [/-/g, '__dash__'],
  [/\//g, '__slash__'],
];

export function celName(field: string): string {
  if (/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(field) && !field.includes('__')) {
    return reserved.has(field) ? `__${field}__` : field;
  }
  return escapes.reduce((name, [pattern, word]) => name.replaceAll(pattern, word), field);
}

export interface CelConversions {
  /** Undefined when the text is no duration. */
  readonly duration: (text: string) => unknown;
}

export function toCel(node: SchemaNode | undefined, value: Json, by: CelConversions): unknown {
  if (typeof value === 'number') {
    return Number.isInteger(value) && node?.type !== 'number' ? BigInt(value) : value;
  }
  if (typeof value === 'string') return textToCel(node, value, by);
  if (isArray(value)) return value.map((item) => toCel(node?.items, item, by));
  if (!isObject(value)) return value;
  const out = new Map<string, unknown>();
  for (const key of Object.keys(value)) {
    const property = node?.properties.get(key);
    const name = property === undefined ? key : celName(key);
    out.set(name, toCel(property ?? node?.additional, value[key] ?? null, by));
  }
  return out;
}

function textToCel(node: SchemaNode | undefined, text: string, by: CelConversions): unknown {
  if (node?.builtIn === true) return text;
  switch (node?.format) {
    case 'date-time':
    case 'date':
      return new Date(text);
    case 'duration':
      return by.duration(text) ?? text;
    case 'byte':
      return new Uint8Array(Buffer.from(text, 'base64'));
    default:
      return text;
  }
}
