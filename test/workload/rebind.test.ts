import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { KubeClient } from '../../src/kube/api.ts';
import { keyOf } from '../../src/kube/objects.ts';
import {
  type PersistentVolume,
  persistentVolumeClaims,
  persistentVolumes,
} from '../../src/kube/resources.ts';
import { pods } from '../../src/kube/workloads.ts';
import { claimAgain, type RebindRecord, type RebindRequest } from '../../src/workload/rebind.ts';
import { secretRecordStore } from '../../src/workload/record-store.ts';
import { waitUntil } from '../../src/workload/rebind-wait.ts';
import { finishRebind, rebind, undoRebind } from '../../src/workload/rebind-run.ts';
import {
  type Cluster,
  killedAt,
  makeBoundClaim,
  makeVolume,
  patience,
  startCluster,
} from './rebind-cluster.ts';
import { gather } from './shop.ts';

const data = { namespace: 'shop', name: 'data' };
const temporary = { namespace: 'shop', name: 'data-new' };
const slow = { name: 'pv-old', storageClass: 'slow', driver: 'slow.csi', size: '1Gi' };
const fast = { name: 'pv-new', storageClass: 'fast', driver: 'fast.csi', size: '2Gi' };
const convert: RebindRequest = { claim: data, volume: 'pv-new', storageClass: 'fast' };

const storeOf = (client: KubeClient) =>
  secretRecordStore<RebindRecord>(client, { namespace: 'transship-system', name: 'undo' });

async function withCluster(run: (cluster: Cluster) => Promise<void>): Promise<void> {
  const cluster = await startCluster();
  try {
    await run(cluster);
  } finally {
    await cluster.stop();
  }
}

const people = { labels: { app: 'shop' }, annotations: { team: 'sales' } };

async function fill(client: KubeClient): Promise<void> {
  await makeBoundClaim(client, 'data', slow, people);
  await makeBoundClaim(client, 'data-new', fast);
}

async function clear(client: KubeClient): Promise<void> {
  const volumes = (): Promise<PersistentVolume[]> => gather(client.list(persistentVolumes));
  for (const one of await gather(client.list(persistentVolumeClaims))) {
    await client.delete(persistentVolumeClaims, keyOf(one));
  }
  for (const one of await volumes()) await client.delete(persistentVolumes, keyOf(one));
  const left = async (): Promise<string | undefined> => {
    const all = [...(await gather(client.list(persistentVolumeClaims))), ...(await volumes())];
    return all.length === 0 ? undefined : `${all.length} are left`;
  };
  await waitUntil(client, left, patience);
}

async function volume(client: KubeClient, name: string): Promise<PersistentVolume['spec']> {
  return (await client.get(persistentVolumes, { namespace: '', name }))?.spec;
}

/** `namespace/claim volume phase`, of all claims. */
async function claims(client: KubeClient): Promise<readonly string[]> {
  const found: string[] = [];
  for await (const { metadata, spec, status } of client.list(persistentVolumeClaims)) {
    found.push(`${metadata.namespace}/${metadata.name} ${spec?.volumeName} ${status?.phase}`);
  }
  return found.toSorted();
}

async function checkConverted(client: KubeClient): Promise<void> {
  assert.deepEqual(await claims(client), ['shop/data pv-new Bound']);
  const claim = await client.get(persistentVolumeClaims, data);
  assert.equal(claim?.metadata.labels?.['app'], 'shop');
  assert.equal(claim?.metadata.annotations?.['team'], 'sales');
  assert.equal(claim?.spec?.storageClassName, 'fast');
  assert.equal(claim?.spec?.resources?.requests?.storage, '2Gi');
  assert.equal((await volume(client, 'pv-new'))?.claimRef?.uid, claim?.metadata.uid);
  for (const name of ['pv-old', 'pv-new']) {
    assert.equal((await volume(client, name))?.persistentVolumeReclaimPolicy, 'Retain');
  }
}

async function checkBefore(client: KubeClient): Promise<void> {
  assert.deepEqual(await claims(client), ['shop/data pv-old Bound', 'shop/data-new pv-new Bound']);
  const claim = await client.get(persistentVolumeClaims, data);
  assert.deepEqual(claimAgain(claim!).metadata, { ...data, ...people });
  assert.equal(claim?.spec?.resources?.requests?.storage, '1Gi');
  for (const name of ['pv-old', 'pv-new']) {
    assert.equal((await volume(client, name))?.persistentVolumeReclaimPolicy, 'Delete');
  }
  assert.deepEqual(await storeOf(client).load(), []);
}

/** Runs until nothing more is cut off; every cut is before or after the n-th request. */
async function cutEverywhere(
  act: (client: KubeClient) => Promise<void>,
  around: { readonly before: () => Promise<void>; readonly after: () => Promise<void> },
  client: KubeClient,
): Promise<void> {
  let isCut = true;
  for (let at = 1; isCut; at++) {
    for (const late of [false, true]) {
      await around.before();
      try {
        await act(killedAt(client, at, late));
        isCut = false;
      } catch (error) {
        assert.match(String(error), /killed/, `request ${at}`);
      }
      await act(client);
      await around.after();
    }
  }
}

test('a claim changes its volume, cut off at every request', async () => {
  await withCluster(async ({ client }) => {
    const act = (one: KubeClient): Promise<unknown> =>
      rebind(one, [convert], storeOf(one), patience);
    const before = async (): Promise<void> => {
      await clear(client);
      await storeOf(client).save([]);
      await fill(client);
    };
    const after = (): Promise<void> => checkConverted(client);
    await cutEverywhere(async (one) => void (await act(one)), { before, after }, client);
  });
});

test('a change is undone exactly, cut off at every request', async () => {
  await withCluster(async ({ client }) => {
    await fill(client);
    const before = async (): Promise<void> => {
      await rebind(client, [convert], storeOf(client), patience);
      await checkConverted(client);
    };
    const after = (): Promise<void> => checkBefore(client);
    const act = (one: KubeClient): Promise<void> => undoRebind(one, storeOf(one), patience);
    await cutEverywhere(act, { before, after }, client);
  });
});

test('a change that was cut off anywhere is undone exactly', async () => {
  await withCluster(async ({ client }) => {
    await fill(client);
    for (let at = 1, isCut = true; isCut; at++) {
      const broken = killedAt(client, at, true);
      isCut = await rebind(broken, [convert], storeOf(broken), patience).then(
        () => false,
        () => true,
      );
      await undoRebind(client, storeOf(client), patience);
      await checkBefore(client);
    }
  });
});

test('a claim gets another name, then another namespace, and keeps its volume', async () => {
  await withCluster(async ({ client }) => {
    await makeBoundClaim(client, 'data', slow, people);
    const store = storeOf(client);
    const renamed = { namespace: 'shop', name: 'records' };
    await rebind(client, [{ claim: data, to: renamed }], store, patience);
    assert.deepEqual(await claims(client), ['shop/records pv-old Bound']);
    await undoRebind(client, store, patience);
    assert.deepEqual(await claims(client), ['shop/data pv-old Bound']);
    const handed = { namespace: 'other', name: 'data' };
    await rebind(client, [{ claim: data, to: handed }], store, patience);
    assert.deepEqual(await claims(client), ['other/data pv-old Bound']);
    const claim = await client.get(persistentVolumeClaims, handed);
    assert.equal(claim?.metadata.labels?.['app'], 'shop');
    assert.equal((await volume(client, 'pv-old'))?.persistentVolumeReclaimPolicy, 'Retain');
    await finishRebind(client, store, { releaseOld: false });
    assert.equal((await volume(client, 'pv-old'))?.persistentVolumeReclaimPolicy, 'Delete');
    assert.deepEqual(await store.load(), []);
  });
});

test('finishing gives policies back, and lets the old volume go only when told to', async () => {
  await withCluster(async ({ client }) => {
    await fill(client);
    await rebind(client, [convert], storeOf(client), patience);
    await finishRebind(client, storeOf(client), { releaseOld: false });
    assert.equal((await volume(client, 'pv-new'))?.persistentVolumeReclaimPolicy, 'Delete');
    assert.equal((await volume(client, 'pv-old'))?.persistentVolumeReclaimPolicy, 'Retain');
    // Back to the old volume, which nobody holds: a rollback with data.
    await rebind(client, [{ claim: data, volume: 'pv-old' }], storeOf(client), patience);
    assert.deepEqual(await claims(client), ['shop/data pv-old Bound']);
    await finishRebind(client, storeOf(client), { releaseOld: true });
    assert.equal((await volume(client, 'pv-new'))?.persistentVolumeReclaimPolicy, 'Delete');
  });
});

test('who uses a claim is named, and nothing is changed', async () => {
  await withCluster(async ({ client }) => {
    await fill(client);
    await client.create(pods, {
      metadata: { namespace: 'shop', name: 'reader' },
      spec: {
        containers: [{ name: 'x', image: 'busybox' }],
        volumes: [
          { name: 'd', persistentVolumeClaim: { claimName: temporary.name, readOnly: true } },
        ],
      },
    });
    await assert.rejects(
      rebind(client, [convert], storeOf(client), patience),
      /claim shop\/data-new is held by pod shop\/reader/,
    );
    await client.delete(pods, { namespace: 'shop', name: 'reader' }, { graceSeconds: 0 });
    await undoRebind(client, storeOf(client), patience);
    await checkBefore(client);
  });
});

test('a volume of another class or provisioner than was asked for is refused', async () => {
  await withCluster(async ({ client }) => {
    await fill(client);
    await makeVolume(client, { ...slow, name: 'pv-relabeled' });
    const request = { claim: data, volume: 'pv-relabeled', storageClass: 'fast' };
    await assert.rejects(
      rebind(client, [request], storeOf(client), patience),
      /pv-relabeled: it is of class "slow", asked for was "fast"/,
    );
    assert.deepEqual(await storeOf(client).load(), []);
  });
});
