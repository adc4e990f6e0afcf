// JSON values: what is an object, are two equal, and keys that must not reach a prototype.
import type { Json, JsonObject } from './api.ts';

export type MutableObject = { [key: string]: Json };

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function isArray(value: unknown): value is readonly Json[] {
  return Array.isArray(value);
}

/** The object's own value: `constructor` and its like are keys as any others. */
export function own(object: JsonObject, key: string): Json | undefined {
  return Object.hasOwn(object, key) ? object[key] : undefined;
}

/** Sets an own key, also one named `__proto__`. */
export function put(object: MutableObject, key: string, value: Json): void {
  if (key === '__proto__') {
    const rest = { configurable: true, enumerable: true, writable: true };
    Object.defineProperty(object, key, { value, ...rest });
  } else {
    object[key] = value;
  }
}

export function equal(a: Json | undefined, b: Json | undefined): boolean {
  if (a === b) return true;
  if (isArray(a)) {
    return isArray(b) && a.length === b.length && a.every((item, i) => equal(item, b[i]));
  }
  if (!isObject(a) || !isObject(b)) return false;
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  return keys.every((key) => Object.hasOwn(b, key) && equal(a[key], b[key]));
}

/** A copy that may be changed, for libraries that work in place. */
export function copy(value: Json): Json {
  if (isArray(value)) return value.map(copy);
  if (!isObject(value)) return value;
  const out: MutableObject = {};
  for (const key of Object.keys(value)) put(out, key, copy(value[key] ?? null));
  return out;
}

/** JSON with keys in order: equal values give equal texts. */
export function canonical(value: Json): string {
  if (isArray(value)) return `[${value.map(canonical).join(',')}]`;
  if (!isObject(value)) return JSON.stringify(value);
  const keys = Object.keys(value).sort();
  const pairs = keys.map((key) => `${JSON.stringify(key)}:${canonical(value[key] ?? null)}`);
  return `{${pairs.join(',')}}`;
}

/** The object without one key; itself when it has none. */
export function without(object: JsonObject, key: string): JsonObject {
  if (!Object.hasOwn(object, key)) return object;
  const { [key]: _, ...rest } = object;
  return rest;
}

/** The value at a path of keys, where all of them are objects. */
export function at(value: Json | undefined, ...path: readonly string[]): Json | undefined {
  let found = value;
  for (const key of path) {
    if (!isObject(found)) return undefined;
    found = own(found, key);
  }
  return found;
}

export function textAt(value: Json | undefined, ...path: readonly string[]): string | undefined {
  const found = at(value, ...path);
  return typeof found === 'string' ? found : undefined;
}

export function listAt(value: Json | undefined, ...path: readonly string[]): readonly Json[] {
  const found = at(value, ...path);
  return isArray(found) ? found : [];
}
