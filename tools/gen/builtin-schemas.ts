// Turns the OpenAPI v3 documents of a real API server into the compact data of the embedded one:
// `node tools/gen/builtin-schemas.ts DIRECTORY`. Facts only: no descriptions are taken over.
// The notation is documented in src/embedded/schema/builtin/notation.ts, which reads it.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface Schema {
  readonly [key: string]: unknown;
  readonly type?: string;
  readonly format?: string;
  readonly $ref?: string;
  readonly allOf?: readonly Schema[];
  readonly items?: Schema;
  readonly additionalProperties?: Schema;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly enum?: readonly string[];
  readonly default?: unknown;
}

type Schemas = ReadonlyMap<string, Schema>;

const refPrefix = '#/components/schemas/';

/** The kinds an embedded cluster serves. */
const kinds: Readonly<Record<string, string>> = {
  'io.k8s.api.core.v1':
    'Namespace Pod PodTemplate Service Endpoints ConfigMap Secret ServiceAccount ' +
    'PersistentVolume PersistentVolumeClaim Node Event ResourceQuota LimitRange ' +
    'ReplicationController Binding',
  'io.k8s.api.apps.v1': 'Deployment ReplicaSet StatefulSet DaemonSet ControllerRevision',
  'io.k8s.api.batch.v1': 'Job CronJob',
  'io.k8s.api.storage.v1':
    'StorageClass CSIDriver CSINode VolumeAttachment CSIStorageCapacity VolumeAttributesClass',
  'io.k8s.api.rbac.v1': 'Role ClusterRole RoleBinding ClusterRoleBinding',
  'io.k8s.api.coordination.v1': 'Lease',
  'io.k8s.api.events.v1': 'Event',
  'io.k8s.api.networking.v1': 'Ingress IngressClass NetworkPolicy',
  'io.k8s.api.policy.v1': 'PodDisruptionBudget Eviction',
  'io.k8s.api.autoscaling.v1': 'Scale',
  'io.k8s.api.autoscaling.v2': 'HorizontalPodAutoscaler',
  'io.k8s.api.scheduling.v1': 'PriorityClass',
  'io.k8s.api.discovery.v1': 'EndpointSlice',
  'io.k8s.api.authentication.v1': 'TokenReview SelfSubjectReview TokenRequest',
  'io.k8s.api.authorization.v1':
    'SubjectAccessReview SelfSubjectAccessReview LocalSubjectAccessReview SelfSubjectRulesReview',
  'io.k8s.apiextensions-apiserver.pkg.apis.apiextensions.v1': 'CustomResourceDefinition',
  'io.k8s.apimachinery.pkg.apis.meta.v1': 'DeleteOptions Status ListMeta',
};

/** Definitions that are words of the notation. */
const words: Readonly<Record<string, string>> = {
  'io.k8s.apimachinery.pkg.apis.meta.v1.Time': 'time',
  'io.k8s.apimachinery.pkg.apis.meta.v1.MicroTime': 'microtime',
  'io.k8s.apimachinery.pkg.apis.meta.v1.FieldsV1': 'fields',
  'io.k8s.apimachinery.pkg.api.resource.Quantity': 'quantity',
  'io.k8s.apimachinery.pkg.util.intstr.IntOrString': 'intstr',
  'io.k8s.apimachinery.pkg.runtime.RawExtension': 'any',
};

function readSchemas(directory: string): Schemas {
  const all = new Map<string, Schema>();
  for (const name of readdirSync(directory)) {
    const document = JSON.parse(readFileSync(join(directory, name), 'utf8')) as {
      components?: { schemas?: Record<string, Schema> };
    };
    for (const [key, schema] of Object.entries(document.components?.schemas ?? {})) {
      all.set(key, schema);
    }
  }
  return all;
}

function refOf(schema: Schema): string | undefined {
  const ref = schema.$ref ?? schema.allOf?.[0]?.$ref;
  return ref?.slice(refPrefix.length);
}

const packageOf = (name: string): string => name.slice(0, name.lastIndexOf('.'));

class Notation {
  readonly #schemas: Schemas;
  readonly #aliases = new Map<string, string>();
  readonly wanted: string[] = [];

  constructor(schemas: Schemas) {
    this.#schemas = schemas;
  }

  /** `io.k8s.api.core.v1` is `core`; where two versions meet, the number goes with it. */
  alias(name: string): string {
    const parts = name.split('.');
    const version = parts.at(-1) === 'v1' ? '' : (parts.at(-1) ?? '');
    const alias = `${parts.at(-2) ?? ''}${version}`;
    this.#aliases.set(alias, name);
    return alias;
  }

  get packages(): Readonly<Record<string, string>> {
    return Object.fromEntries([...this.#aliases].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  #reference(name: string): string {
    const word = words[name];
    if (word !== undefined) return word;
    const schema = this.#schemas.get(name);
    if (schema === undefined) throw new Error(`no definition of ${name}`);
    if (schema.properties === undefined && !packageOf(name).includes('.api.')) {
      if (schema.type === undefined) return 'any';
    }
    if (!this.wanted.includes(name)) this.wanted.push(name);
    return `${this.alias(packageOf(name))}.${name.slice(name.lastIndexOf('.') + 1)}`;
  }

  type(schema: Schema): string {
    const ref = refOf(schema);
    if (ref !== undefined) return this.#reference(ref);
    if (schema.type === 'array') return `${this.type(schema.items ?? {})}[]`;
    if (schema.type === 'object') {
      if (schema.additionalProperties === undefined) return 'object';
      return `${this.type(schema.additionalProperties)}{}`;
    }
    const format = schema.format ?? '';
    if (schema.type === 'integer') return format === 'int32' ? 'int32' : 'int64';
    if (schema.type === 'number') return 'number';
    if (schema.type === 'boolean') return 'bool';
    if (schema.type === 'string') {
      if (format === 'byte') return 'bytes';
      return schema.enum === undefined ? 'string' : `string(${schema.enum.join('|')})`;
    }
    return 'any';
  }

  property(schema: Schema, required: boolean): string {
    const parts = [this.type(schema)];
    if (required) parts.push('!');
    const listType = schema['x-kubernetes-list-type'];
    const keys = schema['x-kubernetes-list-map-keys'] as readonly string[] | undefined;
    if (listType === 'map') parts.push(`map:${(keys ?? []).join(',')}`);
    else if (listType === 'set') parts.push('set');
    if (schema['x-kubernetes-map-type'] === 'atomic') parts.push('atomic');
    const mergeKey = schema['x-kubernetes-patch-merge-key'];
    for (const strategy of String(schema['x-kubernetes-patch-strategy'] ?? '').split(',')) {
      if (strategy === '') continue;
      parts.push(strategy === 'merge' && mergeKey !== undefined ? `merge:${mergeKey}` : strategy);
    }
    // The zero of Go's type says that the field is always written; others are real defaults.
    const zero = [JSON.stringify(''), '0', 'false', '{}'];
    const value = JSON.stringify(schema.default);
    if (value !== undefined) parts.push(zero.includes(value) ? '+' : `=${value}`);
    return parts.join(' ');
  }

  definition(name: string): Record<string, string> {
    const schema = this.#schemas.get(name) ?? {};
    const fields: Record<string, string> = {};
    if (schema['x-kubernetes-map-type'] === 'atomic') fields[''] = 'atomic';
    for (const [key, property] of Object.entries(schema.properties ?? {})) {
      fields[key] = this.property(property, schema.required?.includes(key) ?? false);
    }
    return fields;
  }
}

function render(directory: string): string {
  const notation = new Notation(readSchemas(directory));
  for (const [name, list] of Object.entries(kinds)) {
    for (const kind of list.split(' ')) notation.wanted.push(`${name}.${kind}`);
  }
  const definitions: Record<string, Record<string, string>> = {};
  for (const name of notation.wanted) {
    const key = `${notation.alias(packageOf(name))}.${name.slice(name.lastIndexOf('.') + 1)}`;
    definitions[key] = notation.definition(name);
  }
  const sorted = Object.fromEntries(
    Object.entries(definitions).sort(([a], [b]) => (a < b ? -1 : 1)),
  );
  return `${JSON.stringify({ packages: notation.packages, definitions: sorted }, undefined, 2)}\n`;
}

const target = join(import.meta.dirname, '../../src/embedded/schema/builtin/data.json');

if (import.meta.main) {
  const directory = process.argv[2];
  if (directory === undefined) throw new Error('give the directory with the OpenAPI documents');
  writeFileSync(target, render(directory));
}
