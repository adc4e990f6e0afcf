/**
 * CustomResourceDefinitions: what they declare is served from the moment they are stored, and the
 * objects go when their definition goes (apiextensions.k8s.io/v1).
 */
import type { FieldError, Json, JsonObject, SchemaLibrary } from '../schema/api.ts';
import { nameOf, objectAt, objectsAt, sameJson, textAt, textsAt } from './json.ts';
import { timeText } from './kernel.ts';
import type { Call } from './kernel.ts';
import { invalidValue } from './metadata.ts';
import type { Registry } from './registry.ts';
import { isDeleting } from './registry.ts';
import { invalid, methodNotAllowed } from './status.ts';
import type { Store } from './store.ts';

export const definitionCollection = '/apiextensions.k8s.io/customresourcedefinitions/';
export const definitionKind = 'apiextensions.k8s.io/customresourcedefinitions';
export const cleanupFinalizer = 'customresourcecleanup.apiextensions.k8s.io';

/** A definition with the status that says it is served, or what is wrong with it. */
export function admitDefinition(
  call: Call,
  object: JsonObject,
  live: JsonObject | undefined,
): JsonObject {
  const { kernel } = call;
  const spec = objectAt(object, 'spec');
  const names = objectAt(spec, 'names');
  const found = kernel.library.ofDefinition(object);
  const errors: FieldError[] = 'errors' in found ? [...found.errors] : [];
  const expected = `${textAt(names, 'plural')}.${textAt(spec, 'group')}`;
  if (nameOf(object) !== expected) {
    const why = 'must be spec.names.plural+"."+spec.group';
    errors.push(invalidValue('metadata.name', nameOf(object), why));
  }
  errors.push(...changedErrors(spec, live));
  if (errors.length > 0) throw invalid(call.resource.served, nameOf(object), errors);
  return { ...object, status: statusOf(call, object, live) };
}

function changedErrors(spec: JsonObject, live: JsonObject | undefined): FieldError[] {
  if (live === undefined) return [];
  const before = objectAt(live, 'spec');
  const errors: FieldError[] = [];
  for (const key of ['group', 'scope']) {
    if (sameJson(spec[key], before[key])) continue;
    errors.push(invalidValue(`spec.${key}`, spec[key] ?? null, 'field is immutable'));
  }
  for (const key of ['plural', 'kind']) {
    const value = objectAt(spec, 'names')[key];
    if (sameJson(value, objectAt(before, 'names')[key])) continue;
    errors.push(invalidValue(`spec.names.${key}`, value ?? null, 'field is immutable'));
  }
  return errors;
}

function statusOf(call: Call, object: JsonObject, live: JsonObject | undefined): JsonObject {
  const spec = objectAt(object, 'spec');
  const storage = objectsAt(spec, 'versions').find((version) => version['storage'] === true);
  const before = objectAt(live, 'status');
  const stored = textsAt(before, 'storedVersions');
  const given = textsAt(objectAt(object, 'status'), 'storedVersions');
  const kept = live === undefined || given.length === 0 ? stored : given;
  const conditions = [
    condition(call, before, {
      type: 'NamesAccepted',
      reason: 'NoConflicts',
      message: 'no conflicts found',
    }),
    condition(call, before, {
      type: 'Established',
      reason: 'InitialNamesAccepted',
      message: 'the initial names have been accepted',
    }),
  ];
  return {
    conditions: isDeleting(object) ? [...conditions, terminating(call, before)] : conditions,
    acceptedNames: objectAt(spec, 'names'),
    storedVersions: [...new Set([...kept, textAt(storage, 'name')])],
  };
}

function terminating(call: Call, before: JsonObject): Json {
  return condition(call, before, {
    type: 'Terminating',
    reason: 'InstanceDeletionInProgress',
    message: 'CustomResource deletion is in progress',
  });
}

interface ConditionText {
  readonly type: string;
  readonly reason: string;
  readonly message: string;
}

function condition(call: Call, before: JsonObject, text: ConditionText): JsonObject {
  const known = objectsAt(before, 'conditions').find((item) => item['type'] === text.type);
  const since = textAt(known, 'lastTransitionTime');
  const lastTransitionTime = since === '' ? timeText(call.kernel.clock) : since;
  return { ...text, status: 'True', lastTransitionTime };
}

/** Throws while the objects of the definition are being deleted, or it would never be over. */
export function requireLastingDefinition({ kernel, resource }: Call): void {
  const { plural, group } = resource.served;
  const crd = kernel.store.getObject(`${definitionCollection}/${plural}.${group}`);
  if (!isDeleting(crd)) return;
  throw methodNotAllowed('create not allowed while custom resource definition is terminating');
}

/** Keeps the registry equal to the definitions in the store, from now on. */
export function serveDefinitions(store: Store, registry: Registry, library: SchemaLibrary): void {
  const groups = new Map<string, string>();
  const specs = new Map<string, JsonObject>();
  let isFirst = true;
  const sync = (): void => {
    const seen = new Set<string>();
    for (const entry of store.list({ prefix: definitionCollection })) {
      const crd = store.read(entry);
      const name = nameOf(crd);
      seen.add(name);
      const spec = objectAt(crd, 'spec');
      if (sameJson(specs.get(name), spec)) continue;
      const versions = library.ofDefinition(crd);
      if ('errors' in versions) continue;
      // What is stored may be of any schema before this one.
      const isNew = !specs.has(name) && !isFirst;
      registry.set(versions, isNew ? 0 : store.version);
      specs.set(name, spec);
      groups.set(name, textAt(spec, 'group'));
    }
    for (const [name, group] of groups) {
      if (seen.has(name)) continue;
      registry.remove(group, name.slice(0, name.indexOf('.')));
      groups.delete(name);
      specs.delete(name);
    }
    isFirst = false;
  };
  store.onCommit(definitionCollection, sync);
  sync();
}
