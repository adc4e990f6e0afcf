/**
 * What whoever installs, joins and uninstalls must be allowed, when it is not an administrator of
 * the cluster: deploy/installer.yaml, and docs/reference/rights.md.
 *
 * `escalate` and `bind` let it grant the controllers rights that it does not have. They are
 * limited to our roles, but who may write what a role grants can grant anything: such an account
 * is to be guarded like an administrator.
 */
import type { KubeObject } from '../../kube/objects.ts';
import { migrateRole } from '../../workload/ours.ts';
import {
  controllerRole,
  editRole,
  monitoringGroup,
  peerRole,
  type Rule,
  rule,
  storageClassName,
  viewRole,
} from '../installation.ts';
import { driver } from '../labels.ts';
import { namespaceObject } from './bundle.ts';
import { partOf, systemNamespace } from './names.ts';

export const installerRole = 'transship-installer';

const rbac = 'rbac.authorization.k8s.io';
const apply = ['get', 'create', 'patch'] as const;
const own = [...apply, 'delete'] as const;

const named = (one: Rule, ...resourceNames: readonly string[]): Rule => ({ ...one, resourceNames });

/** In the whole cluster. */
export const installerRules: readonly Rule[] = [
  rule('apiextensions.k8s.io', ['customresourcedefinitions'], [...own, 'list']),
  rule('transship.dev', ['*'], [...own, 'list']),
  named(rule('', ['namespaces'], own), systemNamespace),
  named(
    rule(rbac, ['clusterroles'], [...own, 'escalate', 'bind']),
    controllerRole,
    peerRole,
    migrateRole,
    viewRole,
    editRole,
  ),
  rule(rbac, ['clusterroles'], ['list']),
  // Those of hubs are named after them.
  rule(rbac, ['clusterrolebindings'], [...own, 'list']),
  named(rule('storage.k8s.io', ['storageclasses'], own), storageClassName),
  named(rule('storage.k8s.io', ['csidrivers'], own), driver),
  rule('storage.k8s.io', ['storageclasses', 'csidrivers'], ['list']),
  // Nothing is uninstalled while claims need it; `--delete-volumes` deletes them.
  rule('', ['persistentvolumes'], ['get', 'list', 'patch', 'delete']),
  rule('', ['persistentvolumeclaims'], ['get', 'delete']),
];

/** In the namespace of the installation. */
export const installerSystemRules: readonly Rule[] = [
  rule('', ['serviceaccounts', 'services'], apply),
  // Accounts of hubs, and kubeconfigs and tokens of clusters that are joined.
  rule('', ['secrets'], apply),
  rule('apps', ['deployments', 'daemonsets'], own),
  named(rule(rbac, ['roles'], [...apply, 'escalate', 'bind']), controllerRole),
  named(rule(rbac, ['rolebindings'], apply), controllerRole),
  rule('networking.k8s.io', ['networkpolicies'], apply),
  rule(monitoringGroup, ['servicemonitors'], apply),
  rule('', ['pods'], ['get', 'list']),
  // A token for joining is made in the pod of an agent.
  rule('', ['pods/exec'], ['get', 'create']),
  rule('', ['pods/log'], ['get']),
];

/** For an administrator to apply once, and to bind to whoever installs. */
export function installerObjects(): readonly KubeObject[] {
  // What is part of the installation goes with it; these rights take it away, and stay.
  const labels = { 'app.kubernetes.io/name': partOf['app.kubernetes.io/name'] };
  const apiVersion = `${rbac}/v1`;
  const everywhere = { name: installerRole, labels };
  const inSystem = { ...everywhere, namespace: systemNamespace };
  return [
    namespaceObject(),
    { apiVersion, kind: 'ClusterRole', metadata: everywhere, rules: installerRules } as KubeObject,
    { apiVersion, kind: 'Role', metadata: inSystem, rules: installerSystemRules } as KubeObject,
  ];
}
