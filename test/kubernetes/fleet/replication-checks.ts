/** The walk of docs/guides/replicate-checks.md: each check of replications fails once. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { clusters } from '../../../src/api/kinds/cluster.ts';
import type { Replication } from '../../../src/api/kinds/replication.ts';
import { createDiscovery } from '../../../src/kube/discovery.ts';
import { keyOf, type KubeObject, type ResourceType } from '../../../src/kube/objects.ts';
import { configMaps, persistentVolumeClaims } from '../../../src/kube/resources.ts';
import { groupOf } from '../../../src/workload/names.ts';
import type { FleetContext } from './context.ts';
import type { Member } from './member.ts';
import { decided, quotas, reached, removed, replicate, succeeded } from './replicating.ts';

const guides = join(import.meta.dirname, '../../../docs/guides');

type Status = NonNullable<Replication['status']>;

async function typeAt({ client }: Member, apiVersion: string, kind: string) {
  const found = await createDiscovery(client).find(groupOf(apiVersion), kind);
  assert.ok(found !== undefined, `${kind} is served`);
  return found;
}

/** As `kubectl apply` of a file that is read until all kinds in it are served. */
async function applyGuide(t: FleetContext, at: Member, name: string): Promise<void> {
  const text = readFileSync(join(guides, `${name}.yaml`), 'utf8');
  for (const document of parseAllDocuments(text)) {
    const object = document.toJS() as KubeObject;
    const { apiVersion, kind } = object;
    await t.until(`${kind} ${object.metadata.name} to be taken`, async () => {
      const type = await createDiscovery(at.client).find(groupOf(apiVersion), kind);
      return type === undefined ? undefined : at.client.apply(type, object);
    });
  }
}

async function bound(t: FleetContext, namespace: string, name: string): Promise<void> {
  await t.until(`claim ${namespace}/${name} to be bound`, async () => {
    const claim = await t.east.client.get(persistentVolumeClaims, { namespace, name });
    return claim?.status?.phase === 'Bound' ? true : undefined;
  });
}

/** What it says that is to be done: `fix: …` where a decision would do it. */
function areTold(status: Status, wanted: Readonly<Record<string, RegExp>>): void {
  for (const [name, words] of Object.entries(wanted)) {
    const check = status.checks?.find((one) => one.name === name);
    const { fix, remedy = '', result } = check ?? {};
    assert.equal(result, fix === undefined ? 'Incompatible' : 'Actionable', name);
    assert.match(fix === undefined ? remedy : `fix: ${fix}`, words, name);
  }
}

async function untilLeft(t: FleetContext, actionable: number): Promise<Status> {
  return t.until(`${actionable} actionable checks`, async () => {
    const status = await reached(t, 'Halted');
    return status.actionable === actionable ? status : undefined;
  });
}

async function tangled(t: FleetContext): Promise<void> {
  const { east, west } = t;
  await applyGuide(t, east, 'tangle');
  await applyGuide(t, west, 'tangle-there');
  await bound(t, 'tangle', 'ledger');
  await replicate(t, { namespaces: [{ name: 'tangle' }, { name: 'knot' }] });
  const halted = await reached(t, 'Halted');
  areTold(halted, {
    NamespaceMissing: /fix: namespace knot is made/,
    KindsNotServed: /fix: the definition backups\.tangle\.example\.com is copied/,
    HistoryPolicyMissing: /fix: history policy tangle-careful is made/,
    StorageClassMissing: /fix: class .* takes the place of tangle-fast/,
    QuotaExceeded: /fix: quota tangle\/tight is raised/,
    LimitRangeExceeded: /fix: limit range tangle\/small is widened/,
    ExistingObjects: /Delete them there, or choose ProceedAnyway/,
    SliceOnboarding: /Take the namespace off the slice/,
    NamespaceSameness: /Name the clusters instead/,
  });
  assert.deepEqual([halted.actionable, halted.incompatible], [6, 3], JSON.stringify(halted.checks));
  await decided(t, 'Remediate');
  const left = await untilLeft(t, 0);
  assert.equal(left.incompatible, 3);
  await west.client.delete(configMaps, { namespace: 'tangle', name: 'settings' });
  const water = { namespace: 'tangle-slices', name: 'water' };
  const kinds = [
    ['networking.kubeslice.io/v1beta1', 'Slice'],
    ['controller.kubeslice.io/v1alpha1', 'SliceConfig'],
  ] as const;
  for (const [apiVersion, kind] of kinds) {
    await west.client.delete(await typeAt(west, apiVersion, kind), water);
  }
  await decided(t, 'Recheck');
  await succeeded(t);
  const backups: ResourceType = await typeAt(west, 'tangle.example.com/v1', 'Backup');
  const nightly = { namespace: 'tangle', name: 'nightly' };
  assert.ok((await west.client.get(backups, nightly)) !== undefined, 'the backup was copied');
  await removed(t);
  const tight = await west.client.get(quotas, { namespace: 'tangle', name: 'tight' });
  assert.deepEqual((tight as { spec?: object } | undefined)?.spec, {
    hard: { 'requests.storage': '1Mi' },
  });
}

async function narrow(t: FleetContext): Promise<void> {
  const { east, west } = t;
  await applyGuide(t, east, 'narrow');
  await applyGuide(t, west, 'narrow-there');
  await bound(t, 'narrow', 'disk');
  await replicate(t, { namespaces: [{ name: 'narrow' }] });
  areTold(await reached(t, 'Halted'), {
    StorageTooSmall: /fix: class .*, which has room, takes the place of narrow/,
    ImagesAtSource: /fix: images are copied to the registry of west/,
  });
  await decided(t, 'Stop');
  const { state } = await reached(t, 'Stopped');
  assert.equal(state, 'Error');
  await removed(t);
}

/** Clusters have registries meanwhile, which nobody may ask. */
export async function everyCheck(t: FleetContext): Promise<void> {
  await tangled(t);
  const describe = (name: string, registry: object | null) =>
    t.east.client.patch(clusters, keyOf({ metadata: { name } } as KubeObject), {
      spec: { registry },
    } as never);
  try {
    for (const name of ['east', 'west']) {
      await describe(name, { host: `registry.${name}.example` });
    }
    await narrow(t);
  } finally {
    for (const name of ['east', 'west']) await describe(name, null);
  }
}
