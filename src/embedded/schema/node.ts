/**
 * Schemas as the walks use them: `$ref`s followed, extensions read, children in maps. Made once per
 * served version; recursive definitions (JSONSchemaProps) are recursive here too.
 */
import type { Json, OpenApiSchema } from './api.ts';
import { isObject } from './json.ts';

export interface SchemaNode {
  readonly schema: OpenApiSchema;
  readonly type: string | undefined;
  readonly format: string | undefined;
  readonly properties: ReadonlyMap<string, SchemaNode>;
  /** Of maps: what every value is. */
  readonly additional: SchemaNode | undefined;
  readonly items: SchemaNode | undefined;
  readonly preserve: boolean;
  readonly intOrString: boolean;
  readonly nullable: boolean;
  /** What is filled in where the field is not there. */
  readonly fallback: Json | undefined;
  /** What Go always writes (built-in kinds): the zero value of a field without omitempty. */
  readonly zero: Json | undefined;
  readonly required: readonly string[];
  readonly list: 'atomic' | 'set' | 'map';
  readonly listKeys: readonly string[];
  readonly atomicMap: boolean;
  readonly patch: PatchStrategy;
  /** Objects as Go writes them: nulls and empty maps and lists are not there. */
  readonly builtIn: boolean;
  /** An object with metadata of its own, the root too. */
  readonly embedded: boolean;
}

export interface PatchStrategy {
  readonly merge: boolean;
  readonly retainKeys: boolean;
  readonly key: string | undefined;
}

/** Fills a node in after it is known, so that references to it can be recursive. */
type Draft = { -readonly [K in keyof SchemaNode]: SchemaNode[K] };

export interface NodeSource {
  /** The schema behind a `$ref`. */
  resolve(name: string): OpenApiSchema;
  /** Metadata of the root and of embedded resources of CRDs. */
  readonly metadata?: SchemaNode;
  readonly builtIn: boolean;
}

const refPrefix = '#/components/schemas/';
const noStrategy: PatchStrategy = { merge: false, retainKeys: false, key: undefined };

export class NodeCompiler {
  readonly #source: NodeSource;
  readonly #named = new Map<string, SchemaNode>();

  constructor(source: NodeSource) {
    this.#source = source;
  }

  named(name: string): SchemaNode {
    const known = this.#named.get(name);
    if (known !== undefined) return known;
    const schema = this.#source.resolve(name);
    const node = this.#draft(schema);
    this.#named.set(name, node);
    this.#fill(node, schema);
    return node;
  }

  compile(schema: OpenApiSchema): SchemaNode {
    const ref = refOf(schema);
    if (ref !== undefined) return this.#withOwn(this.named(ref), schema);
    const node = this.#draft(schema);
    this.#fill(node, schema);
    return node;
  }

  /** A reference with its own default, patch strategy or map type. */
  #withOwn(target: SchemaNode, schema: OpenApiSchema): SchemaNode {
    if (Object.keys(schema).every((key) => ['$ref', 'allOf', 'description'].includes(key))) {
      return target;
    }
    const own = this.#draft(schema);
    // Children are read through the target: it may not be complete yet.
    return {
      ...own,
      schema: target.schema,
      type: target.type,
      format: target.format,
      preserve: target.preserve,
      intOrString: target.intOrString,
      atomicMap: own.atomicMap || target.atomicMap,
      required: target.required,
      properties: target.properties,
      get additional() {
        return target.additional;
      },
      get items() {
        return target.items;
      },
    };
  }

  #draft(schema: OpenApiSchema): Draft {
    const { builtIn } = this.#source;
    const value = schema['default'] as Json | undefined;
    const isZero = builtIn && value !== undefined && isZeroValue(value);
    const type = schema['type'] as string | undefined;
    const format = schema['format'] as string | undefined;
    return {
      schema,
      type,
      format,
      properties: new Map(),
      additional: undefined,
      items: undefined,
      preserve: isOpen(schema, builtIn),
      intOrString: schema['x-kubernetes-int-or-string'] === true || format === 'int-or-string',
      nullable: schema['nullable'] === true,
      fallback: (schema['x-transship-default'] as Json | undefined) ?? (isZero ? undefined : value),
      zero: isZero ? value : undefined,
      required: (schema['required'] as readonly string[] | undefined) ?? [],
      list: (schema['x-kubernetes-list-type'] as SchemaNode['list'] | undefined) ?? 'atomic',
      listKeys: (schema['x-kubernetes-list-map-keys'] as readonly string[] | undefined) ?? [],
      atomicMap: schema['x-kubernetes-map-type'] === 'atomic',
      patch: strategyOf(schema),
      builtIn,
      embedded: schema['x-kubernetes-embedded-resource'] === true,
    };
  }

  #fill(node: Draft, schema: OpenApiSchema): void {
    const properties = node.properties as Map<string, SchemaNode>;
    if (node.embedded) {
      this.#addTypeMeta(properties);
      node.required = [...new Set([...node.required, 'apiVersion', 'kind'])];
    }
    for (const [key, child] of Object.entries(schema['properties'] ?? {})) {
      if (node.embedded && properties.has(key)) continue;
      properties.set(key, this.compile(child as OpenApiSchema));
    }
    const { additionalProperties, items } = schema;
    if (isObject(additionalProperties)) node.additional = this.compile(additionalProperties);
    if (additionalProperties === true) node.preserve = true;
    if (isObject(items)) node.items = this.compile(items);
  }

  #addTypeMeta(properties: Map<string, SchemaNode>): void {
    const text = this.compile({ type: 'string' });
    properties.set('apiVersion', text);
    properties.set('kind', text);
    if (this.#source.metadata !== undefined) properties.set('metadata', this.#source.metadata);
  }
}

function refOf(schema: OpenApiSchema): string | undefined {
  const all = schema['allOf'] as readonly OpenApiSchema[] | undefined;
  const ref = (schema['$ref'] ?? all?.[0]?.['$ref']) as string | undefined;
  return ref?.startsWith(refPrefix) === true ? ref.slice(refPrefix.length) : undefined;
}

/** Takes any field: said so, or (built-in kinds) an object or value nothing is said about. */
function isOpen(schema: OpenApiSchema, builtIn: boolean): boolean {
  if (schema['x-kubernetes-preserve-unknown-fields'] === true) return true;
  if (!builtIn || schema['properties'] !== undefined) return false;
  const isScalar = schema['type'] !== undefined && schema['type'] !== 'object';
  return !isScalar && schema['additionalProperties'] === undefined && schema['oneOf'] === undefined;
}

function isZeroValue(value: Json): boolean {
  if (isObject(value)) return Object.keys(value).length === 0;
  return value === '' || value === 0 || value === false;
}

function strategyOf(schema: OpenApiSchema): PatchStrategy {
  const text = schema['x-kubernetes-patch-strategy'] as string | undefined;
  if (text === undefined) return noStrategy;
  const words = text.split(',');
  return {
    merge: words.includes('merge'),
    retainKeys: words.includes('retainKeys'),
    key: schema['x-kubernetes-patch-merge-key'] as string | undefined,
  };
}
