/** JSON payloads from another agent, read field by field: nothing in them is taken on trust. */
import { fail } from '../base/errors.ts';

/** Each reader throws `ProtocolError` naming the field when it is absent or not what it must be. */
export interface Fields {
  has(key: string): boolean;
  text(key: string, lengthMax: number): string;
  texts(key: string, most: { readonly countMax: number; readonly lengthMax: number }): string[];
  /** Finite. */
  number(key: string): number;
  /** A whole number from 0 to 2^53. */
  count(key: string): number;
  counts(key: string): number[];
  /** 64 hex digits as 32 bytes. */
  hash(key: string): Uint8Array;
  object(key: string): Fields;
  objects(key: string): Fields[];
}

export function encodeJson(value: object): Uint8Array {
  return Buffer.from(JSON.stringify(value), 'utf8');
}

export function decodeJson(payload: Uint8Array): Fields {
  const text = Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    fail('ProtocolError', 'a payload that is not JSON', error);
  }
  return fieldsOf(value);
}

export function fieldsOf(value: unknown): Fields {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    fail('ProtocolError', 'a payload that is not one JSON object');
  }
  // A Map, because keys such as __proto__ must be nothing but words.
  const entries = new Map<string, unknown>(Object.entries(value));
  const list = (key: string): readonly unknown[] => {
    const found = entries.get(key);
    return Array.isArray(found) ? found : wrong(key);
  };
  return {
    has: (key) => entries.get(key) !== undefined,
    text: (key, lengthMax) => asText(entries.get(key), key, lengthMax),
    texts: (key, { countMax, lengthMax }) => {
      const found = list(key);
      return found.length > countMax ? wrong(key) : found.map((v) => asText(v, key, lengthMax));
    },
    number: (key) => asNumber(entries.get(key), key),
    count: (key) => asCount(entries.get(key), key),
    counts: (key) => list(key).map((entry) => asCount(entry, key)),
    hash: (key) => {
      const found = asText(entries.get(key), key, 64);
      return /^[0-9a-f]{64}$/.test(found) ? Buffer.from(found, 'hex') : wrong(key);
    },
    object: (key) => fieldsOf(entries.get(key)),
    objects: (key) => list(key).map(fieldsOf),
  };
}

function wrong(key: string): never {
  fail('ProtocolError', `the field ${key} is missing or not what it must be`);
}

function asText(value: unknown, key: string, lengthMax: number): string {
  return typeof value === 'string' && value.length <= lengthMax ? value : wrong(key);
}

function asNumber(value: unknown, key: string): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : wrong(key);
}

function asCount(value: unknown, key: string): number {
  const number = asNumber(value, key);
  return Number.isSafeInteger(number) && number >= 0 ? number : wrong(key);
}
