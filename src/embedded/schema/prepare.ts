/**
 * What decoding does to an object before anything looks at it: unknown fields go, defaults come,
 * built-in kinds get the form Go writes them in. Parts that stay as they are are not copied.
 */
import type { Json, JsonObject } from './api.ts';
import { isArray, isObject, type MutableObject, put } from './json.ts';
import type { SchemaNode } from './node.ts';
import { canonicalQuantity } from './quantity.ts';
import { canonicalTime } from './times.ts';

export interface Prepared {
  readonly object: JsonObject;
  readonly unknown: readonly string[];
}

/** Objects nested deeper than this are refused by the check that follows, not walked. */
export const depthMax = 500;

export function prepare(node: SchemaNode, object: JsonObject): Prepared {
  const walk = new Preparation(true);
  return { object: walk.object(node, object, '') as JsonObject, unknown: walk.unknown };
}

/** The same without defaults: an object as somebody applies it. */
export function canonicalObject(node: SchemaNode, object: JsonObject): Prepared {
  const walk = new Preparation(false);
  return { object: walk.object(node, object, '') as JsonObject, unknown: walk.unknown };
}

/** Any value: a default, say. */
export function prepareValue(
  node: SchemaNode,
  value: Json,
): { readonly value: Json; readonly unknown: readonly string[] } {
  const walk = new Preparation(true);
  return { value: walk.value(node, value, ''), unknown: walk.unknown };
}

class Preparation {
  readonly unknown: string[] = [];
  readonly #fills: boolean;
  #depth = 0;

  constructor(fills: boolean) {
    this.#fills = fills;
  }

  value(node: SchemaNode, value: Json, path: string): Json {
    if (this.#depth >= depthMax) return value;
    this.#depth += 1;
    try {
      if (isObject(value)) return this.object(node, value, path);
      if (isArray(value)) return this.#list(node, value, path);
      return node.format === undefined ? value : canonicalScalar(node, value);
    } finally {
      this.#depth -= 1;
    }
  }

  object(node: SchemaNode, object: JsonObject, path: string): Json {
    if (node.type !== 'object' && !node.preserve && node.properties.size === 0) return object;
    const out: MutableObject = {};
    let changed = false;
    for (const key of Object.keys(object)) {
      const before = object[key] ?? null;
      const after = this.#field(node, key, before, path);
      if (after !== undefined) put(out, key, after);
      if (after !== before) changed = true;
    }
    if (!this.#fills) return changed ? out : object;
    for (const [key, child] of node.properties) {
      const fallback = child.fallback ?? child.zero;
      if (fallback === undefined || Object.hasOwn(out, key)) continue;
      put(out, key, this.value(child, fallback, ''));
      changed = true;
    }
    return changed ? out : object;
  }

  /** Undefined: the field goes. */
  #field(node: SchemaNode, key: string, value: Json, path: string): Json | undefined {
    const property = node.properties.get(key);
    const child = property ?? node.additional;
    if (child === undefined) {
      if (node.preserve) return value;
      this.unknown.push(path === '' ? key : `${path}.${key}`);
      return undefined;
    }
    if (value === null && !child.nullable && !isFree(child)) return undefined;
    // An empty list here means something: managedFields are to be forgotten.
    if (key === 'managedFields') return value;
    const at = path === '' ? key : `${path}.${key}`;
    const after = this.value(child, value, at);
    const isKept = property === undefined || !child.builtIn || node.required.includes(key);
    return !isKept && isOmitted(child, after) ? undefined : after;
  }

  #list(node: SchemaNode, list: readonly Json[], path: string): Json {
    const { items } = node;
    if (items === undefined) return list;
    let out: Json[] | undefined;
    for (let i = 0; i < list.length; i++) {
      const before = list[i] ?? null;
      const after = this.value(items, before, `${path}[${i}]`);
      if (after !== before) {
        out ??= [...list];
        out[i] = after;
      }
    }
    return out ?? list;
  }
}

/** Takes any JSON: also null means something there. */
function isFree(node: SchemaNode): boolean {
  return node.preserve && node.type === undefined;
}

/** Go leaves empty lists and maps out; pointers to empty structures it writes. */
function isOmitted(node: SchemaNode, value: Json): boolean {
  if (node.zero !== undefined || node.preserve) return false;
  if (isArray(value)) return value.length === 0;
  return node.additional !== undefined && isObject(value) && Object.keys(value).length === 0;
}

/** Is it a time with microseconds? */
export function isMicro(node: SchemaNode): boolean {
  return node.schema['x-transship-time'] === 'micro';
}

function canonicalScalar(node: SchemaNode, value: Json): Json {
  if (!node.builtIn) return value;
  if (node.format === 'date-time' && typeof value === 'string') {
    return canonicalTime(value, isMicro(node)) ?? value;
  }
  if (node.format !== 'quantity') return value;
  if (typeof value !== 'string' && typeof value !== 'number') return value;
  return canonicalQuantity(value) ?? value;
}

/** What an object of the schema is before anything was set: fields Go always writes. */
export function emptyObject(node: SchemaNode): JsonObject {
  const out: MutableObject = {};
  for (const [key, child] of node.properties) {
    if (child.zero !== undefined) {
      put(out, key, isObject(child.zero) ? emptyObject(child) : child.zero);
    } else if (child.builtIn && child.type === 'array' && node.required.includes(key)) {
      put(out, key, []);
    }
  }
  return out;
}
