/** A cluster gets more nodes, and the volume of a running database more replicas. */
import assert from 'node:assert/strict';
import { systemNamespace } from '../../src/controllers/installation.ts';
import { rowsOf, written } from './database.ts';
import { until } from './kubectl.ts';
import type { Member } from './member.ts';
import type { Report } from './report.ts';
import type { World } from './world.ts';

const namespace = 'bank';
const numbers = [3, 4] as const;

interface PoolList {
  readonly items: readonly {
    readonly metadata: { readonly name: string };
    readonly spec: { readonly node?: string };
  }[];
}

/** By the nodes that they are on. */
async function poolsOf(east: Member): Promise<ReadonlyMap<string, string>> {
  const text = await east.kubectl('get', 'pools', '-o', 'json');
  const { items } = JSON.parse(text) as PoolList;
  return new Map(items.map(({ metadata, spec }) => [spec.node ?? '', metadata.name]));
}

async function volumeOf(east: Member): Promise<string> {
  const words = ['-n', namespace, 'get', 'pvc', 'data', '-o', 'jsonpath={.spec.volumeName}'];
  return (await east.kubectl(...words)).trim();
}

/** No row is lost, and the database goes on. */
async function goesOn(east: Member, before: number): Promise<number> {
  await written(east, namespace, 'db', before + 20);
  const { rows, highest, longestPauseMs } = await rowsOf(east, namespace, 'db');
  assert.equal(rows, highest);
  return longestPauseMs;
}

export async function replicated({ east }: World, report: Report): Promise<void> {
  await report.time('two more nodes, with an agent each', async () => {
    for (const number of numbers) await east.cluster.addNode(number);
    await until('three pools', async () => ((await poolsOf(east)).size === 3 ? true : undefined));
  });
  const pools = await poolsOf(east);
  const volume = await volumeOf(east);
  const before = await written(east, namespace, 'db', 1);
  const [third = '', fourth = ''] = numbers.map((number) => pools.get(`east-node-${number}`));
  await report.time('a second replica below a writer', () =>
    east.transship('replica', 'add', volume, third, '--timeout', '5m'),
  );
  await report.time('moving it to another node', () =>
    east.transship('replica', 'move', volume, third, fourth, '--timeout', '5m'),
  );
  await report.time('a third replica', () =>
    east.transship('replica', 'add', volume, third, '--timeout', '5m'),
  );
  await goesOn(east, before);
}

/** Two of three are enough. */
export async function oneLost({ east }: World, report: Report): Promise<void> {
  const node = `east-node-${numbers[0]}`;
  const before = await written(east, namespace, 'db', 1);
  const place = { namespace: systemNamespace, pod: await east.podOf('agent', node) };
  await east.killContainer({ ...place, container: 'agent' });
  report.note('longest pause of the database, of all of it', await goesOn(east, before));
  const volume = await volumeOf(east);
  await until('all replicas to be healthy', async () => {
    const text = await east.kubectl('get', 'volumes.transship.dev', volume, '-o', 'json');
    const { status } = JSON.parse(text) as VolumeObject;
    const states = status?.replicas?.map(({ state }) => state) ?? [];
    return states.length === 3 && states.every((one) => one === 'Healthy') ? true : undefined;
  });
}

interface VolumeObject {
  readonly status?: { readonly replicas?: readonly { readonly state?: string }[] };
}
