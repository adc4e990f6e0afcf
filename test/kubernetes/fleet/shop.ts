/** The namespace of the demo, made, read and stopped in the clusters of a fleet. */
import assert from 'node:assert/strict';
import { pods } from '../../../src/embedded/runtime/kinds/pods.ts';
import { readerPod, type Rows, shopObjects } from '../../../src/host/demo/namespace.ts';
import { createDiscovery } from '../../../src/kube/discovery.ts';
import { cronJobs } from '../../../src/kube/jobs.ts';
import { keyOf } from '../../../src/kube/objects.ts';
import { namespaces } from '../../../src/kube/resources.ts';
import { deployments, statefulSets } from '../../../src/kube/workloads.ts';
import type { FleetContext } from './context.ts';
import type { Member } from './member.ts';

/** Its namespace: only the source has it, so that a migration makes it at the destination. */
export function shopOf({ namespace }: FleetContext): string {
  return `${namespace}-shop`;
}

/** Made, and writing. */
export async function makeShop(t: FleetContext, at: Member, storageClass: string): Promise<void> {
  await at.client.create(namespaces, { metadata: { name: shopOf(t) } });
  const served = await createDiscovery(at.client).resources();
  for (const object of shopObjects({ namespace: shopOf(t), storageClass })) {
    const { apiVersion, kind } = object;
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
  const pod = readerPod(namespace);
  const key = keyOf(pod);
  await t.until('the reader to be taken', () => at.client.create(pods, pod as never));
  const path = `/api/v1/namespaces/${namespace}/pods/reader/log`;
  await t.until('the reader to end', async () => {
    const { status } = (await at.client.get(pods, key))!;
    if (status?.phase === 'Failed') {
      const said = String(await at.client.request('GET', path));
      assert.fail(`the reader: ${JSON.stringify(status)}\n${said}`);
    }
    return status?.phase === 'Succeeded' ? true : undefined;
  });
  const rows = JSON.parse(String(await at.client.request('GET', path))) as Rows;
  await at.client.delete(pods, key);
  await t.until('the reader to be gone', async () => {
    return (await at.client.get(pods, key)) === undefined ? true : undefined;
  });
  return rows;
}
