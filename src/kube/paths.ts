/** Where the API has what (Kubernetes documentation, "Kubernetes API Concepts"). */
import { fail } from '../base/errors.ts';
import type { ObjectKey, ResourceType } from './objects.ts';

type Place = Pick<ResourceType, 'group' | 'version' | 'plural' | 'namespaced'>;

/** Of all objects of a type, or those of one namespace. */
export function collectionPath(type: Place, namespace: string | undefined): string {
  const root = type.group === '' ? `/api/${type.version}` : `/apis/${type.group}/${type.version}`;
  const scope =
    type.namespaced && namespace !== undefined && namespace !== ''
      ? `/namespaces/${encodeURIComponent(namespace)}`
      : '';
  return `${root}${scope}/${type.plural}`;
}

/** Of one object, or of a sub-resource of it such as `status`. */
export function objectPath(type: Place, key: ObjectKey, subresource?: string): string {
  if (key.name === '') fail('BadArgument', `an object of ${type.plural} needs a name`);
  if (type.namespaced && key.namespace === '') {
    fail('BadArgument', `${type.plural} "${key.name}" needs a namespace`);
  }
  const path = `${collectionPath(type, key.namespace)}/${encodeURIComponent(key.name)}`;
  return subresource === undefined ? path : `${path}/${subresource}`;
}

/** `?a=b&c=d` without what is undefined; empty when nothing is left. */
export function queryText(query: Readonly<Record<string, string | number | undefined>>): string {
  const pairs = Object.entries(query)
    .filter(([, value]) => value !== undefined && value !== '')
    .map(([name, value]) => `${name}=${encodeURIComponent(String(value))}`);
  return pairs.length === 0 ? '' : `?${pairs.join('&')}`;
}

/** `pods`, `deployments.apps`: as RBAC rules and messages name it. */
export function resourceText(type: Pick<ResourceType, 'group' | 'plural'>): string {
  return type.group === '' ? type.plural : `${type.plural}.${type.group}`;
}
