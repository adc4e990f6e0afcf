// Module-level state is shared by everything in the process, invisible in signatures, and
// survives from one test to the next.
import { fileRule, inSource, type Rule } from './rule.ts';
import type { Source } from './source.ts';

const collections: ReadonlySet<string> = new Set(['Map', 'Set', 'WeakMap', 'WeakSet']);
const mutators: ReadonlySet<string> = new Set(
  'set add delete clear push pop shift unshift splice sort fill reverse copyWithin'.split(' '),
);

/** Indexes of the tokens that are in no bracket at all. */
function topLevel(source: Source): readonly number[] {
  const found: number[] = [];
  for (let i = 0; i < source.tokens.length; i++) {
    found.push(i);
    const end = source.partner[i] ?? -1;
    if (end > i) i = end;
  }
  return found;
}

function isInFunction(source: Source, i: number): boolean {
  return source.functions.some((f) => f.bodyStart < i && i < f.bodyEnd);
}

/** First place where a function of this file changes the named constant. */
function mutatedAt(source: Source, name: string): number | undefined {
  const { tokens, partner } = source;
  for (const [i, token] of tokens.entries()) {
    if (token.text !== name || token.kind !== 'word' || tokens[i - 1]?.text === '.') continue;
    const isCall = tokens[i + 1]?.text === '.' && tokens[i + 3]?.text === '(';
    const isMutator = isCall && mutators.has(tokens[i + 2]?.text ?? '');
    const isIndex = tokens[i + 1]?.text === '[';
    const behind = isIndex ? (tokens[(partner[i + 1] ?? 0) + 1]?.text ?? '') : '';
    const isAssignment = isIndex && /^([-+*/%&|^?]|\|\||&&|\?\?)?=$|^\+\+$|^--$/.test(behind);
    if ((isMutator || isAssignment) && isInFunction(source, i)) return token.line;
  }
  return undefined;
}

function judgeConstant(source: Source, at: number): [number, string][] {
  const name = source.tokens[at + 1];
  if (name?.kind !== 'word') return [];
  const mutated = mutatedAt(source, name.text);
  if (mutated !== undefined && !isShadowed(source, name.text)) {
    return [[mutated, `changes ${name.text}, which belongs to the module: ${remedy}`]];
  }
  const isExported = source.tokens[at - 1]?.text === 'export';
  const isMade =
    source.tokens[at + 2]?.text === '=' &&
    source.tokens[at + 3]?.text === 'new' &&
    collections.has(source.tokens[at + 4]?.text ?? '');
  if (!isExported || !isMade) return [];
  return [[name.line, `${name.text} can be changed by anyone: type it ReadonlyMap or ReadonlySet`]];
}

/** The same name declared again further in: the mutation is most likely of that one. */
function isShadowed(source: Source, name: string): boolean {
  const declarations = source.tokens.filter((token, i) => {
    const before = source.tokens[i - 1]?.text ?? '';
    const isParameter = ['(', ','].includes(before) && source.tokens[i + 1]?.text === ':';
    return token.text === name && (['const', 'let'].includes(before) || isParameter);
  });
  return declarations.length > 1;
}

const remedy = 'keep it in an object made by a factory';

function checkState(source: Source): [number, string][] {
  return topLevel(source).flatMap((i): [number, string][] => {
    const token = source.tokens[i];
    if (token?.kind !== 'word' || source.tokens[i - 1]?.text === '.') return [];
    if (token.text === 'let' || token.text === 'var') {
      return [[token.line, `${token.text} at module level is shared state: ${remedy}`]];
    }
    return token.text === 'const' ? judgeConstant(source, i) : [];
  });
}

export const stateRules: readonly Rule[] = [fileRule('module-state', inSource, checkState)];
