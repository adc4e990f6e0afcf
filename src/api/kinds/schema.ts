/**
 * Shared pieces of the kinds' schemas. Every text has a length and every list a bound, because API
 * servers estimate the cost of rules from them (Kubernetes, "CEL resource use").
 */
import {
  type Static,
  type TArray,
  type TEnum,
  type TInteger,
  type TObject,
  type TProperties,
  type TSchema,
  type TString,
  Type,
} from 'typebox';
import type { Rule } from './kind.ts';

/** Bounds that several kinds share. */
export const bounds = {
  /** RFC 1123 subdomain: names of objects. */
  name: 253,
  /** RFC 1123 label: names of namespaces, and of all that Transship names itself. */
  label: 63,
  message: 32_768,
  reason: 1024,
  conditions: 32,
  /** Counters beyond this would lose digits in JavaScript. */
  integer: Number.MAX_SAFE_INTEGER,
  path: 4096,
  /** A certificate bundle. */
  certificates: 262_144,
} as const;

interface TextOptions {
  readonly max?: number;
  readonly min?: number;
  readonly pattern?: string;
  readonly format?: 'date-time';
  readonly default?: string;
  readonly rules?: readonly Rule[];
}

function rulesOf(rules: readonly Rule[] | undefined): Record<string, unknown> {
  return rules === undefined ? {} : { 'x-kubernetes-validations': rules };
}

export function text(description: string, options: TextOptions = {}): TString {
  const { max = bounds.reason, min, rules, ...rest } = options;
  return Type.String({
    description,
    maxLength: max,
    ...(min === undefined ? {} : { minLength: min }),
    ...rest,
    ...rulesOf(rules),
  });
}

/** One of a few words. */
export function word<const Words extends readonly string[]>(
  words: Words,
  description: string,
  options: { readonly default?: Words[number]; readonly rules?: readonly Rule[] } = {},
): TEnum<[...Words]> {
  const { rules, ...rest } = options;
  const extra = { type: 'string', description, ...rest, ...rulesOf(rules) };
  return Type.Enum<[...Words]>([...words] as [...Words], extra);
}

export function flag(description: string, options: { readonly default?: boolean } = {}) {
  return Type.Boolean({ description, ...options });
}

interface CountOptions {
  readonly min?: number;
  readonly max?: number;
  readonly default?: number;
}

/** A whole number, from 0 unless said otherwise. */
export function count(description: string, options: CountOptions = {}): TInteger {
  const { min = 0, max = bounds.integer, ...rest } = options;
  return Type.Integer({ description, minimum: min, maximum: max, format: 'int64', ...rest });
}

interface ObjectOptions {
  readonly rules?: readonly Rule[];
  readonly default?: Readonly<Record<string, unknown>>;
}

export function fields<Properties extends TProperties>(
  description: string,
  properties: Properties,
  options: ObjectOptions = {},
): TObject<Properties> {
  const { rules, ...rest } = options;
  return Type.Object(properties, { description, ...rest, ...rulesOf(rules) });
}

interface ListOptions {
  readonly max: number;
  readonly min?: number;
  readonly rules?: readonly Rule[];
}

/** A list that is replaced as a whole. */
export function list<Item extends TSchema>(
  description: string,
  item: Item,
  options: ListOptions,
): TArray<Item> {
  return listOfType(description, item, options, { 'x-kubernetes-list-type': 'atomic' });
}

/** A list of different words or texts. */
export function setOf<Item extends TSchema>(
  description: string,
  item: Item,
  options: ListOptions,
): TArray<Item> {
  return listOfType(description, item, options, { 'x-kubernetes-list-type': 'set' });
}

/** A list whose entries are told apart by `keys`, so that several writers can own entries. */
export function keyed<Item extends TSchema>(
  description: string,
  keys: readonly string[],
  item: Item,
  options: ListOptions,
): TArray<Item> {
  const extra = { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': keys };
  return listOfType(description, item, options, extra);
}

function listOfType<Item extends TSchema>(
  description: string,
  item: Item,
  options: ListOptions,
  extra: Readonly<Record<string, unknown>>,
): TArray<Item> {
  const { max, min, rules } = options;
  const least = min === undefined ? {} : { minItems: min };
  return Type.Array(item, { description, maxItems: max, ...least, ...extra, ...rulesOf(rules) });
}

export const optional = Type.Optional;

const subdomain = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$';
const label = '^[a-z0-9]([-a-z0-9]*[a-z0-9])?$';

/** Name of an object that others create: RFC 1123 subdomain. */
export function objectName(description: string, options: { rules?: readonly Rule[] } = {}) {
  return text(description, { min: 1, max: bounds.name, pattern: subdomain, ...options });
}

/** Name of a namespace, or of anything that Transship names: at most 63 characters. */
export function labelName(description: string) {
  return text(description, { min: 1, max: bounds.label, pattern: label });
}

/** Name of a volume, snapshot, cluster, pool or policy: dots are allowed, 63 characters at most. */
export function ownName(description: string, options: { rules?: readonly Rule[] } = {}) {
  return text(description, { min: 1, max: bounds.label, pattern: subdomain, ...options });
}

/** "10Gi": digits and a unit as Kubernetes writes quantities; nothing below one byte. */
export function quantity(description: string, options: { rules?: readonly Rule[] } = {}) {
  const pattern = '^[0-9]{1,16}(\\.[0-9]{1,6})?(Ki|Mi|Gi|Ti|Pi|k|M|G|T|P)?$';
  return text(description, { min: 1, max: 26, pattern, ...options });
}

/** Bytes a second: "100Mi", with or without "/s". */
export function rate(description: string) {
  const pattern = '^([0-9]{1,16}(\\.[0-9]{1,6})?(Ki|Mi|Gi|Ti|k|M|G|T)?(/s)?|unlimited)$';
  return text(description, { min: 1, max: 28, pattern });
}

/** "90s", "5m", "24h", "7d"; one number and one unit, so that rules can compute with it. */
export function duration(
  description: string,
  options: { readonly default?: string; readonly rules?: readonly Rule[] } = {},
) {
  return text(description, { min: 1, max: 10, pattern: '^(0|[0-9]{1,8}[smhdw])$', ...options });
}

/** RFC 3339. */
export function time(description: string, options: { rules?: readonly Rule[] } = {}) {
  return text(description, { format: 'date-time', max: 64, ...options });
}

/** A counter of bytes; below 2^53, so that no reader loses digits. */
export function bytes(description: string): TInteger {
  return count(description);
}

/** Text for a column; programs read the numbers beside it. */
export function shown(description: string) {
  return text(`${description} For people; programs read the numbers.`, { max: 64 });
}

export const conditionSchema = fields('What was observed, and when it last changed.', {
  type: text('What is observed, such as Ready. CamelCase.', {
    min: 1,
    max: 316,
    pattern: '^[A-Z][A-Za-z0-9]*$',
  }),
  status: word(['True', 'False', 'Unknown'], 'Whether it holds.'),
  reason: text('Why, as one word that programs may compare.', {
    min: 1,
    pattern: '^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$',
  }),
  message: text('Why, as a sentence; it names what to do about it.', { max: bounds.message }),
  lastTransitionTime: time('When `status` last changed.'),
  observedGeneration: optional(
    count('The `metadata.generation` of the object that this was observed for.'),
  ),
});

export type Condition = Readonly<Static<typeof conditionSchema>>;

/** What every status has. */
export const statusBase = {
  observedGeneration: optional(
    count('The `metadata.generation` that this status describes; older than it means stale.'),
  ),
  conditions: optional(
    keyed('What is known about this object; `Ready` sums it up.', ['type'], conditionSchema, {
      max: bounds.conditions,
    }),
  ),
};

/** Refers to one entry of a Secret. */
export function secretKey(description: string, entry: string) {
  return fields(description, {
    namespace: labelName('Namespace of the Secret.'),
    name: objectName('Name of the Secret.'),
    key: optional(
      text(`Entry of the Secret; ${entry} when not given.`, {
        min: 1,
        max: bounds.name,
        pattern: '^[-._a-zA-Z0-9]+$',
        default: entry,
      }),
    ),
  });
}

/** Refers to a whole Secret. */
export function secret(description: string) {
  return fields(description, {
    namespace: labelName('Namespace of the Secret.'),
    name: objectName('Name of the Secret.'),
  });
}

/** The rule that a field, once the object exists, stays as it is. */
export function unchanged(what: string): Rule {
  return {
    rule: 'self == oldSelf',
    message: `${what} cannot be changed; make a new object instead`,
  };
}

/** Rules for optional fields of an object that can be neither changed, added nor removed. */
export function fixed(names: readonly string[]): readonly Rule[] {
  return names.map((name) => ({
    rule:
      `has(self.${name}) == has(oldSelf.${name}) && ` +
      `(!has(self.${name}) || self.${name} == oldSelf.${name})`,
    message: `${name} cannot be changed; make a new object instead`,
  }));
}

/** A flag that, once true, stays true. */
export function stays(name: string): string {
  return `!(has(oldSelf.${name}) && oldSelf.${name}) || (has(self.${name}) && self.${name})`;
}

function given(names: readonly string[]): string {
  return `[${names.map((name) => `has(self.${name})`).join(', ')}].filter(given, given).size()`;
}

export function exactlyOneOf(...names: readonly string[]): Rule {
  return {
    rule: `${given(names)} == 1`,
    message: `give exactly one of ${names.join(', ')}`,
  };
}

export function atMostOneOf(...names: readonly string[]): Rule {
  return { rule: `${given(names)} <= 1`, message: `give at most one of ${names.join(', ')}` };
}
