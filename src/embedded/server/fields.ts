/** The fields of a resource that selectors may name (Kubernetes, "Field Selectors"). */
import type { JsonObject, SchemaLibrary, ServedResource } from '../schema/api.ts';
import { isObject } from './json.ts';
import { type FieldReader, type FieldTerm, matchesFields, parseFieldSelector } from './selector.ts';
import { badRequest } from './status.ts';

/** Of an object under a key; the object is only asked for when the key does not say enough. */
export type ObjectSelector = (key: string, object: () => JsonObject) => boolean;

/** Undefined: everything is selected. */
export function fieldSelectorOf(
  text: string,
  resource: ServedResource,
  library: Pick<SchemaLibrary, 'jsonPath'>,
): ObjectSelector | undefined {
  const terms = parseFieldSelector(text);
  if (terms.length === 0) return undefined;
  const known = terms.map((term) => ({ ...term, read: readerOf(term, resource, library) }));
  const ofKey = known.filter(({ path }) => isOfKey(path));
  const ofObject = known.filter(({ path }) => !isOfKey(path));
  return (key, object) => {
    const [name, namespace] = key.split('/').toReversed();
    if (!matchesFields(ofKey, { metadata: { name: name ?? '', namespace: namespace ?? '' } })) {
      return false;
    }
    return ofObject.length === 0 || matchesFields(ofObject, object());
  };
}

const isOfKey = (path: string): boolean =>
  path === 'metadata.name' || path === 'metadata.namespace';

function readerOf(
  { path }: FieldTerm,
  resource: ServedResource,
  library: Pick<SchemaLibrary, 'jsonPath'>,
): FieldReader {
  if (path === 'metadata.name') return plainReader(path);
  if (path === 'metadata.namespace' && (resource.namespaced || resource.builtIn)) {
    return plainReader(path);
  }
  const { selectable } = resource;
  if (resource.builtIn && selectable.includes(path)) {
    return path === 'source' ? plainReader('source.component') : plainReader(path);
  }
  const declared = selectable.find((candidate) => dotless(candidate) === path);
  if (declared === undefined) {
    throw badRequest(
      resource.builtIn && selectable.length === 0
        ? `"${path}" is not a known field selector: only "metadata.name", "metadata.namespace"`
        : `field label not supported: ${path}`,
    );
  }
  return library.jsonPath(declared.startsWith('.') ? declared : `.${declared}`);
}

const dotless = (path: string): string => (path.startsWith('.') ? path.slice(1) : path);

function plainReader(path: string): FieldReader {
  const parts = path.split('.');
  return (object) => {
    let at: unknown = object;
    for (const part of parts) at = isObject(at) ? at[part] : undefined;
    return typeof at === 'string' || typeof at === 'number' || typeof at === 'boolean'
      ? at
      : undefined;
  };
}
