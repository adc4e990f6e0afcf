/** Applies an installation to a cluster; running it again changes nothing. */
import { assert } from '../base/errors.ts';
import type { KubeClient } from '../kube/api.ts';
import { apiVersionOf, keyOf, type KubeObject, type ResourceType } from '../kube/objects.ts';
import {
  customResourceDefinitions,
  namespaces,
  secrets,
  serviceAccounts,
  services,
  storageClasses,
} from '../kube/resources.ts';
import { daemonSets, deployments } from '../kube/workloads.ts';
import { monitoringGroup } from './installation.ts';

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
  services,
  deployments,
  daemonSets,
  {
    group: monitoringGroup,
    version: 'v1',
    plural: 'servicemonitors',
    kind: 'ServiceMonitor',
    namespaced: true,
  },
  {
    group: 'storage.k8s.io',
    version: 'v1',
    plural: 'csidrivers',
    kind: 'CSIDriver',
    namespaced: false,
  },
  {
    group: 'networking.k8s.io',
    version: 'v1',
    plural: 'networkpolicies',
    kind: 'NetworkPolicy',
    namespaced: true,
  },
];

/** Of all that installations consist of, for whoever removes it. */
export const installedTypes: readonly ResourceType[] = types;

function typeOf(object: KubeObject): ResourceType {
  const { kind, apiVersion } = object;
  const found = types.find((type) => type.kind === kind && apiVersionOf(type) === apiVersion);
  assert(found !== undefined, `an installation has no ${kind}`);
  return found;
}

export type Applied = 'created' | 'configured' | 'unchanged';

/** What became of it. `Forbidden` names the right that is missing. */
export async function applyObject(client: KubeClient, object: KubeObject): Promise<Applied> {
  const type = typeOf(object);
  const before = await client.get(type, keyOf(object));
  const after = await client.apply(type, object);
  if (before === undefined) return 'created';
  const isSame = before.metadata.resourceVersion === after.metadata.resourceVersion;
  return isSame ? 'unchanged' : 'configured';
}

/** In the given order; the namespace of an object must come before it. */
export async function applyObjects(
  client: KubeClient,
  objects: readonly KubeObject[],
): Promise<void> {
  for (const object of objects) await client.apply(typeOf(object), object);
}
