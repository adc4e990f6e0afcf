/** A namespace that moves: workloads of many kinds, and a database whose rows prove themselves. */
import type { KubeObject } from '../../kube/objects.ts';

/** Where pods of it see their claim, if they can; the variable is there always. */
const mountPath = '/run/transship-shop';
const grace = { terminationGracePeriodSeconds: 2 };
const node = ['env', 'NODE_NO_WARNINGS=1', process.execPath, '-e'];

/** Writes a row every few milliseconds, each durable before the next, until it is told to end. */
const writer = `
  const { DatabaseSync } = require('node:sqlite');
  const base = new DatabaseSync(process.env.TRANSSHIP_MOUNT_DATA + '/shop.sqlite');
  base.exec('pragma synchronous = extra');
  base.exec('create table if not exists orders (id integer primary key, cluster text, sum text)');
  process.on('SIGTERM', () => { base.close(); process.exit(0); });
  const sum = (id, at) => require('node:crypto').createHash('sha256').update(id + at).digest('hex');
  let { id } = base.prepare('select coalesce(max(id), 0) as id from orders').get();
  const at = process.env.CLUSTER;
  setInterval(() => {
    id += 1;
    base.prepare('insert into orders values (?, ?, ?)').run(id, at, sum(id, at));
    console.log(id);
  }, 25);
`;

const reader = `
  const { DatabaseSync } = require('node:sqlite');
  const base = new DatabaseSync(process.env.TRANSSHIP_MOUNT_DATA + '/shop.sqlite');
  const hash = (text) => require('node:crypto').createHash('sha256').update(text).digest('hex');
  const rows = base.prepare('select id, cluster, sum from orders order by id').all();
  const isSound = base.prepare('pragma integrity_check').get().integrity_check === 'ok' &&
    rows.every((row, at) => row.id === at + 1 && row.sum === hash(row.id + row.cluster));
  const clusters = {};
  for (const { cluster } of rows) clusters[cluster] = (clusters[cluster] ?? 0) + 1;
  base.close();
  console.log(JSON.stringify({ rows: rows.length, isSound, clusters }));
`;

/** What the rows of the database say, every one checked. */
export interface Rows {
  readonly rows: number;
  readonly isSound: boolean;
  /** How many were written by a pod with that name of a cluster in its environment. */
  readonly clusters: Readonly<Record<string, number>>;
}

function template(app: string, container: object, more: object = {}): object {
  return {
    metadata: { labels: { app } },
    spec: {
      ...grace,
      automountServiceAccountToken: false,
      containers: [{ name: 'main', image: 'host', ...container }],
      ...more,
    },
  };
}

const idle = { command: ['sleep', '100000'] };

export interface ShopWish {
  readonly namespace: string;
  readonly storageClass: string;
  /** Of the pods of `web`. */
  readonly image?: string;
}

/** In the order in which they are made; the namespace itself is not among them. */
export function shopObjects(wish: ShopWish): readonly KubeObject[] {
  const { namespace, storageClass, image = 'host' } = wish;
  const named = (apiVersion: string, kind: string, name: string, rest: object) =>
    ({ apiVersion, kind, metadata: { namespace, name }, ...rest }) as KubeObject;
  const selector = (app: string) => ({ selector: { matchLabels: { app } } });
  const cluster = {
    name: 'CLUSTER',
    valueFrom: { configMapKeyRef: { name: 'settings', key: 'cluster' } },
  };
  const claim = (name: string) => ({
    metadata: { name },
    spec: {
      storageClassName: storageClass,
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: '64Mi' } },
    },
  });
  return [
    named('v1', 'ServiceAccount', 'shop', {}),
    named('v1', 'ConfigMap', 'settings', { data: { cluster: 'east', greeting: 'hello' } }),
    named('v1', 'Secret', 'password', { stringData: { password: 'a secret of the shop' } }),
    named('v1', 'Service', 'db', {
      spec: { clusterIP: 'None', selector: { app: 'db' }, ports: [{ port: 5432 }] },
    }),
    named('v1', 'Service', 'web', { spec: { selector: { app: 'web' }, ports: [{ port: 80 }] } }),
    named('apps/v1', 'StatefulSet', 'db', {
      spec: {
        replicas: 1,
        serviceName: 'db',
        ...selector('db'),
        volumeClaimTemplates: [claim('data')],
        template: template('db', {
          command: [...node, writer],
          env: [cluster],
          volumeMounts: [{ name: 'data', mountPath }],
        }),
      },
    }),
    named('apps/v1', 'Deployment', 'web', {
      spec: { replicas: 2, ...selector('web'), template: template('web', { ...idle, image }) },
    }),
    named('batch/v1', 'CronJob', 'nightly', {
      spec: {
        schedule: '0 3 * * *',
        jobTemplate: {
          spec: { template: template('nightly', idle, { restartPolicy: 'Never' }) },
        },
      },
    }),
  ];
}

/** Prints `Rows` and ends; for when no writer runs. */
export function readerPod(namespace: string): KubeObject {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace, name: 'reader' },
    spec: {
      ...grace,
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      containers: [
        {
          name: 'main',
          image: 'host',
          command: [...node, reader],
          volumeMounts: [{ name: 'data', mountPath }],
        },
      ],
      volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data-db-0' } }],
    },
  } as KubeObject;
}

/** A patch of a plan: rows tell where they were written. */
export const namesDestination = {
  kind: 'ConfigMap',
  name: 'settings',
  patch: JSON.stringify([{ op: 'replace', path: '/data/cluster', value: 'west' }]),
} as const;
