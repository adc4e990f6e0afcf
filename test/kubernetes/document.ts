/** Reading, changing and comparing JSON documents by dotted paths: `spec.containers.0.image`. */
import assert from 'node:assert/strict';

export type Doc = Readonly<Record<string, unknown>>;

/** A key with dots in it is written with `\\.` before each. */
function steps(path: string): readonly string[] {
  return path.split(/(?<!\\)\./).map((step) => step.replaceAll('\\.', '.'));
}

export function at(doc: unknown, path: string): unknown {
  let value = doc;
  for (const step of steps(path)) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Doc)[step];
  }
  return value;
}

export function textAt(doc: unknown, path: string): string {
  const value = at(doc, path);
  assert.equal(typeof value, 'string', `${path} is ${JSON.stringify(value)}, no text`);
  return value as string;
}

export function listAt(doc: unknown, path: string): readonly Doc[] {
  const value = at(doc, path);
  assert.ok(Array.isArray(value), `${path} is ${JSON.stringify(value)}, no list`);
  return value as readonly Doc[];
}

/** A copy with other values at some paths; undefined takes the key out. */
export function changed(doc: unknown, changes: Doc): Doc {
  const copy = structuredClone(doc) as Record<string, unknown>;
  for (const [path, value] of Object.entries(changes)) {
    const all = steps(path);
    const last = all.at(-1) ?? '';
    let place = copy;
    for (const step of all.slice(0, -1)) {
      place[step] ??= {};
      place = place[step] as Record<string, unknown>;
    }
    if (value === undefined) delete place[last];
    else place[last] = value;
  }
  return copy;
}

/** Every named path holds the value; undefined: it must not be there. */
export function has(doc: unknown, expected: Doc): void {
  const found = Object.fromEntries(Object.keys(expected).map((path) => [path, at(doc, path)]));
  assert.deepEqual(found, expected);
}

/**
 * The document as it is the same on every server and in every run: names of this run, times,
 * identities and versions replaced by words.
 */
export function steady(doc: unknown, namespace: string): unknown {
  const text = JSON.stringify(doc, (key, value: unknown) =>
    key === 'resourceVersion' && typeof value === 'string' && /^\d+$/.test(value) ? 'RV' : value,
  );
  if (text === undefined) return undefined;
  return JSON.parse(
    text
      .replaceAll(namespace, 'NS')
      // Also in objects that are quoted in messages.
      .replace(/(resourceVersion[\\"]+:[\\"]+)\d+/g, '$1RV')
      .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, 'UID')
      .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, 'TIME'),
  );
}
