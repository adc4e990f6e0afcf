/** The second part of the demo: a namespace moves with its objects, data and image, and back. */
import * as fs from 'node:fs';
import * as path from 'node:path';
import type { Migration } from '../../api/kinds/migration.ts';
import type { VolumeTransfer } from '../../api/kinds/volume-transfer.ts';
import { formatBytes } from '../../base/units.ts';
import { type KubeObject, keyOf } from '../../kube/objects.ts';
import { statefulSets } from '../../kube/workloads.ts';
import { openApi } from '../kube-access.ts';
import { findTool } from '../run-tool.ts';
import { namesDestination, readerPod, type Rows, shopObjects } from './namespace.ts';
import { DemoFailure } from './narrator.ts';
import { type DemoRegistry, startRegistry } from './registries.ts';
import type { Stage } from './stage.ts';

export const steps = 5;

const namespace = 'market';
const plan = 'market';
const image = 'market/web:1.0';
const tools = ['rsync', 'stunnel', 'docker-registry', 'skopeo'] as const;

interface Registries {
  readonly east: DemoRegistry;
  readonly west: DemoRegistry;
}

/** Why this machine cannot tell it: a program that is missing. */
export function obstacle(): string | undefined {
  try {
    for (const tool of tools) findTool(tool);
    return undefined;
  } catch (error) {
    return (error as Error).message;
  }
}

export async function moveNamespace(stage: Stage): Promise<void> {
  const { home } = stage.o;
  const registries = {
    east: await startRegistry(path.join(home, 'registry-east')),
    west: await startRegistry(path.join(home, 'registry-west')),
  };
  try {
    await tell(stage, registries);
  } finally {
    await registries.east.stop();
    await registries.west.stop();
  }
}

async function tell(stage: Stage, registries: Registries): Promise<void> {
  const digest = await makeShop(stage, registries);
  await makePlan(stage);
  await copyAhead(stage);
  const durable = await cutOver(stage, registries, digest);
  await goBack(stage, durable);
}

/** Objects into a file, as a person would have them. */
function manifest(stage: Stage, name: string, objects: readonly object[]): string {
  const file = path.join(stage.o.home, `${name}.json`);
  fs.writeFileSync(file, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
  return file;
}

async function apply(
  stage: Stage,
  cluster: string,
  name: string,
  objects: readonly object[],
): Promise<void> {
  const file = manifest(stage, name, objects);
  const words = ['apply', '-f', file, '--cluster', cluster];
  await stage.command(words, ['apply', '-f', `${name}.json`, '--cluster', cluster]);
}

async function makeShop(stage: Stage, { east, west }: Registries): Promise<string> {
  const { narrator } = stage.o;
  narrator.step('A namespace at east, with a database, and an image in the registry of east');
  const clusters = Object.entries({ east, west }).map(([name, { host, authorityPem }]) => ({
    apiVersion: 'transship.dev/v1alpha1',
    kind: 'Cluster',
    metadata: { name },
    spec: { registry: { host, caBundle: authorityPem } },
  }));
  await apply(stage, 'east', 'registries', clusters);
  const digest = await east.push(image);
  narrator.say(`Each cluster has a registry with TLS; ${image} is in that of east.`);
  const place = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } };
  const wish = { namespace, storageClass: 'directory', image: `${east.host}/${image}` };
  const objects = shopObjects(wish);
  await apply(stage, 'east', 'market', [place, ...objects]);
  const rows = await written(stage, 'east', 50);
  narrator.claim(
    rows >= 50,
    `${objects.length} objects; its database wrote ${rows} rows so far, ` +
      'on storage that is not ours',
  );
  return digest;
}

async function makePlan(stage: Stage): Promise<void> {
  const { narrator } = stage.o;
  narrator.step('A plan: both clusters are looked at before anything moves');
  const object = {
    apiVersion: 'transship.dev/v1alpha1',
    kind: 'Plan',
    metadata: { name: plan, namespace: 'default' },
    spec: {
      source: 'east',
      destination: 'west',
      namespaces: [{ name: namespace }],
      patches: [namesDestination],
    },
  };
  await apply(stage, 'east', 'plan', [object]);
  await stage.command(['plan', 'check', plan, '--cluster', 'east']);
  const out = await stage.o.programs.transship([
    'plan',
    'show',
    plan,
    '--manifests',
    '--cluster',
    'east',
  ]);
  narrator.claim(
    out.includes('kind: StatefulSet') && !out.includes('resourceVersion'),
    'it is ready, and `plan show --manifests` prints every object exactly as it will be made',
  );
}

async function copyAhead(stage: Stage): Promise<void> {
  const { narrator } = stage.o;
  narrator.step('Stage while it runs, and stage again');
  const first = await run(stage, 'stage');
  await written(stage, 'east', (await written(stage, 'east', 1)) + 20);
  const again = await run(stage, 'stage');
  const [all, difference] = [await wireBytes(stage, first), await wireBytes(stage, again)];
  narrator.claim(
    difference > 0 && difference < all,
    `the first sent ${formatBytes(all)} by rsync over mutual TLS, the second ` +
      `${formatBytes(difference)}: what was written in between`,
  );
}

async function cutOver(stage: Stage, { west }: Registries, digest: string): Promise<number> {
  const { narrator } = stage.o;
  narrator.step('Cut over');
  const durable = await written(stage, 'east', 1);
  const ended = await run(stage, 'cutover');
  const { downtimeMilliseconds = 0, report } = ended.status ?? {};
  narrator.claim(
    downtimeMilliseconds > 0,
    `the downtime was measured: ${(downtimeMilliseconds / 1000).toFixed(1)} s from the stop at ` +
      'east until all was healthy at west',
  );
  narrator.claim(
    report?.verified === report?.volumes && (report?.verified ?? 0) > 0,
    'the closing audit found both sides of every volume equal',
  );
  const rows = await written(stage, 'west', durable + 1);
  narrator.claim(rows > durable, `the database goes on at west, after row ${durable}: ${rows}`);
  narrator.claim((await runningAt(stage, 'east')).length === 0, 'nothing of it runs at east');
  const moved = await west.digestOf(image);
  const web = await get(stage, 'deployments', 'web', { cluster: 'west' });
  narrator.claim(
    moved === digest && JSON.stringify(web).includes(`${west.host}/${image}`),
    `the image is in the registry of west with the digest it had, and pods name it there`,
  );
  return rows;
}

async function goBack(stage: Stage, there: number): Promise<void> {
  const { narrator } = stage.o;
  narrator.step('Go back, with what was written at west');
  const last = await written(stage, 'west', there + 20);
  await run(stage, 'rollback');
  await written(stage, 'east', last + 1);
  narrator.claim((await runningAt(stage, 'west')).length === 0, 'nothing of it runs at west');
  await scale(stage, 0);
  const rows = await readRows(stage);
  narrator.claim(
    rows.isSound && (rows.clusters['west'] ?? 0) >= 20 && rows.rows > last,
    `the database was read at east, row by row: ${rows.clusters['east']} rows of east and ` +
      `${rows.clusters['west']} of west, none missing, every checksum right`,
  );
  await stage.command(['migration', 'list', '--cluster', 'east']);
}

/** Runs a migration to its end; what it prints on the way is shown. */
async function run(stage: Stage, type: string): Promise<Migration> {
  const words = ['migrate', type, plan, '--wait', '--cluster', 'east', '-o', 'json'];
  const out = await stage.command(words, words.slice(0, -2));
  const { metadata } = JSON.parse(out) as Migration;
  const at = { cluster: 'east', namespace: 'default' };
  const ended = (await get(stage, 'migrations', metadata.name ?? '', at)) as Migration;
  const found = ended.status?.conditions?.find((one) => one.type === 'Succeeded');
  if (found?.status !== 'True') throw new DemoFailure(`the ${type} ended: ${found?.message}`);
  return ended;
}

interface Asked {
  readonly cluster: string;
  readonly namespace?: string;
}

async function get(
  stage: Stage,
  resource: string,
  name: string,
  { cluster, namespace: where = namespace }: Asked,
): Promise<KubeObject> {
  const words = ['get', resource, name, '-n', where, '--cluster', cluster, '-o', 'json'];
  return JSON.parse(await stage.o.programs.transship(words)) as KubeObject;
}

async function wireBytes(stage: Stage, { metadata }: Migration): Promise<number> {
  const words = ['get', 'volumetransfers', '-n', 'default', '--cluster', 'east', '-o', 'json'];
  const { items } = JSON.parse(await stage.o.programs.transship(words)) as {
    readonly items: readonly VolumeTransfer[];
  };
  const ours = items.filter(({ spec }) => spec.migration === metadata.name);
  return ours.reduce((sum, { status }) => sum + (status?.wireBytes ?? 0), 0);
}

/** The last row that the database said is durable, once there are so many. */
async function written(stage: Stage, cluster: string, atLeast: number): Promise<number> {
  const { client } = await openApi(stage.o.home, { cluster });
  const log = `/api/v1/namespaces/${namespace}/pods/db-0/log?tailLines=1`;
  let last = 0;
  await stage.until(`the database at ${cluster} has ${atLeast} rows`, async () => {
    const text = await client.request('GET', log).catch(() => '');
    last = Number(String(text).trim());
    return last >= atLeast;
  });
  return last;
}

interface PodLike extends KubeObject {
  readonly status?: { readonly phase?: string };
}

async function runningAt(stage: Stage, cluster: string): Promise<readonly string[]> {
  const words = ['get', 'pods', '-n', namespace, '--cluster', cluster, '-o', 'json'];
  const { items } = JSON.parse(await stage.o.programs.transship(words)) as {
    readonly items: readonly PodLike[];
  };
  const live = items.filter(({ status }) => ['Running', 'Pending'].includes(status?.phase ?? ''));
  return live.map(({ metadata }) => metadata.name ?? '');
}

async function scale(stage: Stage, replicas: number): Promise<void> {
  const { client } = await openApi(stage.o.home, { cluster: 'east' });
  await client.patch(statefulSets, { namespace, name: 'db' }, { spec: { replicas } } as never);
  await stage.until('the writer has ended', async () => {
    return !(await runningAt(stage, 'east')).some((name) => name.startsWith('db-'));
  });
}

async function readRows(stage: Stage): Promise<Rows> {
  const pod = readerPod(namespace);
  await apply(stage, 'east', 'reader', [pod]);
  const { name } = keyOf(pod);
  await stage.until('the reader has ended', async () => {
    const { status } = (await get(stage, 'pods', name, { cluster: 'east' })) as PodLike;
    if (status?.phase === 'Failed') throw new DemoFailure('the reader failed');
    return status?.phase === 'Succeeded';
  });
  const { client } = await openApi(stage.o.home, { cluster: 'east' });
  const log = `/api/v1/namespaces/${namespace}/pods/${name}/log`;
  return JSON.parse(String(await client.request('GET', log))) as Rows;
}
