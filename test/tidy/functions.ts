// Finds functions, methods and arrow functions in a token stream, with their length and the
// number of their parameters.
import type { Token } from './scan.ts';

export interface FunctionShape {
  /** What a reader would call it; `(arrow)` where it has no name of its own. */
  readonly name: string;
  readonly line: number;
  /** Physical lines from the parameter list to the closing brace; 0 without a block body. */
  readonly lines: number;
  readonly parameters: number;
  /** Token range of the body, braces included; both 0 without a block body. */
  readonly bodyStart: number;
  readonly bodyEnd: number;
  /** The word of the call this function is an argument of, as in `test('…', () => …)`. */
  readonly argumentOf: string | undefined;
}

const notFunctions: ReadonlySet<string> = new Set(
  'if for while switch catch with return await typeof super import'.split(' '),
);

export function findFunctions(
  tokens: readonly Token[],
  partner: readonly number[],
): readonly FunctionShape[] {
  const found: FunctionShape[] = [];
  const single = (i: number): boolean =>
    tokens[i]?.text === '=>' && tokens[i - 1]?.kind === 'word' && isBareArrow(tokens, i);
  for (let i = 0; i < tokens.length; i++) {
    const isList = tokens[i]?.text === '(' && tokens[i]?.kind === 'punct';
    const shape = isList
      ? fromParameterList(tokens, partner, i)
      : single(i)
        ? describe({ tokens, partner, open: i - 1, close: i - 1, body: i + 1, isArrow: true })
        : undefined;
    if (shape !== undefined) found.push(shape);
  }
  return found;
}

/** `x => …`, not the return type of `(a): x => …`. */
function isBareArrow(tokens: readonly Token[], arrow: number): boolean {
  const before = tokens[arrow - 2]?.text ?? ';';
  return ['(', ',', '=', 'async', 'return', '=>', '?', ';', '{', '['].includes(before);
}

function fromParameterList(
  tokens: readonly Token[],
  partner: readonly number[],
  open: number,
): FunctionShape | undefined {
  const close = partner[open] ?? -1;
  if (close < 0) return undefined;
  const before = tokens[open - 1];
  if (before?.kind === 'word' && notFunctions.has(before.text)) {
    if (tokens[open - 2]?.text !== '.' && before.text !== 'await') {
      const isMethod = before.text === 'catch' || before.text === 'import';
      if (!isMethod || tokens[open - 2]?.text !== '{') return undefined;
    }
  }
  let body = close + 1;
  if (tokens[body]?.text === ':') body = skipType(tokens, partner, body + 1);
  const text = tokens[body]?.text;
  if (text === '=>') {
    return describe({ tokens, partner, open, close, body: body + 1, isArrow: true });
  }
  const named = before?.kind === 'word' || before?.text === '>' || before?.text === ']';
  const anonymous = before?.text === 'function' || before?.text === '*';
  if (text !== '{' || !(named || anonymous)) return undefined;
  return describe({ tokens, partner, open, close, body, isArrow: false });
}

/** Index of the first token behind the type that starts at `i`. */
function skipType(tokens: readonly Token[], partner: readonly number[], i: number): number {
  let angles = 0;
  let operandExpected = true;
  for (; i < tokens.length; i++) {
    const text = tokens[i]?.text ?? '';
    if (text === '<') angles++;
    else if (text === '>') angles--;
    else if (text === '(' || text === '[' || text === '{') {
      if (text === '{' && !operandExpected && angles === 0) return i;
      i = partner[i] ?? i;
      // A function type: its arrow belongs to the type, unless a body follows it.
      if (text === '(' && tokens[i + 1]?.text === '=>' && tokens[i + 2]?.text !== '{') i++;
    } else if (angles === 0 && [';', ',', ')', '=>', '=', '}', ']'].includes(text)) return i;
    const last = tokens[i];
    operandExpected =
      last?.kind === 'punct'
        ? ['|', '&', '=>', '<', ':', '?'].includes(last.text)
        : ['is', 'keyof', 'readonly', 'extends', 'typeof', 'asserts'].includes(last?.text ?? '');
  }
  return i;
}

interface Found {
  readonly tokens: readonly Token[];
  readonly partner: readonly number[];
  readonly open: number;
  readonly close: number;
  readonly body: number;
  readonly isArrow: boolean;
}

function describe(found: Found): FunctionShape {
  const { tokens, partner, open, close, body, isArrow } = found;
  const line = tokens[open]?.line ?? 0;
  const end = tokens[body]?.text === '{' ? (partner[body] ?? -1) : -1;
  return {
    name: isArrow ? arrowName(tokens, open) : wordBefore(tokens, open),
    line,
    lines: end < 0 ? 0 : (tokens[end]?.line ?? line) - line + 1,
    parameters: open === close ? 1 : countParameters(tokens, partner, open),
    bodyStart: end < 0 ? 0 : body,
    bodyEnd: end < 0 ? 0 : end,
    argumentOf: isArrow ? calledWord(tokens, partner, open) : undefined,
  };
}

/** The name in front of a parameter list, past its type parameters. */
function wordBefore(tokens: readonly Token[], open: number): string {
  let angles = 0;
  for (let i = open - 1; i >= 0; i--) {
    const text = tokens[i]?.text ?? '';
    if (text === '>') angles++;
    else if (text === '<') angles--;
    else if (angles === 0) return text;
  }
  return '(function)';
}

function arrowName(tokens: readonly Token[], open: number): string {
  let i = open - 1;
  if (tokens[i]?.text === 'async') i--;
  if (tokens[i]?.text === '=' || tokens[i]?.text === ':') {
    const name = tokens[i - 1];
    if (name?.kind === 'word') return name.text;
  }
  return '(arrow)';
}

/** Walks back over the arguments before this one to the word in front of the call's bracket. */
function calledWord(
  tokens: readonly Token[],
  partner: readonly number[],
  open: number,
): string | undefined {
  for (let i = open - 1; i >= 0; i--) {
    const text = tokens[i]?.text ?? '';
    if ([')', ']', '}'].includes(text)) i = partner[i] ?? i;
    else if (text === '(') return tokens[i - 1]?.text;
    else if ([';', '{', '[', '=>'].includes(text)) return undefined;
  }
  return undefined;
}

function countParameters(
  tokens: readonly Token[],
  partner: readonly number[],
  open: number,
): number {
  const close = partner[open] ?? open;
  let count = 0;
  let angles = 0;
  let pending = false;
  for (let i = open + 1; i < close; i++) {
    const text = tokens[i]?.text ?? '';
    if (text === '<') angles++;
    else if (text === '>') angles = Math.max(0, angles - 1);
    const isComma = text === ',' && angles === 0;
    if (isComma && pending) count++;
    pending = !isComma;
    if (['(', '[', '{', '${'].includes(text)) i = partner[i] ?? i;
  }
  if (pending) count++;
  // A `this` parameter is an annotation, nobody passes it.
  return tokens[open + 1]?.text === 'this' && tokens[open + 2]?.text === ':' ? count - 1 : count;
}
