/**
 * Is a CRD's schema structural? (Kubernetes documentation, "Specifying a structural schema".) Only
 * such schemas can be pruned and defaulted, so others are refused.
 */
import type { FieldError, OpenApiSchema } from './api.ts';
import { forbidden, invalid, required, unsupported } from './field-errors.ts';
import { isFormatKnown } from './formats.ts';
import { isArray, isObject } from './json.ts';
import { goRegExp } from './check.ts';

const types: readonly string[] = ['array', 'boolean', 'integer', 'number', 'object', 'string'];

const never: readonly string[] = [
  '$ref',
  'definitions',
  'dependencies',
  'deprecated',
  'discriminator',
  'id',
  'patternProperties',
  'readOnly',
  'writeOnly',
  'xml',
  'additionalItems',
];

/** What belongs into the structure, not into allOf, anyOf, oneOf, not. */
const structureOnly: readonly string[] = [
  'additionalProperties',
  'default',
  'description',
  'nullable',
  'title',
  'type',
  'x-kubernetes-embedded-resource',
  'x-kubernetes-int-or-string',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-list-type',
  'x-kubernetes-map-type',
  'x-kubernetes-preserve-unknown-fields',
  'x-kubernetes-validations',
];

/** Deeper schemas are refused, so that no walk needs a limit of its own. */
const depthMax = 200;

export function checkStructure(schema: OpenApiSchema, path: string): readonly FieldError[] {
  const walk = new StructureCheck();
  if (schema['type'] === undefined) {
    walk.errors.push(required(`${path}.type`, 'must not be empty at the root'));
  } else if (schema['type'] !== 'object') {
    const value = String(schema['type']);
    walk.errors.push(invalid(`${path}.type`, value, 'must be object at the root'));
  }
  walk.visit(schema, path, { isRoot: true, depth: 0 });
  return walk.errors;
}

interface Place {
  readonly isRoot: boolean;
  readonly depth: number;
}

class StructureCheck {
  readonly errors: FieldError[] = [];

  visit(schema: OpenApiSchema, path: string, place: Place): void {
    if (place.depth > depthMax) {
      this.errors.push(forbidden(path, `schemas may be ${depthMax} levels deep`));
      return;
    }
    this.#values(schema, path, place);
    this.#lists(schema, path);
    this.#logic(schema, path);
    const down = { isRoot: false, depth: place.depth + 1 };
    const keepsMeta = place.isRoot || schema['x-kubernetes-embedded-resource'] === true;
    for (const [key, child] of Object.entries(schema['properties'] ?? {})) {
      const at = `${path}.properties[${key}]`;
      if (!isObject(child)) continue;
      this.#type(child, at, 'must not be empty for specified object fields');
      if (keepsMeta && key === 'metadata') this.#metadata(child, at);
      else this.visit(child, at, down);
    }
    const { additionalProperties, items } = schema;
    if (isObject(additionalProperties)) {
      const at = `${path}.additionalProperties`;
      this.#type(additionalProperties, at, 'must not be empty for specified object fields');
      this.visit(additionalProperties, at, down);
    }
    if (isObject(items)) {
      this.#type(items, `${path}.items`, 'must not be empty for specified array items');
      this.visit(items, `${path}.items`, down);
    }
  }

  #type(schema: OpenApiSchema, path: string, why: string): void {
    if (schema['type'] !== undefined) return;
    if (schema['x-kubernetes-int-or-string'] === true) return;
    if (schema['x-kubernetes-preserve-unknown-fields'] === true) return;
    this.errors.push(required(`${path}.type`, why));
  }

  #values(schema: OpenApiSchema, path: string, place: Place): void {
    for (const key of never) {
      if (schema[key] === undefined || schema[key] === false) continue;
      this.errors.push(forbidden(`${path}.${key}`, `${key} is not supported`));
    }
    if (schema['uniqueItems'] === true) {
      const why =
        'uniqueItems cannot be set to true since the runtime complexity becomes quadratic';
      this.errors.push(forbidden(`${path}.uniqueItems`, why));
    }
    const type = schema['type'] as string | undefined;
    if (type !== undefined && !types.includes(type)) {
      this.errors.push(unsupported(`${path}.type`, type, types));
    }
    const { properties, additionalProperties, items } = schema;
    if (properties !== undefined && additionalProperties !== undefined) {
      const why = 'additionalProperties and properties are mutual exclusive';
      this.errors.push(forbidden(`${path}.additionalProperties`, why));
    }
    if (additionalProperties === false) {
      const why = 'additionalProperties cannot be set to false';
      this.errors.push(forbidden(`${path}.additionalProperties`, why));
    }
    if (isArray(items)) {
      const why = 'items must be a schema object and not an array';
      this.errors.push(forbidden(`${path}.items`, why));
    }
    if (type === 'array' && items === undefined) {
      this.errors.push(required(`${path}.items`, 'must be specified'));
    }
    if (schema['x-kubernetes-embedded-resource'] === true) this.#embedded(schema, path);
    if (place.isRoot && schema['default'] !== undefined) {
      this.errors.push(forbidden(`${path}.default`, 'must not be set at the root'));
    }
    this.#pattern(schema, path);
  }

  #pattern(schema: OpenApiSchema, path: string): void {
    const pattern = schema['pattern'];
    if (typeof pattern !== 'string') return;
    try {
      goRegExp(pattern);
    } catch {
      const why = "must be a valid regular expression, but isn't";
      this.errors.push(invalid(`${path}.pattern`, pattern, why));
    }
    const format = schema['format'];
    if (typeof format === 'string' && !isFormatKnown(format)) return;
  }

  #embedded(schema: OpenApiSchema, path: string): void {
    if (schema['type'] !== 'object') {
      const why = 'must be object if x-kubernetes-embedded-resource is true';
      this.errors.push(invalid(`${path}.type`, String(schema['type'] ?? ''), why));
    }
    const isOpen = schema['x-kubernetes-preserve-unknown-fields'] === true;
    if (!isOpen && schema['properties'] === undefined) {
      const why =
        'must not be empty if x-kubernetes-embedded-resource is true ' +
        'without x-kubernetes-preserve-unknown-fields';
      this.errors.push(required(`${path}.properties`, why));
    }
  }

  #metadata(schema: OpenApiSchema, path: string): void {
    if (schema['type'] !== 'object') {
      this.errors.push(invalid(`${path}.type`, String(schema['type'] ?? ''), 'must be object'));
    }
    for (const [key, child] of Object.entries(schema['properties'] ?? {})) {
      const at = `${path}.properties[${key}]`;
      if (key === 'name' || key === 'generateName') {
        if (isObject(child)) this.visit(child, at, { isRoot: false, depth: 1 });
        continue;
      }
      const why =
        'must not specify anything other than name and generateName, ' +
        'but metadata is implicitly specified';
      this.errors.push(forbidden(`${path}`, why));
    }
  }

  #lists(schema: OpenApiSchema, path: string): void {
    const kind = schema['x-kubernetes-list-type'] as string | undefined;
    const keys = schema['x-kubernetes-list-map-keys'] as readonly string[] | undefined;
    const mapType = schema['x-kubernetes-map-type'] as string | undefined;
    if (mapType !== undefined && !['granular', 'atomic'].includes(mapType)) {
      const at = `${path}.x-kubernetes-map-type`;
      this.errors.push(unsupported(at, mapType, ['atomic', 'granular']));
    }
    if (kind === undefined) {
      if (keys !== undefined) {
        const at = `${path}.x-kubernetes-list-type`;
        this.errors.push(required(at, 'must be map if x-kubernetes-list-map-keys is non-empty'));
      }
      return;
    }
    const at = `${path}.x-kubernetes-list-type`;
    if (!['atomic', 'set', 'map'].includes(kind)) {
      this.errors.push(unsupported(at, kind, ['atomic', 'map', 'set']));
    }
    if (schema['type'] !== 'array') {
      const why = 'must be array if x-kubernetes-list-type is specified';
      this.errors.push(invalid(`${path}.type`, String(schema['type'] ?? ''), why));
    }
    const items = isObject(schema['items']) ? schema['items'] : {};
    if (kind === 'map') this.#mapKeys(items, keys ?? [], path);
    if (kind === 'set') this.#setItems(items, path);
  }

  #setItems(items: OpenApiSchema, path: string): void {
    if (items['nullable'] === true) {
      const why = 'cannot be nullable when x-kubernetes-list-type is set';
      this.errors.push(forbidden(`${path}.items.nullable`, why));
    }
    const isMap = items['type'] === 'object' && items['x-kubernetes-map-type'] !== 'atomic';
    const isList = items['type'] === 'array' && items['x-kubernetes-list-type'] !== undefined;
    if (isMap || (isList && items['x-kubernetes-list-type'] !== 'atomic')) {
      const key = isMap ? 'x-kubernetes-map-type' : 'x-kubernetes-list-type';
      const why = 'must be atomic as item of a list with x-kubernetes-list-type=set';
      this.errors.push(invalid(`${path}.items.${key}`, '', why));
    }
  }

  #mapKeys(items: OpenApiSchema, keys: readonly string[], path: string): void {
    const at = `${path}.x-kubernetes-list-map-keys`;
    if (keys.length === 0) {
      this.errors.push(required(at, 'must not be empty if x-kubernetes-list-type is map'));
    }
    if (items['type'] !== 'object') {
      const why = "must be object if parent array's x-kubernetes-list-type is map";
      this.errors.push(invalid(`${path}.items.type`, String(items['type'] ?? ''), why));
    }
    const properties = isObject(items['properties']) ? items['properties'] : {};
    const needed = isArray(items['required']) ? items['required'] : [];
    for (const key of keys) {
      const property = properties[key];
      if (!isObject(property)) {
        const why = 'entries must all be names of item properties';
        this.errors.push(invalid(at, key, why));
        continue;
      }
      if (property['type'] === 'array' || property['type'] === 'object') {
        const why = "must be a scalar type if parent array's x-kubernetes-list-type is map";
        const place = `${path}.items.properties[${key}].type`;
        this.errors.push(invalid(place, String(property['type']), why));
      }
      if (property['default'] === undefined && !needed.includes(key)) {
        const why =
          'this property is in x-kubernetes-list-map-keys, so it must have a default ' +
          'or be a required property';
        this.errors.push(required(`${path}.items.properties[${key}].default`, why));
      }
    }
  }

  #logic(schema: OpenApiSchema, path: string): void {
    for (const key of ['allOf', 'anyOf', 'oneOf']) {
      const list = schema[key];
      if (!isArray(list)) continue;
      list.forEach((part, i) => {
        if (isObject(part)) this.#logicPart(part, schema, `${path}.${key}[${i}]`);
      });
    }
    if (isObject(schema['not'])) this.#logicPart(schema['not'], schema, `${path}.not`);
  }

  /** A logical schema may only speak of fields that the structure has. */
  #logicPart(part: OpenApiSchema, outside: OpenApiSchema, path: string): void {
    const isEither = outside['x-kubernetes-int-or-string'] === true;
    for (const key of structureOnly) {
      if (part[key] === undefined || (key === 'type' && isEither)) continue;
      this.errors.push(forbidden(`${path}.${key}`, 'must be undefined to be structural'));
    }
    const structure = isObject(outside['properties']) ? outside['properties'] : {};
    for (const [key, child] of Object.entries(part['properties'] ?? {})) {
      const at = `${path}.properties[${key}]`;
      const same = structure[key];
      if (!isObject(child)) continue;
      if (isObject(same)) this.#logicPart(child, same, at);
      else this.errors.push(required(at, 'because it is defined in a logical schema'));
    }
    if (isObject(part['items'])) {
      if (isObject(outside['items'])) {
        this.#logicPart(part['items'], outside['items'], `${path}.items`);
      } else
        this.errors.push(required(`${path}.items`, 'because it is defined in a logical schema'));
    }
    for (const key of ['allOf', 'anyOf', 'oneOf']) {
      const list = part[key];
      if (!isArray(list)) continue;
      list.forEach((inner, i) => {
        if (isObject(inner)) this.#logicPart(inner, outside, `${path}.${key}[${i}]`);
      });
    }
    if (isObject(part['not'])) this.#logicPart(part['not'], outside, `${path}.not`);
  }
}
