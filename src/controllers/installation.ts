/**
 * What Transship puts into a cluster before any controller runs, beside the CRDs: its namespace,
 * the rights it asks for (the least that work: docs/reference/rights.md), its storage class.
 * Embedded clusters apply it at every start; charts and `transship install` use the same.
 */
import type { KubeObject } from '../kube/objects.ts';
import { migrateRole } from '../workload/ours.ts';
import { agentSecret, controllerSecret } from './agents/certificates.ts';
import { controllerAccount, partOf as labels, systemNamespace } from './installation/names.ts';

export { controllerAccount, systemNamespace };
export const controllerRole = 'transship-controller';
export const peerRole = 'transship-peer';
export const viewRole = 'transship-view';
export const editRole = 'transship-edit';
export const storageClassName = 'transship';
export const provisioner = 'transship.dev';

/** Of the operator that makes ServiceMonitors mean something. */
export const monitoringGroup = 'monitoring.coreos.com';
const group = 'transship.dev';
const rbac = 'rbac.authorization.k8s.io/v1';

const look = ['get', 'list', 'watch'] as const;
const change = [...look, 'create', 'update', 'patch', 'delete'] as const;

export interface Rule {
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly verbs: readonly string[];
  readonly resourceNames?: readonly string[];
}

export function rule(
  apiGroup: string,
  resources: readonly string[],
  verbs: readonly string[],
): Rule {
  return { apiGroups: [apiGroup], resources, verbs };
}

/** Rules of the controller in its own cluster. */
export const controllerRules: readonly Rule[] = [
  rule(group, ['*'], change),
  rule('', ['persistentvolumeclaims', 'persistentvolumes'], change),
  rule('', ['persistentvolumeclaims/status', 'persistentvolumes/status'], ['update', 'patch']),
  rule('', ['namespaces', 'nodes', 'pods'], look),
  rule('storage.k8s.io', ['storageclasses', 'csidrivers', 'csinodes', 'volumeattachments'], look),
  rule('storage.k8s.io', ['volumeattributesclasses'], ['get']),
  rule('storage.k8s.io', ['volumeattachments/status'], ['patch']),
  rule('snapshot.storage.k8s.io', ['volumesnapshots', 'volumesnapshotclasses'], look),
  rule('apiextensions.k8s.io', ['customresourcedefinitions'], look),
  rule('events.k8s.io', ['events'], ['create', 'patch']),
];

/** Rules of the controller inside its namespace only. */
export const controllerSystemRules: readonly Rule[] = [
  rule('coordination.k8s.io', ['leases'], ['get', 'create', 'update', 'patch']),
  // Passwords of repositories are made here.
  rule('', ['secrets'], [...look, 'create']),
  // Certificates of agents are renewed.
  {
    ...rule('', ['secrets'], ['patch']),
    resourceNames: [controllerSecret, agentSecret],
  },
  rule('policy', ['poddisruptionbudgets'], ['get', 'create', 'patch', 'delete']),
];

/** What the hub of another cluster may do here: bring volumes, and the claims they are for. */
export const peerRules: readonly Rule[] = [
  rule(group, ['volumes'], change),
  rule(group, ['clusters', 'historypolicies', 'pools'], look),
  rule('', ['persistentvolumeclaims', 'persistentvolumes'], change),
  rule('', ['namespaces', 'nodes'], look),
  rule('storage.k8s.io', ['storageclasses', 'volumeattachments'], look),
];

export { migrateRole };

/**
 * What moving namespaces takes: their objects are of any kind, so no list of kinds would do. It is
 * bound only where that was asked for: everywhere, or by whoever administers a cluster in single
 * namespaces. Plans say what is missing elsewhere.
 */
export const migrateRules: readonly Rule[] = [rule('*', ['*'], change)];

const hubKinds = [
  'teleports',
  'plans',
  'migrations',
  'volumetransfers',
  'imagetransfers',
  'hooks',
  'replications',
] as const;

export interface Granting {
  /** Binds `transship-migrate` for all namespaces. */
  readonly migrations: boolean;
}

export interface InstallationOptions extends Granting {
  /** Makes `transship` the class of claims that name none. */
  readonly defaultClass: boolean;
}

export function installationObjects(options: InstallationOptions): readonly KubeObject[] {
  return [
    {
      apiVersion: 'v1',
      kind: 'Namespace',
      metadata: {
        name: systemNamespace,
        labels: { ...labels, 'pod-security.kubernetes.io/enforce': 'restricted' },
      },
    },
    ...accessObjects(),
    ...(options.migrations ? [migrateBinding()] : []),
    storageClass(options.defaultClass),
  ];
}

/** Accounts and rights of every installation. */
export function accessObjects(): readonly KubeObject[] {
  return [
    serviceAccount(controllerAccount),
    ...clusterRole(controllerRole, controllerRules),
    bindCluster(controllerRole, controllerRole, controllerAccount),
    ...systemRole(controllerRole, controllerSystemRules),
    ...clusterRole(peerRole, peerRules),
    ...clusterRole(migrateRole, migrateRules),
    ...clusterRole(viewRole, [rule(group, ['*'], look)], {
      'rbac.authorization.k8s.io/aggregate-to-view': 'true',
    }),
    ...clusterRole(editRole, [rule(group, hubKinds, change)], {
      'rbac.authorization.k8s.io/aggregate-to-edit': 'true',
    }),
  ];
}

/** The controllers may move namespaces, everywhere in their cluster. */
export function migrateBinding(): KubeObject {
  return bindCluster(migrateRole, migrateRole, controllerAccount);
}

/** The account with which the hub of cluster `peer` comes here, its binding, and its token. */
export function peerObjects(peer: string, { migrations }: Granting): readonly KubeObject[] {
  const name = peerAccount(peer);
  return [
    serviceAccount(name),
    bindCluster(`transship-peer-${peer}`, peerRole, name),
    ...(migrations ? [bindCluster(`${migrateRole}-${peer}`, migrateRole, name)] : []),
    {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: {
        name,
        namespace: systemNamespace,
        labels,
        annotations: { 'kubernetes.io/service-account.name': name },
      },
      type: 'kubernetes.io/service-account-token',
    } as KubeObject,
  ];
}

export function peerAccount(peer: string): string {
  return `peer-${peer}`;
}

export function serviceAccount(name: string): KubeObject {
  const metadata = { name, namespace: systemNamespace, labels };
  return { apiVersion: 'v1', kind: 'ServiceAccount', metadata };
}

function clusterRole(
  name: string,
  rules: readonly Rule[],
  extraLabels: Readonly<Record<string, string>> = {},
): readonly KubeObject[] {
  const metadata = { name, labels: { ...labels, ...extraLabels } };
  return [{ apiVersion: rbac, kind: 'ClusterRole', metadata, rules } as KubeObject];
}

function bindCluster(name: string, role: string, account: string): KubeObject {
  return {
    apiVersion: rbac,
    kind: 'ClusterRoleBinding',
    metadata: { name, labels },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: role },
    subjects: [{ kind: 'ServiceAccount', name: account, namespace: systemNamespace }],
  } as KubeObject;
}

function systemRole(name: string, rules: readonly Rule[]): readonly KubeObject[] {
  const metadata = { name, namespace: systemNamespace, labels };
  return [
    { apiVersion: rbac, kind: 'Role', metadata, rules } as KubeObject,
    {
      apiVersion: rbac,
      kind: 'RoleBinding',
      metadata,
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name },
      subjects: [{ kind: 'ServiceAccount', name: controllerAccount, namespace: systemNamespace }],
    } as KubeObject,
  ];
}

export function storageClass(isDefault: boolean): KubeObject {
  const annotations = { 'storageclass.kubernetes.io/is-default-class': 'true' };
  return {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name: storageClassName, labels, ...(isDefault ? { annotations } : {}) },
    provisioner,
    parameters: { type: 'ext4', blockSize: '64Ki' },
    reclaimPolicy: 'Delete',
    volumeBindingMode: 'Immediate',
    allowVolumeExpansion: true,
  } as KubeObject;
}
