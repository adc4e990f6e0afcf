/** Reading plain JSON objects without trusting their shape, and copying them with changes. */
import type { Json, JsonObject } from '../schema/api.ts';

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isList(value: unknown): value is readonly Json[] {
  return Array.isArray(value);
}

/** The object under a key; an empty one when there is none. */
export function objectAt(object: JsonObject | undefined, key: string): JsonObject {
  const value = object?.[key];
  return isObject(value) ? value : {};
}

export function listAt(object: JsonObject | undefined, key: string): readonly Json[] {
  const value = object?.[key];
  return isList(value) ? value : [];
}

export function objectsAt(object: JsonObject | undefined, key: string): readonly JsonObject[] {
  return listAt(object, key).filter(isObject);
}

export function textsAt(object: JsonObject | undefined, key: string): readonly string[] {
  return listAt(object, key).filter((item) => typeof item === 'string');
}

/** The string under a key; empty when there is none. */
export function textAt(object: JsonObject | undefined, key: string): string {
  const value = object?.[key];
  return typeof value === 'string' ? value : '';
}

export function numberAt(object: JsonObject | undefined, key: string): number | undefined {
  const value = object?.[key];
  return typeof value === 'number' ? value : undefined;
}

export function metaOf(object: JsonObject | undefined): JsonObject {
  return objectAt(object, 'metadata');
}

export function nameOf(object: JsonObject | undefined): string {
  return textAt(metaOf(object), 'name');
}

export function namespaceOf(object: JsonObject | undefined): string {
  return textAt(metaOf(object), 'namespace');
}

/** A copy with some keys changed; undefined takes a key away. */
export function withKeys(
  object: JsonObject,
  changes: Readonly<Record<string, Json | undefined>>,
): JsonObject {
  const copy: Record<string, Json> = { ...object };
  for (const [key, value] of Object.entries(changes)) {
    if (value === undefined) delete copy[key];
    else copy[key] = value;
  }
  return copy;
}

export function withMeta(
  object: JsonObject,
  changes: Readonly<Record<string, Json | undefined>>,
): JsonObject {
  return { ...object, metadata: withKeys(metaOf(object), changes) };
}

/** Equal as JSON: the order of keys does not matter, that of lists does. */
export function sameJson(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (isList(a)) {
    if (!isList(b) || a.length !== b.length) return false;
    return a.every((item, i) => sameJson(item, b[i]));
  }
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  return keys.every((key) => Object.hasOwn(b, key) && sameJson(a[key], b[key]));
}

/** The parsed text, as an object. Undefined when it is something else; throws what JSON does. */
export function parseObject(text: string): JsonObject | undefined {
  const value: unknown = JSON.parse(text);
  return isObject(value) ? value : undefined;
}
