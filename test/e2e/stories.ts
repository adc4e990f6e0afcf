/** What users of real clusters do, in this order: each story goes on where the last one ended. */
import assert from 'node:assert/strict';
import { systemNamespace } from '../../src/controllers/installation.ts';
import { metricsPort } from '../../src/controllers/installation/names.ts';
import { claim, databasePod, databaseSet, dataVolume, rowsOf, written } from './database.ts';
import { grown } from './grow-story.ts';
import { databaseImage } from './images.ts';
import { until } from './kubectl.ts';
import { roamed } from './node-stories.ts';
import { oneLost, replicated } from './replica-stories.ts';
import type { Report } from './report.ts';
import type { World } from './world.ts';

export interface Story {
  readonly name: string;
  readonly tell: (world: World, report: Report) => Promise<void>;
}

const namespace = 'bank';
const shop = 'shop';

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

/** What a Prometheus does in the cluster: each pod of ours is asked by another one. */
async function measured({ east }: World): Promise<void> {
  const from = ['-n', systemNamespace, 'exec', await east.podOf('agent'), '-c', 'agent', '--'];
  const read = async (component: 'agent' | 'controller'): Promise<string> => {
    const pod = ['-n', systemNamespace, 'get', 'pod', await east.podOf(component)];
    const address = await east.kubectl(...pod, '-o', 'jsonpath={.status.podIP}');
    const url = `http://${address.trim()}:${metricsPort}/metrics`;
    const program = `process.stdout.write(await (await fetch('${url}')).text())`;
    return east.kubectl(...from, 'node', '--input-type=module', '--eval', program);
  };
  const agent = await read('agent');
  assert.match(agent, /^transship_cluster_written_bytes_total [1-9]/m);
  assert.match(agent, /^transship_pool_free_bytes\{pool="[^"]+"\} [1-9]/m);
  assert.match(await read('controller'), /^transship_reconcile_total\{kind="[^"]+".*\} [1-9]/m);
}

/** One run of the plan, to its end; its status. */
async function migrated({ east }: World, type: 'Stage' | 'Cutover' | 'Rollback') {
  const name = `shop-${type.toLowerCase()}`;
  await east.apply({
    apiVersion: 'transship.dev/v1alpha1',
    kind: 'Migration',
    metadata: { name, namespace },
    spec: { plan: 'shop', type },
  });
  return until(`${name} to end`, async () => {
    const text = await east.kubectl('-n', namespace, 'get', 'migration', name, '-o', 'json');
    const { status = {} } = JSON.parse(text) as MigrationObject;
    const ended = status.conditions?.find((one) => one.type === 'Succeeded');
    if (ended === undefined || ended.status === 'Unknown') return undefined;
    assert.equal(ended.status, 'True', JSON.stringify(status, undefined, 1));
    return status;
  });
}

interface MigrationObject {
  readonly status?: {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
    readonly downtimeMilliseconds?: number;
  };
}

/** Two clusters that know each other, as a plan sees them, have nothing to complain about. */
async function planned({ east }: World): Promise<void> {
  const plan = {
    apiVersion: 'transship.dev/v1alpha1',
    kind: 'Plan',
    metadata: { name: 'shop', namespace },
    spec: { source: 'east', destination: 'west', namespaces: [{ name: shop }] },
  };
  await east.apply(plan);
  const failed = await until('the plan to be judged', async () => {
    const text = await east.kubectl('-n', namespace, 'get', 'plan', 'shop', '-o', 'json');
    const { status } = JSON.parse(text) as PlanObject;
    return status?.checks?.filter((one) => one.result === 'Failed');
  });
  assert.deepEqual(failed, []);
}

interface PlanObject {
  readonly status?: { readonly checks?: readonly { readonly result: string }[] };
}

async function moved(world: World, report: Report): Promise<void> {
  const { east, west } = world;
  await east.apply(namespaceObject(shop), databaseSet(shop));
  await written(east, shop, 'db-0', 20);
  await planned(world);
  await report.time('a stage beside the running shop', () => migrated(world, 'Stage'));
  const before = await written(east, shop, 'db-0', 30);
  const { downtimeMilliseconds = 0 } = await migrated(world, 'Cutover');
  report.note('downtime of the cutover, as the migration says', downtimeMilliseconds);
  const there = await written(west, shop, 'db-0', before + 1);
  const rows = await rowsOf(west, shop, 'db-0');
  assert.equal(rows.rows, rows.highest);
  assert.ok(rows.rows >= there);
  report.note('downtime of the cutover, between two rows', rows.longestPauseMs);
  assert.equal((await east.kubectl('-n', shop, 'get', 'pods', '-o', 'name')).trim(), '');
}

async function movedBack(world: World, report: Report): Promise<void> {
  const { east, west } = world;
  const before = await written(west, shop, 'db-0', 1);
  const { downtimeMilliseconds = 0 } = await migrated(world, 'Rollback');
  report.note('downtime of the rollback, as the migration says', downtimeMilliseconds);
  await written(east, shop, 'db-0', before + 1);
  // What was written after the cutover came along.
  const rows = await rowsOf(east, shop, 'db-0');
  assert.equal(rows.rows, rows.highest);
  assert.ok(rows.rows > before);
  assert.equal((await west.kubectl('-n', shop, 'get', 'pods', '-o', 'name')).trim(), '');
}

export const allStories: readonly Story[] = [
  { name: 'a database writes on a claim of our class', tell: writes },
  { name: 'it goes on when the agent is killed', tell: agentKilled },
  { name: 'it goes on when the agent gets another pod', tell: agentReplaced },
  { name: 'its claim gets more room while it writes', tell: grown },
  { name: 'fio finds all that it wrote over a killed agent', tell: verified },
  { name: 'controllers that are killed go on', tell: controllerKilled },
  { name: 'its metrics are read by another pod', tell: measured },
  { name: 'its volume is teleported while it writes, and written there at once', tell: teleported },
  { name: 'a namespace is staged and cut over', tell: moved },
  { name: 'it is rolled back with what was written since', tell: movedBack },
  { name: 'a volume in use gets replicas on other nodes, and one moves', tell: replicated },
  { name: 'an agent with one of three replicas is killed', tell: oneLost },
  { name: 'a pod is made again on a node without its data', tell: roamed },
];
