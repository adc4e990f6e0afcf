/** Namespaces move: real agents, real pods, real rsync and stunnel, over both kinds of servers. */
import assert from 'node:assert/strict';
import { type Migration, migrations } from '../../../src/api/kinds/migration.ts';
import { type Plan, plans } from '../../../src/api/kinds/plan.ts';
import { type VolumeTransfer, volumeTransfers } from '../../../src/api/kinds/volume-transfer.ts';
import { pods } from '../../../src/embedded/runtime/kinds/pods.ts';
import { namesDestination } from '../../../src/host/demo/namespace.ts';
import { statefulSets } from '../../../src/kube/workloads.ts';
import { namespaces } from '../../../src/kube/resources.ts';
import { type FleetCase, fleetCases } from './case.ts';
import type { FleetContext } from './context.ts';
import type { Member } from './member.ts';
import { makeShop, readShop, shopOf, stopShop, written } from './shop.ts';

/** Plans and migrations are kept apart from what moves. */
const hubNamespace = 'default';
const endMs = 150_000;

async function makePlan(t: FleetContext, spec: Partial<Plan['spec']> = {}): Promise<void> {
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

const renamed = { patches: [namesDestination] };

async function start(
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

async function ended(t: FleetContext, name: string): Promise<Migration> {
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

async function succeeded(t: FleetContext, name: string): Promise<Migration> {
  const migration = await ended(t, name);
  const found = migration.status?.conditions?.find(({ type }) => type === 'Succeeded');
  assert.equal(found?.status, 'True', JSON.stringify(migration.status, null, 1));
  return migration;
}

async function transfersOf(t: FleetContext, name: string): Promise<readonly VolumeTransfer[]> {
  const found: VolumeTransfer[] = [];
  const selectors = { namespace: hubNamespace, fields: `spec.migration=${name}` };
  for await (const one of t.east.client.list(volumeTransfers, selectors)) found.push(one);
  return found;
}

async function wireBytes(t: FleetContext, name: string): Promise<number> {
  const all = await transfersOf(t, name);
  return all.reduce((sum, { status }) => sum + (status?.wireBytes ?? 0), 0);
}

async function runningPods(t: FleetContext, at: Member): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const { metadata, status } of at.client.list(pods, { namespace: shopOf(t) })) {
    if (status?.phase === 'Running' || status?.phase === 'Pending') names.push(metadata.name ?? '');
  }
  return names;
}

/** Stops the writer of a cluster, reads its database, and starts it again. */
async function look(t: FleetContext, at: Member) {
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

/** There, a write, and back with it; the source's rows are never lost. */
async function thereAndBack(t: FleetContext, storageClass: string): Promise<void> {
  const { east, west } = t;
  await makeShop(t, east, storageClass);
  await makePlan(t, renamed);
  await succeeded(t, await start(t, 'Stage'));
  const first = await wireBytes(t, `${t.namespace}-stage`);
  await written(t, east, 40);
  await succeeded(t, await start(t, 'Stage', { name: 'again' }));
  const again = await wireBytes(t, `${t.namespace}-again`);
  assert.ok(first > 0 && again > 0, `bytes on the wire: ${first}, then ${again}`);
  const durable = await written(t, east, 60);
  const cutover = await succeeded(t, await start(t, 'Cutover'));
  assert.ok((cutover.status?.downtimeMilliseconds ?? 0) > 0, 'the downtime was measured');
  assert.deepEqual(await runningPods(t, east), []);
  await written(t, west, durable + 1);
  assert.equal((await runningPods(t, west)).filter((name) => name.startsWith('web-')).length, 2);
  const moved = await look(t, west);
  assert.ok(moved.isSound && (moved.clusters['east'] ?? 0) >= durable, JSON.stringify(moved));
  assert.ok((moved.clusters['west'] ?? 0) > 0, JSON.stringify(moved));
  await written(t, west, moved.rows + 5);
  await succeeded(t, await start(t, 'Rollback'));
  await written(t, east, moved.rows + 6);
  const back = await look(t, east);
  assert.ok(back.isSound, JSON.stringify(back));
  assert.equal(back.clusters['east']! >= moved.clusters['east']!, true);
  assert.ok(back.clusters['west']! >= moved.clusters['west']! + 5, JSON.stringify(back));
  assert.deepEqual(await runningPods(t, west), []);
}

async function backAsItWas(t: FleetContext): Promise<void> {
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

type Run = FleetCase['run'];

const long = (run: Run): Partial<FleetCase> & { readonly run: Run } => ({ long: true, run });

const cases = fleetCases({
  'a namespace moves by rsync, and comes back with what was written there': (t) =>
    thereAndBack(t, 'directory'),

  'a namespace moves by teleport, and comes back with what was written there': (t) =>
    thereAndBack(t, 'transship'),

  'rolled back without data, the source is as it was': long(async (t) => {
    const { east, west } = t;
    await makeShop(t, east, 'directory');
    await makePlan(t, renamed);
    await succeeded(t, await start(t, 'Cutover'));
    await written(t, west, 20);
    await succeeded(t, await start(t, 'Rollback', { keepData: false }));
    await backAsItWas(t);
    const rows = await look(t, east);
    assert.ok(rows.isSound && rows.clusters['west'] === undefined, JSON.stringify(rows));
  }),

  'a cutover that is canceled brings the source back': async (t) => {
    const { east } = t;
    await makeShop(t, east, 'directory');
    await makePlan(t);
    const name = await start(t, 'Cutover', { holdBefore: 'startDestination' });
    await t.until('it to hold', async () => {
      const found = await east.client.get(migrations, { namespace: hubNamespace, name });
      const steps = found?.status?.itinerary ?? [];
      return steps.some((one) => one.name === 'makeObjects' && one.state === 'Succeeded')
        ? true
        : undefined;
    });
    assert.deepEqual(await runningPods(t, east), []);
    await east.client.patch<Migration>(
      migrations,
      { namespace: hubNamespace, name },
      { spec: { canceled: true } as never },
    );
    const end = await ended(t, name);
    const found = end.status?.conditions?.find(({ type }) => type === 'Succeeded');
    assert.deepEqual([found?.status, found?.reason], ['False', 'Canceled']);
    await backAsItWas(t);
  },
});

/** Whatever becomes of a case, its pods end before the fleet does. */
export const migrationCases: readonly FleetCase[] = cases.map((one) => ({
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
