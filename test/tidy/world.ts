// Time, randomness, processes and sockets come in through ports, or the simulator is blind to
// them. Only src/host and src/main.ts reach for the real ones.
import { folderOf } from './layers.ts';
import { fileRule, type Rule } from './rule.ts';
import type { Source } from './source.ts';

const timers = 'take the Clock port: a real timer stops the simulator';

/** A free name and what to do instead. */
const worldNames: Readonly<Record<string, string>> = {
  setTimeout: timers,
  setInterval: timers,
  setImmediate: timers,
  process: 'take what you need as an argument: only src/host and src/main.ts see the process',
  performance: 'take the Clock port',
  fetch: 'take a port: src/host makes requests',
  WebSocket: 'take a port: src/host makes connections',
};

/** Names of node:crypto and of the global `crypto` that draw random numbers. */
const randomNames: ReadonlySet<string> = new Set([
  'randomBytes',
  'randomInt',
  'randomUUID',
  'randomFill',
  'randomFillSync',
  'getRandomValues',
  'generateKey',
  'generateKeySync',
  'generateKeyPair',
  'generateKeyPairSync',
  'webcrypto',
]);

const isJudged = (path: string): boolean => {
  const folder = folderOf(path);
  return folder !== undefined && folder !== 'host';
};

/** Not a property, not a key, not a method being declared, not a name of this file's own. */
function isFree(source: Source, i: number): boolean {
  const { tokens, partner } = source;
  const before = tokens[i - 1]?.text ?? '';
  const after = tokens[i + 1]?.text ?? '';
  if (before === '.' || before === '?.') return tokens[i - 2]?.text === 'globalThis';
  if (after === ':' || after === '?') return false;
  if (after === '(') {
    const behind = tokens[(partner[i + 1] ?? 0) + 1]?.text ?? '';
    if (behind === '{' || behind === ':') return false;
  }
  return !isDeclaredHere(source, tokens[i]?.text ?? '');
}

function isDeclaredHere(source: Source, name: string): boolean {
  return source.tokens.some((token, i) => {
    if (token.text !== name || token.kind !== 'word') return false;
    const before = source.tokens[i - 1]?.text ?? '';
    if (['const', 'let', 'function', 'class'].includes(before)) return true;
    // A parameter with its type: `(process: Process` or `, process: Process`.
    return source.tokens[i + 1]?.text === ':' && ['(', ','].includes(before);
  });
}

function judge(source: Source, i: number): string | undefined {
  const { tokens } = source;
  const word = tokens[i]?.text ?? '';
  const after = tokens[i + 1]?.text ?? '';
  const member = tokens[i + 2]?.text ?? '';
  if (word === 'Date' && tokens[i - 1]?.text !== '.') {
    const isNew = tokens[i - 1]?.text === 'new';
    const isNow = after === '.' && member === 'now';
    const isEmpty = after === '(' && member === ')';
    if (isNow || isEmpty || (isNew && after !== '(')) return 'reads the clock: take the Clock port';
    return undefined;
  }
  if (word === 'Math' && after === '.' && member === 'random') {
    return 'Math.random: take the Random port, or no seed can repeat the run';
  }
  if (word === 'crypto' && after === '.' && isFree(source, i)) {
    return 'the global crypto: hash with node:crypto, draw from the Random port';
  }
  if (Object.hasOwn(worldNames, word) && isFree(source, i)) {
    const name = word === 'process' && member === 'env' ? 'process.env' : word;
    return `${name}: ${worldNames[word]}`;
  }
  return undefined;
}

function judgeCryptoImports(source: Source): [number, string][] {
  return source.imports
    .filter((found) => found.specifier === 'node:crypto')
    .flatMap((found) =>
      found.names
        .filter((name) => randomNames.has(name))
        .map((name): [number, string] => [found.line, `${name}: take the Random port`]),
    );
}

function checkWorld(source: Source): [number, string][] {
  const hits = source.tokens.flatMap((token, i): [number, string][] => {
    const message = token.kind === 'word' ? judge(source, i) : undefined;
    return message === undefined ? [] : [[token.line, message]];
  });
  return [...judgeCryptoImports(source), ...hits];
}

export const worldRules: readonly Rule[] = [fileRule('world', isJudged, checkWorld)];
