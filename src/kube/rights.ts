/** Who may do what: where rules are, and the fields we use (see `resources.ts`). */
import type { KubeObject, ResourceType } from './objects.ts';

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

const rights = { group: 'rbac.authorization.k8s.io', version: 'v1' };

export const roles: ResourceType<Role> = {
  ...rights,
  plural: 'roles',
  kind: 'Role',
  namespaced: true,
};

export const roleBindings: ResourceType<RoleBinding> = {
  ...rights,
  plural: 'rolebindings',
  kind: 'RoleBinding',
  namespaced: true,
};

export const clusterRoles: ResourceType<Role> = {
  ...rights,
  plural: 'clusterroles',
  kind: 'ClusterRole',
  namespaced: false,
};

export const clusterRoleBindings: ResourceType<RoleBinding> = {
  ...rights,
  plural: 'clusterrolebindings',
  kind: 'ClusterRoleBinding',
  namespaced: false,
};
