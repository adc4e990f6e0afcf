/** What was chosen for an installation: the table of `value-rows.ts`, with some values set. */
import { assert, fail } from '../../base/errors.ts';
import { type Value, type ValueRow, valueRows } from './value-rows.ts';

/** Every value by its path, as it was chosen. */
export class Values {
  readonly #chosen: ReadonlyMap<string, Value>;

  constructor(chosen: ReadonlyMap<string, Value>) {
    this.#chosen = chosen;
  }

  text(path: string): string {
    return this.#find(path) as string;
  }

  number(path: string): number {
    return this.#find(path) as number;
  }

  list(path: string): readonly unknown[] {
    return this.#find(path) as readonly unknown[];
  }

  block(path: string): Readonly<object> {
    return this.#find(path) as Readonly<object>;
  }

  /** Words of a command line that are left out when the value is empty. */
  option(flag: string, path: string): readonly string[] {
    const value = this.text(path);
    return value === '' ? [] : [`${flag}=${value}`];
  }

  /** A word of a command line that is there when the value is true. */
  wordWhen(path: string, word: string): readonly string[] {
    const value = this.#find(path);
    // A mark in its place makes it one that Helm leaves out.
    if (typeof value === 'string') return [`${word}${value}`];
    return value === true ? [word] : [];
  }

  /** What is false, zero or empty is not wanted. */
  has(path: string): boolean {
    return Boolean(this.#find(path));
  }

  #find(path: string): Value {
    const value = this.#chosen.get(path);
    assert(value !== undefined, `an installation has no value ${path}`);
    return value;
  }
}

/**
 * The defaults with what was set, each as `PATH=TEXT`: lists and blocks as JSON. `BadArgument` says
 * what is possible.
 */
export function chooseValues(version: string, sets: readonly string[]): Values {
  const chosen = new Map(defaultValues(version));
  for (const text of sets) {
    const at = text.indexOf('=');
    const path = text.slice(0, at);
    const row = valueRows(version).find((one) => one.path === path);
    if (at < 1) fail('BadArgument', `--set ${text}: write it as NAME=VALUE`);
    if (row === undefined) {
      const known = valueRows(version).map((one) => one.path);
      fail('BadArgument', `--set: there is no value ${path}; there are ${known.join(', ')}`);
    }
    chosen.set(path, parseValue(row, text.slice(at + 1)));
  }
  if (chosen.get('monitoring.serviceMonitor.enabled') && !chosen.get('monitoring.enabled')) {
    fail('BadArgument', 'monitoring.serviceMonitor.enabled needs monitoring.enabled=true');
  }
  return new Values(chosen);
}

function parseValue({ path, value, choices, pattern }: ValueRow, text: string): Value {
  const refuse = (wanted: string): never =>
    fail('BadArgument', `${path} is ${wanted}, not '${text.slice(0, 80)}'`);
  if (typeof value === 'string') {
    if (choices?.includes(text) === false) {
      refuse(`one of ${choices.map((one) => (one === '' ? 'nothing' : one)).join(', ')}`);
    }
    return pattern === undefined || new RegExp(pattern).test(text)
      ? text
      : refuse(`like ${pattern}`);
  }
  if (typeof value === 'number') return /^\d{1,9}$/.test(text) ? Number(text) : refuse('a number');
  if (typeof value === 'boolean') {
    return text === 'true' || text === 'false' ? text === 'true' : refuse('true or false');
  }
  const wanted = Array.isArray(value) ? 'a list in JSON' : 'an object in JSON';
  const parsed = parseJson(text);
  const fits = typeof parsed === 'object' && Array.isArray(parsed) === Array.isArray(value);
  return fits && parsed !== null ? parsed : refuse(wanted);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

export function defaultValues(version: string): ReadonlyMap<string, Value> {
  return new Map(valueRows(version).map(({ path, value }) => [path, value]));
}
