/** Entries of `metadata.managedFields`, decoded: who owns which fields, since when. */
import type { Json, JsonObject, ManagedField } from './api.ts';
import { type FieldSet, emptySet, readFieldsV1, setOfPaths, writeFieldsV1 } from './field-set.ts';
import { at, isArray, isObject, textAt } from './json.ts';

/** Entries of updates beyond this become one (Kubernetes: maxUpdateManagers). */
const updateManagersMax = 10;
const ancientManager = 'ancient-changes';

export interface Manager {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  readonly apiVersion: string;
  readonly subresource: string | undefined;
  readonly time: string | undefined;
  readonly set: FieldSet;
  /** The entry it was read from, given back when nothing changed. */
  readonly source?: ManagedField;
}

export type Managers = ReadonlyMap<string, Manager>;

/** What the server keeps belongs to nobody. */
export const unowned: FieldSet = setOfPaths([
  ['apiVersion'],
  ['kind'],
  ['metadata'],
  ['metadata', 'name'],
  ['metadata', 'namespace'],
  ['metadata', 'creationTimestamp'],
  ['metadata', 'selfLink'],
  ['metadata', 'uid'],
  ['metadata', 'clusterName'],
  ['metadata', 'generation'],
  ['metadata', 'managedFields'],
  ['metadata', 'resourceVersion'],
]);

/** An applier is the same in every version; an updater is one per version. */
export function managerKey(manager: Omit<Manager, 'time' | 'set'>): string {
  const version = manager.operation === 'Apply' ? '' : manager.apiVersion;
  return JSON.stringify([manager.manager, manager.operation, manager.subresource ?? '', version]);
}

/** Of `metadata.managedFields`; undefined when an entry cannot be read. */
export function readManagers(entries: Json | undefined): Managers | undefined {
  const managers = new Map<string, Manager>();
  if (!isArray(entries)) return managers;
  for (const entry of entries) {
    const manager = readManager(entry);
    if (manager === undefined) return undefined;
    managers.set(managerKey(manager), manager);
  }
  return managers;
}

function readManager(entry: Json): Manager | undefined {
  if (!isObject(entry)) return undefined;
  const operation = textAt(entry, 'operation');
  if (operation !== 'Apply' && operation !== 'Update') return undefined;
  const set = readFieldsV1(at(entry, 'fieldsV1')) ?? emptySet;
  return {
    manager: textAt(entry, 'manager') ?? '',
    operation,
    apiVersion: textAt(entry, 'apiVersion') ?? '',
    subresource: textAt(entry, 'subresource'),
    time: textAt(entry, 'time'),
    set,
    source: entry as unknown as ManagedField,
  };
}

export function writeManagers(managers: Managers): readonly ManagedField[] {
  return [...capped(managers)].sort(inOrder).map(writeManager);
}

function writeManager(manager: Manager): ManagedField {
  if (manager.source !== undefined) return manager.source;
  const { time, subresource } = manager;
  return {
    manager: manager.manager,
    operation: manager.operation,
    apiVersion: manager.apiVersion,
    ...(time === undefined ? {} : { time }),
    fieldsType: 'FieldsV1',
    fieldsV1: writeFieldsV1(manager.set),
    ...(subresource === undefined ? {} : { subresource }),
  };
}

/** The oldest updaters of a version become one entry. */
function capped(managers: Managers): readonly Manager[] {
  const all = [...managers.values()];
  const updaters = all.filter((manager) => manager.operation === 'Update').sort(inOrder);
  const surplus = updaters.length - updateManagersMax;
  if (surplus <= 0) return all;
  const merged = new Map<string, Manager>();
  // One more than the surplus: what they become takes a place too.
  const oldest = new Set(updaters.slice(0, surplus + 1));
  for (const { source: _, ...manager } of oldest) {
    const before = merged.get(manager.apiVersion);
    const set = manager.set.union(before?.set ?? emptySet);
    merged.set(manager.apiVersion, {
      ...manager,
      manager: ancientManager,
      subresource: undefined,
      set,
    });
  }
  return [...all.filter((manager) => !oldest.has(manager)), ...merged.values()];
}

function inOrder(a: Manager, b: Manager): number {
  const parts = (manager: Manager): readonly string[] => [
    manager.operation,
    manager.time ?? '',
    manager.manager,
    manager.apiVersion,
    manager.subresource ?? '',
  ];
  const [left, right] = [parts(a), parts(b)];
  const i = left.findIndex((part, n) => part !== right[n]);
  if (i < 0) return 0;
  return (left[i] ?? '') < (right[i] ?? '') ? -1 : 1;
}

/** The manager with another set; itself when that is the same. */
export function withSet(manager: Manager, set: FieldSet, time: string | undefined): Manager {
  if (set.equals(manager.set) && time === manager.time) return manager;
  const { source: _, ...rest } = manager;
  return { ...rest, set, time };
}

export function withoutManagedFields(object: JsonObject): JsonObject {
  const metadata = object['metadata'];
  if (!isObject(metadata) || metadata['managedFields'] === undefined) return object;
  const { managedFields: _, ...rest } = metadata;
  return { ...object, metadata: rest };
}
