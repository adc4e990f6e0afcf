/** What a new cluster begins with. */
import type { JsonObject } from '../schema/api.ts';
import { type Kernel, timeText, uuid } from './kernel.ts';
import { firstBindings, type FirstRole, firstRoles } from './bootstrap-roles.ts';
import { namespaceKey } from './namespaces.ts';
import { clusterRoleCollection, rbacGroup } from './rbac.ts';
import type { Draft } from './store.ts';

const firstNamespaces = ['default', 'kube-system', 'kube-public', 'kube-node-lease'] as const;

/** Stores what is missing, in one commit. */
export function bootstrap(kernel: Kernel): void {
  const namespaces: readonly Draft[] = firstNamespaces.map((name) => ({
    key: namespaceKey(name),
    object: namespaceObject(kernel, name),
  }));
  const roles: readonly Draft[] = firstRoles.map((role) => ({
    key: `${clusterRoleCollection}/${role.name}`,
    object: roleObject(kernel, role),
  }));
  const bindings: readonly Draft[] = firstBindings.map(([role, group]) => ({
    key: `/${rbacGroup}/clusterrolebindings//${role}`,
    object: bindingObject(kernel, role, group),
  }));
  const all = [...namespaces, ...roles, ...bindings];
  kernel.store.commit(all.filter(({ key }) => kernel.store.get(key) === undefined));
}

const bootstrapLabels: JsonObject = { 'kubernetes.io/bootstrapping': 'rbac-defaults' };

function firstMeta(kernel: Kernel, name: string, labels: JsonObject): JsonObject {
  return { name, uid: uuid(kernel.random), creationTimestamp: timeText(kernel.clock), labels };
}

function roleObject(kernel: Kernel, role: FirstRole): JsonObject {
  const selector = { matchLabels: { [role.aggregates ?? '']: 'true' } };
  return {
    apiVersion: `${rbacGroup}/v1`,
    kind: 'ClusterRole',
    metadata: firstMeta(kernel, role.name, { ...bootstrapLabels, ...role.labels }),
    ...(role.aggregates === undefined
      ? {}
      : { aggregationRule: { clusterRoleSelectors: [selector] } }),
    rules: role.rules,
  };
}

function bindingObject(kernel: Kernel, role: string, group: string): JsonObject {
  return {
    apiVersion: `${rbacGroup}/v1`,
    kind: 'ClusterRoleBinding',
    metadata: firstMeta(kernel, role, bootstrapLabels),
    roleRef: { apiGroup: rbacGroup, kind: 'ClusterRole', name: role },
    subjects: [{ apiGroup: rbacGroup, kind: 'Group', name: group }],
  };
}

function namespaceObject(kernel: Kernel, name: string): JsonObject {
  return {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: firstMeta(kernel, name, { 'kubernetes.io/metadata.name': name }),
    spec: { finalizers: ['kubernetes'] },
    status: { phase: 'Active' },
  };
}
