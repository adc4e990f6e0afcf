/**
 * Strategic merge patch (Kubernetes, "Strategic Merge Patch" of the API conventions): a merge patch
 * that merges lists by the merge key of the schema, with directives `$patch`, `$retainKeys`,
 * `$deleteFromPrimitiveList/FIELD` and `$setElementOrder/FIELD`.
 */
import { fail } from '../../base/errors.ts';
import type { Json, JsonObject } from './api.ts';
import { canonical, isArray, isObject, type MutableObject, own, put } from './json.ts';
import type { SchemaNode } from './node.ts';
import { childOf, type Typed } from './structured.ts';

const directive = '$patch';
const retainKeys = '$retainKeys';
const deletePrefix = '$deleteFromPrimitiveList/';
const orderPrefix = '$setElementOrder/';

export function strategicMerge(
  node: SchemaNode,
  current: JsonObject,
  patch: JsonObject,
): JsonObject {
  return mergeMap(node, current, patch);
}

function mergeMap(node: Typed, current: JsonObject, patch: JsonObject): JsonObject {
  const kind = own(patch, directive);
  if (kind === 'delete') return {};
  if (kind === 'replace') {
    const { [directive]: _, ...rest } = patch;
    return rest;
  }
  if (kind !== undefined && kind !== 'merge') {
    fail('Invalid', `unknown patch directive: ${JSON.stringify(kind)}`);
  }
  const out: MutableObject = retained(current, patch);
  for (const key of fieldsOfPatch(patch)) {
    const child = childOf(node, `f:${key}`);
    const value = mergeField(child, own(out, key), key, patch);
    if (value === undefined) delete out[key];
    else put(out, key, value);
  }
  return out;
}

/** The fields a patch speaks of, also those that only directives name. */
function fieldsOfPatch(patch: JsonObject): ReadonlySet<string> {
  const names = Object.keys(patch).map((key) => {
    if (key.startsWith(deletePrefix)) return key.slice(deletePrefix.length);
    return key.startsWith(orderPrefix) ? key.slice(orderPrefix.length) : key;
  });
  return new Set(names.filter((name) => name !== directive && name !== retainKeys));
}

function retained(current: JsonObject, patch: JsonObject): MutableObject {
  const list = own(patch, retainKeys);
  if (list === undefined) return { ...current };
  if (!isArray(list)) fail('Invalid', 'the retainKeys directive of a patch is a list of fields');
  return Object.fromEntries(Object.entries(current).filter(([key]) => list.includes(key)));
}

/** Undefined: the field goes. */
function mergeField(
  node: Typed,
  current: Json | undefined,
  key: string,
  patch: JsonObject,
): Json | undefined {
  const value = own(patch, key);
  if (value === null) return undefined;
  const isList = isArray(value) || (value === undefined && isArray(current));
  if (isList && (node?.patch.merge === true || value === undefined)) {
    const order = own(patch, `${orderPrefix}${key}`);
    const deleted = own(patch, `${deletePrefix}${key}`);
    return mergeList(node, isArray(current) ? current : [], {
      items: isArray(value) ? value : [],
      order: isArray(order) ? order : undefined,
      deleted: isArray(deleted) ? deleted : [],
    });
  }
  if (value === undefined) return current;
  if (isObject(value)) return mergeMap(node, isObject(current) ? current : {}, value);
  return value;
}

interface ListPatch {
  readonly items: readonly Json[];
  readonly order: readonly Json[] | undefined;
  readonly deleted: readonly Json[];
}

function mergeList(node: Typed, current: readonly Json[], patch: ListPatch): Json {
  const key = node?.patch.key;
  const isOfObjects = [...patch.items, ...current].some(isObject);
  if (!isOfObjects || key === undefined) return mergeScalars(current, patch);
  return mergeObjects(node, current, { ...patch, key });
}

function mergeScalars(current: readonly Json[], patch: ListPatch): Json {
  const deleted = new Set(patch.deleted.map(canonical));
  const kept = current.filter((item) => !deleted.has(canonical(item)));
  const known = new Set(kept.map(canonical));
  const fresh = patch.items.filter((item) => !known.has(canonical(item)));
  return ordered([...kept, ...fresh], current, patch.order ?? patch.items, canonical);
}

function mergeObjects(
  node: Typed,
  current: readonly Json[],
  patch: ListPatch & { readonly key: string },
): Json {
  const { key } = patch;
  const items = patch.items.map((item) => {
    if (!isObject(item)) return fail('Invalid', `items of this list are objects with ${key}`);
    return item;
  });
  const isReplace = items.some(
    (item) => own(item, directive) === 'replace' && own(item, key) === undefined,
  );
  if (isReplace) return items.filter((item) => own(item, directive) === undefined);
  const keyText = (item: Json): string =>
    canonical((isObject(item) ? own(item, key) : item) ?? null);
  const merged = new Map(current.map((item) => [keyText(item), item]));
  for (const item of items) {
    if (!Object.hasOwn(item, key)) {
      fail('Invalid', `${JSON.stringify(item)} does not contain declared merge key: ${key}`);
    }
    const name = keyText(item);
    if (own(item, directive) === 'delete') {
      merged.delete(name);
      continue;
    }
    const before = merged.get(name);
    merged.set(name, mergeMap(node?.items, isObject(before) ? before : {}, item));
  }
  return ordered([...merged.values()], current, patch.order ?? patch.items, keyText);
}

/**
 * Items the order names are in that order; others keep their place among the current ones. Without
 * `$setElementOrder` the order is that of the patch, so that new items come first.
 */
function ordered(
  items: readonly Json[],
  current: readonly Json[],
  order: readonly Json[],
  textOf: (item: Json) => string,
): readonly Json[] {
  const wanted = new Map(order.map((item, i) => [textOf(item), i]));
  const place = new Map(current.map((item, i) => [textOf(item), i]));
  const rank = (item: Json): number => wanted.get(textOf(item)) ?? 0;
  const named = items.filter((item) => wanted.has(textOf(item)));
  named.sort((a, b) => rank(a) - rank(b));
  const others = items.filter((item) => !wanted.has(textOf(item)));
  const out: Json[] = [];
  let next = 0;
  for (const item of named) {
    const limit = place.get(textOf(item));
    while (limit !== undefined && next < others.length) {
      const other = others[next] ?? null;
      if ((place.get(textOf(other)) ?? limit) >= limit) break;
      out.push(other);
      next += 1;
    }
    out.push(item);
  }
  return [...out, ...others.slice(next)];
}
