/**
 * Does a rule name fields that its schema does not have? The expressions' own type check does not
 * know schemas; this one follows `self` and the variables of macros through them.
 */
import type { SchemaNode } from '../node.ts';
import { celName } from './values.ts';

/** As much of a syntax tree as is needed here. */
interface Tree {
  readonly op: string;
  readonly args: unknown;
  /** Where it is in the text; of a selection, where the field's name is. */
  readonly pos: number;
}

export interface UndefinedField {
  readonly name: string;
  readonly pos: number;
}

/** What an expression gives: a node of the schema, or something nothing is known about. */
type Typed = SchemaNode | undefined;
type Scope = ReadonlyMap<string, Typed>;

const macros: ReadonlySet<string> = new Set(['all', 'exists', 'exists_one', 'map', 'filter']);
/** Of metadata rules see these alone. */
const shownMetadata: ReadonlySet<string> = new Set(['name', 'generateName']);

/** The first one; undefined where all are known. */
export function undefinedField(
  tree: unknown,
  node: SchemaNode,
  { optionalOld }: { readonly optionalOld: boolean },
): UndefinedField | undefined {
  const walk = new Walk();
  walk.typeOf(
    tree,
    new Map([
      ['self', node],
      ['oldSelf', optionalOld ? undefined : node],
    ]),
  );
  return walk.found;
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && 'op' in value && 'args' in value;
}

class Walk {
  found: UndefinedField | undefined;

  typeOf(tree: unknown, scope: Scope): Typed {
    if (!isTree(tree)) {
      // Lists of arguments, and pairs of map literals.
      if (Array.isArray(tree)) for (const part of tree) this.typeOf(part, scope);
      return undefined;
    }
    const { op, args } = tree;
    if (op === 'id') return scope.get(String(args));
    if (!Array.isArray(args)) return this.typeOf(args, scope);
    const [first, second, third] = args as readonly unknown[];
    if (op === '.' || op === '.?') {
      return this.#select(this.typeOf(first, scope), String(second), tree.pos);
    }
    if (op === '[]' || op === '[?]') {
      this.typeOf(second, scope);
      return elementOf(this.typeOf(first, scope), second);
    }
    if (op === 'rcall') return this.#call(String(first), second, { args: third, scope });
    for (const arg of args) this.typeOf(arg, scope);
    return undefined;
  }

  #select(node: Typed, name: string, pos: number): Typed {
    if (node === undefined || node.type !== 'object' || node.preserve) return undefined;
    if (node.additional !== undefined) return node.additional;
    const key = [...node.properties.keys()].find((property) => celName(property) === name);
    const isShown = !node.builtIn || shownMetadata.has(name);
    if (key === undefined || !isShown) {
      this.found ??= { name, pos };
      return undefined;
    }
    return node.properties.get(key);
  }

  #call(
    name: string,
    on: unknown,
    { args, scope }: { readonly args: unknown; readonly scope: Scope },
  ): Typed {
    const node = this.typeOf(on, scope);
    const [variable, ...bodies] = Array.isArray(args) ? (args as readonly unknown[]) : [];
    if (!macros.has(name) || !isTree(variable) || variable.op !== 'id') {
      this.typeOf(args, scope);
      return undefined;
    }
    // Of maps the variable is a key.
    const inner = new Map(scope).set(String(variable.args), node?.items);
    for (const body of bodies) this.typeOf(body, inner);
    return name === 'filter' ? node : undefined;
  }
}

function elementOf(node: Typed, index: unknown): Typed {
  if (node?.items !== undefined) return node.items;
  if (node?.additional !== undefined) return node.additional;
  if (node === undefined || !isTree(index) || index.op !== 'value') return undefined;
  return node.properties.get(String(index.args));
}

/** As a real server tells it, with the place in the text. */
export function undefinedFieldWords(text: string, { name, pos }: UndefinedField): string {
  const before = text.slice(0, pos).split('\n');
  const column = before.at(-1)?.length ?? 0;
  const line = text.split('\n')[before.length - 1] ?? '';
  const dots = '.'.repeat(Math.max(0, column - 1));
  const where = `ERROR: <input>:${before.length}:${column}`;
  return `compilation failed: ${where}: undefined field '${name}'\n | ${line}\n | ${dots}^`;
}
