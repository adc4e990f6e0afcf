import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import type { KubeClient } from '../../src/kube/api.ts';
import { createDiscovery } from '../../src/kube/discovery.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { namespaces, secrets } from '../../src/kube/resources.ts';
import { pods } from '../../src/kube/workloads.ts';
import { fieldsAt, numberAt, valueAt, withoutAt } from '../../src/workload/fields.ts';
import { nameText } from '../../src/workload/names.ts';
import { findWriters, startAgain } from '../../src/workload/quiesce-run.ts';
import {
  type RecordStore,
  removeEmptyRecords,
  secretRecordStore,
} from '../../src/workload/record-store.ts';
import type { UndoRecord } from '../../src/workload/undo.ts';
import {
  findUnhealthy,
  planStop,
  prepareObjects,
  stopNamespaces,
  surveyNamespaces,
} from '../../src/workload/workload.ts';
import { deployment, fillShop, gather, ownedBy, put, startServer } from './shop.ts';

const library = createSchemaLibrary();
const everything = { namespaces: ['shop'] };
const place = { namespace: 'transship-system', name: 'undo-move-1' };

async function start(): Promise<{ client: KubeClient; store: RecordStore<UndoRecord> }> {
  const client = startServer(library, 'east');
  await fillShop(client);
  await client.create(namespaces, { metadata: { name: place.namespace } });
  await put(client, {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'alone', namespace: 'shop', labels: { app: 'alone' } },
    spec: {
      nodeName: 'node-7',
      containers: [{ name: 'x', image: 'busybox', command: ['sleep', '9'] }],
      volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'data-database-0' } }],
    },
  });
  await put(client, {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: 'agents', namespace: 'shop' },
    spec: {
      selector: { matchLabels: { app: 'agents' } },
      template: {
        metadata: { labels: { app: 'agents' } },
        spec: { nodeSelector: { disk: 'ssd' }, containers: [{ name: 'a', image: 'busybox' }] },
      },
    },
  });
  return { client, store: secretRecordStore<UndoRecord>(client, place) };
}

async function specs(client: KubeClient): Promise<ReadonlyMap<string, unknown>> {
  const found = new Map<string, unknown>();
  const wanted = ['Deployment', 'StatefulSet', 'DaemonSet', 'CronJob', 'Pod'];
  for (const type of await createDiscovery(client).resources()) {
    if (!wanted.includes(type.kind) || !['', 'apps', 'batch'].includes(type.group)) continue;
    for await (const one of client.list<KubeObject>(type, { namespace: 'shop' })) {
      const object = withoutAt(one, ['spec', 'nodeName']);
      found.set(`${type.kind} ${one.metadata.name}`, fieldsAt(object, 'spec'));
    }
  }
  return found;
}

test('everything is stopped and put back exactly, twice over', async () => {
  const { client, store } = await start();
  const before = await specs(client);
  const plan = await stopNamespaces(client, everything, store);
  assert.deepEqual(plan.blockers, []);
  assert.deepEqual(plan.changed.map(nameText).toSorted(), [
    'CronJob shop/nightly',
    'DaemonSet shop/agents',
    'Deployment shop/web',
    'Pod shop/alone',
    'StatefulSet shop/database',
  ]);
  const during = await specs(client);
  assert.equal(numberAt(during.get('Deployment web'), 'replicas'), 0);
  assert.equal(valueAt(during.get('CronJob nightly'), ['suspend']), true);
  assert.deepEqual(valueAt(during.get('DaemonSet agents'), ['template', 'spec', 'nodeSelector']), {
    disk: 'ssd',
    'transship.dev/stopped': 'true',
  });
  const again = await stopNamespaces(client, everything, store);
  assert.deepEqual(again.changed, []);
  await client.delete(pods, { namespace: 'shop', name: 'alone' }, { graceSeconds: 0 });
  const started = await startAgain(client, store);
  assert.deepEqual(started.warnings, []);
  assert.deepEqual(await specs(client), before);
  const repeated = await startAgain(client, store);
  assert.deepEqual([repeated.changed, repeated.warnings], [[], []]);
});

/** A client that breaks at its n-th write, after or before it was carried out. */
function breaking(client: KubeClient, at: number, after: boolean): KubeClient {
  let writes = 0;
  const verbs: readonly unknown[] = ['patch', 'delete', 'create', 'apply'];
  return new Proxy(client, {
    get: (target, verb) => {
      const call = Reflect.get(target, verb) as unknown;
      if (typeof call !== 'function') return call;
      return (...given: unknown[]): unknown => {
        const act = (): unknown => Reflect.apply(call, target, given);
        if (!verbs.includes(verb) || ++writes !== at) return act();
        const broken = (): never => {
          throw new Error('killed');
        };
        return after ? Promise.resolve(act()).then(broken) : Promise.reject(new Error('killed'));
      };
    },
  });
}

test('a stop that is killed at any write can be gone on with, and undone exactly', async () => {
  for (let at = 1; at <= 6; at++) {
    for (const after of [false, true]) {
      const { client, store } = await start();
      const before = await specs(client);
      const broken = breaking(client, at, after);
      await assert.rejects(
        stopNamespaces(broken, everything, secretRecordStore<UndoRecord>(broken, place)),
        /killed/,
        `write ${at}`,
      );
      if (at % 2 === 0) await stopNamespaces(client, everything, store);
      await client.delete(pods, { namespace: 'shop', name: 'alone' }, { graceSeconds: 0 });
      const hasRecords = (await store.load()).length > 0;
      assert.equal(hasRecords, at > 1 || after, `records of write ${at}`);
      await startAgain(client, store);
      if (hasRecords) assert.deepEqual(await specs(client), before, `killed at write ${at}`);
    }
  }
});

test('what somebody else stopped stays stopped, what they changed stays changed', async () => {
  const { client, store } = await start();
  const cronJobs = (await createDiscovery(client).find('batch', 'CronJob'))!;
  const nightly = { namespace: 'shop', name: 'nightly' };
  await client.patch(cronJobs, nightly, { spec: { suspend: true } });
  await stopNamespaces(client, everything, store);
  const sets = (await createDiscovery(client).find('apps', 'StatefulSet'))!;
  await client.patch(sets, { namespace: 'shop', name: 'database' }, { spec: { replicas: 5 } });
  // The pod that was deleted is still ending: that is for later, and holds nobody else back.
  await assert.rejects(startAgain(client, store), /alone is still ending/);
  assert.equal(numberAt((await specs(client)).get('Deployment web'), 'replicas'), 2);
  await client.delete(pods, { namespace: 'shop', name: 'alone' }, { graceSeconds: 0 });
  const { warnings } = await startAgain(client, store);
  assert.deepEqual(warnings, [
    'StatefulSet shop/database: spec.replicas was changed meanwhile and stays as it is',
  ]);
  const after = await specs(client);
  assert.equal(valueAt(after.get('CronJob nightly'), ['suspend']), true);
  assert.equal(numberAt(after.get('StatefulSet database'), 'replicas'), 5);
});

test('only what can write to the chosen claims is stopped, running or not', async () => {
  const { client } = await start();
  const claims = new Set(['shop/data-database-0']);
  const plan = await planStop(client, { ...everything, claims });
  assert.deepEqual(plan.records.map(({ name }) => nameText(name)).toSorted(), [
    'CronJob shop/nightly',
    'Pod shop/alone',
    'StatefulSet shop/database',
  ]);
  const [writer] = await findWriters(client, claims);
  assert.match(writer?.holder ?? '', /^pod shop\/alone on node node-7$/);
  await client.delete(pods, { namespace: 'shop', name: 'alone' }, { graceSeconds: 0 });
  assert.deepEqual(await findWriters(client, claims), []);
  await put(client, {
    apiVersion: 'storage.k8s.io/v1',
    kind: 'VolumeAttachment',
    metadata: { name: 'a1' },
    spec: {
      attacher: 'disk.example.com',
      nodeName: 'node-7',
      source: { persistentVolumeName: 'pv-1' },
    },
  });
  const [held] = await findWriters(client, claims);
  assert.match(held?.holder ?? '', /^node node-7, where its volume pv-1 is attached$/);
});

test('a copy of what we have stopped is not stopped itself', async () => {
  const { client, store } = await start();
  const { inventory } = await surveyNamespaces(client, everything);
  const copy = async (): Promise<readonly unknown[]> => {
    const context = { id: 'move-1', namespaces: { shop: 'store' } };
    const records = await store.load();
    const prepared = await gather(prepareObjects(client, inventory.items, context, records));
    return prepared.map(({ object }) => object);
  };
  const before = await copy();
  await stopNamespaces(client, everything, store);
  assert.deepEqual(await copy(), before);
  await client.delete(pods, { namespace: 'shop', name: 'alone' }, { graceSeconds: 0 });
  assert.deepEqual(await copy(), before);
});

test('an operator nobody knows stands in the way, and is named', async () => {
  const { client } = await start();
  const widgets = (await createDiscovery(client).find('acme.example.com', 'Widget'))!;
  const [widget] = await gather(client.list(widgets, { namespace: 'shop' }));
  await put(client, {
    ...deployment,
    metadata: { name: 'operated', namespace: 'shop', ...ownedBy(widget!) },
  });
  const { blockers } = await planStop(client, everything);
  assert.deepEqual(
    blockers.map(({ name, message }) => `${nameText(name)}: ${message}`),
    ['Widget shop/first: its operator may start Deployment shop/operated again'],
  );
});

test('workloads that are not healthy are named with the reason', async () => {
  const { client } = await start();
  const unhealthy = await findUnhealthy(client, 'shop');
  const web = unhealthy.find(({ name }) => nameText(name) === 'Deployment shop/web');
  assert.equal(web?.because, '0 of 2 replicas are ready: pod web-1-a is Pending, not ready yet');
});

test('records that somebody else saved meanwhile are not lost', async () => {
  const { client, store } = await start();
  const other = secretRecordStore<UndoRecord>(client, place);
  const { records } = await planStop(client, everything);
  const [first, second, ...rest] = records;
  assert.deepEqual([await store.load(), await other.load()], [[], []]);
  await store.save([first!]);
  await assert.rejects(other.save([second!]), { reason: 'Conflict' });
  assert.deepEqual(await other.load(), [first]);
  await other.save([first!, second!]);
  await assert.rejects(store.save([first!, ...rest]), { reason: 'Conflict' });
  assert.deepEqual(await store.load(), [first, second]);
  assert.equal(await removeEmptyRecords(client, place), false);
  await store.save([]);
  assert.equal(await removeEmptyRecords(client, place), true);
  assert.equal(await client.get(secrets, place), undefined);
});
