/** Plans and migrations of the namespace of the demo, made and followed. */
import assert from 'node:assert/strict';
import { type Migration, migrations } from '../../../src/api/kinds/migration.ts';
import { type Plan, plans } from '../../../src/api/kinds/plan.ts';
import { type VolumeTransfer, volumeTransfers } from '../../../src/api/kinds/volume-transfer.ts';
import { pods } from '../../../src/embedded/runtime/kinds/pods.ts';
import { namesDestination } from '../../../src/host/demo/namespace.ts';
import { namespaces } from '../../../src/kube/resources.ts';
import { statefulSets } from '../../../src/kube/workloads.ts';
import type { FleetCase } from './case.ts';
import type { FleetContext } from './context.ts';
import type { Member } from './member.ts';
import { readShop, shopOf, stopShop, written } from './shop.ts';

/** Plans and migrations are kept apart from what moves. */
export const hubNamespace = 'default';
const endMs = 150_000;

export async function makePlan(t: FleetContext, spec: Partial<Plan['spec']> = {}): Promise<void> {
  const { east, west } = t;
  await east.client.create<Plan>(plans, {
    metadata: { namespace: hubNamespace, name: t.namespace },
    spec: {
      source: east.name,
      destination: west.name,
      namespaces: [{ name: shopOf(t) }],
      ...spec,
    },
  });
}

export const renamed = { patches: [namesDestination] };

export async function start(
  t: FleetContext,
  type: Migration['spec']['type'],
  more: Partial<Migration['spec']> & { readonly name?: string } = {},
): Promise<string> {
  const { name = type.toLowerCase(), ...spec } = more;
  const full = `${t.namespace}-${name}`;
  await t.east.client.create<Migration>(migrations, {
    metadata: { namespace: hubNamespace, name: full },
    spec: { plan: t.namespace, type, ...spec },
  });
  return full;
}

export async function ended(t: FleetContext, name: string): Promise<Migration> {
  let last: Migration | undefined;
  const deadline = performance.now() + endMs;
  for (;;) {
    last = await t.east.client.get(migrations, { namespace: hubNamespace, name }).catch(() => last);
    const found = last?.status?.conditions?.find(({ type }) => type === 'Succeeded');
    if (last !== undefined && (found?.status === 'True' || found?.status === 'False')) return last;
    if (performance.now() > deadline) {
      const transfers = await transfersOf(t, name).catch(() => []);
      const seen = { status: last?.status, transfers: transfers.map(({ status }) => status) };
      throw new Error(`${name} did not end: ${JSON.stringify(seen, null, 1)}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

export async function succeeded(t: FleetContext, name: string): Promise<Migration> {
  const migration = await ended(t, name);
  const found = migration.status?.conditions?.find(({ type }) => type === 'Succeeded');
  assert.equal(found?.status, 'True', JSON.stringify(migration.status, null, 1));
  return migration;
}

export async function transfersOf(
  t: FleetContext,
  name: string,
): Promise<readonly VolumeTransfer[]> {
  const found: VolumeTransfer[] = [];
  const selectors = { namespace: hubNamespace, fields: `spec.migration=${name}` };
  for await (const one of t.east.client.list(volumeTransfers, selectors)) found.push(one);
  return found;
}

export async function runningPods(t: FleetContext, at: Member): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const { metadata, status } of at.client.list(pods, { namespace: shopOf(t) })) {
    if (status?.phase === 'Running' || status?.phase === 'Pending') names.push(metadata.name ?? '');
  }
  return names;
}

/** Stops the writer of a cluster, reads its database, and starts it again. */
export async function look(t: FleetContext, at: Member) {
  const key = { namespace: shopOf(t), name: 'db' };
  const scale = (replicas: number) =>
    at.client.patch(statefulSets, key, { spec: { replicas } } as never);
  await scale(0);
  await t.until('the writer to be gone', async () => {
    const left = await runningPods(t, at);
    return left.some((name) => name.startsWith('db-')) ? undefined : true;
  });
  const rows = await readShop(t, at, shopOf(t));
  await scale(1);
  return rows;
}

export async function backAsItWas(t: FleetContext): Promise<void> {
  await t.until('the writer and both web pods to run again', async () => {
    const names = await runningPods(t, t.east);
    return names.includes('db-0') && names.length === 3 ? true : undefined;
  });
  const durable = await written(t, t.east, 1);
  await written(t, t.east, durable + 3);
  const there = { namespace: '', name: shopOf(t) };
  const found = await t.west.client.get(namespaces, there);
  if (found !== undefined) assert.deepEqual(await runningPods(t, t.west), []);
}

/** Whatever becomes of a case, its pods end before the fleet does. */
export function endingWell(cases: readonly FleetCase[]): readonly FleetCase[] {
  return cases.map((one) => ({
    ...one,
    run: async (t) => {
      try {
        await one.run(t);
      } catch (error) {
        // What went wrong first is what counts.
        await stopShop(t).catch(() => undefined);
        throw error;
      }
      await stopShop(t);
    },
  }));
}
