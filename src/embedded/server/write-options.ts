/** The parameters that all writes share (Kubernetes API: Create-, Update- and PatchOptions). */
import type { Json, JsonObject } from '../schema/api.ts';
import { repeatedKeys } from './body.ts';
import { isList, isObject } from './json.ts';
import type { Call } from './kernel.ts';
import { invalidValue } from './metadata.ts';
import { isTrue } from './request.ts';
import { badRequest, invalid, invalidOptions } from './status.ts';

export type FieldValidation = 'Strict' | 'Warn' | 'Ignore';

export interface WriteOptions {
  /** Everything is checked, nothing is kept. */
  readonly dryRun: boolean;
  readonly manager: string;
  readonly force: boolean;
  readonly fieldValidation: FieldValidation;
}

const managerCharsMax = 128;

export function writeOptions(call: Call): WriteOptions {
  const { query, request } = call.info;
  const given = query.get('fieldManager') ?? '';
  if (given.length > managerCharsMax || /[^\x20-\x7e]/.test(given)) {
    throw badRequest(
      `fieldManager: Invalid value: ${JSON.stringify(given)}: must be at most ` +
        `${managerCharsMax} printable characters`,
    );
  }
  const agent = request.headers['user-agent'] ?? '';
  const [program = ''] = agent.split('/');
  const manager = given !== '' ? given : program.slice(0, managerCharsMax);
  return {
    dryRun: isDryRun(query.getAll('dryRun'), optionsKind(call)),
    manager: manager === '' ? 'unknown' : manager,
    force: isTrue(query.get('force')),
    fieldValidation: fieldValidationOf(query.get('fieldValidation') ?? ''),
  };
}

/** `PatchOptions` for a patch, and so on. */
function optionsKind({ target }: Call): string {
  const names = { create: 'CreateOptions', update: 'UpdateOptions', patch: 'PatchOptions' };
  const { verb } = target;
  return verb === 'update' || verb === 'patch' ? names[verb] : names.create;
}

export function isDryRun(values: readonly string[], kind: string): boolean {
  const given = values.filter((value) => value !== '');
  if (given.some((value) => value !== 'All')) {
    const message = `Unsupported value: ${JSON.stringify(given)}: supported values: "All"`;
    throw invalidOptions(kind, [{ reason: 'FieldValueNotSupported', field: 'dryRun', message }]);
  }
  return values.includes('All');
}

function fieldValidationOf(text: string): FieldValidation {
  if (text === '') return 'Warn';
  if (text === 'Strict' || text === 'Warn' || text === 'Ignore') return text;
  throw badRequest(
    `fieldValidation: Unsupported value: "${text}": supported values: "Ignore", "Strict", "Warn"`,
  );
}

/** What to do about fields that the schema does not know, or that are there twice. */
export function reportUnknown(
  call: Call,
  options: WriteOptions,
  found: { readonly unknown: readonly string[]; readonly given: JsonObject },
): void {
  if (options.fieldValidation === 'Ignore') return;
  const { verb } = call.target;
  const repeated = verb === 'create' || verb === 'update' ? repeatedKeys(call.info) : [];
  const { unknown, given } = found;
  if (unknown.length + repeated.length === 0) return;
  const { served } = call.resource;
  const texts = [
    ...repeated.map((path) => `duplicate field "${path}"`),
    ...(served.builtIn ? unknown : unknown.toSorted()).map((path) => `unknown field "${path}"`),
  ];
  if (options.fieldValidation === 'Strict') {
    const { kind, version } = served;
    if (verb === 'patch') throw badPatch(given, `strict decoding error: ${texts.join(', ')}`);
    throw badRequest(
      `${kind} in version "${version}" cannot be handled as a ${kind}: strict decoding error: ` +
        texts.join(', '),
    );
  }
  call.warnings.push(...texts);
}

/** A patch that leads to an object that cannot be read back, as a real server complains of it. */
function badPatch(given: JsonObject, why: string): Error {
  const errors = [invalidValue('patch', JSON.stringify(ordered(given)), why)];
  return invalid({ group: '', plural: '', kind: '' }, '', errors);
}

function ordered(value: Json): Json {
  if (isList(value)) return value.map(ordered);
  if (!isObject(value)) return value;
  const keys = Object.keys(value).toSorted();
  return Object.fromEntries(keys.map((key) => [key, ordered(value[key] ?? null)]));
}
