/** Server-side apply, and who owns what after any other change. */
import { fail } from '../../base/errors.ts';
import type {
  ApplyConflict,
  ApplyRequest,
  ApplyResult,
  JsonObject,
  ManagedField,
  TrackRequest,
} from './api.ts';
import { emptySet, type FieldSet, pathText } from './field-set.ts';
import { at, equal, isArray, isObject, textAt, without } from './json.ts';
import { ownedByLastApplied, withLastApplied } from './last-applied.ts';
import {
  type Manager,
  managerKey,
  type Managers,
  readManagers,
  unowned,
  withoutManagedFields,
  withSet,
  writeManagers,
} from './managers.ts';
import type { SchemaNode } from './node.ts';
import { canonicalObject, emptyObject } from './prepare.ts';
import { compare, type Comparison, fieldsOf, merge, remove, withStructures } from './structured.ts';

/** Owns what was there before the first apply. */
const beforeFirstApply = 'before-first-apply';

export function apply(node: SchemaNode, hasStatus: boolean, request: ApplyRequest): ApplyResult {
  const applied = readApplied(node, hasStatus, request);
  const live = request.live === undefined ? emptyObject(node) : withoutManagedFields(request.live);
  const managers = managersBefore(node, live, request);
  const identity = identityOf(request, 'Apply');
  const key = managerKey(identity);
  const last = managers.get(key);
  const named = fieldsOf(node, applied);
  const set = named.difference(unowned);
  const others = new Map(managers);
  others.delete(key);
  const merged = merge(node, live, applied) as JsonObject;
  // With name and kind, which every applied object has: metadata never goes as a whole.
  const all = [...others.values()].reduce((sum, manager) => sum.union(manager.set), named);
  const pruned = prune(node, merged, { last: last?.set ?? emptySet, owned: all });
  const object = withLastApplied(pruned, request);
  const comparison = compare(node, live, pruned);
  const conflicts = request.force
    ? []
    : conflictsOf(others, comparison, ownedByLastApplied(node, request));
  if (conflicts.length > 0) return { conflicts };
  const isSame = request.live !== undefined && equal(live, object);
  const after = new Map(giveUp(others, comparison));
  if (!set.isEmpty) after.set(key, claim(identity, last, { set, isSame, time: request.time }));
  return { object, managed: writeManagers(after) };
}

interface Claim {
  readonly set: FieldSet;
  readonly isSame: boolean;
  readonly time: string;
}

/** The applier's entry: its time is when it last changed anything. */
function claim(
  identity: Omit<Manager, 'time' | 'set'>,
  last: Manager | undefined,
  now: Claim,
): Manager {
  const { set, isSame, time } = now;
  if (
    last !== undefined &&
    isSame &&
    set.equals(last.set) &&
    last.apiVersion === identity.apiVersion
  ) {
    return last;
  }
  // Who only joined what others had changed nothing: there is no time to tell.
  const changed = isSame ? last?.time : time;
  return { ...identity, set, time: changed };
}

function identityOf(
  request: ApplyRequest | TrackRequest,
  operation: Manager['operation'],
): Omit<Manager, 'time' | 'set'> {
  const { manager, apiVersion, subresource } = request;
  return { manager, operation, apiVersion, subresource };
}

/** The applied object as it can be merged: canonical, known fields, without what is not its own. */
function readApplied(node: SchemaNode, hasStatus: boolean, request: ApplyRequest): JsonObject {
  const managed = at(request.applied, 'metadata', 'managedFields');
  if (isArray(managed) && managed.length > 0) fail('Invalid', 'metadata.managedFields must be nil');
  const { object, unknown } = canonicalObject(node, request.applied);
  if (unknown.length > 0) {
    const fields = unknown.map((field) => `.${field}: field not declared in schema`).join('\n');
    const [name = '', namespace = ''] = ['name', 'namespace'].map((key) =>
      textAt(object, 'metadata', key),
    );
    const who = `${namespace}/${name}; ${request.apiVersion}, Kind=${object['kind']}`;
    fail('Invalid', `failed to create typed patch object (${who}): ${fields}`);
  }
  const own = withoutManagedFields(object);
  if (!hasStatus) return own;
  if (request.subresource === undefined) return without(own, 'status');
  if (request.subresource !== 'status') return own;
  const keep = ['apiVersion', 'kind', 'metadata', 'status'];
  return Object.fromEntries(Object.entries(own).filter(([key]) => keep.includes(key)));
}

function managersBefore(node: SchemaNode, live: JsonObject, request: ApplyRequest): Managers {
  if (request.live === undefined) return new Map();
  const entries = at(request.live, 'metadata', 'managedFields');
  const managers = readManagers(entries) ?? new Map<string, Manager>();
  if (managers.size > 0) return managers;
  const { apiVersion, time } = request;
  const first: Manager = {
    manager: beforeFirstApply,
    operation: 'Update',
    apiVersion,
    subresource: undefined,
    time,
    // As if it had been written by one update.
    set: compare(node, emptyObject(node), live).added.difference(unowned),
  };
  return first.set.isEmpty ? managers : new Map([[managerKey(first), first]]);
}

/** Takes out what this applier had applied, does no more, and nobody else owns. */
function prune(
  node: SchemaNode,
  merged: JsonObject,
  sets: { readonly last: FieldSet; readonly owned: FieldSet },
): JsonObject {
  if (sets.last.isEmpty) return merged;
  const last = withStructures(node, sets.last);
  const owned = withStructures(node, sets.owned);
  const all = withStructures(node, fieldsOf(node, merged));
  const bare = remove(node, merged, last);
  const gone = all.difference(withStructures(node, fieldsOf(node, bare)));
  // Only what the applier had itself: not what others have below it, nor what nobody claims.
  return remove(node, merged, gone.difference(owned).intersection(last)) as JsonObject;
}

/** Others that own what would change; nobody when all of it was the applier's before. */
function conflictsOf(
  others: Managers,
  comparison: Comparison,
  allowed: FieldSet,
): readonly ApplyConflict[] {
  const changed = comparison.modified.union(comparison.added);
  const owned = [...others.values()].reduce((sum, { set }) => sum.union(set), emptySet);
  if (owned.intersection(changed).difference(allowed).isEmpty) return [];
  return [...others.values()].flatMap(({ manager, operation, subresource, set, ...rest }) => {
    // An applier owns fields in every version.
    const apiVersion = operation === 'Apply' ? '' : rest.apiVersion;
    return [...set.intersection(changed).paths()].map((path) => {
      return { manager, field: pathText(path), apiVersion, subresource };
    });
  });
}

/** The others without what was changed under them or is no longer there. */
function giveUp(managers: Managers, comparison: Comparison): Managers {
  const lost = comparison.modified.union(comparison.added).union(comparison.removed);
  if (lost.isEmpty) return managers;
  const after = new Map<string, Manager>();
  for (const [key, manager] of managers) {
    const set = manager.set.difference(lost);
    if (!set.isEmpty) after.set(key, withSet(manager, set, manager.time));
  }
  return after;
}

/** `[]` and `[{}]` ask for managedFields to be forgotten. */
function isReset(entries: JsonObject[string] | undefined): boolean {
  if (!isArray(entries)) return false;
  const [first] = entries;
  return entries.length === 0 || (entries.length === 1 && equal(first, {}));
}

/** Fields that only the sub-resource writes are not tracked with the object. */
function tracked(
  object: JsonObject,
  hasStatus: boolean,
  subresource: string | undefined,
): JsonObject {
  const bare = withoutManagedFields(object);
  return hasStatus && subresource === undefined ? without(bare, 'status') : bare;
}

export interface TrackRules {
  readonly hasStatus: boolean;
  /** Fields that the server sets when an object is made: nobody's. */
  readonly unowned: FieldSet;
}

export function track(
  node: SchemaNode,
  { hasStatus, unowned: ofServer }: TrackRules,
  request: TrackRequest,
): readonly ManagedField[] {
  const { before } = request;
  const given = at(request.now, 'metadata', 'managedFields');
  if (before !== undefined && isReset(given)) return [];
  const managers = managersOf(request);
  // An object that nobody tracked stays so until somebody applies it.
  if (before !== undefined && managers.size === 0) return [];
  const view = (object: JsonObject): JsonObject => tracked(object, hasStatus, request.subresource);
  const comparison = compare(node, view(before ?? emptyObject(node)), view(request.now));
  const identity = identityOf(request, 'Update');
  const key = managerKey(identity);
  const mine = managers.get(key);
  const after = new Map(giveUp(managers, comparison));
  const changed = comparison.modified.union(comparison.added).difference(unowned);
  const taken = before === undefined ? changed.difference(ofServer) : changed;
  if (!taken.isEmpty) {
    const set = taken.union((mine?.set ?? emptySet).difference(comparison.removed));
    after.set(key, { ...identity, set, time: request.time });
  }
  return writeManagers(after);
}

/** A request may change managedFields (kubectl does, on the way to server-side apply). */
function managersOf(request: TrackRequest): Managers {
  const given = at(request.now, 'metadata', 'managedFields');
  const managers = isArray(given) && given.every(isObject) ? readManagers(given) : undefined;
  if (managers !== undefined && managers.size > 0) return managers;
  return readManagers(at(request.before, 'metadata', 'managedFields')) ?? new Map();
}
