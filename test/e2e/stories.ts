/** What users of real clusters do, in this order: each story goes on where the last one ended. */
import assert from 'node:assert/strict';
import { systemNamespace } from '../../src/controllers/installation.ts';
import { claim, databasePod, dataVolume, rowsOf, written } from './database.ts';
import { databaseImage } from './images.ts';
import { until } from './kubectl.ts';
import type { Report } from './report.ts';
import type { World } from './world.ts';

export interface Story {
  readonly name: string;
  readonly tell: (world: World, report: Report) => Promise<void>;
}

const namespace = 'bank';

function namespaceObject(name: string): object {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
}

async function writes({ east }: World, report: Report): Promise<void> {
  await east.apply(namespaceObject(namespace), claim(namespace, 'data'));
  await report.time('from a claim and a pod to the first rows', async () => {
    await east.apply(databasePod(namespace, 'db', 'east'));
    await written(east, namespace, 'db', 1);
  });
  await written(east, namespace, 'db', 30);
  const { rows, highest } = await rowsOf(east, namespace, 'db');
  assert.equal(rows, highest);
}

async function agentKilled({ east }: World, report: Report): Promise<void> {
  const place = { namespace: systemNamespace, pod: await east.podOf('agent'), container: 'agent' };
  const before = await written(east, namespace, 'db', 1);
  await report.time('kill -9 of an agent to the next one', () => east.killContainer(place));
  await written(east, namespace, 'db', before + 20);
  const { rows, highest, longestPauseMs } = await rowsOf(east, namespace, 'db');
  assert.equal(rows, highest);
  report.note('longest pause of the database over it', longestPauseMs);
}

/** As an upgrade does it: the pod goes, with its driver, and another one comes. */
async function agentReplaced({ east }: World, report: Report): Promise<void> {
  const before = await written(east, namespace, 'db', 1);
  await report.time('another pod for an agent', async () => {
    const pod = await east.podOf('agent');
    await east.kubectl('-n', systemNamespace, 'delete', 'pod', pod);
    const daemonSet = 'daemonset/transship-agent';
    await east.kubectl('-n', systemNamespace, 'rollout', 'status', daemonSet, '--timeout=180s');
  });
  await written(east, namespace, 'db', before + 20);
  const { rows, highest } = await rowsOf(east, namespace, 'db');
  assert.equal(rows, highest);
}

/** Blocks that fio knows again, on the raw file of a pod's volume. */
const fio = `fio --name=pod --filename=/data/file --rw=randwrite --bs=16k --size=64m --fsync=32
  --ioengine=psync --direct=1 --loops=1000 --time_based --runtime=15 --verify=crc32c
  --verify_fatal=1 --verify_backlog=256 --verify_state_save=0 --output=/dev/stdout`;

async function verified({ east }: World): Promise<void> {
  const job = {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'judge', namespace },
    spec: {
      backoffLimit: 0,
      template: {
        spec: {
          restartPolicy: 'Never',
          dnsPolicy: 'Default',
          containers: [
            {
              name: 'fio',
              image: databaseImage,
              imagePullPolicy: 'Never',
              command: ['sh', '-c', fio.replaceAll('\n', ' ')],
              volumeMounts: [{ name: 'data', mountPath: '/data' }],
            },
          ],
          volumes: dataVolume('judged'),
        },
      },
    },
  };
  await east.apply(claim(namespace, 'judged'), job);
  const phase = async (): Promise<string> => {
    const words = ['-n', namespace, 'get', 'pods', '-l', 'job-name=judge'];
    return (await east.kubectl(...words, '-o', 'jsonpath={.items[0].status.phase}')).trim();
  };
  await until('fio to run', async () => ((await phase()) === 'Running' ? true : undefined));
  const place = { namespace: systemNamespace, pod: await east.podOf('agent'), container: 'agent' };
  await east.killContainer(place);
  assert.equal(await phase(), 'Running', 'killed below it, not after it');
  const ended = await until('fio to end', async () => {
    const now = await phase();
    return now === 'Running' || now === 'Pending' ? undefined : now;
  });
  const said = await east.kubectl('-n', namespace, 'logs', 'job/judge');
  assert.equal(ended, 'Succeeded', said);
  await east.kubectl('-n', namespace, 'delete', 'job/judge', 'pvc/judged', '--timeout=180s');
}

async function controllerKilled({ east }: World, report: Report): Promise<void> {
  const pod = await east.podOf('controller');
  await report.time('kill -9 of the controllers to the next ones', () =>
    east.killContainer({ namespace: systemNamespace, pod }),
  );
  // They lead again when they make something true again.
  await report.time('from then on to a claim bound', async () => {
    await east.apply(claim(namespace, 'later'), {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'later', namespace },
      spec: {
        terminationGracePeriodSeconds: 1,
        dnsPolicy: 'Default',
        containers: [
          {
            name: 'sleep',
            image: databaseImage,
            imagePullPolicy: 'Never',
            command: ['sleep', '1000'],
            volumeMounts: [{ name: 'data', mountPath: '/data' }],
          },
        ],
        volumes: dataVolume('later'),
      },
    });
    const words = ['wait', '--for=condition=Ready', 'pod/later', '--timeout=180s'];
    await east.kubectl('-n', namespace, ...words);
  });
  await east.kubectl('-n', namespace, 'delete', 'pod/later', 'pvc/later', '--timeout=180s');
}

async function teleported({ east, west }: World, report: Report): Promise<void> {
  await west.apply(namespaceObject(namespace));
  const before = await written(east, namespace, 'db', 1);
  const from = performance.now();
  await east.apply({
    apiVersion: 'transship.dev/v1alpha1',
    kind: 'Teleport',
    metadata: { name: 'data', namespace },
    spec: { source: { cluster: 'east', claim: 'data' }, destination: { cluster: 'west' } },
  });
  await west.apply(databasePod(namespace, 'copy', 'west'));
  const first = await written(west, namespace, 'copy', before + 1);
  report.note('from a teleport to a pod that writes there', performance.now() - from);
  assert.ok(first > before, `the copy has what was durable: ${first}, not ${before}`);
  const wait = ['wait', '--for=condition=Succeeded', 'teleport/data', '--timeout=180s'];
  await east.kubectl('-n', namespace, ...wait);
  report.note('until nothing of it was missing there', performance.now() - from);
  const there = await rowsOf(west, namespace, 'copy');
  assert.equal(there.rows, there.highest);
  // The source was written all the time, and knows nothing of what the copy writes.
  await written(east, namespace, 'db', before + 20);
  const here = await rowsOf(east, namespace, 'db');
  assert.equal(here.rows, here.highest);
}

export const stories: readonly Story[] = [
  { name: 'a database writes on a claim of our class', tell: writes },
  { name: 'it goes on when the agent is killed', tell: agentKilled },
  { name: 'it goes on when the agent gets another pod', tell: agentReplaced },
  { name: 'fio finds all that it wrote over a killed agent', tell: verified },
  { name: 'controllers that are killed go on', tell: controllerKilled },
  { name: 'its volume is teleported while it writes, and written there at once', tell: teleported },
];
