/** Label and field selectors (Kubernetes, "Labels and Selectors", "Field Selectors"). */
import type { Json, JsonObject } from '../schema/api.ts';
import { textAt } from './json.ts';
import { badRequest } from './status.ts';

interface Requirement {
  readonly key: string;
  readonly operator: 'in' | 'notin' | 'exists' | '!' | 'gt' | 'lt';
  readonly values: readonly string[];
}

/** True for labels that are selected. */
export type LabelSelector = (labels: JsonObject) => boolean;

const namePattern = /^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)$/;
const prefixPattern = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;
const nameMax = 63;
const prefixMax = 253;

export function isLabelKey(key: string): boolean {
  const slash = key.indexOf('/');
  const prefix = slash < 0 ? undefined : key.slice(0, slash);
  const name = key.slice(slash + 1);
  if (prefix !== undefined && (prefix.length > prefixMax || !prefixPattern.test(prefix))) {
    return false;
  }
  return name.length <= nameMax && namePattern.test(name);
}

export function isLabelValue(value: string): boolean {
  return value === '' || (value.length <= nameMax && namePattern.test(value));
}

/** Undefined: everything is selected. */
export function parseLabelSelector(text: string): LabelSelector | undefined {
  if (text.trim() === '') return undefined;
  const requirements = splitOutside(text).map((part) => parseRequirement(part, text));
  return (labels) => requirements.every((requirement) => meets(requirement, labels));
}

/** At commas that are not in brackets. */
function splitOutside(text: string): readonly string[] {
  const parts: string[] = [];
  let depth = 0;
  let start = 0;
  for (let i = 0; i < text.length; i++) {
    if (text[i] === '(') depth += 1;
    else if (text[i] === ')') depth -= 1;
    else if (text[i] === ',' && depth === 0) {
      parts.push(text.slice(start, i));
      start = i + 1;
    }
  }
  parts.push(text.slice(start));
  return parts;
}

function parseRequirement(part: string, whole: string): Requirement {
  const trimmed = part.trim();
  if (/\s(in|notin)\s*\([^()]*$/.test(trimmed)) {
    throw badRequest("unable to parse requirement: found '', expected: ',' or ')'");
  }
  const set = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/.exec(trimmed);
  if (set !== null) {
    const values = (set[3] ?? '').split(',').map((value) => value.trim());
    return checked(
      { key: set[1] ?? '', operator: set[2] === 'in' ? 'in' : 'notin', values },
      whole,
    );
  }
  const equality = /^([^\s=!<>]+)\s*(==|=|!=|>|<)\s*([^\s=!<>()]*)$/.exec(trimmed);
  if (equality !== null) {
    const [, key = '', sign, value = ''] = equality;
    const operator = operators[sign ?? ''] ?? 'in';
    return checked({ key, operator, values: [value] }, whole);
  }
  const absent = /^!\s*([^\s=!<>()]+)$/.exec(trimmed);
  if (absent !== null) return checked({ key: absent[1] ?? '', operator: '!', values: [] }, whole);
  return checked({ key: trimmed, operator: 'exists', values: [] }, whole);
}

const operators: Readonly<Record<string, Requirement['operator']>> = {
  '=': 'in',
  '==': 'in',
  '!=': 'notin',
  '>': 'gt',
  '<': 'lt',
};

function checked(requirement: Requirement, whole: string): Requirement {
  const { key, operator, values } = requirement;
  if (!isLabelKey(key)) throw unparsable(whole, `invalid label key ${JSON.stringify(key)}`);
  const bad = values.find((value) => !isLabelValue(value));
  if (bad !== undefined) throw unparsable(whole, `invalid label value: ${JSON.stringify(bad)}`);
  if ((operator === 'gt' || operator === 'lt') && !/^-?\d+$/.test(values[0] ?? '')) {
    throw unparsable(whole, "for 'Gt', 'Lt' operators, the value must be an integer");
  }
  return requirement;
}

function unparsable(whole: string, why: string): Error {
  return badRequest(`unable to parse requirement: ${why} in selector ${JSON.stringify(whole)}`);
}

function meets({ key, operator, values }: Requirement, labels: JsonObject): boolean {
  const has = Object.hasOwn(labels, key);
  const value = textAt(labels, key);
  switch (operator) {
    case 'in':
      return has && values.includes(value);
    case 'notin':
      return !has || !values.includes(value);
    case 'exists':
      return has;
    case '!':
      return !has;
    case 'gt':
      return has && /^-?\d+$/.test(value) && BigInt(value) > BigInt(values[0] ?? '0');
    case 'lt':
      return has && /^-?\d+$/.test(value) && BigInt(value) < BigInt(values[0] ?? '0');
  }
}

/** `metav1.LabelSelector` as a selector text: for `status.selector` of scales. */
export function formatLabelSelector(selector: JsonObject): string {
  const parts: string[] = [];
  const labels = selector['matchLabels'];
  if (typeof labels === 'object' && labels !== null) {
    for (const [key, value] of Object.entries(labels)) parts.push(`${key}=${String(value)}`);
  }
  const expressions = selector['matchExpressions'];
  for (const item of Array.isArray(expressions) ? expressions : []) {
    parts.push(formatExpression(item));
  }
  return parts.filter((part) => part !== '').join(',');
}

function formatExpression(item: JsonObject): string {
  const key = textAt(item, 'key');
  const values = item['values'];
  const list = Array.isArray(values) ? values.join(',') : '';
  const operator = textAt(item, 'operator');
  if (operator === 'In') return `${key} in (${list})`;
  if (operator === 'NotIn') return `${key} notin (${list})`;
  return operator === 'DoesNotExist' ? `!${key}` : key;
}

export interface FieldTerm {
  readonly path: string;
  readonly equal: boolean;
  readonly value: string;
}

/** The terms of a field selector; which paths there are depends on the resource. */
export function parseFieldSelector(text: string): readonly FieldTerm[] {
  if (text.trim() === '') return [];
  return splitEscaped(text).map((part) => {
    const found = /^([^=!]+?)(!=|==|=)(.*)$/s.exec(part);
    if (found === null) {
      throw badRequest(`invalid selector: '${text}'; can't understand '${part}'`);
    }
    const [, path = '', sign, value = ''] = found;
    return { path: path.trim(), equal: sign !== '!=', value: value.replaceAll(/\\(.)/gs, '$1') };
  });
}

function splitEscaped(text: string): readonly string[] {
  return text.match(/(?:\\.|[^,\\])+/gs) ?? [];
}

/** Tells of one path whether the resource has it, and reads it. */
export type FieldReader = (object: JsonObject) => Json | undefined;

export function matchesFields(
  terms: readonly (FieldTerm & { readonly read: FieldReader })[],
  object: JsonObject,
): boolean {
  return terms.every(({ read, equal, value }) => {
    const found = read(object);
    const text = found === undefined || found === null ? '' : String(found);
    return (text === value) === equal;
  });
}
