/**
 * Values as server-side apply sees them (Kubernetes documentation, "Server-Side Apply", "Merge
 * strategy"): maps are merged by field, lists with keys and sets by item, all else is one value.
 */
import type { Json, JsonObject } from './api.ts';
import { emptySet, type FieldSet, FieldSetBuilder } from './field-set.ts';
import { canonical, equal, isArray, isObject, type MutableObject, own, put } from './json.ts';
import type { SchemaNode } from './node.ts';

type Shape = 'map' | 'list' | 'leaf';

/** A node of undefined is anything: maps are merged, lists are not. */
export type Typed = SchemaNode | undefined;

function shapeOf(node: Typed, value: Json | undefined): Shape {
  if (isObject(value)) return isOneValue(node) ? 'leaf' : 'map';
  if (isArray(value) && node !== undefined && node.list !== 'atomic') return 'list';
  return 'leaf';
}

/** Raw objects inside built-in kinds (data of ControllerRevisions) are one value too. */
function isOneValue(node: Typed): boolean {
  if (node === undefined) return false;
  return node.atomicMap || (node.builtIn && node.preserve && node.type === undefined);
}

export function childOf(node: Typed, element: string): Typed {
  if (node === undefined) return undefined;
  if (!element.startsWith('f:')) return node.items;
  return node.properties.get(element.slice(2)) ?? node.additional;
}

/** The path element of a list's item; its index when it has no key. */
export function itemElement(node: SchemaNode, item: Json, index: number): string {
  if (node.list === 'set') return `v:${canonical(item)}`;
  const keys: MutableObject = {};
  for (const name of node.listKeys) {
    const value = isObject(item) ? own(item, name) : undefined;
    const key = value ?? node.items?.properties.get(name)?.fallback;
    if (key !== undefined) put(keys, name, key);
  }
  return Object.keys(keys).length === 0 ? `i:${index}` : `k:${canonical(keys)}`;
}

type Item = readonly [element: string, value: Json];

function itemsOf(node: Typed, value: Json | undefined): readonly Item[] {
  if (isObject(value)) {
    return Object.keys(value).map((key) => [`f:${key}`, value[key] ?? null] as const);
  }
  if (!isArray(value) || node === undefined) return [];
  return value.map((item, i) => [itemElement(node, item, i), item] as const);
}

/** The fields an applied object claims. */
export function fieldsOf(node: Typed, value: Json): FieldSet {
  const shape = shapeOf(node, value);
  if (shape === 'leaf') return emptySet;
  const builder = new FieldSetBuilder();
  for (const [element, item] of itemsOf(node, value)) {
    const child = childOf(node, element);
    const isLeaf = shapeOf(child, item) === 'leaf';
    const isEmpty = isObject(item) && Object.keys(item).length === 0;
    const isNamed = shape === 'map' && node?.properties.has(element.slice(2)) === true;
    // Items of lists and keys of maps are claimed themselves, fields of structures are not.
    if (isLeaf || isEmpty || !isNamed) builder.add(element);
    builder.under(element, fieldsOf(child, item));
  }
  return builder.done();
}

export interface Comparison {
  readonly added: FieldSet;
  readonly modified: FieldSet;
  readonly removed: FieldSet;
}

const same: Comparison = { added: emptySet, modified: emptySet, removed: emptySet };

/** What differs between two values of one type. */
export function compare(node: Typed, before: Json, now: Json): Comparison {
  if (before === now) return same;
  const builders = {
    added: new FieldSetBuilder(),
    modified: new FieldSetBuilder(),
    removed: new FieldSetBuilder(),
  };
  const [old, fresh] = [new Map(itemsOf(node, before)), new Map(itemsOf(node, now))];
  for (const element of new Set([...old.keys(), ...fresh.keys()])) {
    compareItem(childOf(node, element), element, { old, fresh, builders });
  }
  return {
    added: builders.added.done(),
    modified: builders.modified.done(),
    removed: builders.removed.done(),
  };
}

interface CompareLevel {
  readonly old: ReadonlyMap<string, Json>;
  readonly fresh: ReadonlyMap<string, Json>;
  readonly builders: Readonly<Record<'added' | 'modified' | 'removed', FieldSetBuilder>>;
}

function compareItem(node: Typed, element: string, level: CompareLevel): void {
  const { builders } = level;
  const [before, now] = [level.old.get(element), level.fresh.get(element)];
  if (before === now) return;
  if (before === undefined) {
    builders.added.add(element);
    builders.added.under(element, allOf(node, now));
    return;
  }
  if (now === undefined) {
    builders.removed.add(element);
    builders.removed.under(element, allOf(node, before));
    return;
  }
  const shape = shapeOf(node, now);
  if (shape === 'leaf' && shapeOf(node, before) === 'leaf') {
    if (!equal(before, now)) builders.modified.add(element);
    return;
  }
  if (shape !== shapeOf(node, before)) {
    builders.removed.under(element, allOf(node, before));
    builders.added.under(element, allOf(node, now));
    if (shape === 'leaf' || shapeOf(node, before) === 'leaf') builders.modified.add(element);
    return;
  }
  const inner = compare(node, before, now);
  builders.added.under(element, inner.added);
  builders.modified.under(element, inner.modified);
  builders.removed.under(element, inner.removed);
}

/** Everything below a value, and every level of it. */
function allOf(node: Typed, value: Json | undefined): FieldSet {
  if (value === undefined || shapeOf(node, value) === 'leaf') return emptySet;
  const builder = new FieldSetBuilder();
  for (const [element, item] of itemsOf(node, value)) {
    builder.add(element);
    builder.under(element, allOf(childOf(node, element), item));
  }
  return builder.done();
}

/** The live value with the applied one on top. */
export function merge(node: Typed, live: Json | undefined, applied: Json | undefined): Json {
  if (applied === undefined) return live ?? null;
  if (live === undefined || live === applied) return applied;
  const shape = shapeOf(node, applied);
  if (shape === 'leaf' || shape !== shapeOf(node, live)) return applied;
  return isObject(applied)
    ? mergeMaps(node, live as JsonObject, applied)
    : mergeLists(node, live, applied);
}

function mergeMaps(node: Typed, live: JsonObject, applied: JsonObject): Json {
  const out: MutableObject = { ...live };
  for (const key of Object.keys(applied)) {
    put(out, key, merge(childOf(node, `f:${key}`), own(live, key), own(applied, key)));
  }
  return out;
}

/**
 * Items that both have are in the order of the applied list; items that only the live list has
 * stay before the same neighbour.
 */
function mergeLists(node: Typed, live: Json, applied: Json): Json {
  const mine = itemsOf(node, applied);
  const wanted = new Map(mine);
  const existing = itemsOf(node, live);
  const known = new Map(existing);
  const common = mine.map(([element]) => element).filter((element) => known.has(element));
  const out: Json[] = [];
  const done = new Set<string>();
  let next = 0;
  const takeApplied = (until: string | undefined): void => {
    for (; next < mine.length; next++) {
      const [element = '', item = null] = mine[next] ?? [];
      if (!done.has(element)) out.push(merge(node?.items, known.get(element), item));
      done.add(element);
      if (element === until) {
        next += 1;
        return;
      }
    }
  };
  let shared = 0;
  for (const [element, item] of existing) {
    if (!wanted.has(element)) out.push(item);
    else if (element === common[shared]) {
      takeApplied(element);
      while (shared < common.length && done.has(common[shared] ?? '')) shared += 1;
    }
  }
  takeApplied(undefined);
  return out;
}

/** The value without the fields of the set. */
export function remove(node: Typed, value: Json, set: FieldSet): Json {
  const shape = shapeOf(node, value);
  if (set.isEmpty || shape === 'leaf') return value;
  const kept = itemsOf(node, value)
    .filter(([element]) => !set.has(element))
    .map(([element, item]) => {
      const child = remove(childOf(node, element), item, set.child(element));
      return [element, child] as const;
    });
  if (shape === 'list') return kept.map(([, item]) => item);
  const out: MutableObject = {};
  for (const [element, item] of kept) put(out, element.slice(2), item);
  return out;
}

/** Fields of structures that have something of the set below them belong to it. */
export function withStructures(node: Typed, set: FieldSet): FieldSet {
  const builder = new FieldSetBuilder();
  for (const element of set.members) builder.add(element);
  for (const [element, child] of set.children) {
    const isNamed = element.startsWith('f:') && node?.properties.has(element.slice(2)) === true;
    if (isNamed) builder.add(element);
    builder.under(element, withStructures(childOf(node, element), child));
  }
  return builder.done();
}
