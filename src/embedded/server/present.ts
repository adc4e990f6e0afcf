/** Stored objects as texts in the version that was asked for. */
import type { JsonObject } from '../schema/api.ts';
import { withMeta } from './json.ts';
import { fromStorage, isSameVersion, type Resource } from './registry.ts';
import type { Entry, Store, StoreEvent } from './store.ts';

/** Is the stored text what is to be sent, byte for byte? */
function isAsStored(resource: Resource, entry: Entry): boolean {
  return isSameVersion(resource) && entry.version > resource.reshapedAt;
}

export function objectOf(store: Store, resource: Resource, entry: Entry): JsonObject {
  return inVersion(resource, store.read(entry), entry.version);
}

/** An object of the store, in the version that was asked for, in its newest shape. */
export function inVersion(resource: Resource, object: JsonObject, version: number): JsonObject {
  const shown = fromStorage(resource, object);
  const isOld = version <= resource.reshapedAt && isSameVersion(resource);
  return isOld ? resource.served.schema.prepare(shown).object : shown;
}

export function textOf(store: Store, resource: Resource, entry: Entry): string {
  if (isAsStored(resource, entry)) return entry.text ?? '{}';
  return JSON.stringify(objectOf(store, resource, entry));
}

/** The last state of what an event deleted, at the version of its deletion. */
export function deletedObject(store: Store, resource: Resource, event: StoreEvent): JsonObject {
  const last = event.before === undefined ? {} : objectOf(store, resource, event.before);
  return withMeta(last, { resourceVersion: String(event.version) });
}
