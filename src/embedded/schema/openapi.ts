/**
 * OpenAPI documents of served resources: version 3 per group and version, as `kubectl explain` and
 * `apply` read it, and version 2 for older clients.
 */
import type { Json, JsonObject, OpenApiSchema, ServedResource } from './api.ts';
import { isArray, isObject, type MutableObject, put } from './json.ts';

/** Where schemas come from that resources refer to. */
export interface SchemaNames {
  /** The full name of a resource's schema: `io.k8s.api.core.v1.Pod`. */
  nameOf(resource: ServedResource): string;
  /** The schema behind a full name. */
  resolve(name: string): OpenApiSchema;
}

const v3Prefix = '#/components/schemas/';
const v2Prefix = '#/definitions/';
const metadataName = 'io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta';
const listMetaName = 'io.k8s.apimachinery.pkg.apis.meta.v1.ListMeta';
const gvkKey = 'x-kubernetes-group-version-kind';

export function openApiV3(resources: readonly ServedResource[], names: SchemaNames): JsonObject {
  const schemas = collect(resources, names);
  const paths: MutableObject = {};
  for (const resource of resources) addPaths(paths, resource, v3Operation(names.nameOf(resource)));
  return {
    openapi: '3.0.0',
    info: { title: 'Transship embedded cluster', version: 'v1' },
    paths,
    components: { schemas },
  };
}

export function openApiV2(resources: readonly ServedResource[], names: SchemaNames): JsonObject {
  const definitions: MutableObject = {};
  for (const [name, schema] of Object.entries(collect(resources, names))) {
    put(definitions, name, toV2(schema));
  }
  const paths: MutableObject = {};
  for (const resource of resources) addPaths(paths, resource, v2Operation(names.nameOf(resource)));
  return {
    swagger: '2.0',
    info: { title: 'Transship embedded cluster', version: 'v1' },
    paths,
    definitions,
  };
}

/** The schemas of the resources, of their lists, and all they refer to. */
function collect(resources: readonly ServedResource[], names: SchemaNames): JsonObject {
  const found = new Map<string, Json>();
  const queue: string[] = [];
  const add = (name: string, schema: OpenApiSchema): void => {
    const clean = withoutOwnKeys(schema as Json);
    found.set(name, clean);
    queue.push(...refsOf(clean));
  };
  for (const resource of resources) {
    const name = names.nameOf(resource);
    const { group, version, kind, listKind } = resource;
    add(name, { ...withTypeMeta(resource), [gvkKey]: [{ group, kind, version }] });
    add(`${name}List`, {
      ...listSchema(name),
      [gvkKey]: [{ group, kind: listKind, version }],
    });
  }
  for (let name = queue.pop(); name !== undefined; name = queue.pop()) {
    if (!found.has(name)) add(name, names.resolve(name));
  }
  return Object.fromEntries([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
}

const apiVersionField = {
  type: 'string',
  description: 'Group and version of the schema this object is written in.',
};
const kindField = { type: 'string', description: 'The kind of this object.' };

function reference(name: string, description: string): JsonObject {
  return { allOf: [{ $ref: `${v3Prefix}${name}` }], default: {}, description };
}

/** Schemas of CRDs need not say what all objects have. */
function withTypeMeta({ builtIn, openApi }: ServedResource): OpenApiSchema {
  if (builtIn) return openApi;
  const given = isObject(openApi['properties']) ? openApi['properties'] : {};
  const metadata = reference(metadataName, 'Name, labels, annotations and the like.');
  return {
    ...openApi,
    properties: { apiVersion: apiVersionField, kind: kindField, ...given, metadata },
  };
}

function listSchema(name: string): OpenApiSchema {
  return {
    type: 'object',
    required: ['items'],
    properties: {
      apiVersion: apiVersionField,
      kind: kindField,
      metadata: reference(listMetaName, 'Version of the list, and where it continues.'),
      items: { type: 'array', items: { allOf: [{ $ref: `${v3Prefix}${name}` }], default: {} } },
    },
  };
}

/** What only this program reads is not served. */
function withoutOwnKeys(value: Json): Json {
  if (isArray(value)) return value.map(withoutOwnKeys);
  if (!isObject(value)) return value;
  const out: MutableObject = {};
  for (const [key, inner] of Object.entries(value)) {
    if (!key.startsWith('x-transship-')) put(out, key, withoutOwnKeys(inner));
  }
  return out;
}

function refsOf(value: Json): readonly string[] {
  if (isArray(value)) return value.flatMap(refsOf);
  if (!isObject(value)) return [];
  return Object.entries(value).flatMap(([key, inner]) =>
    key === '$ref' && typeof inner === 'string' && inner.startsWith(v3Prefix)
      ? [inner.slice(v3Prefix.length)]
      : refsOf(inner),
  );
}

interface Operation {
  readonly action: string;
  readonly parameters: readonly string[];
  readonly body: 'object' | 'patch' | 'options' | 'none';
}

const writing = ['dryRun', 'fieldManager', 'fieldValidation'];
const listing =
  'allowWatchBookmarks continue fieldSelector labelSelector limit resourceVersion ' +
  'resourceVersionMatch sendInitialEvents timeoutSeconds watch';
const operations: Readonly<Record<string, Operation>> = {
  list: { action: 'list', parameters: listing.split(' '), body: 'none' },
  post: { action: 'post', parameters: writing, body: 'object' },
  get: { action: 'get', parameters: [], body: 'none' },
  put: { action: 'put', parameters: writing, body: 'object' },
  patch: { action: 'patch', parameters: [...writing, 'force'], body: 'patch' },
  delete: {
    action: 'delete',
    parameters: ['dryRun', 'gracePeriodSeconds', 'orphanDependents', 'propagationPolicy'],
    body: 'options',
  },
};

const integers: ReadonlySet<string> = new Set(['limit', 'timeoutSeconds', 'gracePeriodSeconds']);
const booleans: ReadonlySet<string> = new Set([
  'allowWatchBookmarks',
  'sendInitialEvents',
  'watch',
  'force',
  'orphanDependents',
]);

function parameterType(name: string): string {
  if (integers.has(name)) return 'integer';
  return booleans.has(name) ? 'boolean' : 'string';
}

type Render = (
  operation: Operation,
  inPath: readonly string[],
  resource: ServedResource,
) => JsonObject;

function addPaths(paths: MutableObject, resource: ServedResource, render: Render): void {
  const { group, version, plural, namespaced, subresources } = resource;
  const root = group === '' ? `/api/${version}` : `/apis/${group}/${version}`;
  const scope = namespaced ? `${root}/namespaces/{namespace}` : root;
  const inPath = namespaced ? ['namespace'] : [];
  const make = (names: Readonly<Record<string, string>>, where: readonly string[]): JsonObject =>
    Object.fromEntries(
      Object.entries(names).flatMap(([method, name]) => {
        const operation = operations[name];
        return operation === undefined ? [] : [[method, render(operation, where, resource)]];
      }),
    );
  if (namespaced) put(paths, `${root}/${plural}`, make({ get: 'list' }, []));
  put(paths, `${scope}/${plural}`, make({ get: 'list', post: 'post' }, inPath));
  const one = { get: 'get', put: 'put', patch: 'patch', delete: 'delete' };
  const named = [...inPath, 'name'];
  put(paths, `${scope}/${plural}/{name}`, make(one, named));
  if (!subresources.status) return;
  const { delete: _, ...status } = one;
  put(paths, `${scope}/${plural}/{name}/status`, make(status, named));
}

function gvkOf({ group, version, kind }: ServedResource): JsonObject {
  return { group, version, kind };
}

const patchTypes = ['json-patch+json', 'merge-patch+json', 'apply-patch+yaml'];

function v3Operation(name: string): Render {
  return (operation, inPath, resource) => {
    const isList = operation.action === 'list';
    const schema = { $ref: `${v3Prefix}${isList ? `${name}List` : name}` };
    const types = resource.builtIn ? [...patchTypes, 'strategic-merge-patch+json'] : patchTypes;
    const patches = types.map((type) => [`application/${type}`, { schema: { type: 'object' } }]);
    const bodies: Readonly<Record<Operation['body'], JsonObject | undefined>> = {
      none: undefined,
      object: { '*/*': { schema } },
      options: { '*/*': { schema: { type: 'object' } } },
      patch: Object.fromEntries(patches) as JsonObject,
    };
    const content = bodies[operation.body];
    return {
      parameters: [
        ...inPath.map((at) => ({
          name: at,
          in: 'path',
          required: true,
          schema: { type: 'string' },
        })),
        ...operation.parameters.map((at) => {
          return { name: at, in: 'query', schema: { type: parameterType(at) } };
        }),
      ],
      ...(content === undefined ? {} : { requestBody: { content, required: true } }),
      responses: { 200: { description: 'OK', content: { 'application/json': { schema } } } },
      'x-kubernetes-action': operation.action,
      [gvkKey]: gvkOf(resource),
    };
  };
}

function v2Operation(name: string): Render {
  return (operation, inPath, resource) => {
    const isList = operation.action === 'list';
    const schema = { $ref: `${v2Prefix}${isList ? `${name}List` : name}` };
    const body = { name: 'body', in: 'body', required: true, schema: { type: 'object' } };
    return {
      parameters: [
        ...inPath.map((at) => ({ name: at, in: 'path', required: true, type: 'string' })),
        ...operation.parameters.map((at) => {
          return { name: at, in: 'query', type: parameterType(at) };
        }),
        ...(operation.body === 'none' ? [] : [body]),
      ],
      responses: { 200: { description: 'OK', schema } },
      'x-kubernetes-action': operation.action,
      [gvkKey]: gvkOf(resource),
    };
  };
}

/** Keys of version 3 that version 2 does not know. */
const v3Only: ReadonlySet<string> = new Set(['oneOf', 'anyOf', 'not', 'nullable', 'default']);

function toV2(value: Json): Json {
  if (isArray(value)) return value.map(toV2);
  if (!isObject(value)) return value;
  const out: MutableObject = {};
  for (const [key, inner] of Object.entries(value)) {
    if (key === 'properties' && isObject(inner)) {
      put(out, key, mapValues(inner, toV2));
    } else if (key === '$ref' && typeof inner === 'string') {
      put(out, key, inner.replace(v3Prefix, v2Prefix));
    } else if (key === 'allOf' && isArray(inner)) {
      // A reference with something beside it is written without allOf here.
      const [first] = inner;
      if (isObject(first)) Object.assign(out, toV2(first));
    } else if (!v3Only.has(key)) put(out, key, toV2(inner));
  }
  return out;
}

function mapValues(object: JsonObject, change: (value: Json) => Json): JsonObject {
  const out: MutableObject = {};
  for (const [key, value] of Object.entries(object)) put(out, key, change(value));
  return out;
}
