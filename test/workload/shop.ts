// A namespace as people have them, and two API servers in memory to move it between.
import type { SchemaLibrary } from '../../src/embedded/schema/api.ts';
import { createApiServer } from '../../src/embedded/server/server.ts';
import {
  admin,
  countingRandom,
  MemoryPersistence,
  TestClock,
} from '../../src/embedded/server/testing.ts';
import type { KubeClient } from '../../src/kube/api.ts';
import { createKubeClient } from '../../src/kube/client.ts';
import { createDiscovery, type Discovery, type ServedResource } from '../../src/kube/discovery.ts';
import type { KubeObject } from '../../src/kube/objects.ts';

const silent = { log: () => undefined };

export function startServer(library: SchemaLibrary, cluster: string): KubeClient {
  const clock = new TestClock();
  // Uids of two clusters must differ.
  const random = countingRandom();
  random.bytes(cluster.length * 100);
  const server = createApiServer({
    clock,
    random,
    log: silent,
    library,
    persistence: new MemoryPersistence(),
  });
  return createKubeClient({
    cluster,
    transport: (request) => server.handle(request, admin),
    clock,
    random: countingRandom(),
    log: silent,
    fieldManager: 'test',
  });
}

const discoveries = new WeakMap<KubeClient, Discovery>();

/** Any kind, found by discovery; with its status where it has one. */
export async function put(client: KubeClient, object: object): Promise<KubeObject> {
  const { apiVersion, kind, status } = object as KubeObject & { status?: object };
  const [version, group = ''] = apiVersion.split('/').toReversed();
  const discovery = discoveries.get(client) ?? createDiscovery(client);
  discoveries.set(client, discovery);
  const find = async (): Promise<ServedResource | undefined> =>
    (await discovery.resources()).find(
      (one) => one.group === group && one.version === version && one.kind === kind,
    );
  let found = await find();
  if (found === undefined) {
    // Its definition may be new.
    discovery.forget();
    found = await find();
  }
  if (found === undefined) throw new Error(`${apiVersion} ${kind} is not served`);
  const made = await client.create(found, object as KubeObject);
  if (status === undefined) return made;
  const { name = '', namespace = '' } = made.metadata;
  return client.patchStatus(found, { name, namespace }, { status });
}

const namespace = 'shop';
const app = { app: 'shop' };
const mount = { name: 'data', mountPath: '/data' };

/** `uid` of an owner is filled in by whoever puts these. */
export function ownedBy(owner: KubeObject): object {
  const { apiVersion, kind, metadata } = owner;
  const { name, uid } = metadata;
  return { ownerReferences: [{ apiVersion, kind, name, uid, controller: true }] };
}

export const widgets = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: 'widgets.acme.example.com' },
  spec: {
    group: 'acme.example.com',
    scope: 'Namespaced',
    names: { plural: 'widgets', kind: 'Widget', singular: 'widget', listKind: 'WidgetList' },
    versions: [
      {
        name: 'v1',
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: 'object',
            properties: {
              spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
            },
          },
        },
      },
    ],
  },
};

const template = {
  metadata: { labels: app },
  spec: {
    serviceAccountName: 'seller',
    priorityClassName: 'gold',
    imagePullSecrets: [{ name: 'pull' }],
    initContainers: [{ name: 'prepare', image: 'busybox' }],
    containers: [
      {
        name: 'web',
        image: 'registry.old.example.com:5000/shop/web:1.2',
        env: [
          { name: 'DATABASE', value: 'postgres://database.shop.svc.cluster.local:5432/shop' },
          { name: 'KEY', valueFrom: { secretKeyRef: { name: 'keys', key: 'web' } } },
        ],
        envFrom: [{ configMapRef: { name: 'settings' } }],
      },
    ],
    volumes: [{ name: 'lost', secret: { secretName: 'never-made' } }],
  },
};

export const outside: readonly object[] = [
  {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name: 'fast' },
    provisioner: 'disk.example.com',
  },
  {
    apiVersion: 'scheduling.k8s.io/v1',
    kind: 'PriorityClass',
    metadata: { name: 'gold' },
    value: 1000,
  },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRole',
    metadata: { name: 'node-viewer' },
    rules: [{ verbs: ['get'], apiGroups: [''], resources: ['nodes'] }],
  },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'ClusterRoleBinding',
    metadata: { name: 'sellers-view-nodes' },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'node-viewer' },
    subjects: [{ kind: 'ServiceAccount', name: 'seller', namespace }],
  },
  widgets,
];

export const inside: readonly object[] = [
  { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'seller', namespace } },
  {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'settings', namespace },
    data: { a: '1' },
  },
  {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'kube-root-ca.crt', namespace },
    data: { 'ca.crt': 'x' },
  },
  {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'keys', namespace },
    data: { web: 'eA==' },
  },
  { apiVersion: 'v1', kind: 'Secret', metadata: { name: 'pull', namespace }, data: {} },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'RoleBinding',
    metadata: { name: 'sellers', namespace },
    roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'selling' },
    subjects: [{ kind: 'ServiceAccount', name: 'seller', namespace }],
  },
  {
    apiVersion: 'rbac.authorization.k8s.io/v1',
    kind: 'Role',
    metadata: { name: 'selling', namespace },
    rules: [{ verbs: ['get'], apiGroups: [''], resources: ['configmaps'] }],
  },
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace },
    spec: { type: 'NodePort', selector: app, ports: [{ port: 80, nodePort: 30080 }] },
  },
  {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'database', namespace },
    spec: { clusterIP: 'None', selector: { app: 'database' }, ports: [{ port: 5432 }] },
  },
  {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: { name: 'web', namespace },
    subsets: [{ addresses: [{ ip: '10.0.0.1' }], ports: [{ port: 80 }] }],
  },
  {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'Ingress',
    metadata: { name: 'front', namespace },
    spec: {
      ingressClassName: 'nginx',
      rules: [
        {
          host: 'shop.old.example.com',
          http: {
            paths: [
              {
                path: '/',
                pathType: 'Prefix',
                backend: { service: { name: 'web', port: { number: 80 } } },
              },
            ],
          },
        },
      ],
    },
  },
  {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'database', namespace },
    spec: {
      serviceName: 'database',
      replicas: 1,
      selector: { matchLabels: { app: 'database' } },
      template: {
        metadata: { labels: { app: 'database' } },
        spec: { containers: [{ name: 'postgres', image: 'postgres:17', volumeMounts: [mount] }] },
      },
      volumeClaimTemplates: [
        {
          metadata: { name: 'data' },
          spec: {
            accessModes: ['ReadWriteOnce'],
            storageClassName: 'fast',
            resources: { requests: { storage: '1Gi' } },
          },
        },
      ],
    },
  },
  {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name: 'data-database-0', namespace },
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'fast',
      volumeName: 'pv-1',
      resources: { requests: { storage: '1Gi' } },
    },
  },
  {
    apiVersion: 'batch/v1',
    kind: 'CronJob',
    metadata: { name: 'nightly', namespace },
    spec: {
      schedule: '0 3 * * *',
      jobTemplate: {
        spec: {
          template: {
            spec: {
              restartPolicy: 'Never',
              containers: [{ name: 'dump', image: 'postgres:17' }],
              volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data-database-0' } }],
            },
          },
        },
      },
    },
  },
  {
    apiVersion: 'acme.example.com/v1',
    kind: 'Widget',
    metadata: { name: 'first', namespace, finalizers: ['acme.example.com/hold'] },
    spec: { targetRef: { kind: 'Service', name: 'web', namespace } },
  },
];

export const deployment = {
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace, labels: app },
  spec: { replicas: 2, selector: { matchLabels: app }, template },
};

/** All of it, and what controllers would have made by now. */
export async function fillShop(client: KubeClient): Promise<void> {
  await put(client, { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } });
  for (const object of outside) await put(client, object);
  for (const object of inside) await put(client, object).catch(unlessThere);
  const web = await put(client, deployment);
  const replicaSet = await put(client, {
    apiVersion: 'apps/v1',
    kind: 'ReplicaSet',
    metadata: { name: 'web-1', namespace, ...ownedBy(web) },
    spec: { replicas: 2, selector: { matchLabels: app }, template },
  });
  const pod = { metadata: { name: 'web-1-a', namespace, labels: app, ...ownedBy(replicaSet) } };
  const { metadata: _own, ...rest } = template;
  await put(client, { apiVersion: 'v1', kind: 'Pod', ...pod, ...rest });
  await put(client, {
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name: 'pv-1' },
    spec: {
      capacity: { storage: '1Gi' },
      accessModes: ['ReadWriteOnce'],
      storageClassName: 'fast',
      csi: { driver: 'disk.example.com', volumeHandle: 'disk-1' },
      claimRef: { namespace, name: 'data-database-0' },
    },
  });
  await put(client, {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'migrate-schema', namespace },
    spec: {
      template: {
        spec: { restartPolicy: 'Never', containers: [{ name: 'x', image: 'postgres:17' }] },
      },
    },
    status: {
      startTime: '2026-01-01T00:00:00Z',
      completionTime: '2026-01-01T00:01:00Z',
      succeeded: 1,
      conditions: [
        { type: 'SuccessCriteriaMet', status: 'True' },
        { type: 'Complete', status: 'True' },
      ],
    },
  });
}

/** Some servers make the certificates of a namespace by themselves. */
function unlessThere(error: unknown): void {
  if ((error as { reason?: string }).reason !== 'AlreadyExists') throw error;
}

export async function gather<T>(all: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const one of all) list.push(one);
  return list;
}
