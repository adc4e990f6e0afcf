/**
 * Validation of values against schemas, in the words of a real API server. A schema becomes a list
 * of checks once; checking an object makes nothing but errors.
 */
import type { FieldError, Json, JsonObject, OpenApiSchema } from './api.ts';
import {
  duplicate,
  invalid,
  required,
  tooLong,
  tooMany,
  typeInvalid,
  unsupported,
} from './field-errors.ts';
import { hasFormat } from './formats.ts';
import { logicChecks } from './logic.ts';
import { canonical, isArray, isObject, own, put } from './json.ts';
import type { MutableObject } from './json.ts';
import type { SchemaNode } from './node.ts';
import { isMicro } from './prepare.ts';
import { parseQuantity } from './quantity.ts';
import type { Check, Report } from './report.ts';
import { canonicalTime, timeTrouble } from './times.ts';

/** The check of a node and of all below it; made at first use, since nodes may be recursive. */
export class Checker {
  readonly #checks = new Map<SchemaNode, Check>();

  check(node: SchemaNode): Check {
    const known = this.#checks.get(node);
    if (known !== undefined) return known;
    let made: Check | undefined;
    const later: Check = (value, path, report) => {
      made ??= this.#make(node);
      made(value, path, report);
    };
    this.#checks.set(node, later);
    return later;
  }

  #make(node: SchemaNode): Check {
    const typed = typeCheck(node);
    const own_ = valueChecks(node.schema, node);
    const fields = [...node.properties].map(([key, child]) => [key, this.check(child)] as const);
    const children = new Map(fields);
    const additional = node.additional === undefined ? undefined : this.check(node.additional);
    const items = node.items === undefined ? undefined : this.check(node.items);
    // Go reads an absent list as an empty one, and other fields as their zero value; where that is
    // wrong, the kind's own checks say so.
    const needed = node.required.filter((key) => {
      const child = node.properties.get(key);
      return child?.builtIn !== true || (child.type !== 'array' && child.zero === undefined);
    });
    return (value, path, report) => {
      if (value === null && (node.nullable || node.builtIn)) return;
      if (!typed(value, path, report)) return;
      for (const check of own_) check(value, path, report);
      if (isObject(value)) {
        checkRequired(needed, value, path, report);
        checkFields(value, children, additional, { path, report });
      } else if (isArray(value) && items !== undefined) {
        for (let i = 0; i < value.length; i++) items(value[i] ?? null, `${path}[${i}]`, report);
      }
    };
  }
}

function checkRequired(
  needed: readonly string[],
  value: JsonObject,
  path: string,
  report: Report,
): void {
  for (const key of needed) {
    if (!Object.hasOwn(value, key)) report.add(required(join(path, key)));
  }
}

function checkFields(
  value: JsonObject,
  children: ReadonlyMap<string, Check>,
  additional: Check | undefined,
  at: { readonly path: string; readonly report: Report },
): void {
  for (const key of Object.keys(value)) {
    const check = children.get(key) ?? additional;
    check?.(value[key] ?? null, join(at.path, key), at.report);
  }
}

function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}

/** The type's name in messages. */
export function typeName(value: Json): string {
  if (value === null) return 'null';
  if (isArray(value)) return 'array';
  if (typeof value === 'number') return Number.isInteger(value) ? 'integer' : 'number';
  return typeof value;
}

function isOfType(type: string, value: Json): boolean {
  switch (type) {
    case 'object':
      return isObject(value);
    case 'array':
      return isArray(value);
    case 'integer':
      return Number.isInteger(value);
    default:
      return typeof value === type;
  }
}

const quantityWords =
  "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";

/** A check that says whether others have anything to look at. */
function typeCheck(node: SchemaNode): (value: Json, path: string, report: Report) => boolean {
  const { type } = node;
  if (node.intOrString || node.format === 'quantity') {
    return (value, path, report) => {
      if (node.format === 'quantity' && (typeof value === 'string' || typeof value === 'number')) {
        if (parseQuantity(String(value)) !== undefined) return true;
        report.add(typeInvalid(path, value, quantityWords));
        return false;
      }
      if (typeof value === 'string' || Number.isInteger(value)) return true;
      const name = typeName(value);
      const detail = `${path} in body must be of type integer,string: "${name}"`;
      report.add(typeInvalid(path, name, detail));
      return false;
    };
  }
  if (type === undefined) return () => true;
  return (value, path, report) => {
    if (isOfType(type, value)) return true;
    const name = typeName(value);
    report.add(typeInvalid(path, name, `${path} in body must be of type ${type}: "${name}"`));
    return false;
  };
}

/** Checks that need nothing but the value. */
function valueChecks(schema: OpenApiSchema, node: SchemaNode): readonly Check[] {
  const checks: Check[] = [];
  addEnum(schema, checks);
  addNumbers(schema, checks);
  addTexts(schema, node, checks);
  addSizes(schema, checks);
  const isUnique = node.type === 'array' && node.list !== 'atomic';
  // Validation of built-in kinds says it in its own words.
  if (isUnique && !node.builtIn) checks.push(uniqueCheck(node));
  if (!node.builtIn) checks.push(...logicChecks(schema, logicCheck));
  return checks;
}

function addEnum(schema: OpenApiSchema, checks: Check[]): void {
  const values = schema['enum'] as readonly Json[] | undefined;
  if (values === undefined) return;
  const known = new Set(values.map(canonical));
  checks.push((value, path, report) => {
    if (!known.has(canonical(value))) report.add(unsupported(path, value, values));
  });
}

function addNumbers(schema: OpenApiSchema, checks: Check[]): void {
  const { minimum, maximum, multipleOf } = schema as Readonly<Record<string, number | undefined>>;
  const fails = (test: (value: number) => boolean, words: string): void => {
    checks.push((value, path, report) => {
      if (typeof value !== 'number' || !test(value)) return;
      report.add(invalid(path, value, `${path} in body should be ${words}`));
    });
  };
  if (minimum !== undefined) {
    if (schema['exclusiveMinimum'] === true) fails((n) => n <= minimum, `greater than ${minimum}`);
    else fails((n) => n < minimum, `greater than or equal to ${minimum}`);
  }
  if (maximum !== undefined) {
    if (schema['exclusiveMaximum'] === true) fails((n) => n >= maximum, `less than ${maximum}`);
    else fails((n) => n > maximum, `less than or equal to ${maximum}`);
  }
  if (multipleOf !== undefined) {
    fails((n) => !Number.isInteger(n / multipleOf), `a multiple of ${multipleOf}`);
  }
}

function addTexts(schema: OpenApiSchema, node: SchemaNode, checks: Check[]): void {
  const { minLength, maxLength } = schema as Readonly<Record<string, number | undefined>>;
  const pattern = schema['pattern'] as string | undefined;
  const expression = pattern === undefined ? undefined : goRegExp(pattern);
  // Servers tell the first of these only.
  const judge = (text: string, path: string): FieldError | undefined => {
    if (maxLength !== undefined && runes(text) > maxLength) return tooLong(path, maxLength);
    if (minLength !== undefined && runes(text) < minLength) {
      return invalid(path, text, `${path} in body should be at least ${minLength} chars long`);
    }
    if (expression === undefined || expression.test(text)) return undefined;
    return invalid(path, text, `${path} in body should match '${pattern}'`);
  };
  const { format } = node;
  if (node.builtIn && format !== undefined) {
    checks.push((value, path, report) => {
      const why = typeof value === 'string' ? undecodable(node, value) : undefined;
      if (why !== undefined) report.add(typeInvalid(path, value, why));
    });
    return;
  }
  const isFormatted = format !== undefined;
  if (maxLength === undefined && minLength === undefined && !pattern && !isFormatted) return;
  checks.push((value, path, report) => {
    if (typeof value !== 'string') return;
    const error = judge(value, path);
    if (error !== undefined) report.add(error);
    if (!isFormatted || hasFormat(format, value)) return;
    const detail = `${path} in body must be of type ${format}: "${value}"`;
    report.add(typeInvalid(path, value, detail));
  });
}

/** Why Go cannot decode a text of a built-in kind, in its words. */
function undecodable(node: SchemaNode, text: string): string | undefined {
  if (node.format === 'byte' && !hasFormat('byte', text)) {
    const at = /^(?:[A-Za-z0-9+/]{4})*[A-Za-z0-9+/]*/.exec(text)?.[0].length ?? 0;
    return `illegal base64 data at input byte ${at}`;
  }
  if (node.format !== 'date-time' || canonicalTime(text, isMicro(node)) !== undefined)
    return undefined;
  return timeTrouble(text, isMicro(node));
}

/** Characters as Go counts them. */
export function runes(text: string): number {
  // Most texts have no surrogates: their length is right.
  return /[\ud800-\udfff]/.test(text) ? Array.from(text).length : text.length;
}

/** A pattern of Go's RE2 in JavaScript: flags at its beginning, and \A, \z. */
export function goRegExp(pattern: string): RegExp {
  const flags = /^\(\?([ims]+)\)/.exec(pattern);
  const body = flags === null ? pattern : pattern.slice(flags[0].length);
  const source = body.replaceAll('\\A', '^').replaceAll('\\z', '$').replaceAll('(?P<', '(?<');
  try {
    return new RegExp(source, `u${flags?.[1] ?? ''}`);
  } catch {
    // With `u` JavaScript refuses escapes that Go allows, such as \- outside of a class.
    return new RegExp(source, flags?.[1] ?? '');
  }
}

function addSizes(schema: OpenApiSchema, checks: Check[]): void {
  const limits = schema as Readonly<Record<string, number | undefined>>;
  const { minItems, maxItems, minProperties, maxProperties } = limits;
  const bound = (
    size: (value: Json) => number | undefined,
    least?: number,
    most?: number,
  ): void => {
    if (least === undefined && most === undefined) return;
    const what = size([]) === undefined ? 'properties' : 'items';
    checks.push((value, path, report) => {
      const count = size(value);
      if (count === undefined) return;
      if (most !== undefined && count > most) report.add(tooMany(path, count, most));
      if (least === undefined || count >= least) return;
      report.add(invalid(path, count, `${path} in body should have at least ${least} ${what}`));
    });
  };
  bound((value) => (isArray(value) ? value.length : undefined), minItems, maxItems);
  const keys = (value: Json): number | undefined =>
    isObject(value) ? Object.keys(value).length : undefined;
  bound(keys, minProperties, maxProperties);
}

/** Items of sets, and keys of list-maps, are there once. */
function uniqueCheck(node: SchemaNode): Check {
  return (value, path, report) => {
    if (!isArray(value)) return;
    const seen = new Set<string>();
    value.forEach((item, i) => {
      const key = node.list === 'map' ? keyValue(node, item) : item;
      const text = canonical(key);
      if (seen.has(text)) report.add(duplicate(`${path}[${i}]`, key));
      seen.add(text);
    });
  };
}

function keyValue(node: SchemaNode, item: Json): JsonObject {
  const key: MutableObject = {};
  for (const name of node.listKeys) {
    const value = isObject(item) ? own(item, name) : undefined;
    const fallback = value ?? node.items?.properties.get(name)?.fallback;
    if (fallback !== undefined) put(key, name, fallback);
  }
  return key;
}

function logicCheck(schema: OpenApiSchema): Check {
  const checks: Check[] = [];
  const node = { type: schema['type'], list: 'atomic', builtIn: false, format: schema['format'] };
  const type = schema['type'] as string | undefined;
  if (type !== undefined) checks.push(logicType(type));
  checks.push(...valueChecks(schema, node as SchemaNode));
  const properties = Object.entries(schema['properties'] ?? {}).map(
    ([key, child]) => [key, logicCheck(child as OpenApiSchema)] as const,
  );
  const children = new Map(properties);
  const { items, additionalProperties } = schema;
  const item = isObject(items) ? logicCheck(items) : undefined;
  const rest = isObject(additionalProperties) ? logicCheck(additionalProperties) : undefined;
  const needed = (schema['required'] as readonly string[] | undefined) ?? [];
  return (value, path, report) => {
    for (const check of checks) check(value, path, report);
    if (isObject(value)) {
      checkRequired(needed, value, path, report);
      checkFields(value, children, rest, { path, report });
    } else if (isArray(value) && item !== undefined) {
      value.forEach((entry, i) => item(entry, `${path}[${i}]`, report));
    }
  };
}

function logicType(type: string): Check {
  return (value, path, report) => {
    if (isOfType(type, value)) return;
    const name = typeName(value);
    report.add(typeInvalid(path, name, `${path} in body must be of type ${type}: "${name}"`));
  };
}

/** Errors after which a server does not run rules: values are not what rules may rely on. */
const blocking: ReadonlySet<string> = new Set([
  'FieldValueRequired',
  'FieldValueTypeInvalid',
  'FieldValueTooLong',
  'FieldValueTooMany',
  'FieldValueNotSupported',
]);

export function isBlocking(error: FieldError): boolean {
  return blocking.has(error.reason);
}
