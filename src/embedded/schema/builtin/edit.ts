// Changing one place of an object that nobody may change.
import type { Json, JsonObject } from '../api.ts';
import { isArray, isObject, own } from '../json.ts';

/** The object with the object at the path changed; itself where there is none. */
export function edit(
  object: JsonObject,
  path: readonly string[],
  change: (inner: JsonObject) => JsonObject,
): JsonObject {
  const [key, ...rest] = path;
  if (key === undefined) return change(object);
  const inner = own(object, key);
  if (!isObject(inner)) return object;
  const changed = edit(inner, rest, change);
  return changed === inner ? object : { ...object, [key]: changed };
}

/** The object with every object of a list of its own changed. */
export function editEach(
  object: JsonObject,
  key: string,
  change: (item: JsonObject) => JsonObject,
): JsonObject {
  const list = own(object, key);
  if (!isArray(list)) return object;
  const changed = list.map((item) => (isObject(item) ? change(item) : item));
  return changed.every((item, i) => item === list[i]) ? object : { ...object, [key]: changed };
}

/** The object with values for keys it has not. */
export function withDefaults(
  object: JsonObject,
  defaults: Readonly<Record<string, Json | undefined>>,
): JsonObject {
  const missing = Object.entries(defaults).filter(
    ([key, value]) => value !== undefined && !Object.hasOwn(object, key),
  );
  if (missing.length === 0) return object;
  return { ...object, ...(Object.fromEntries(missing) as JsonObject) };
}
