// Small checks that validations of built-in kinds share, in the words of a real server.
import type { FieldError, Json, JsonObject } from '../api.ts';
import { forbidden, invalid, required } from '../field-errors.ts';
import { at, equal, isObject, textAt } from '../json.ts';

/** What is wrong with an object; `old` is what an update changes. */
export type Validate = (object: JsonObject, old: JsonObject | undefined) => readonly FieldError[];

export const labelWords =
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and " +
  "must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used " +
  "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";

const subdomainWords =
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or " +
  "'.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used " +
  "for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";

const labelLengthMax = 63;
const subdomainLengthMax = 253;
const portMax = 65_535;

export function checkLabel(field: string, text: string): readonly FieldError[] {
  if (text.length > labelLengthMax) {
    return [invalid(field, text, `must be no more than ${labelLengthMax} bytes`)];
  }
  return /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(text) ? [] : [invalid(field, text, labelWords)];
}

export function checkSubdomain(field: string, text: string): readonly FieldError[] {
  if (text.length > subdomainLengthMax) {
    return [invalid(field, text, `must be no more than ${subdomainLengthMax} bytes`)];
  }
  const label = '[a-z0-9]([-a-z0-9]*[a-z0-9])?';
  const isGood = new RegExp(`^${label}(\\.${label})*$`).test(text);
  return isGood ? [] : [invalid(field, text, subdomainWords)];
}

/** Texts that must be there and not be empty. */
export function checkTexts(
  object: Json | undefined,
  path: string,
  keys: readonly string[],
): readonly FieldError[] {
  return keys
    .filter((key) => (textAt(object, key) ?? '') === '')
    .map((key) => required(path === '' ? key : `${path}.${key}`));
}

/** Numbers that are not below zero where they are given. */
export function checkCounts(
  object: Json | undefined,
  path: string,
  keys: readonly string[],
): readonly FieldError[] {
  return keys.flatMap((key) => {
    const value = at(object, key);
    if (typeof value !== 'number' || value >= 0) return [];
    return [invalid(`${path}.${key}`, value, 'must be greater than or equal to 0')];
  });
}

export function checkRange(
  field: string,
  value: Json | undefined,
  [min, max]: readonly [number, number],
): readonly FieldError[] {
  if (typeof value !== 'number' || (value >= min && value <= max)) return [];
  return [invalid(field, value, `must be between ${min} and ${max}, inclusive`)];
}

export function checkPort(field: string, value: Json | undefined): readonly FieldError[] {
  return checkRange(field, value, [1, portMax]);
}

const keyWords =
  "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name'" +
  ",  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";

/** Keys of config maps and secrets are file names. */
export function checkConfigKeys(object: JsonObject, section: string): readonly FieldError[] {
  return Object.keys(at(object, section) ?? {}).flatMap((key) => {
    const field = `${section}[${key}]`;
    if (key.length > subdomainLengthMax) {
      return [invalid(field, key, `must be no more than ${subdomainLengthMax} characters`)];
    }
    if (!/^[-._a-zA-Z0-9]+$/.test(key)) return [invalid(field, key, keyWords)];
    if (key === '.' || key === '..') return [invalid(field, key, `must not be '${key}'`)];
    return [];
  });
}

/** Of an object that says it never changes. */
export function checkImmutable(
  object: JsonObject,
  old: JsonObject | undefined,
  sections: readonly string[],
): readonly FieldError[] {
  if (old === undefined || at(old, 'immutable') !== true) return [];
  const changed = sections.filter((key) => !equal(at(object, key), at(old, key)));
  const isKept = at(object, 'immutable') === true;
  const fields = isKept ? changed : ['immutable', ...changed];
  return fields.map((key) => forbidden(key, 'field is immutable when `immutable` is set'));
}

/** Fields that keep the value they were made with. */
export function checkFixed(
  object: JsonObject,
  old: JsonObject | undefined,
  paths: readonly (readonly string[])[],
): readonly FieldError[] {
  if (old === undefined) return [];
  return paths.flatMap((path) => {
    const [now, before] = [at(object, ...path), at(old, ...path)];
    if (equal(now, before)) return [];
    return [invalid(path.join('.'), now ?? null, 'field is immutable')];
  });
}

/** A label selector that is well formed. */
export function checkSelector(selector: Json | undefined, path: string): readonly FieldError[] {
  const list = at(selector, 'matchExpressions');
  if (!Array.isArray(list)) return [];
  return list.flatMap((expression: Json, i: number): readonly FieldError[] => {
    const field = `${path}.matchExpressions[${i}]`;
    const operator = textAt(expression, 'operator') ?? '';
    const values = at(expression, 'values');
    const count = Array.isArray(values) ? values.length : 0;
    if (operator === 'In' || operator === 'NotIn') {
      const why = "must be specified when `operator` is 'In' or 'NotIn'";
      return count > 0 ? [] : [required(`${field}.values`, why)];
    }
    if (operator === 'Exists' || operator === 'DoesNotExist') {
      const why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
      return count === 0 ? [] : [forbidden(`${field}.values`, why)];
    }
    return [invalid(`${field}.operator`, operator, 'not a valid selector operator')];
  });
}

export function selects(selector: Json | undefined, labels: Json | undefined): boolean {
  const label = (key: string): string | undefined => textAt(labels, key);
  const wanted = at(selector, 'matchLabels');
  const isMatch = Object.entries(isObject(wanted) ? wanted : {}).every(
    ([key, value]) => label(key) === value,
  );
  const list = at(selector, 'matchExpressions');
  return (
    isMatch &&
    (!Array.isArray(list) ||
      list.every((expression: Json) => {
        const value = label(textAt(expression, 'key') ?? '');
        const values = at(expression, 'values');
        const isIn = Array.isArray(values) && values.includes(value);
        switch (textAt(expression, 'operator')) {
          case 'In':
            return isIn;
          case 'NotIn':
            return !isIn;
          case 'Exists':
            return value !== undefined;
          default:
            return value === undefined;
        }
      }))
  );
}
