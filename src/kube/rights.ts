/** Who may do what: where rules are, and the fields we use (see `resources.ts`). */
import type { KubeObject } from './objects.ts';
import { clusterWide, namespaced } from './type-of.ts';

export interface PolicyRule {
  readonly verbs: readonly string[];
  readonly apiGroups?: readonly string[];
  readonly resources?: readonly string[];
  readonly resourceNames?: readonly string[];
  readonly nonResourceURLs?: readonly string[];
}

/** A `Role`, or a `ClusterRole`. */
export interface Role extends KubeObject {
  readonly rules?: readonly PolicyRule[];
}

/** A `RoleBinding`, or a `ClusterRoleBinding`. */
export interface RoleBinding extends KubeObject {
  readonly roleRef: { readonly apiGroup: string; readonly kind: string; readonly name: string };
  readonly subjects?: readonly {
    readonly apiGroup?: string;
    readonly kind: string;
    readonly name: string;
    readonly namespace?: string;
  }[];
}

const api = 'rbac.authorization.k8s.io/v1';

export const roles = namespaced<Role>(api, 'roles', 'Role');
export const roleBindings = namespaced<RoleBinding>(api, 'rolebindings', 'RoleBinding');
export const clusterRoles = clusterWide<Role>(api, 'clusterroles', 'ClusterRole');
export const clusterRoleBindings = clusterWide<RoleBinding>(
  api,
  'clusterrolebindings',
  'ClusterRoleBinding',
);
