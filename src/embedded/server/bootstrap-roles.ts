/** The roles that every cluster has (Kubernetes RBAC, "Default roles and role bindings"). */
import type { JsonObject } from '../schema/api.ts';
import { rbacGroup } from './rbac.ts';

const readVerbs = ['get', 'list', 'watch'];
const writeVerbs = ['create', 'delete', 'deletecollection', 'patch', 'update'];

/** What users of a namespace see, by group. Secrets and roles are not among it. */
const viewable: Readonly<Record<string, readonly string[]>> = {
  '': [
    'bindings',
    'configmaps',
    'endpoints',
    'events',
    'limitranges',
    'namespaces',
    'namespaces/status',
    'persistentvolumeclaims',
    'persistentvolumeclaims/status',
    'pods',
    'pods/log',
    'pods/status',
    'replicationcontrollers',
    'replicationcontrollers/scale',
    'replicationcontrollers/status',
    'resourcequotas',
    'resourcequotas/status',
    'serviceaccounts',
    'services',
    'services/status',
  ],
  apps: [
    'controllerrevisions',
    'daemonsets',
    'daemonsets/status',
    'deployments',
    'deployments/scale',
    'deployments/status',
    'replicasets',
    'replicasets/scale',
    'replicasets/status',
    'statefulsets',
    'statefulsets/scale',
    'statefulsets/status',
  ],
  autoscaling: ['horizontalpodautoscalers', 'horizontalpodautoscalers/status'],
  batch: ['cronjobs', 'cronjobs/status', 'jobs', 'jobs/status'],
  'discovery.k8s.io': ['endpointslices'],
  'networking.k8s.io': ['ingresses', 'ingresses/status', 'networkpolicies'],
  policy: ['poddisruptionbudgets', 'poddisruptionbudgets/status'],
};

const editable: Readonly<Record<string, readonly string[]>> = {
  '': [
    'configmaps',
    'events',
    'persistentvolumeclaims',
    'pods',
    'pods/attach',
    'pods/eviction',
    'pods/exec',
    'pods/portforward',
    'replicationcontrollers',
    'replicationcontrollers/scale',
    'secrets',
    'serviceaccounts',
    'serviceaccounts/token',
    'services',
  ],
  apps: [
    'daemonsets',
    'deployments',
    'deployments/rollback',
    'deployments/scale',
    'replicasets',
    'replicasets/scale',
    'statefulsets',
    'statefulsets/scale',
  ],
  autoscaling: ['horizontalpodautoscalers'],
  batch: ['cronjobs', 'jobs'],
  'networking.k8s.io': ['ingresses', 'networkpolicies'],
  policy: ['poddisruptionbudgets'],
};

const discoveryUrls = [
  '/api',
  '/api/*',
  '/apis',
  '/apis/*',
  '/healthz',
  '/livez',
  '/openapi',
  '/openapi/*',
  '/readyz',
  '/version',
  '/version/',
];

function rules(
  table: Readonly<Record<string, readonly string[]>>,
  verbs: readonly string[],
): readonly JsonObject[] {
  return Object.entries(table).map(([group, resources]) => {
    return { apiGroups: [group], resources, verbs };
  });
}

export interface FirstRole {
  readonly name: string;
  readonly labels?: JsonObject;
  readonly rules: readonly JsonObject[];
  /** The label of the roles whose rules it takes over. */
  readonly aggregates?: string;
}

const toView = `${rbacGroup}/aggregate-to-view`;
const toEdit = `${rbacGroup}/aggregate-to-edit`;
const toAdmin = `${rbacGroup}/aggregate-to-admin`;

export const firstRoles: readonly FirstRole[] = [
  {
    name: 'cluster-admin',
    rules: [
      { apiGroups: ['*'], resources: ['*'], verbs: ['*'] },
      { nonResourceURLs: ['*'], verbs: ['*'] },
    ],
  },
  {
    name: 'system:discovery',
    rules: [{ nonResourceURLs: discoveryUrls, verbs: ['get'] }],
  },
  {
    name: 'system:basic-user',
    rules: [
      {
        apiGroups: ['authorization.k8s.io'],
        resources: ['selfsubjectaccessreviews', 'selfsubjectrulesreviews'],
        verbs: ['create'],
      },
      {
        apiGroups: ['authentication.k8s.io'],
        resources: ['selfsubjectreviews'],
        verbs: ['create'],
      },
    ],
  },
  { name: 'admin', rules: [], aggregates: toAdmin },
  { name: 'edit', labels: { [toAdmin]: 'true' }, rules: [], aggregates: toEdit },
  { name: 'view', labels: { [toEdit]: 'true' }, rules: [], aggregates: toView },
  {
    name: 'system:aggregate-to-view',
    labels: { [toView]: 'true' },
    rules: rules(viewable, readVerbs),
  },
  {
    name: 'system:aggregate-to-edit',
    labels: { [toEdit]: 'true' },
    rules: [
      ...rules(editable, writeVerbs),
      { apiGroups: [''], resources: ['secrets'], verbs: readVerbs },
      { apiGroups: [''], resources: ['serviceaccounts'], verbs: ['impersonate'] },
    ],
  },
  {
    name: 'system:aggregate-to-admin',
    labels: { [toAdmin]: 'true' },
    rules: [
      {
        apiGroups: [rbacGroup],
        resources: ['rolebindings', 'roles'],
        verbs: [...readVerbs, ...writeVerbs],
      },
      {
        apiGroups: ['authorization.k8s.io'],
        resources: ['localsubjectaccessreviews'],
        verbs: ['create'],
      },
    ],
  },
];

/** Role, then the group that has it in the whole cluster. */
export const firstBindings: readonly (readonly [string, string])[] = [
  ['cluster-admin', 'system:masters'],
  ['system:discovery', 'system:authenticated'],
  ['system:basic-user', 'system:authenticated'],
];
