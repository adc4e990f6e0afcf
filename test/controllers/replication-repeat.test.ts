import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { replications } from '../../src/api/kinds/replication.ts';
import { volumes } from '../../src/api/kinds/volume.ts';
import { TransshipError } from '../../src/base/errors.ts';
import { conditionOf } from '../../src/controllers/status.ts';
import {
  configMaps,
  namespaces,
  persistentVolumeClaims,
  persistentVolumes,
  secrets,
} from '../../src/kube/resources.ts';
import { deployments, pods } from '../../src/kube/workloads.ts';
import {
  change,
  claimsAt,
  makeReplication,
  reached,
  replication,
  saidBy,
  there,
} from './replication-world.ts';
import { isBound, makeClaim, withData } from './scenarios.ts';
import { soonBytes, type World, worldsAfter } from './world.ts';

const key = { namespace: 'shop', name: 'copy' };
const web = { namespace: there, name: 'web' };
const settings = { namespace: there, name: 'settings' };

/** Not ours: no field manager of a controller of ours writes as `admin`. */
async function fillShop(world: World): Promise<void> {
  const client = world.admin('east');
  await withData(world);
  for (const name of ['settings', 'colours']) {
    const metadata = { namespace: 'shop', name };
    await client.create(configMaps, { metadata, data: { a: '1' } });
  }
  const labels = { app: 'web' };
  await client.create(deployments, {
    metadata: { namespace: 'shop', name: 'web' },
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: {
        metadata: { labels },
        spec: { containers: [{ name: 'web', image: 'busybox' }] },
      },
    },
  } as never);
}

suite('replications that are repeated', () => {
  /** With a standby at the destination. */
  const open = worldsAfter(async (world) => {
    world.fetchBytes = soonBytes;
    await fillShop(world);
    await makeReplication(world, { decision: 'Remediate', workloads: 'Standby' });
    const done = await reached(world, 'Done');
    assert.equal(done.status?.state, 'Success', saidBy(done));
  });

  async function volumeThere(world: World): Promise<string | undefined> {
    const claim = await world.find('west', persistentVolumeClaims, {
      namespace: there,
      name: 'db',
    });
    return claim?.spec?.volumeName;
  }

  async function leftovers(world: World): Promise<readonly (string | undefined)[]> {
    const all = (await world.list('west', secrets)).map(({ metadata }) => metadata.name);
    return all.filter((name) => name?.startsWith('transship-') === true);
  }

  test('a standby is made and does not run', async () => {
    const world = await open();
    assert.equal((await world.find('west', deployments, web))?.spec?.replicas, 0);
    await world.stop();
  });

  test('again: a new volume takes the place of the old one, objects are renewed', async () => {
    const world = await open();
    const before = await volumeThere(world);
    await world.admin('east').patch(
      configMaps,
      { namespace: 'shop', name: 'settings' },
      {
        data: { a: '2' },
      },
    );
    await change(world, { run: 2 });
    const done = await reached(world, 'Done', { runs: 2 });
    assert.equal(done.status?.state, 'Success', saidBy(done));
    assert.match(done.status?.jobId ?? '', /-2$/);
    assert.equal((await world.find('west', configMaps, settings))?.data?.['a'], '2');
    const after = await volumeThere(world);
    assert.notEqual(after, before);
    assert.deepEqual(await claimsAt(world, 'west'), ['market/db Bound']);
    await world.until('the old volume goes', async () => {
      const all = await world.list('west', persistentVolumes);
      return all.length === 1 && (await world.list('west', volumes)).length === 1;
    });
    assert.deepEqual(await leftovers(world), []);
    await world.stop();
  });

  test('again, of a claim with a very long name', async () => {
    const world = await open();
    const name = `${'a'.repeat(240)}-${'b'.repeat(9)}`;
    await makeClaim(world, 'east', { namespace: 'shop', name });
    await world.until('it is bound', () => isBound(world, 'east', { namespace: 'shop', name }));
    const found: (string | undefined)[] = [];
    for (const run of [2, 3]) {
      await change(world, { run });
      const done = await reached(world, 'Done', { runs: run });
      assert.equal(done.status?.state, 'Success', saidBy(done));
      const claim = await world.find('west', persistentVolumeClaims, { namespace: there, name });
      found.push(claim?.spec?.volumeName);
    }
    assert.notEqual(found[0], undefined);
    assert.notEqual(found[1], found[0], 'the copy of before is still under the claim');
    assert.deepEqual(await claimsAt(world, 'west'), [`market/${name} Bound`, 'market/db Bound']);
    await world.stop();
  });

  test('workloads run when that is asked for, and rest again', async () => {
    const world = await open();
    const run = async (runs: number, workloads: string) => {
      await change(world, { run: runs, workloads });
      // Nobody here makes pods: it waits to become healthy until the step gives up.
      await world.until(`run ${runs}`, async () => {
        const one = await replication(world);
        const isAt = one?.status?.itinerary?.find(({ name }) => name === 'startCopy');
        return one?.status?.runs === runs && isAt?.state === 'Succeeded';
      });
      return (await world.find('west', deployments, web))?.spec?.replicas;
    };
    assert.equal(await run(2, 'Run'), 2);
    const status = { observedGeneration: 9, replicas: 2, updatedReplicas: 2, readyReplicas: 2 };
    await world.admin('west').patchStatus(deployments, web, {
      status: { ...status, availableReplicas: 2 },
    });
    const done = await reached(world, 'Done', { runs: 2 });
    assert.equal(done.status?.state, 'Success', saidBy(done));
    assert.equal(await run(3, 'Standby'), 0);
    await world.stop();
  });

  test('what others changed there stays, with a note; the rest is renewed', async () => {
    const world = await open();
    await world.admin('west').patch(configMaps, settings, { data: { a: 'theirs' } });
    for (const name of ['settings', 'colours']) {
      await world.admin('east').patch(
        configMaps,
        { namespace: 'shop', name },
        {
          data: { a: 'new' },
        },
      );
    }
    await change(world, { run: 2 });
    const done = await reached(world, 'Done', { runs: 2 });
    assert.equal(done.status?.state, 'Success', saidBy(done));
    assert.equal((await world.find('west', configMaps, settings))?.data?.['a'], 'theirs');
    const colours = await world.find('west', configMaps, { namespace: there, name: 'colours' });
    assert.equal(colours?.data?.['a'], 'new');
    const note = done.status?.notes?.find((one) => one.includes('settings'));
    assert.match(note ?? '', /changed at the destination by admin \(\.data\.a\): it stays so/);
    const counted = done.status?.resources?.find(({ resource }) => resource === 'configmaps');
    assert.deepEqual([counted?.total, counted?.replicated, counted?.kept], [2, 1, 1]);
    await world.stop();
  });

  test('deleted: all that it made goes, with its namespace, and the source stays', async () => {
    const world = await open();
    await world.admin('east').delete(replications, key);
    await world.until('it is gone', async () => (await replication(world)) === undefined);
    await world.run(20_000);
    assert.deepEqual(await claimsAt(world, 'west'), []);
    assert.deepEqual(await world.list('west', persistentVolumes), []);
    assert.deepEqual(await world.list('west', volumes), []);
    const market = await world.find('west', namespaces, { name: there });
    assert.ok(market === undefined || market.metadata.deletionTimestamp !== undefined);
    assert.deepEqual(await claimsAt(world, 'east'), ['shop/db Bound']);
    await world.stop();
  });

  test('deleted just after a restart: a cluster that is not listed yet is not gone', async () => {
    const world = await open();
    const held: (() => void)[] = [];
    world.onRequest = async (to, { path }) => {
      const isListed = to === 'east' && /\/clusters(\?|$)/.test(path);
      if (isListed) await new Promise<void>((resolve) => held.push(resolve));
    };
    for (const process of world.processes.values()) process.kill();
    await world.admin('east').delete(replications, key);
    world.startAll();
    await world.run(20_000);
    assert.ok(held.length > 0, 'nobody asked for clusters');
    assert.notEqual(await replication(world), undefined);
    world.onRequest = async () => undefined;
    for (const release of held) release();
    await world.until('it is gone', async () => (await replication(world)) === undefined);
    await world.run(20_000);
    assert.deepEqual(await world.list('west', persistentVolumes), []);
    await world.stop();
  });

  test('deleted: what others changed or put there stays, and that is said', async () => {
    const world = await open();
    const west = world.admin('west');
    await west.patch(configMaps, settings, { data: { b: 'theirs' } });
    await west.create(configMaps, { metadata: { namespace: there, name: 'other' }, data: {} });
    await world.admin('east').delete(replications, key);
    await world.until('it is gone', async () => (await replication(world)) === undefined);
    const names = (await world.list('west', configMaps))
      .filter(({ metadata }) => metadata.namespace === there)
      .map(({ metadata }) => metadata.name);
    assert.deepEqual(names, ['other', 'settings']);
    assert.equal(await world.find('west', deployments, web), undefined);
    const kept = world.events.filter(({ reason }) => reason === 'Kept').map(({ note }) => note);
    assert.ok(kept.some((note) => /settings stays: admin has changed it/.test(note)));
    assert.ok(kept.some((note) => /Namespace market stays/.test(note)));
    await world.stop();
  });

  test('deleted without rights: each is named, and it goes once they are there', async () => {
    const world = await open();
    const taken = ['configmaps', 'persistentvolumeclaims', 'persistentvolumes'];
    world.onRequest = async (cluster, { method, path }) => {
      const [plural = ''] = path.replace(/\?.*$/, '').split('/').slice(-1);
      const isList = method === 'GET' && !path.includes('watch=true');
      if (cluster !== 'west' || !isList || !taken.includes(plural)) return;
      throw new TransshipError('Forbidden', `the hub cannot list ${plural}`);
    };
    await world.admin('east').delete(replications, key);
    const said = async () => conditionOf(await replication(world), 'Ready');
    await world.until('it says so', async () => (await said())?.reason === 'Forbidden');
    for (const plural of taken) {
      assert.match((await said())?.message ?? '', new RegExp(`cannot list ${plural}[;.]`));
    }
    await world.run(10_000);
    assert.deepEqual(await claimsAt(world, 'west'), ['market/db Bound']);
    world.onRequest = async () => undefined;
    await world.until('it is gone', async () => (await replication(world)) === undefined);
    await world.run(20_000);
    assert.deepEqual(await world.list('west', persistentVolumes), []);
    await world.stop();
  });

  /** Nobody collects here: a pod stays when what made it goes. */
  async function deletedBeside(world: World, name: string, owners: readonly object[]) {
    await world.admin('west').create(pods, {
      metadata: { namespace: there, name, ownerReferences: owners },
      spec: {
        containers: [{ name: 'x', image: 'busybox' }],
        volumes: [{ name: 'db', persistentVolumeClaim: { claimName: 'db' } }],
      },
    } as never);
    await world.admin('east').delete(replications, key);
    await world.until('it is gone', async () => (await replication(world)) === undefined);
    const kept = world.events.filter(({ reason }) => reason === 'Kept');
    return kept.map(({ note }) => note).join('\n');
  }

  test('deleted: a claim that a pod of others uses stays with its data', async () => {
    const world = await open();
    const kept = await deletedBeside(world, 'theirs', []);
    assert.match(kept, /Claim market\/db stays with its data: pod market\/theirs uses it/);
    assert.deepEqual(await claimsAt(world, 'west'), ['market/db Bound']);
    await world.stop();
  });

  test('deleted: a pod of what was just deleted keeps no claim', async () => {
    const world = await open();
    const { uid = '' } = (await world.find('west', deployments, web))!.metadata;
    const owner = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web', uid, controller: true };
    assert.doesNotMatch(await deletedBeside(world, 'ours', [owner]), /Claim/);
    assert.deepEqual(await claimsAt(world, 'west'), []);
    await world.stop();
  });

  test('a run that fails after the stop leaves the old copy as it was', async () => {
    const world = await open();
    const before = await volumeThere(world);
    // Somebody of theirs holds the claim: it cannot be changed under them, and that is said.
    const holder = { namespace: there, name: 'holder' };
    await world.admin('west').create(pods, {
      metadata: { ...holder, finalizers: ['example.com/slow'] },
      spec: {
        containers: [{ name: 'x', image: 'busybox' }],
        volumes: [{ name: 'db', persistentVolumeClaim: { claimName: 'db' } }],
      },
    } as never);
    await change(world, { run: 2 });
    await world.until('it names who is in the way', async () => {
      const found = conditionOf(await replication(world), 'Succeeded');
      return /claim market\/db is held by pod market\/holder/.test(found?.message ?? '');
    });
    const isFailed = async () => {
      const steps = (await replication(world))?.status?.itinerary ?? [];
      return steps.some(({ name, state }) => name === 'stopCopy' && state === 'Failed');
    };
    await world.until('it has waited long enough', isFailed, 1_800_000);
    // Their pod is made again as soon as it has ended.
    await world.admin('west').patch(pods, holder, { metadata: { finalizers: null } });
    const failed = await reached(world, 'Done', { runs: 2 });
    assert.equal((await world.find('west', pods, holder))?.metadata.deletionTimestamp, undefined);
    assert.equal(failed.status?.state, 'Error');
    assert.match(saidBy(failed), /^TimedOut: step stopCopy failed/);
    assert.equal(await volumeThere(world), before);
    assert.deepEqual(await claimsAt(world, 'west'), ['market/db Bound']);
    assert.deepEqual(await leftovers(world), []);
    await world.stop();
  });
});
