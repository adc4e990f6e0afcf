/** How objects are named in this folder: by group and kind, because versions differ by cluster. */
import type { KubeObject } from '../kube/objects.ts';

export interface ObjectName {
  /** Empty for the core group. */
  readonly group: string;
  readonly kind: string;
  /** Empty for what has none. */
  readonly namespace: string;
  readonly name: string;
}

export function groupOf(apiVersion: string): string {
  const at = apiVersion.indexOf('/');
  return at < 0 ? '' : apiVersion.slice(0, at);
}

export function versionOf(apiVersion: string): string {
  return apiVersion.slice(apiVersion.indexOf('/') + 1);
}

export function nameOf(object: KubeObject): ObjectName {
  const { namespace = '', name = '' } = object.metadata;
  return { group: groupOf(object.apiVersion), kind: object.kind, namespace, name };
}

/** `apps/Deployment`, `Service`. */
export function kindText({ group, kind }: Pick<ObjectName, 'group' | 'kind'>): string {
  return group === '' ? kind : `${group}/${kind}`;
}

/** For maps; also readable. */
export function nameKey(name: ObjectName): string {
  return `${kindText(name)} ${name.namespace}/${name.name}`;
}

/** As people say it: `Deployment shop/web`. */
export function nameText({ kind, namespace, name }: ObjectName): string {
  return namespace === '' ? `${kind} ${name}` : `${kind} ${namespace}/${name}`;
}

export function compareNames(a: ObjectName, b: ObjectName): number {
  const [left, right] = [nameKey(a), nameKey(b)];
  return left < right ? -1 : left > right ? 1 : 0;
}
