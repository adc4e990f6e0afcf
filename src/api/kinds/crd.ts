/**
 * Definition of a kind → CustomResourceDefinition (apiextensions.k8s.io/v1) with a structural
 * schema (Kubernetes, "Extend the Kubernetes API with CustomResourceDefinitions").
 */
import type { TSchema } from 'typebox';
import { fail } from '../../base/errors.ts';
import { type Column, group, type KindDefinition, type Rule, version } from './kind.ts';

/** A node of a structural schema: what API servers take, and no more. */
export interface StructuralSchema {
  readonly type: 'object' | 'array' | 'string' | 'integer' | 'boolean';
  readonly description?: string;
  readonly default?: unknown;
  readonly enum?: readonly string[];
  readonly format?: string;
  readonly pattern?: string;
  readonly minLength?: number;
  readonly maxLength?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly maxProperties?: number;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, StructuralSchema>>;
  readonly items?: StructuralSchema;
  readonly additionalProperties?: StructuralSchema;
  readonly 'x-kubernetes-list-type'?: 'atomic' | 'set' | 'map';
  readonly 'x-kubernetes-list-map-keys'?: readonly string[];
  readonly 'x-kubernetes-validations'?: readonly Rule[];
}

export interface PrinterColumnSpec {
  readonly name: string;
  readonly type: Column['type'];
  readonly jsonPath: string;
  readonly description: string;
  readonly priority?: 1;
}

export interface CustomResourceDefinition {
  readonly apiVersion: 'apiextensions.k8s.io/v1';
  readonly kind: 'CustomResourceDefinition';
  readonly metadata: {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
  };
  readonly spec: {
    readonly group: string;
    readonly scope: 'Namespaced' | 'Cluster';
    readonly names: {
      readonly kind: string;
      readonly listKind: string;
      readonly plural: string;
      readonly singular: string;
      readonly shortNames: readonly string[];
      readonly categories: readonly string[];
    };
    readonly versions: readonly [CustomResourceVersion];
  };
}

export interface CustomResourceVersion {
  readonly name: string;
  readonly served: true;
  readonly storage: true;
  readonly subresources: { readonly status: Readonly<Record<string, never>> };
  readonly additionalPrinterColumns: readonly PrinterColumnSpec[];
  readonly selectableFields?: readonly { readonly jsonPath: string }[];
  readonly schema: { readonly openAPIV3Schema: StructuralSchema };
}

/** Keywords that are taken over as they are. */
const plain: ReadonlySet<string> = new Set([
  'type',
  'description',
  'default',
  'enum',
  'format',
  'pattern',
  'minLength',
  'maxLength',
  'minimum',
  'maximum',
  'minItems',
  'maxItems',
  'maxProperties',
  'required',
  'x-kubernetes-list-type',
  'x-kubernetes-list-map-keys',
  'x-kubernetes-validations',
]);

function converted(keyword: string, value: unknown): readonly [string, unknown] {
  if (plain.has(keyword)) return [keyword, value];
  if (keyword === 'items') return [keyword, structural(value as TSchema)];
  if (keyword === 'properties') {
    const properties = Object.entries(value as Record<string, TSchema>);
    return [keyword, Object.fromEntries(properties.map(([name, to]) => [name, structural(to)]))];
  }
  // A record: one pattern, which all keys match.
  if (keyword === 'patternProperties') {
    const [to] = Object.values(value as Record<string, TSchema>);
    return ['additionalProperties', structural(to!)];
  }
  fail('Internal', `no structural schema has the keyword ${keyword}`);
}

/** The schema as API servers take it. Throws `Internal` for a keyword that they do not. */
export function structural(schema: TSchema): StructuralSchema {
  const entries = Object.entries(schema).map(([keyword, value]) => converted(keyword, value));
  const node = Object.fromEntries(entries) as unknown as StructuralSchema;
  return node.type === 'array' && node.items === undefined ? fail('Internal', 'no items') : node;
}

function wholeObject(definition: KindDefinition): StructuralSchema {
  const { about, rules } = definition;
  return {
    type: 'object',
    description: about,
    required: ['spec'],
    properties: {
      apiVersion: { type: 'string', description: `Version of the schema: ${group}/${version}.` },
      kind: { type: 'string', description: `What the object is: ${definition.kind}.` },
      metadata: { type: 'object' },
      spec: structural(definition.spec),
      status: structural(definition.status),
    },
    ...(rules === undefined ? {} : { 'x-kubernetes-validations': rules }),
  };
}

function columnSpec({ wide, ...column }: Column): PrinterColumnSpec {
  return wide === true ? { ...column, priority: 1 } : column;
}

const age: Column = {
  name: 'AGE',
  type: 'date',
  jsonPath: '.metadata.creationTimestamp',
  description: 'How long ago it was made.',
};

/** `volumes.transship.dev`. */
export function crdName(definition: Pick<KindDefinition, 'plural'>): string {
  return `${definition.plural}.${group}`;
}

export function crdOf(definition: KindDefinition): CustomResourceDefinition {
  const { kind, plural, singular, shortNames, selectable, namespaced } = definition;
  const fields = selectable?.map((jsonPath) => ({ jsonPath }));
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: {
      name: crdName(definition),
      labels: {
        'app.kubernetes.io/name': 'transship',
        'app.kubernetes.io/part-of': 'transship',
        'app.kubernetes.io/component': 'crds',
      },
    },
    spec: {
      group,
      scope: namespaced ? 'Namespaced' : 'Cluster',
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular,
        shortNames,
        categories: ['transship'],
      },
      versions: [
        {
          name: version,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: [...definition.columns, age].map(columnSpec),
          ...(fields === undefined ? {} : { selectableFields: fields }),
          schema: { openAPIV3Schema: wholeObject(definition) },
        },
      ],
    },
  };
}
