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
  const complete = completed(object);
  const spec = objectAt(complete, 'spec');
  const found = kernel.library.ofDefinition(complete);
  const errors: FieldError[] = 'errors' in found ? [...found.errors] : [];
  errors.push(...changedErrors(spec, live));
  if (errors.length > 0) throw invalid(call.resource.served, nameOf(object), errors);
  return { ...complete, status: statusOf(call, complete, live) };
}

/** With the names and the conversion that follow from what is there. */
function completed(object: JsonObject): JsonObject {
  const spec = objectAt(object, 'spec');
  const names = objectAt(spec, 'names');
  const kind = textAt(names, 'kind');
  return {
    ...object,
    spec: {
      ...spec,
      conversion: spec['conversion'] ?? { strategy: 'None' },
      names: {
        ...names,
        singular: textAt(names, 'singular') || kind.toLowerCase(),
        listKind: textAt(names, 'listKind') || `${kind}List`,
      },
    },
  };
}

interface NameConflict {
  readonly reason: string;
  readonly message: string;
}

/** A name that another definition of the group was given before. */
function nameConflict(call: Call, object: JsonObject): NameConflict | undefined {
  const { store } = call.kernel;
  const group = textAt(objectAt(object, 'spec'), 'group');
  const others = [...store.list({ prefix: definitionCollection })]
    .map((entry) => store.read(entry))
    .filter((other) => nameOf(other) !== nameOf(object))
    .filter((other) => textAt(objectAt(other, 'spec'), 'group') === group)
    .map((other) => objectAt(objectAt(other, 'status'), 'acceptedNames'));
  const words = new Set(others.flatMap((names) => resourceWords(names)));
  const kinds = new Set(others.flatMap((names) => kindWords(names)));
  const own = objectAt(objectAt(object, 'spec'), 'names');
  const checks: readonly (readonly [string, readonly string[], ReadonlySet<string>])[] = [
    ['PluralNameConflict', [textAt(own, 'plural')], words],
    ['SingularNameConflict', [textAt(own, 'singular')], words],
    ['ShortNamesConflict', textsAt(own, 'shortNames'), words],
    ['KindConflict', [textAt(own, 'kind')], kinds],
    ['ListKindConflict', [textAt(own, 'listKind')], kinds],
  ];
  for (const [reason, names, taken] of checks) {
    const name = names.find((one) => one !== '' && taken.has(one));
    if (name !== undefined) return { reason, message: `"${name}" is already in use` };
  }
  return undefined;
}

function resourceWords(names: JsonObject): readonly string[] {
  return [textAt(names, 'plural'), textAt(names, 'singular'), ...textsAt(names, 'shortNames')];
}

function kindWords(names: JsonObject): readonly string[] {
  return [textAt(names, 'kind'), textAt(names, 'listKind')];
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
  const trouble = nameConflict(call, object);
  const conditions = [
    condition(call, before, { type: 'NamesAccepted', ...(trouble ?? noConflict) }),
    condition(call, before, { type: 'Established', ...established(trouble === undefined) }),
  ].map((one, i) => (trouble === undefined || (i === 1 && wasServed(before)) ? one : refused(one)));
  return {
    conditions: isDeleting(object) ? [...conditions, terminating(call, before)] : conditions,
    acceptedNames: trouble === undefined ? objectAt(spec, 'names') : noNames,
    storedVersions: [...new Set([...kept, textAt(storage, 'name')])],
  };
}

const noConflict = { reason: 'NoConflicts', message: 'no conflicts found' } as const;
const noNames: JsonObject = { plural: '', kind: '' };

function established(isAccepted: boolean): NameConflict {
  return isAccepted
    ? { reason: 'InitialNamesAccepted', message: 'the initial names have been accepted' }
    : { reason: 'NotAccepted', message: 'not all names are accepted' };
}

function refused(condition: JsonObject): JsonObject {
  return { ...condition, status: 'False' };
}

function wasServed(status: JsonObject): boolean {
  return objectsAt(status, 'conditions').some(
    (one) => one['type'] === 'Established' && one['status'] === 'True',
  );
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

const pluralOf = (name: string): string => name.slice(0, name.indexOf('.'));

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
      if (sameJson(specs.get(name), spec) || !wasServed(objectAt(crd, 'status'))) continue;
      const versions = library.ofDefinition(crd);
      if ('errors' in versions) continue;
      // What is stored may be of any schema before this one.
      const isNew = !specs.has(name) && !isFirst;
      registry.set(versions, isNew ? 0 : store.version);
      // Watches cannot begin before there was anything to watch.
      if (isNew) store.forgetBefore(`/${textAt(spec, 'group')}/${pluralOf(name)}/`);
      specs.set(name, spec);
      groups.set(name, textAt(spec, 'group'));
    }
    for (const [name, group] of groups) {
      if (seen.has(name)) continue;
      registry.remove(group, pluralOf(name));
      groups.delete(name);
      specs.delete(name);
    }
    isFirst = false;
  };
  store.onCommit(definitionCollection, sync);
  sync();
}
