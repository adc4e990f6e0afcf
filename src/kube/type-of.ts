/** Where objects of a kind are found, in short. */
import type { KubeObject, ResourceType } from './objects.ts';

/** A namespaced type, from `apps/v1`, `deployments`, `Deployment`. */
export function namespaced<T extends KubeObject>(
  apiVersion: string,
  plural: string,
  kind: string,
): ResourceType<T> {
  return { ...split(apiVersion), plural, kind, namespaced: true };
}

export function clusterWide<T extends KubeObject>(
  apiVersion: string,
  plural: string,
  kind: string,
): ResourceType<T> {
  return { ...split(apiVersion), plural, kind, namespaced: false };
}

function split(apiVersion: string): { readonly group: string; readonly version: string } {
  const at = apiVersion.indexOf('/');
  return { group: apiVersion.slice(0, Math.max(0, at)), version: apiVersion.slice(at + 1) };
}
