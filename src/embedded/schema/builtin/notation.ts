/**
 * Reads `data.json`: the fields of built-in kinds, one line each, as `tools/gen/builtin-schemas.ts`
 * takes them from a real API server.
 *
 * ```
 * field  = type { " " modifier }
 * type   = word | PACKAGE "." NAME | type "[]" (list) | type "{}" (map)
 * word   = "string" [ "(" VALUE { "|" VALUE } ")" ] | "bool" | "int32" | "int64" | "number"
 *        | "bytes" | "time" | "microtime" | "quantity" | "intstr" | "fields" | "object" | "any"
 * modifier = "!" (required) | "+" (written even when it has the zero value) | "=" JSON (default)
 *        | "set" | "map:" KEYS | "atomic" | "merge" [ ":" KEY ] | "retainKeys"
 * ```
 *
 * A list without modifier is atomic, a map without one is granular. The field "" of a definition
 * has modifiers of the definition itself.
 */
import type { Json, OpenApiSchema } from '../api.ts';
import { constantDefaults } from './constants.ts';
import { descriptionOf } from './descriptions.ts';

export interface NotationData {
  readonly packages: Readonly<Record<string, string>>;
  readonly definitions: Readonly<Record<string, Readonly<Record<string, string>>>>;
}

/** A default that servers have in code and not in their documents. */
const fallbackKey = 'x-transship-default';

type Draft = { [key: string]: unknown };

const quantityName = 'io.k8s.apimachinery.pkg.api.resource.Quantity';
const eitherName = 'io.k8s.apimachinery.pkg.util.intstr.IntOrString';
const fieldsName = 'io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1';

/** Definitions that are no structures. */
const scalars: Readonly<Record<string, OpenApiSchema>> = {
  [quantityName]: {
    description: 'A number with an optional suffix, such as 500m or 10Gi.',
    oneOf: [{ type: 'string' }, { type: 'number' }],
    format: 'quantity',
  },
  [fieldsName]: {
    description: 'A set of fields, as a tree whose keys say what they stand for.',
    type: 'object',
  },
  [eitherName]: {
    description: 'A whole number, or a text such as a percentage.',
    oneOf: [{ type: 'integer' }, { type: 'string' }],
    format: 'int-or-string',
  },
};

const words: Readonly<Record<string, OpenApiSchema>> = {
  string: { type: 'string' },
  bool: { type: 'boolean' },
  int32: { type: 'integer', format: 'int32' },
  int64: { type: 'integer', format: 'int64' },
  number: { type: 'number', format: 'double' },
  bytes: { type: 'string', format: 'byte' },
  time: { type: 'string', format: 'date-time' },
  microtime: { type: 'string', format: 'date-time', 'x-transship-time': 'micro' },
  quantity: { $ref: `#/components/schemas/${quantityName}` },
  intstr: { $ref: `#/components/schemas/${eitherName}` },
  fields: { $ref: `#/components/schemas/${fieldsName}` },
  object: { type: 'object' },
  any: {},
};

export class Notation {
  readonly #data: NotationData;
  readonly #packages: ReadonlyMap<string, string>;
  readonly #read = new Map<string, OpenApiSchema>();

  constructor(data: NotationData) {
    this.#data = data;
    this.#packages = new Map(Object.entries(data.packages).map(([alias, name]) => [name, alias]));
  }

  /** `core.Pod` as servers name it: `io.k8s.api.core.v1.Pod`. */
  fullName(name: string): string {
    const [alias = '', kind = ''] = name.split('.');
    return `${this.#data.packages[alias]}.${kind}`;
  }

  /** The OpenAPI schema of a definition, by its full name. */
  resolve(fullName: string): OpenApiSchema {
    const known = scalars[fullName] ?? this.#read.get(fullName);
    if (known !== undefined) return known;
    const dot = fullName.lastIndexOf('.');
    const kind = fullName.slice(dot + 1);
    const name = `${this.#packages.get(fullName.slice(0, dot))}.${kind}`;
    const fields = this.#data.definitions[name];
    if (fields === undefined) throw new Error(`no definition of ${fullName}`);
    const schema = this.#definition(name, fields);
    this.#read.set(fullName, schema);
    return schema;
  }

  #definition(name: string, fields: Readonly<Record<string, string>>): OpenApiSchema {
    const description = descriptionOf(name, undefined);
    const schema: Draft = description === undefined ? {} : { description };
    schema['type'] = 'object';
    const properties: Record<string, OpenApiSchema> = {};
    const required: string[] = [];
    for (const [key, text] of Object.entries(fields)) {
      if (key === '') {
        applyModifier(schema, text);
        continue;
      }
      const parts = text.split(' ');
      if (parts.includes('!')) required.push(key);
      const field = this.#field(parts, descriptionOf(name, key));
      const fallback = constantDefaults[name]?.[key];
      properties[key] = fallback === undefined ? field : { ...field, [fallbackKey]: fallback };
    }
    if (Object.keys(properties).length > 0) schema['properties'] = properties;
    if (required.length > 0) schema['required'] = required;
    return schema;
  }

  #field(parts: readonly string[], description: string | undefined): OpenApiSchema {
    const [type = '', ...modifiers] = parts;
    const schema: Draft = { ...this.#type(type) };
    for (const modifier of modifiers) applyModifier(schema, modifier);
    if (modifiers.includes('+')) schema['default'] = zeroOf(schema);
    if (description !== undefined) schema['description'] = description;
    // A reference stands alone in OpenAPI 3.0: what is beside it is not read.
    if (schema['$ref'] === undefined || Object.keys(schema).length === 1) return schema;
    const { $ref, ...rest } = schema;
    return { ...rest, allOf: [{ $ref }] };
  }

  #type(text: string): OpenApiSchema {
    if (text.endsWith('[]')) return { type: 'array', items: this.#type(text.slice(0, -2)) };
    if (text.endsWith('{}')) {
      return { type: 'object', additionalProperties: this.#type(text.slice(0, -2)) };
    }
    if (text.endsWith(')')) {
      return { type: 'string', enum: text.slice(text.indexOf('(') + 1, -1).split('|') };
    }
    return words[text] ?? { $ref: `#/components/schemas/${this.fullName(text)}` };
  }
}

function zeroOf(schema: OpenApiSchema): Json {
  if (schema['$ref'] !== undefined) return {};
  const zeros: Readonly<Record<string, Json>> = { string: '', boolean: false, object: {} };
  const type = schema['type'] as string | undefined;
  return type === undefined ? {} : (zeros[type] ?? 0);
}

function applyModifier(schema: Draft, modifier: string): void {
  const [word = '', argument = ''] = modifier.split(':');
  if (modifier.startsWith('=')) schema['default'] = JSON.parse(modifier.slice(1));
  else if (word === 'set') schema['x-kubernetes-list-type'] = 'set';
  else if (word === 'map') {
    schema['x-kubernetes-list-type'] = 'map';
    schema['x-kubernetes-list-map-keys'] = argument.split(',');
  } else if (word === 'atomic') schema['x-kubernetes-map-type'] = 'atomic';
  else if (word === 'merge' || word === 'retainKeys') {
    const before = schema['x-kubernetes-patch-strategy'];
    schema['x-kubernetes-patch-strategy'] = before === undefined ? word : `${before},${word}`;
    if (argument !== '') schema['x-kubernetes-patch-merge-key'] = argument;
  }
}
