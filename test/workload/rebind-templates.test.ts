import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeClient } from '../../src/kube/api.ts';
import { persistentVolumeClaims } from '../../src/kube/resources.ts';
import { pods, type StatefulSet, statefulSets } from '../../src/kube/workloads.ts';
import { planClaimTemplates, type TemplateRecord } from '../../src/workload/claim-template.ts';
import {
  finishClaimTemplates,
  replaceClaimTemplates,
  undoClaimTemplates,
} from '../../src/workload/claim-template-run.ts';
import { secretRecordStore } from '../../src/workload/record-store.ts';
import { waitUntil } from '../../src/workload/rebind-wait.ts';
import type { UndoRecord } from '../../src/workload/undo.ts';
import { killedAt, patience, startCluster } from './rebind-cluster.ts';
import { gather } from './shop.ts';

const key = { namespace: 'shop', name: 'database' };
const changes = [{ template: 'data', storageClass: 'fast', size: '2Gi' }];

const storeOf = (client: KubeClient) =>
  secretRecordStore<TemplateRecord>(client, { namespace: 'transship-system', name: 'sets' });
const stoppedOf = (client: KubeClient) =>
  secretRecordStore<UndoRecord>(client, { namespace: 'transship-system', name: 'stopped' });

async function uids(client: KubeClient): Promise<readonly string[]> {
  const all = [
    ...(await gather(client.list(pods, { namespace: 'shop' }))),
    ...(await gather(client.list(persistentVolumeClaims, { namespace: 'shop' }))),
  ];
  return all.map(({ metadata }) => `${metadata.name} ${metadata.uid}`).toSorted();
}

async function makeSet(client: KubeClient): Promise<readonly string[]> {
  const app = { app: 'database' };
  await client.create(statefulSets, {
    metadata: { ...key, labels: app },
    spec: {
      replicas: 2,
      serviceName: 'database',
      podManagementPolicy: 'Parallel',
      selector: { matchLabels: app },
      persistentVolumeClaimRetentionPolicy: { whenDeleted: 'Delete', whenScaled: 'Retain' },
      template: {
        metadata: { labels: app },
        spec: { containers: [{ name: 'db', image: 'busybox' }] },
      },
      volumeClaimTemplates: [
        {
          metadata: { name: 'data' },
          spec: {
            accessModes: ['ReadWriteOnce'],
            storageClassName: 'slow',
            resources: { requests: { storage: '1Gi' } },
          },
        },
      ],
    },
  });
  const missing = async (): Promise<string | undefined> => {
    const found = await uids(client);
    return found.length === 4 ? undefined : `only ${found.join()}`;
  };
  await waitUntil(client, missing, patience);
  return uids(client);
}

async function classOf(client: KubeClient): Promise<string | undefined> {
  const set = await client.get(statefulSets, key);
  return set?.spec?.volumeClaimTemplates?.[0]?.spec?.storageClassName;
}

async function replace(client: KubeClient): Promise<void> {
  const set = await client.get(statefulSets, key);
  const record = set === undefined ? undefined : planClaimTemplates(set, changes).record;
  const records = record === undefined ? [] : [record];
  const options = { ...patience, stopped: stoppedOf(client) };
  await replaceClaimTemplates(client, records, storeOf(client), options);
}

async function checkOwned(client: KubeClient): Promise<void> {
  const set = (await client.get(statefulSets, key)) as StatefulSet;
  assert.equal(set.spec?.persistentVolumeClaimRetentionPolicy?.whenDeleted, 'Delete');
  const owned = async (): Promise<string | undefined> => {
    const all = await gather(client.list(persistentVolumeClaims, { namespace: 'shop' }));
    const owners = all.flatMap(({ metadata }) => metadata.ownerReferences ?? []);
    const isOwned = owners.every(({ uid }) => uid === set.metadata.uid) && owners.length === 2;
    return isOwned ? undefined : 'claims are not owned by the new set yet';
  };
  await waitUntil(client, owned, patience);
  const [stopped] = await stoppedOf(client).load();
  assert.equal(stopped?.uid, set.metadata.uid);
}

test('a set gets other claim templates and back, cut off at every request', async () => {
  const { client, stop } = await startCluster();
  try {
    const before = await makeSet(client);
    const { metadata } = (await client.get(statefulSets, key))!;
    const name = { group: 'apps', kind: 'StatefulSet', ...key };
    const { uid = '' } = metadata;
    const stopped = { type: statefulSets, name, uid, action: 'ScaleDown', fields: [] } as const;
    await stoppedOf(client).save([stopped]);
    const undo = (one: KubeClient): Promise<void> =>
      undoClaimTemplates(one, storeOf(one), { ...patience, stopped: stoppedOf(one) });
    for (let at = 1, cuts = 2; cuts === 2; at++) {
      cuts = 0;
      for (const [act, wanted] of [
        [replace, 'fast'],
        [undo, 'slow'],
      ] as const) {
        const isCut = await act(killedAt(client, at, at % 2 === 0)).then(
          () => false,
          (error: unknown) => /killed/.test(String(error)) || Promise.reject(error as Error),
        );
        if (isCut) cuts++;
        await act(client);
        assert.equal(await classOf(client), wanted, `request ${at}`);
        await checkOwned(client);
        assert.deepEqual(await uids(client), before, `request ${at}`);
      }
    }
    assert.deepEqual(await storeOf(client).load(), []);
  } finally {
    await stop();
  }
});

test('a set that grows asks for the new class; another in its place is left', async () => {
  const { client, stop } = await startCluster();
  try {
    await makeSet(client);
    const old = (await client.get(statefulSets, key))!;
    await stoppedOf(client).save([]);
    await replace(client);
    await client.patch(statefulSets, key, { spec: { replicas: 3 } });
    const third = { namespace: 'shop', name: 'data-database-2' };
    const grown = async (): Promise<string | undefined> =>
      (await client.get(persistentVolumeClaims, third)) === undefined ? 'no claim' : undefined;
    await waitUntil(client, grown, patience);
    const claim = await client.get(persistentVolumeClaims, third);
    assert.equal(claim?.spec?.storageClassName, 'fast');
    await finishClaimTemplates(storeOf(client));
    const { record } = planClaimTemplates((await client.get(statefulSets, key))!, [
      { template: 'data', size: '3Gi' },
    ]);
    await client.delete(statefulSets, key, { propagation: 'Orphan' });
    const gone = async (): Promise<string | undefined> =>
      (await client.get(statefulSets, key)) === undefined ? undefined : 'still there';
    await waitUntil(client, gone, patience);
    const { apiVersion, kind, spec } = old;
    await client.create(statefulSets, { apiVersion, kind, metadata: key, spec: spec! });
    await assert.rejects(
      replaceClaimTemplates(client, [record!], storeOf(client), patience),
      /made by somebody else meanwhile/,
    );
  } finally {
    await stop();
  }
});
