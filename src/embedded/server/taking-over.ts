/**
 * The way from client-side to server-side apply: fields that `kubectl apply` wrote last, as its
 * annotation tells, are no conflict for `kubectl apply --server-side`.
 */
import type { ApplyConflict, Json, JsonObject } from '../schema/api.ts';
import { isList, isObject, metaOf, objectAt, parseObject, textAt } from './json.ts';

const lastApplied = 'kubectl.kubernetes.io/last-applied-configuration';
/** Only this manager is known to have written the annotation. */
const manager = 'kubectl';

/** May the apply be repeated with force? */
export function takesOver(
  asks: string,
  live: JsonObject | undefined,
  conflicts: readonly ApplyConflict[],
): boolean {
  if (asks !== manager || live === undefined) return false;
  const applied = appliedBefore(live);
  return applied !== undefined && conflicts.every(({ field }) => has(applied, field));
}

function appliedBefore(live: JsonObject): JsonObject | undefined {
  const text = textAt(objectAt(metaOf(live), 'annotations'), lastApplied);
  try {
    return text === '' ? undefined : parseObject(text);
  } catch {
    return undefined;
  }
}

/** Of a path such as `.spec.containers[name="main"].image`. */
function has(object: JsonObject, path: string): boolean {
  let at: Json | undefined = object;
  for (const [, key, selector] of path.matchAll(/\.([^.[]+)|\[([^\]]*)\]/g)) {
    at = selector === undefined ? valueAt(at, key ?? '') : itemAt(at, selector);
    if (at === undefined) return false;
  }
  return true;
}

function valueAt(at: Json, key: string): Json | undefined {
  return isObject(at) ? at[key] : undefined;
}

/** `name="main",protocol="TCP"`, or `="x"` for a member of a set. */
function itemAt(at: Json, selector: string): Json | undefined {
  if (!isList(at)) return undefined;
  const terms = [...selector.matchAll(/(\w*)=("(?:\\.|[^"\\])*"|[^,]*)/g)];
  return at.find((item) =>
    terms.every(([, key = '', value]) => {
      const is = key === '' ? item : valueAt(item, key);
      return JSON.stringify(is ?? null) === value;
    }),
  );
}
