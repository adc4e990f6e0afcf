/** Applies an installation to a cluster; running it again changes nothing. */
import { assert } from '../base/errors.ts';
import type { KubeClient } from '../kube/api.ts';
import { apiVersionOf, type KubeObject, type ResourceType } from '../kube/objects.ts';
import {
  customResourceDefinitions,
  namespaces,
  secrets,
  serviceAccounts,
  storageClasses,
} from '../kube/resources.ts';

const rbac = { group: 'rbac.authorization.k8s.io', version: 'v1' } as const;

/** Of what installations consist of. */
const types: readonly ResourceType[] = [
  customResourceDefinitions,
  namespaces,
  secrets,
  serviceAccounts,
  storageClasses,
  { ...rbac, plural: 'clusterroles', kind: 'ClusterRole', namespaced: false },
  { ...rbac, plural: 'clusterrolebindings', kind: 'ClusterRoleBinding', namespaced: false },
  { ...rbac, plural: 'roles', kind: 'Role', namespaced: true },
  { ...rbac, plural: 'rolebindings', kind: 'RoleBinding', namespaced: true },
];

function typeOf(object: KubeObject): ResourceType {
  const { kind, apiVersion } = object;
  const found = types.find((type) => type.kind === kind && apiVersionOf(type) === apiVersion);
  assert(found !== undefined, `an installation has no ${kind}`);
  return found;
}

/** In the given order; the namespace of an object must come before it. */
export async function applyObjects(
  client: KubeClient,
  objects: readonly KubeObject[],
): Promise<void> {
  for (const object of objects) await client.apply(typeOf(object), object);
}
