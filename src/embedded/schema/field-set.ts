/**
 * Sets of fields as `metadata.managedFields` has them (FieldsV1): a tree whose edges are path
 * elements, `f:NAME` (field), `k:KEYS` (item of a list-map), `v:VALUE` (item of a set) and
 * `i:INDEX`. A node may be in the set itself (`.`), and have children that are.
 */
import type { Json, JsonObject } from './api.ts';
import { isObject, type MutableObject, put } from './json.ts';

export class FieldSet {
  readonly members: ReadonlySet<string>;
  readonly children: ReadonlyMap<string, FieldSet>;

  constructor(members: ReadonlySet<string>, children: ReadonlyMap<string, FieldSet>) {
    this.members = members;
    this.children = children;
  }

  get isEmpty(): boolean {
    return this.members.size === 0 && this.children.size === 0;
  }

  has(element: string): boolean {
    return this.members.has(element);
  }

  child(element: string): FieldSet {
    return this.children.get(element) ?? emptySet;
  }

  union(other: FieldSet): FieldSet {
    if (other.isEmpty) return this;
    if (this.isEmpty) return other;
    return this.#combine(other, this.members.union(other.members), (a, b) => a.union(b));
  }

  difference(other: FieldSet): FieldSet {
    if (other.isEmpty || this.isEmpty) return this;
    return this.#combine(other, this.members.difference(other.members), (a, b) => a.difference(b));
  }

  intersection(other: FieldSet): FieldSet {
    if (other.isEmpty || this.isEmpty) return emptySet;
    const members = this.members.intersection(other.members);
    return this.#combine(other, members, (a, b) => a.intersection(b));
  }

  equals(other: FieldSet): boolean {
    if (this.members.size !== other.members.size) return false;
    if (this.children.size !== other.children.size) return false;
    return (
      this.members.isSubsetOf(other.members) &&
      [...this.children].every(([element, child]) => child.equals(other.child(element)))
    );
  }

  /** Every path in the set. */
  *paths(prefix: readonly string[] = []): Iterable<readonly string[]> {
    for (const element of sorted(this.members)) yield [...prefix, element];
    for (const element of sorted(this.children.keys())) {
      yield* this.child(element).paths([...prefix, element]);
    }
  }

  #combine(
    other: FieldSet,
    members: ReadonlySet<string>,
    merge: (a: FieldSet, b: FieldSet) => FieldSet,
  ): FieldSet {
    const children = new Map<string, FieldSet>();
    for (const element of new Set([...this.children.keys(), ...other.children.keys()])) {
      const child = merge(this.child(element), other.child(element));
      if (!child.isEmpty) children.set(element, child);
    }
    return new FieldSet(members, children);
  }
}

export const emptySet: FieldSet = new FieldSet(new Set(), new Map());

/** Collects one level of a set. */
export class FieldSetBuilder {
  readonly #members = new Set<string>();
  readonly #children = new Map<string, FieldSet>();

  add(element: string): void {
    this.#members.add(element);
  }

  under(element: string, child: FieldSet): void {
    if (child.isEmpty) return;
    const before = this.#children.get(element);
    this.#children.set(element, before === undefined ? child : before.union(child));
  }

  done(): FieldSet {
    if (this.#members.size === 0 && this.#children.size === 0) return emptySet;
    return new FieldSet(this.#members, this.#children);
  }
}

/** A set of the given paths of fields: `['metadata', 'name']`. */
export function setOfPaths(paths: readonly (readonly string[])[]): FieldSet {
  return paths.reduce<FieldSet>((all, path) => all.union(setOfPath(path)), emptySet);
}

function setOfPath(path: readonly string[]): FieldSet {
  const [first = '', ...rest] = path;
  const builder = new FieldSetBuilder();
  if (rest.length === 0) builder.add(`f:${first}`);
  else builder.under(`f:${first}`, setOfPath(rest));
  return builder.done();
}

/** Fields, then keys, values and indexes, each by text: the order in which servers write them. */
function sorted(elements: Iterable<string>): readonly string[] {
  return [...elements].sort((a, b) => {
    const [left, right] = ['fkvi'.indexOf(a.charAt(0)), 'fkvi'.indexOf(b.charAt(0))];
    if (left !== right) return left - right;
    return a < b ? -1 : Number(a > b);
  });
}

export function writeFieldsV1(set: FieldSet): JsonObject {
  const out: MutableObject = {};
  for (const element of sorted(new Set([...set.members, ...set.children.keys()]))) {
    const child = set.children.get(element);
    const inner = child === undefined ? {} : writeFieldsV1(child);
    const isBoth = child !== undefined && set.has(element);
    put(out, element, isBoth ? { '.': {}, ...inner } : inner);
  }
  return out;
}

/** Undefined when it is no FieldsV1. */
export function readFieldsV1(fields: Json | undefined): FieldSet | undefined {
  if (!isObject(fields)) return undefined;
  const builder = new FieldSetBuilder();
  for (const element of Object.keys(fields)) {
    if (element === '.') continue;
    if (!/^[fkvi]:/.test(element)) return undefined;
    const value = fields[element];
    if (!isObject(value)) return undefined;
    const keys = Object.keys(value);
    if (keys.length === 0 || keys.includes('.')) builder.add(element);
    const child = readFieldsV1(value);
    if (child === undefined) return undefined;
    builder.under(element, child);
  }
  return builder.done();
}

/** `.spec.containers[name="a"].image`, as messages show a path. */
export function pathText(path: readonly string[]): string {
  return path.map(elementText).join('');
}

function elementText(element: string): string {
  const rest = element.slice(2);
  switch (element.charAt(0)) {
    case 'f':
      return `.${rest}`;
    case 'k': {
      const keys = Object.entries(JSON.parse(rest) as JsonObject);
      return `[${keys.map(([key, value]) => `${key}=${JSON.stringify(value)}`).join(',')}]`;
    }
    case 'v':
      return `[=${rest}]`;
    default:
      return `[${rest}]`;
  }
}
