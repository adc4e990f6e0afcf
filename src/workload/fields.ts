/**
 * Objects of kinds that are only known when they come: reading without trust, and changes that copy
 * what they change and nothing else.
 */

export type Fields = Readonly<Record<string, unknown>>;
export type FieldPath = readonly string[];

/** In a path: every entry of the list, or every value of the object, that is there. */
export const each = '*';

export function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function valueAt(value: unknown, path: FieldPath): unknown {
  let at = value;
  for (const name of path) {
    if (!isFields(at) || !Object.hasOwn(at, name)) return undefined;
    at = at[name];
  }
  return at;
}

/** Empty where there is no object. */
export function fieldsAt(value: unknown, ...path: FieldPath): Fields {
  const found = valueAt(value, path);
  return isFields(found) ? found : {};
}

/** Empty where there is no list. */
export function listAt(value: unknown, ...path: FieldPath): readonly unknown[] {
  const found = valueAt(value, path);
  return Array.isArray(found) ? found : [];
}

export function fieldsListAt(value: unknown, ...path: FieldPath): readonly Fields[] {
  return listAt(value, ...path).filter(isFields);
}

/** Undefined where there is no text, or an empty one. */
export function textAt(value: unknown, ...path: FieldPath): string | undefined {
  const found = valueAt(value, path);
  return typeof found === 'string' && found !== '' ? found : undefined;
}

export function textsAt(value: unknown, ...path: FieldPath): readonly string[] {
  return listAt(value, ...path).filter((one) => typeof one === 'string');
}

export function numberAt(value: unknown, ...path: FieldPath): number | undefined {
  const found = valueAt(value, path);
  return typeof found === 'number' ? found : undefined;
}

/** `spec.template.spec.containers[0].image`; a name that is no word goes in brackets. */
export function pathText(path: readonly (string | number)[]): string {
  return path
    .map((part, i) => {
      if (typeof part === 'number') return `[${part}]`;
      if (!/^[A-Za-z_][A-Za-z0-9_-]*$/.test(part)) return `[${JSON.stringify(part)}]`;
      return i === 0 ? part : `.${part}`;
    })
    .join('');
}

/** Gives the new value; undefined takes the field or the entry out. */
export type Change = (value: unknown, place: readonly (string | number)[]) => unknown;

/** Changes what is at the path, where it is; the same value when nothing changes. */
export function changeAt<T>(value: T, path: FieldPath, change: Change): T {
  return changed(value, path, { change, place: [] }) as T;
}

interface Changing {
  readonly change: Change;
  readonly place: readonly (string | number)[];
}

function changed(value: unknown, path: FieldPath, changing: Changing): unknown {
  const { change, place } = changing;
  const [name, ...rest] = path;
  if (name === undefined) return change(value, place);
  const inner = (one: unknown, key: string | number): unknown =>
    changed(one, rest, { change, place: [...place, key] });
  if (name === each && Array.isArray(value)) {
    const list = value.map(inner);
    const before: readonly unknown[] = value;
    return list.every((one, i) => one === before[i])
      ? value
      : list.filter((one) => one !== undefined);
  }
  if (!isFields(value)) return value;
  const names = name === each ? Object.keys(value) : Object.hasOwn(value, name) ? [name] : [];
  const before: Fields = value;
  let out: Fields = before;
  for (const key of names) {
    const next = inner(before[key], key);
    if (next === before[key]) continue;
    out = next === undefined ? without(out, key) : { ...out, [key]: next };
  }
  return out;
}

function without(fields: Fields, name: string): Fields {
  return Object.fromEntries(Object.entries(fields).filter(([key]) => key !== name));
}

export function withoutAt<T>(value: T, path: FieldPath): T {
  return changeAt(value, path, () => undefined);
}

/** Sets the field, and makes the objects on the way that are missing. */
export function withAt<T>(value: T, path: FieldPath, to: unknown): T {
  const [name, ...rest] = path;
  if (name === undefined) return to as T;
  const fields: Fields = isFields(value) ? value : {};
  return { ...fields, [name]: withAt(fields[name], rest, to) } as T;
}

/** Takes out the objects at the path that are empty. */
export function withoutEmpty<T>(value: T, path: FieldPath): T {
  return changeAt(value, path, (found) => {
    if (Array.isArray(found)) return found.length === 0 ? undefined : found;
    return isFields(found) && Object.keys(found).length === 0 ? undefined : found;
  });
}

/** Whether two JSON values say the same; the order of an object's fields is no difference. */
export function sameJson(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
    return a.every((one, i) => sameJson(one, b[i]));
  }
  if (!isFields(a) || !isFields(b)) return false;
  const names = Object.keys(a);
  if (names.length !== Object.keys(b).length) return false;
  return names.every((name) => Object.hasOwn(b, name) && sameJson(a[name], b[name]));
}
