/**
 * JSONPath as printer columns and selectable fields use it: `.spec.size`, `.a[0].b`,
 * `.status.conditions[?(@.type=="Ready")].status`, `.x[*].y`, `['a.b']`. Many results are joined by
 * commas, none is undefined.
 */
import { fail } from '../../base/errors.ts';
import type { Json, JsonObject } from './api.ts';
import { isArray, isObject, own } from './json.ts';

type Step = (value: Json) => readonly Json[];

const steps: readonly (readonly [RegExp, (match: RegExpExecArray) => Step])[] = [
  [/^\.?\*|^\[\*\]/, () => children],
  [
    /^\.([A-Za-z0-9_$/-]+(?:\\\.[A-Za-z0-9_$/-]+)*)/,
    (m) => field((m[1] ?? '').replaceAll('\\', '')),
  ],
  [/^\[\s*'((?:[^'\\]|\\.)*)'\s*\]/, (m) => field((m[1] ?? '').replaceAll(/\\(.)/g, '$1'))],
  [/^\[\s*"((?:[^"\\]|\\.)*)"\s*\]/, (m) => field((m[1] ?? '').replaceAll(/\\(.)/g, '$1'))],
  [/^\[\s*(-?\d+)\s*\]/, (m) => index(Number(m[1]))],
  [/^\[\s*(-?\d*)\s*:\s*(-?\d*)\s*\]/, (m) => slice(m[1] ?? '', m[2] ?? '')],
  [/^\[\?\(\s*@((?:[^()"']|"[^"]*"|'[^']*')+?)\s*\)\]/, (m) => filter(m[1] ?? '')],
];

export function compileJsonPath(path: string): (object: JsonObject) => Json | undefined {
  const read = compileSteps(path);
  return (object) => {
    const found = read(object);
    if (found.length <= 1) return found[0];
    return found
      .map((value) => (typeof value === 'string' ? value : JSON.stringify(value)))
      .join(',');
  };
}

/** All that the path finds. */
export function compileSteps(path: string): (value: Json) => readonly Json[] {
  const inner = /^\{(.*)\}$/.exec(path.trim())?.[1] ?? path.trim();
  let rest = inner.replace(/^[$@]/, '');
  if (rest !== '' && !/^[.[]/.test(rest)) rest = `.${rest}`;
  const compiled: Step[] = [];
  while (rest !== '' && rest !== '.') {
    const [length, step] = nextStep(rest) ?? [];
    if (step === undefined) fail('Invalid', `cannot read the JSONPath ${path} at "${rest}"`);
    compiled.push(step);
    rest = rest.slice(length);
  }
  return (value) =>
    compiled.reduce<readonly Json[]>((values, step) => values.flatMap(step), [value]);
}

function nextStep(rest: string): [number, Step] | undefined {
  for (const [pattern, make] of steps) {
    const match = pattern.exec(rest);
    if (match !== null) return [match[0].length, make(match)];
  }
  return undefined;
}

function children(value: Json): readonly Json[] {
  if (isArray(value)) return value;
  return isObject(value) ? Object.values(value) : [];
}

function field(name: string): Step {
  return (value) => {
    const found = isObject(value) ? own(value, name) : undefined;
    return found === undefined ? [] : [found];
  };
}

function index(i: number): Step {
  return (value) => {
    const found = isArray(value) ? value.at(i) : undefined;
    return found === undefined ? [] : [found];
  };
}

function slice(from: string, to: string): Step {
  const end = to === '' ? undefined : Number(to);
  return (value) => (isArray(value) ? value.slice(Number(from), end) : []);
}

/** `@.type=="Ready"`, or `@.name` for those that have it. */
function filter(text: string): Step {
  const match = /^(.*?)\s*(==|!=|<=|>=|<|>)\s*(.*)$/.exec(text);
  if (match === null) {
    const exists = compileSteps(text);
    return (value) => children(value).filter((item) => exists(item).length > 0);
  }
  const [, left = '', operator = '', right = ''] = match;
  const read = compileSteps(left);
  const wanted = literal(right);
  return (value) =>
    children(value).filter((item) => read(item).some((found) => holds(found, operator, wanted)));
}

function literal(text: string): Json {
  const quoted = /^'(.*)'$|^"(.*)"$/.exec(text);
  if (quoted !== null) return quoted[1] ?? quoted[2] ?? '';
  if (text === 'true' || text === 'false') return text === 'true';
  const number = Number(text);
  if (Number.isNaN(number)) fail('Invalid', `cannot read "${text}" in a JSONPath filter`);
  return number;
}

function holds(found: Json, operator: string, wanted: Json): boolean {
  if (operator === '==') return found === wanted;
  if (operator === '!=') return found !== wanted;
  if (typeof found !== typeof wanted || found === null || wanted === null) return false;
  if (operator === '<') return found < wanted;
  if (operator === '<=') return found <= wanted;
  return operator === '>' ? found > wanted : found >= wanted;
}
