// Which built-in kinds are served, and under which names.

export interface BuiltInKind {
  /** Of `data.json`: `core.Pod`. */
  readonly name: string;
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly namespaced: boolean;
  readonly status: boolean;
  readonly scale: boolean;
}

/**
 * Package of data.json, group and version; then a line per kind: plural, kind, `n` namespaced or
 * `c` cluster-wide, short names, and `+` words: `status`, `scale`, `all` (category).
 */
const table: readonly (readonly [string, string, string, string])[] = [
  [
    'core',
    '',
    'v1',
    `configmaps ConfigMap n cm
     endpoints Endpoints n ep
     events Event n ev
     limitranges LimitRange n limits
     namespaces Namespace c ns +status
     nodes Node c no +status
     persistentvolumeclaims PersistentVolumeClaim n pvc +status
     persistentvolumes PersistentVolume c pv +status
     pods Pod n po +status +all
     podtemplates PodTemplate n
     replicationcontrollers ReplicationController n rc +status +scale +all
     resourcequotas ResourceQuota n quota +status
     secrets Secret n
     serviceaccounts ServiceAccount n sa
     services Service n svc +status +all`,
  ],
  [
    'apps',
    'apps',
    'v1',
    `controllerrevisions ControllerRevision n
     daemonsets DaemonSet n ds +status +all
     deployments Deployment n deploy +status +scale +all
     replicasets ReplicaSet n rs +status +scale +all
     statefulsets StatefulSet n sts +status +scale +all`,
  ],
  [
    'batch',
    'batch',
    'v1',
    `cronjobs CronJob n cj +status +all
     jobs Job n +status +all`,
  ],
  [
    'storage',
    'storage.k8s.io',
    'v1',
    `csidrivers CSIDriver c
     csinodes CSINode c
     csistoragecapacities CSIStorageCapacity n
     storageclasses StorageClass c sc
     volumeattachments VolumeAttachment c +status
     volumeattributesclasses VolumeAttributesClass c vac`,
  ],
  [
    'rbac',
    'rbac.authorization.k8s.io',
    'v1',
    `clusterrolebindings ClusterRoleBinding c
     clusterroles ClusterRole c
     rolebindings RoleBinding n
     roles Role n`,
  ],
  ['coordination', 'coordination.k8s.io', 'v1', 'leases Lease n'],
  ['events', 'events.k8s.io', 'v1', 'events Event n ev'],
  [
    'networking',
    'networking.k8s.io',
    'v1',
    `ingressclasses IngressClass c
     ingresses Ingress n ing +status
     networkpolicies NetworkPolicy n netpol`,
  ],
  ['policy', 'policy', 'v1', 'poddisruptionbudgets PodDisruptionBudget n pdb +status'],
  [
    'autoscalingv2',
    'autoscaling',
    'v2',
    'horizontalpodautoscalers HorizontalPodAutoscaler n hpa +status +all',
  ],
  ['scheduling', 'scheduling.k8s.io', 'v1', 'priorityclasses PriorityClass c pc'],
  ['discovery', 'discovery.k8s.io', 'v1', 'endpointslices EndpointSlice n'],
  [
    'apiextensions',
    'apiextensions.k8s.io',
    'v1',
    'customresourcedefinitions CustomResourceDefinition c crd,crds +status +api-extensions',
  ],
];

export const builtInKinds: readonly BuiltInKind[] = table.flatMap(([pack, group, version, lines]) =>
  lines.split('\n').map((line) => {
    const [plural = '', kind = '', scope, ...rest] = line.trim().split(' ');
    const names = rest.find((word) => !word.startsWith('+'));
    const flags = rest.filter((word) => word.startsWith('+')).map((word) => word.slice(1));
    return {
      name: `${pack}.${kind}`,
      group,
      version,
      plural,
      kind,
      shortNames: names?.split(',') ?? [],
      categories: flags.filter((flag) => flag !== 'status' && flag !== 'scale'),
      namespaced: scope === 'n',
      status: flags.includes('status'),
      scale: flags.includes('scale'),
    };
  }),
);
