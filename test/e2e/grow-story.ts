/** A claim gets more room below a pod that writes. */
import assert from 'node:assert/strict';
import { rowsOf, written } from './database.ts';
import { until } from './kubectl.ts';
import type { Member } from './member.ts';
import type { Report } from './report.ts';
import type { World } from './world.ts';

const namespace = 'bank';
const MiB = 2 ** 20;

/** What the file system of the pod says, in bytes. */
async function roomIn(east: Member): Promise<number> {
  const words = ['exec', 'db', '-c', 'db', '--', 'df', '--block-size=1', '--output=size', '/data'];
  const [, size = ''] = (await east.kubectl('-n', namespace, ...words)).trim().split('\n');
  return Number(size);
}

export async function grown({ east }: World, report: Report): Promise<void> {
  const before = await written(east, namespace, 'db', 1);
  assert.ok((await roomIn(east)) < 256 * MiB);
  const started = await east.kubectl(
    '-n',
    namespace,
    'get',
    'pod',
    'db',
    '-o',
    'jsonpath={.metadata.uid}',
  );
  await report.time('from a larger claim to more room in the pod', async () => {
    const spec = { resources: { requests: { storage: '512Mi' } } };
    const patch = JSON.stringify({ spec });
    await east.kubectl('-n', namespace, 'patch', 'pvc', 'data', '--type', 'merge', '-p', patch);
    await until('the file system to grow', async () => {
      return (await roomIn(east)) > 400 * MiB ? true : undefined;
    });
  });
  const jsonpath = 'jsonpath={.status.capacity.storage}';
  await until('the claim to say so', async () => {
    const says = await east.kubectl('-n', namespace, 'get', 'pvc', 'data', '-o', jsonpath);
    return says.trim() === '512Mi' ? true : undefined;
  });
  await written(east, namespace, 'db', before + 20);
  const { rows, highest } = await rowsOf(east, namespace, 'db');
  assert.equal(rows, highest);
  const now = await east.kubectl(
    '-n',
    namespace,
    'get',
    'pod',
    'db',
    '-o',
    'jsonpath={.metadata.uid}',
  );
  assert.equal(now, started, 'the same pod');
}
