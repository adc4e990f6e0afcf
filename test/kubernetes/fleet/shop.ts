/** An application that moves: workloads of many kinds, and a database whose rows prove themselves. */
import assert from 'node:assert/strict';
import { pods } from '../../../src/embedded/runtime/kinds/pods.ts';
import { createDiscovery } from '../../../src/kube/discovery.ts';
import { cronJobs } from '../../../src/kube/jobs.ts';
import { type KubeObject, keyOf } from '../../../src/kube/objects.ts';
import { namespaces } from '../../../src/kube/resources.ts';
import { deployments, statefulSets } from '../../../src/kube/workloads.ts';
import type { FleetContext } from './context.ts';
import type { Member } from './member.ts';

const grace = { terminationGracePeriodSeconds: 2 };

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

const node = ['env', 'NODE_NO_WARNINGS=1', process.execPath, '-e'];

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
}

/** In the order in which they are made. */
export function shopObjects({ namespace, storageClass }: ShopWish): readonly KubeObject[] {
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
          volumeMounts: [{ name: 'data', mountPath: '/transship-test-shop' }],
        }),
      },
    }),
    named('apps/v1', 'Deployment', 'web', {
      spec: { replicas: 2, ...selector('web'), template: template('web', idle) },
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

/** Its namespace: only the source has it, so that a migration makes it at the destination. */
export function shopOf({ namespace }: FleetContext): string {
  return `${namespace}-shop`;
}

/** Made, and writing. */
export async function makeShop(t: FleetContext, at: Member, storageClass: string): Promise<void> {
  await at.client.create(namespaces, { metadata: { name: shopOf(t) } });
  const served = await createDiscovery(at.client).resources();
  for (const object of shopObjects({ namespace: shopOf(t), storageClass })) {
    const { apiVersion = '', kind } = object;
    const [version = '', group = ''] = apiVersion.split('/').toReversed();
    const type = served.find((one) => {
      return one.group === group && one.version === version && one.kind === kind;
    });
    assert.ok(type !== undefined, `${apiVersion} ${kind} is served`);
    await at.client.create(type, object);
  }
  await written(t, at, 5);
}

/** Ends every pod of it at both sides, so that nothing of it is mounted any more. */
export async function stopShop(t: FleetContext): Promise<void> {
  const namespace = shopOf(t);
  for (const { client, name } of t.fleet.members) {
    for (const [type, one] of [
      [statefulSets, 'db'],
      [deployments, 'web'],
      [cronJobs, 'nightly'],
    ] as const) {
      const key = { namespace, name: one };
      await client.delete(type, key, { propagation: 'Background' });
    }
    await t.until(`no pod of the shop to be left at ${name}`, async () => {
      let left = 0;
      for await (const pod of client.list(pods, { namespace })) {
        left += 1;
        if (pod.metadata.deletionTimestamp === undefined) await client.delete(pods, keyOf(pod));
      }
      return left === 0 ? true : undefined;
    });
  }
}

/** The last row that the pod said is durable, once there are so many. */
export async function written(t: FleetContext, at: Member, atLeast: number): Promise<number> {
  const path = `/api/v1/namespaces/${shopOf(t)}/pods/db-0/log?tailLines=1`;
  return t.until(`the database at ${at.name} to have ${atLeast} rows`, async () => {
    const id = Number(String(await at.client.request('GET', path)).trim());
    return id >= atLeast ? id : undefined;
  });
}

/** Reads the whole database where no writer runs, in a pod of its own. */
export async function readShop(t: FleetContext, at: Member, namespace: string): Promise<Rows> {
  const key = { namespace, name: 'reader' };
  const container = {
    name: 'main',
    image: 'host',
    command: [...node, reader],
    volumeMounts: [{ name: 'data', mountPath: '/transship-test-shop' }],
  };
  const claimName = 'data-db-0';
  const pod = {
    metadata: key,
    spec: {
      ...grace,
      restartPolicy: 'Never',
      automountServiceAccountToken: false,
      containers: [container],
      volumes: [{ name: 'data', persistentVolumeClaim: { claimName } }],
    },
  };
  await t.until('the reader to be taken', () => at.client.create(pods, pod as never));
  await t.until('the reader to end', async () => {
    const { status } = (await at.client.get(pods, key))!;
    assert.notEqual(status?.phase, 'Failed', `the reader: ${JSON.stringify(status)}`);
    return status?.phase === 'Succeeded' ? true : undefined;
  });
  const path = `/api/v1/namespaces/${namespace}/pods/reader/log`;
  const rows = JSON.parse(String(await at.client.request('GET', path))) as Rows;
  await at.client.delete(pods, key);
  await t.until('the reader to be gone', async () => {
    return (await at.client.get(pods, key)) === undefined ? true : undefined;
  });
  return rows;
}
