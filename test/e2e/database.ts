/** A database pod: it writes all the time, and says what it has been told is durable. */
import assert from 'node:assert/strict';
import { databaseImage } from './images.ts';
import { until } from './kubectl.ts';
import type { Member } from './member.ts';

export interface Rows {
  readonly rows: number;
  readonly highest: number;
  /** Between two rows that follow each other. */
  readonly longestPauseMs: number;
}

/** A row is acknowledged when its number is printed: SQLite has flushed it by then. */
const writer = `db() { sqlite3 -bail -cmd '.timeout 60000' /data/rows.db "$1"; }
db 'create table if not exists rows (id integer primary key, at real, place text)' &&
while db "insert into rows (at, place)
  values ((julianday('now') - 2440587.5) * 86400000, '$PLACE') returning id"; do sleep 0.05; done
echo FAILED; exit 1`;

const question = `select count(*) || ' ' || max(id) || ' ' || coalesce(cast(max(pause) as int), 0)
  from (select id, at - lag(at) over (order by id) as pause from rows)`;

export function claim(namespace: string, name: string, size = '256Mi') {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    metadata: { name, namespace },
    spec: {
      storageClassName: 'transship',
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: size } },
    },
  };
}

export function databaseContainer(place: string): object {
  return {
    name: 'db',
    image: databaseImage,
    imagePullPolicy: 'Never',
    command: ['sh', '-c', writer],
    env: [{ name: 'PLACE', value: place }],
    volumeMounts: [{ name: 'data', mountPath: '/data' }],
  };
}

export const dataVolume = (claimName: string) => [
  { name: 'data', persistentVolumeClaim: { claimName } },
];

export function databasePod(namespace: string, name: string, place: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace },
    spec: {
      terminationGracePeriodSeconds: 1,
      dnsPolicy: 'Default',
      containers: [databaseContainer(place)],
      volumes: dataVolume('data'),
    },
  };
}

/** The same as an application that is started and stopped: pod `db-0`, with a claim of its own. */
export function databaseSet(namespace: string): object {
  const labels = { app: 'db' };
  const { apiVersion, kind, metadata, spec } = claim(namespace, 'data');
  return {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 'db', namespace },
    spec: {
      serviceName: 'db',
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: {
          terminationGracePeriodSeconds: 1,
          dnsPolicy: 'Default',
          containers: [databaseContainer('shop')],
        },
      },
      volumeClaimTemplates: [{ apiVersion, kind, metadata: { name: metadata.name }, spec }],
    },
  };
}

/** The last row that the pod has said is durable, once there are so many. */
export async function written(at: Member, namespace: string, pod: string, atLeast: number) {
  return until(`${atLeast} rows of ${pod} at ${at.name}`, async () => {
    const line = await at.lastLine(namespace, pod);
    assert.notEqual(line, 'FAILED');
    return Number(line) >= atLeast ? Number(line) : undefined;
  });
}

/** Asks the database, in its own pod. */
export async function rowsOf(at: Member, namespace: string, pod: string): Promise<Rows> {
  const sql = async (text: string): Promise<string> => {
    const ask = ['sqlite3', '-cmd', '.timeout 60000', '/data/rows.db', text];
    return (await at.kubectl('-n', namespace, 'exec', pod, '-c', 'db', '--', ...ask)).trim();
  };
  assert.equal(await sql('pragma integrity_check'), 'ok');
  const [rows, highest, longestPauseMs] = (await sql(question)).split(' ').map(Number);
  return { rows: rows ?? 0, highest: highest ?? 0, longestPauseMs: longestPauseMs ?? 0 };
}
