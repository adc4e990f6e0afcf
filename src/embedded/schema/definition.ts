/** Custom resource definitions (apiextensions.k8s.io/v1) as served resources. */
import type { FieldError, Json, JsonObject, OpenApiSchema, ServedResource } from './api.ts';
import type { RuleCompiler } from './cel/rules.ts';
import { Checker } from './check.ts';
import { customColumns } from './columns.ts';
import { forbidden, invalid, required, unsupported } from './field-errors.ts';
import { at, equal, isObject, listAt, textAt } from './json.ts';
import { NodeCompiler, type SchemaNode } from './node.ts';
import { createObjectSchema } from './object-schema.ts';
import { prepareValue } from './prepare.ts';
import { Report } from './report.ts';
import { checkStructure } from './structural.ts';

/** Versions one definition may have. */
const versionsMax = 50;
const scopes: readonly string[] = ['Cluster', 'Namespaced'];

export type DefinitionResult =
  | readonly ServedResource[]
  | { readonly errors: readonly FieldError[] };

/** What definitions are read with. */
export interface DefinitionContext {
  /** The node of ObjectMeta, which every object has. */
  readonly metadata: SchemaNode;
  readonly rules: RuleCompiler;
}

export function readDefinition(crd: JsonObject, context: DefinitionContext): DefinitionResult {
  const errors: FieldError[] = [...checkDefinition(crd)];
  const versions = listAt(crd, 'spec', 'versions').filter(isObject);
  const served: ServedResource[] = [];
  const schemas = versions.map((version) => at(version, 'schema', 'openAPIV3Schema'));
  const isShared = schemas.every((schema) => equal(schema, schemas[0]));
  versions.forEach((version, i) => {
    const own = `spec.versions[${i}].schema.openAPIV3Schema`;
    const schema = schemas[i];
    if (!isObject(schema)) {
      errors.push(required(own, 'schemas are required'));
      return;
    }
    // Servers tell of a schema that all versions have at one place, and once.
    const path = isShared ? 'spec.validation.openAPIV3Schema' : own;
    if (isShared && i > 0 && errors.length > 0) return;
    const found = checkStructure(schema, path);
    errors.push(...found);
    if (errors.length > 0) return;
    const resource = readVersion(crd, version, { ...context, schema, path });
    if ('errors' in resource) errors.push(...resource.errors);
    else if (version['served'] === true) served.push(resource);
  });
  return errors.length > 0 ? { errors } : served;
}

function checkDefinition(crd: JsonObject): readonly FieldError[] {
  const errors: FieldError[] = [];
  const group = textAt(crd, 'spec', 'group') ?? '';
  const plural = textAt(crd, 'spec', 'names', 'plural') ?? '';
  const name = textAt(crd, 'metadata', 'name') ?? '';
  if (group === '') errors.push(required('spec.group'));
  if (plural === '') errors.push(required('spec.names.plural'));
  if (textAt(crd, 'spec', 'names', 'kind') === undefined) {
    errors.push(required('spec.names.kind'));
  }
  if (name !== `${plural}.${group}`) {
    errors.push(invalid('metadata.name', name, 'must be spec.names.plural+"."+spec.group'));
  }
  const scope = textAt(crd, 'spec', 'scope') ?? '';
  if (scope === '') errors.push(required('spec.scope'));
  else if (!scopes.includes(scope)) errors.push(unsupported('spec.scope', scope, scopes));
  if (at(crd, 'spec', 'preserveUnknownFields') === true) {
    const why =
      'cannot set to true, set x-kubernetes-preserve-unknown-fields to true in ' +
      'spec.versions[*].schema instead';
    errors.push(invalid('spec.preserveUnknownFields', true, why));
  }
  if (textAt(crd, 'spec', 'conversion', 'strategy') === 'Webhook') {
    const why = 'conversion webhooks are not served by embedded clusters';
    errors.push(forbidden('spec.conversion.strategy', why));
  }
  return [...errors, ...checkVersions(listAt(crd, 'spec', 'versions'))];
}

function checkVersions(versions: readonly Json[]): readonly FieldError[] {
  const errors: FieldError[] = [];
  const shown = JSON.stringify(versions.map((version) => textAt(version, 'name') ?? ''));
  if (versions.length === 0) {
    errors.push(invalid('spec.versions', shown, 'must have exactly one version marked as storage'));
  }
  if (versions.length > versionsMax) {
    errors.push(forbidden('spec.versions', `must have at most ${versionsMax} versions`));
  }
  const stored = versions.filter((version) => at(version, 'storage') === true);
  if (versions.length > 0 && stored.length !== 1) {
    const why = 'must have exactly one version marked as storage version';
    errors.push({ ...invalid('spec.versions', shown, why) });
    if (stored.length === 0) {
      errors.push(invalid('status.storedVersions', null, 'must have at least one stored version'));
    }
  }
  versions.forEach((version, i) => {
    const name = textAt(version, 'name') ?? '';
    if (!/^[a-z]([-a-z0-9]*[a-z0-9])?$/.test(name)) {
      const why =
        'a DNS-1035 label must consist of lower case alphanumeric characters or ' +
        "'-', start with an alphabetic character, and end with an alphanumeric character";
      errors.push(invalid(`spec.versions[${i}].name`, name, why));
    }
  });
  return errors;
}

interface VersionSchema extends DefinitionContext {
  readonly schema: OpenApiSchema;
  readonly path: string;
}

function readVersion(
  crd: JsonObject,
  version: JsonObject,
  source: VersionSchema,
): ServedResource | { readonly errors: readonly FieldError[] } {
  const node = compileRoot(source);
  const rules = source.rules.compile(node, source.path);
  const errors = [...(typeof rules === 'object' ? rules : []), ...checkDefaults(node, source.path)];
  if (errors.length > 0) return { errors };
  const names = at(crd, 'spec', 'names') ?? null;
  const kind = textAt(names, 'kind') ?? '';
  const scale = at(version, 'subresources', 'scale');
  const texts = (list: readonly Json[]): readonly string[] =>
    list.filter((item) => typeof item === 'string');
  const hasStatus = isObject(at(version, 'subresources', 'status'));
  return {
    group: textAt(crd, 'spec', 'group') ?? '',
    version: textAt(version, 'name') ?? '',
    plural: textAt(names, 'plural') ?? '',
    singular: textAt(names, 'singular') ?? kind.toLowerCase(),
    kind,
    listKind: textAt(names, 'listKind') ?? `${kind}List`,
    shortNames: texts(listAt(names, 'shortNames')),
    categories: texts(listAt(names, 'categories')),
    namespaced: textAt(crd, 'spec', 'scope') === 'Namespaced',
    storage: version['storage'] === true,
    subresources: {
      status: hasStatus,
      ...(isObject(scale) ? { scale: readScale(scale) } : {}),
    },
    columns: customColumns(listAt(version, 'additionalPrinterColumns')),
    schema: createObjectSchema({
      node,
      hasStatus,
      ...(typeof rules === 'function' ? { rules } : {}),
    }),
    openApi: source.schema,
    selectable: listAt(version, 'selectableFields').map((field) =>
      (textAt(field, 'jsonPath') ?? '').replace(/^\./, ''),
    ),
    builtIn: false,
  };
}

function readScale(scale: JsonObject): NonNullable<ServedResource['subresources']['scale']> {
  const labelSelectorPath = textAt(scale, 'labelSelectorPath');
  return {
    specReplicasPath: textAt(scale, 'specReplicasPath') ?? '',
    statusReplicasPath: textAt(scale, 'statusReplicasPath') ?? '',
    ...(labelSelectorPath === undefined ? {} : { labelSelectorPath }),
  };
}

function compileRoot({ schema, metadata }: VersionSchema): SchemaNode {
  const compiler = new NodeCompiler({
    resolve: (name) => {
      throw new Error(`no reference is allowed here: ${name}`);
    },
    metadata,
    builtIn: false,
  });
  const root = compiler.compile({ ...schema, 'x-kubernetes-embedded-resource': true });
  const names = Object.entries(
    at(schema as JsonObject, 'properties', 'metadata', 'properties') ?? {},
  );
  if (names.length === 0) return root;
  // Names may be bound beyond what all names are.
  const bound = names.map(([key, value]) => [key, compiler.compile(value)] as const);
  const properties = new Map([...metadata.properties, ...bound]);
  return {
    ...root,
    properties: new Map(root.properties).set('metadata', { ...metadata, properties }),
  };
}

/** A default must be what it is a default for. */
function checkDefaults(node: SchemaNode, path: string): readonly FieldError[] {
  if (node.builtIn) return [];
  const errors: FieldError[] = [];
  if (node.fallback !== undefined) {
    const report = new Report();
    const { value, unknown } = prepareValue(node, node.fallback);
    new Checker().check(node)(value, `${path}.default`, report);
    errors.push(...report.errors);
    const extra = unknown.map((field) => forbidden(`${path}.default.${field}`, 'unknown field'));
    errors.push(...extra);
  }
  for (const [key, child] of node.properties) {
    errors.push(...checkDefaults(child, `${path}.properties[${key}]`));
  }
  if (node.additional !== undefined) {
    errors.push(...checkDefaults(node.additional, `${path}.additionalProperties`));
  }
  if (node.items !== undefined) errors.push(...checkDefaults(node.items, `${path}.items`));
  return errors;
}
