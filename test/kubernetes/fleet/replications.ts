/** Replications: real agents, pods and servers; the source writes on all the time. */
import assert from 'node:assert/strict';
import type { Replication } from '../../../src/api/kinds/replication.ts';
import type { KubeObject, ResourceType } from '../../../src/kube/objects.ts';
import { configMaps, namespaces, persistentVolumeClaims } from '../../../src/kube/resources.ts';
import { fleetCases } from './case.ts';
import type { FleetContext } from './context.ts';
import { endingWell, look, runningPods } from './migrating.ts';
import type { Member } from './member.ts';
import { change, decided, quotas, reached, removed, replicate, succeeded } from './replicating.ts';
import { backedUp } from './replication-backup.ts';
import { everyCheck } from './replication-checks.ts';
import { makeShop, shopOf, written } from './shop.ts';

type Status = NonNullable<Replication['status']>;

function resultOf({ checks = [] }: Status, name: string): string | undefined {
  return checks.find((one) => one.name === name)?.result;
}

async function leftAt(t: FleetContext, at: Member): Promise<readonly string[]> {
  const left: string[] = [];
  for (const type of [configMaps, persistentVolumeClaims] as readonly ResourceType[]) {
    for await (const { metadata } of at.client.list<KubeObject>(type, { namespace: shopOf(t) })) {
      if (metadata.name !== 'kube-root-ca.crt') left.push(metadata.name ?? '');
    }
  }
  return [...left, ...(await runningPods(t, at))];
}

/** Checked, corrected, run, repeated, and deleted: the walk of the guide. */
async function walk(t: FleetContext): Promise<void> {
  const { east, west } = t;
  await makeShop(t, east, 'transship');
  await replicate(t);
  const halted = await reached(t, 'Halted');
  assert.equal(resultOf(halted, 'NamespaceMissing'), 'Actionable', JSON.stringify(halted));
  assert.deepEqual([halted.actionable, halted.incompatible], [1, 0], JSON.stringify(halted));
  const before = await written(t, east, 1);
  await decided(t, 'Remediate');
  await succeeded(t);
  await written(t, west, before + 1);
  const copy = await look(t, west);
  assert.ok(copy.isSound && copy.rows > before, JSON.stringify(copy));
  const durable = await written(t, east, copy.rows + 20);
  await east.client.patch(
    configMaps,
    { namespace: shopOf(t), name: 'settings' },
    {
      data: { greeting: 'good day' },
    },
  );
  await change(t, { run: 2 });
  await succeeded(t, 2);
  const again = await look(t, west);
  assert.ok(again.isSound && again.rows >= durable, JSON.stringify(again));
  const settings = await west.client.get(configMaps, { namespace: shopOf(t), name: 'settings' });
  assert.equal(settings?.data?.['greeting'], 'good day');
  await removed(t);
  // Who looked has scaled the database: it is theirs since, with the claim that it uses.
  assert.deepEqual(await leftAt(t, west), ['data-db-0', 'db-0']);
  await written(t, east, durable + 5);
}

/** Other storage, into a quota that has no room, beside a ConfigMap of somebody else. */
async function refused(t: FleetContext): Promise<void> {
  // The other way round: between two clusters one runs at a time in one direction.
  const { west: from, east: to } = t;
  const shop = shopOf(t);
  await makeShop(t, from, 'directory');
  await to.client.create(namespaces, { metadata: { name: shop } });
  const theirs = { namespace: shop, name: 'settings' };
  const data = { cluster: 'theirs' };
  await to.client.create(configMaps, { metadata: theirs, data });
  const tight = { namespace: shop, name: 'tight' };
  const hard = { 'requests.storage': '1Mi' };
  await to.client.create(quotas, { metadata: tight, spec: { hard } } as never);
  await t.until('the quota to be counted', async () => {
    const found = (await to.client.get(quotas, tight)) as { status?: { hard?: object } };
    return found?.status?.hard === undefined ? undefined : true;
  });
  const pair = { source: from.name, destination: to.name };
  await replicate(t, { ...pair, decision: 'Remediate', workloads: 'Standby' });
  // The quota is corrected, and the ConfigMap is still in the way.
  const halted = await t.until('only what is of others to be left', async () => {
    const status = await reached(t, 'Halted');
    return status.actionable === 0 ? status : undefined;
  });
  assert.equal(resultOf(halted, 'ExistingObjects'), 'Incompatible', JSON.stringify(halted));
  assert.deepEqual(halted.offers, ['Recheck', 'ProceedAnyway', 'Stop']);
  await decided(t, 'Recheck');
  await reached(t, 'Halted');
  await decided(t, 'ProceedAnyway');
  const first = await succeeded(t);
  assert.deepEqual(await runningPods(t, to), [], 'a standby does not run');
  assert.equal((await to.client.get(configMaps, theirs))?.data?.['cluster'], 'theirs');
  assert.match(first.notes?.join() ?? '', /copied by Filesystem while its source ran/);
  await to.client.delete(configMaps, theirs);
  await change(t, { run: 2 });
  const second = await succeeded(t, 2);
  assert.ok((second.report?.wireBytes ?? 0) > 0);
  assert.equal((await to.client.get(configMaps, theirs))?.data?.['cluster'], 'east');
  await removed(t);
  assert.deepEqual(await leftAt(t, to), []);
  const back = (await to.client.get(quotas, tight)) as { spec?: { hard?: object } } | undefined;
  assert.deepEqual(back?.spec?.hard, hard);
}

const cases = fleetCases({
  'a replication is checked, corrected, repeated and deleted while its source writes': {
    long: true,
    run: walk,
  },
  'each check of a replication fails once, and is solved as it says': {
    // The registries of both clusters are its own.
    alone: true,
    long: true,
    run: everyCheck,
  },
  'a replication leaves alone what is of others, and gives back what it raised': {
    long: true,
    run: refused,
  },
  'a namespace is backed up into a repository, deleted, and restored from it': {
    long: true,
    run: backedUp,
  },
});

export const replicationCases = endingWell(cases);
