// A file of the repository as the rules see it.
import { findFunctions, type FunctionShape } from './functions.ts';
import { matchBrackets, scan, type Token } from './scan.ts';

export interface Import {
  /** As written between the quotes. */
  readonly specifier: string;
  /** Path in the repository if the specifier is relative, otherwise undefined. */
  readonly target: string | undefined;
  readonly names: readonly string[];
  readonly line: number;
}

export interface Source {
  /** Path from the top of the repository, with forward slashes. */
  readonly path: string;
  readonly lines: readonly string[];
  /** Without comments. */
  readonly tokens: readonly Token[];
  readonly comments: readonly Token[];
  readonly partner: readonly number[];
  readonly functions: readonly FunctionShape[];
  readonly imports: readonly Import[];
  readonly isTest: boolean;
}

export function parseSource(path: string, text: string): Source {
  const all = scan(text);
  const tokens = all.filter((token) => token.kind !== 'comment');
  const partner = matchBrackets(tokens);
  return {
    path,
    lines: text.replace(/\n$/, '').split('\n'),
    tokens,
    comments: all.filter((token) => token.kind === 'comment'),
    partner,
    functions: findFunctions(tokens, partner),
    imports: findImports(path, tokens),
    isTest: path.endsWith('.test.ts'),
  };
}

function findImports(path: string, tokens: readonly Token[]): readonly Import[] {
  const found: Import[] = [];
  for (let i = 0; i < tokens.length; i++) {
    const at = specifierAt(tokens, i);
    const token = at === undefined ? undefined : tokens[at];
    if (at === undefined || token === undefined) continue;
    const specifier = token.text.slice(1, -1);
    const target = specifier.startsWith('.') ? resolvePath(path, specifier) : undefined;
    const names = tokens.slice(i, at).filter((t) => t.kind === 'word' && !isSyntax(t.text));
    found.push({ specifier, target, names: names.map((t) => t.text), line: token.line });
  }
  return found;
}

function isSyntax(word: string): boolean {
  return ['import', 'export', 'from', 'type', 'as', 'new', 'URL'].includes(word);
}

/** Index of the string that names a module, if an import, re-export or worker starts at `i`. */
function specifierAt(tokens: readonly Token[], i: number): number | undefined {
  const word = tokens[i]?.text;
  if (tokens[i]?.kind !== 'word' || tokens[i - 1]?.text === '.') return undefined;
  if (word === 'import' && tokens[i + 1]?.text === '(') return stringAt(tokens, i + 2);
  // `new URL('./worker.ts', import.meta.url)` is how a worker's file is named.
  if (word === 'URL' && tokens[i + 4]?.text === 'import') return stringAt(tokens, i + 2);
  if (word === 'import' && tokens[i + 1]?.kind === 'string') return i + 1;
  if (word !== 'import' && word !== 'export') return undefined;
  if (word === 'export' && !['{', '*', 'type'].includes(tokens[i + 1]?.text ?? '')) {
    return undefined;
  }
  for (let j = i + 1; j < tokens.length; j++) {
    if (tokens[j]?.text === ';' || tokens[j]?.text === '=') return undefined;
    if (tokens[j]?.text === 'from') {
      const specifier = stringAt(tokens, j + 1);
      if (specifier !== undefined) return specifier;
    }
    // The next statement has begun: this was `export { a, b }` without a semicolon.
    if (j > i + 1 && ['import', 'export', 'const'].includes(tokens[j]?.text ?? '')) {
      return undefined;
    }
  }
  return undefined;
}

function stringAt(tokens: readonly Token[], i: number): number | undefined {
  return tokens[i]?.kind === 'string' ? i : undefined;
}

export function resolvePath(from: string, specifier: string): string {
  const parts = from.split('/').slice(0, -1);
  for (const part of specifier.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '.' && part !== '') parts.push(part);
  }
  return parts.join('/');
}
