/** A claim gets more room below a pod that writes. */
import assert from 'node:assert/strict';
import { claim, databasePod, rowsOf, written } from './database.ts';
import { until } from './kubectl.ts';
import type { Member } from './member.ts';
import type { Report } from './report.ts';
import type { World } from './world.ts';

const namespace = 'growing';
const className = 'transship-xfs';
const MiB = 2 ** 20;

/** With xfs: below a mount ext4 grows only for who has CAP_SYS_RESOURCE. */
const storageClass = {
  apiVersion: 'storage.k8s.io/v1',
  kind: 'StorageClass',
  metadata: { name: className },
  provisioner: 'transship.dev',
  parameters: { 'csi.storage.k8s.io/fstype': 'xfs' },
  allowVolumeExpansion: true,
  volumeBindingMode: 'WaitForFirstConsumer',
};

function growingClaim() {
  const made = claim(namespace, 'data', '512Mi');
  return { ...made, spec: { ...made.spec, storageClassName: className } };
}

/** What the file system of the pod says, in bytes. */
async function roomIn(east: Member): Promise<number> {
  const words = ['exec', 'db', '-c', 'db', '--', 'df', '--block-size=1', '--output=size', '/data'];
  const [, size = ''] = (await east.kubectl('-n', namespace, ...words)).trim().split('\n');
  return Number(size);
}

export async function grown({ east }: World, report: Report): Promise<void> {
  const get = async (what: string, path: string): Promise<string> => {
    return (await east.kubectl('-n', namespace, 'get', what, '-o', `jsonpath={${path}}`)).trim();
  };
  const metadata = { name: namespace };
  await east.apply({ apiVersion: 'v1', kind: 'Namespace', metadata }, storageClass, growingClaim());
  await east.apply(databasePod(namespace, 'db', 'east'));
  const before = await written(east, namespace, 'db', 20);
  assert.ok((await roomIn(east)) <= 512 * MiB);
  const pod = await get('pod/db', '.metadata.uid');
  await report.time('from a larger claim to more room in the pod', async () => {
    const spec = { resources: { requests: { storage: '1Gi' } } };
    const patch = ['patch', 'pvc', 'data', '--type', 'merge', '-p', JSON.stringify({ spec })];
    await east.kubectl('-n', namespace, ...patch);
    await until('the file system to grow', async () => {
      return (await roomIn(east)) > 800 * MiB ? true : undefined;
    });
  });
  await until('the claim to say so', async () => {
    return (await get('pvc/data', '.status.capacity.storage')) === '1Gi' ? true : undefined;
  });
  await written(east, namespace, 'db', before + 20);
  const { rows, highest, longestPauseMs } = await rowsOf(east, namespace, 'db');
  assert.equal(rows, highest);
  assert.equal(await get('pod/db', '.metadata.uid'), pod, 'the same pod');
  report.note('longest pause of the database, while it grew', longestPauseMs);
  await east.kubectl('delete', 'namespace', namespace, '--timeout=180s');
  await east.kubectl('delete', 'storageclass', className);
}
