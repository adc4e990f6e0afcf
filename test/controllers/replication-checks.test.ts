import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { clusters } from '../../src/api/kinds/cluster.ts';
import { historyPolicies } from '../../src/api/kinds/history-policy.ts';
import type { Replication } from '../../src/api/kinds/replication.ts';
import { TransshipError } from '../../src/base/errors.ts';
import type { ResourceType } from '../../src/kube/objects.ts';
import {
  configMaps,
  customResourceDefinitions,
  namespaces,
  persistentVolumeClaims,
  storageClasses,
} from '../../src/kube/resources.ts';
import { deployments } from '../../src/kube/workloads.ts';
import {
  checkOf,
  decide,
  makeReplication,
  reached,
  replication,
  resultOf,
  saidBy,
  there,
} from './replication-world.ts';
import { makeClaim, makeSettings, withData } from './scenarios.ts';
import { type World, worldsAfter } from './world.ts';

const core = { group: '', version: 'v1', namespaced: true };
const quotas: ResourceType = { ...core, plural: 'resourcequotas', kind: 'ResourceQuota' };
const limitRanges: ResourceType = { ...core, plural: 'limitranges', kind: 'LimitRange' };

function definition(group: string, plural: string, kind: string) {
  const schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true };
  return {
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: 'Namespaced',
      names: { plural, kind, singular: kind.toLowerCase() },
      versions: [
        { name: 'v1alpha1', served: true, storage: true, schema: { openAPIV3Schema: schema } },
      ],
    },
  };
}

function typeOf(group: string, plural: string, kind: string): ResourceType {
  return { group, version: 'v1alpha1', plural, kind, namespaced: true };
}

suite('checks of replications', () => {
  /** With its namespace at the destination: nothing is in the way. */
  const open = worldsAfter(async (world) => {
    await withData(world);
    await makeSettings(world);
    await world.admin('west').create(namespaces, { metadata: { name: there } });
  });

  /** That check halts it with these words, is corrected, and then it ends well. */
  async function isCorrected(
    world: World,
    name: string,
    { message, fix }: { readonly message: RegExp; readonly fix: RegExp },
  ): Promise<Replication> {
    await makeReplication(world);
    const halted = await reached(world, 'Halted');
    const check = checkOf(halted, name);
    assert.equal(check?.result, 'Actionable', JSON.stringify(halted.status?.checks));
    assert.match(check?.message ?? '', message);
    assert.match(check?.fix ?? '', fix);
    assert.ok((check?.remedy ?? '').length > 10);
    assert.ok(halted.status?.offers?.includes('Remediate'));
    await decide(world, 'Remediate');
    const done = await reached(world, 'Done');
    assert.equal(done.status?.state, 'Success', saidBy(done));
    return done;
  }

  /** That check halts it, and nobody offers to correct it. */
  async function isRefused(world: World, name: string, message: RegExp): Promise<Replication> {
    await makeReplication(world);
    const halted = await reached(world, 'Halted');
    const check = checkOf(halted, name);
    assert.equal(check?.result, 'Incompatible', JSON.stringify(halted.status?.checks));
    assert.match(check?.message ?? '', message);
    assert.ok((check?.remedy ?? '').length > 10);
    assert.equal(halted.status?.offers?.includes('Remediate'), false);
    return halted;
  }

  test('without anything in the way it starts by itself; all checks were told of', async () => {
    const world = await open();
    await makeReplication(world);
    const done = await reached(world, 'Done');
    assert.equal(done.status?.state, 'Success', saidBy(done));
    const results = done.status?.checks?.map(({ result }) => result) ?? [];
    assert.equal(results.length, done.status?.compatible);
    assert.ok(results.length > 30);
    assert.deepEqual([...new Set(results)], ['Compatible']);
    await world.stop();
  });

  test('a storage class of another name takes the place of one that is missing', async () => {
    const world = await open();
    const west = world.admin('west');
    await west.delete(storageClasses, { namespace: '', name: 'transship' });
    await west.create(storageClasses, {
      metadata: { name: 'better' },
      provisioner: 'transship.dev',
    });
    await world.run(2_000);
    await isCorrected(world, 'StorageClassMissing', {
      message: /no class transship of that storage, for shop\/db/,
      fix: /class better takes the place of transship/,
    });
    const claim = await world.find('west', persistentVolumeClaims, {
      namespace: there,
      name: 'db',
    });
    assert.equal(claim?.spec?.storageClassName, 'better');
    await world.stop();
  });

  test('a class that has no room gives way to one that has', async () => {
    const world = await open();
    const west = world.admin('west');
    await west.create(storageClasses, {
      metadata: { name: 'roomy' },
      provisioner: 'example.com/disks',
    });
    const capacity = typeOf('', '', '');
    const csi = { ...capacity, group: 'storage.k8s.io', version: 'v1' };
    await west.create({ ...csi, plural: 'csistoragecapacities', kind: 'CSIStorageCapacity' }, {
      metadata: { namespace: there, name: 'roomy' },
      storageClassName: 'roomy',
      capacity: '100Gi',
    } as never);
    for (const volume of world.cloud.find('east').state.volumes.values()) {
      volume.dataBytes = 2 ** 45;
    }
    await world.run(20_000);
    await makeReplication(world);
    const halted = await reached(world, 'Halted');
    const check = checkOf(halted, 'StorageTooSmall');
    assert.equal(check?.result, 'Actionable', JSON.stringify(check));
    assert.match(check?.message ?? '', /storage class transship has room for .* of 32Ti/);
    assert.match(check?.fix ?? '', /class roomy, which has room, takes the place of transship/);
    await world.stop();
  });

  test('a quota and a limit range are raised, and come back when it is deleted', async () => {
    const world = await open();
    const west = world.admin('west');
    const key = { namespace: there, name: 'tight' };
    await west.create(quotas, {
      metadata: key,
      spec: { hard: { 'requests.storage': '1Mi', persistentvolumeclaims: '0', pods: '7' } },
    } as never);
    await west.create(limitRanges, {
      metadata: key,
      spec: { limits: [{ type: 'PersistentVolumeClaim', max: { storage: '2Mi' } }] },
    } as never);
    const done = await isCorrected(world, 'QuotaExceeded', {
      message: /quota market\/tight has room for 1Mi of 16Mi of claims and .* 0 claims of 1/,
      fix: /raised to requests\.storage 32Mi and persistentvolumeclaims 2, with room/,
    });
    const hard = async () =>
      ((await west.get(quotas, key)) as { spec?: { hard?: unknown } } | undefined)?.spec?.hard;
    const raised = { 'requests.storage': '32Mi', persistentvolumeclaims: '2', pods: '7' };
    assert.deepEqual(await hard(), raised);
    const fixed = world.events.filter(({ reason }) => reason === 'Remediated');
    assert.ok(fixed.some(({ note }) => /limit range market\/tight is widened/.test(note)));
    await world.admin('east').delete(
      {
        group: 'transship.dev',
        version: 'v1alpha1',
        plural: 'replications',
        kind: 'Replication',
        namespaced: true,
      },
      { namespace: 'shop', name: done.metadata.name ?? '' },
    );
    await world.until('it is gone', async () => (await replication(world)) === undefined);
    assert.deepEqual(await hard(), {
      'requests.storage': '1Mi',
      persistentvolumeclaims: '0',
      pods: '7',
    });
    await world.stop();
  });

  test('a definition that the source has is copied, and its objects with it', async () => {
    const world = await open();
    const east = world.admin('east');
    const backups = typeOf('example.com', 'backups', 'Backup');
    await east.create(
      customResourceDefinitions,
      definition('example.com', 'backups', 'Backup') as never,
    );
    const object = { metadata: { namespace: 'shop', name: 'nightly' }, spec: { at: '3:00' } };
    await world.until('it is served', async () =>
      east.create(backups, object as never).then(
        () => true,
        () => false,
      ),
    );
    await world.run(61_000);
    await isCorrected(world, 'KindsNotServed', {
      message: /does not serve backups\.example\.com, of which there are 1/,
      fix: /definition backups\.example\.com is copied; its operator is not/,
    });
    const made = await world.find('west', backups, { namespace: there, name: 'nightly' });
    assert.deepEqual((made as { spec?: object } | undefined)?.spec, { at: '3:00' });
    await world.stop();
  });

  test('a history policy that a claim names is made as the source has it', async () => {
    const world = await open();
    const east = world.admin('east');
    await east.create(historyPolicies, {
      metadata: { name: 'careful' },
      spec: { seconds: '2h' },
    } as never);
    await makeClaim(
      world,
      'east',
      { namespace: 'shop', name: 'ledger' },
      {
        annotations: { 'transship.dev/history-policy': 'careful' },
      },
    );
    await world.run(5_000);
    await isCorrected(world, 'HistoryPolicyMissing', {
      message: /no history policy careful, named by claim shop\/ledger/,
      fix: /history policy careful is made as the source has it/,
    });
    const policy = await world.find('west', historyPolicies, { name: 'careful' });
    assert.equal(policy?.spec.seconds, '2h');
    await world.stop();
  });

  test('images in the registry of the source are copied once that was agreed', async () => {
    const world = await open();
    for (const [name, host] of [
      ['east', 'registry.east.example'],
      ['west', 'registry.west.example'],
    ]) {
      await world.admin('east').patch(
        clusters,
        { namespace: '', name: name! },
        {
          spec: { registry: { host } },
        },
      );
    }
    const labels = { app: 'web' };
    await world.admin('east').create(deployments, {
      metadata: { namespace: 'shop', name: 'web' },
      spec: {
        replicas: 0,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: { containers: [{ name: 'web', image: 'registry.east.example/shop/web:1' }] },
        },
      },
    } as never);
    await makeReplication(world);
    const halted = await reached(world, 'Halted');
    assert.equal(resultOf(halted, 'ImagesAtSource'), 'Actionable');
    assert.match(
      checkOf(halted, 'ImagesAtSource')?.message ?? '',
      /1 image is in the registry of east/,
    );
    await decide(world, 'Remediate');
    // There are no registries here: that the copy is begun is what can be seen.
    await world.until('it copies images', async () => {
      const one = await replication(world);
      const step = one?.status?.itinerary?.find(({ name }) => name === 'copyImages');
      return step !== undefined && step.state !== 'Pending' && step.state !== 'Skipped';
    });
    assert.equal((await replication(world))?.status?.agreed?.images, true);
    await world.stop();
  });

  test('objects of others are in the way; who proceeds leaves them as they are', async () => {
    const world = await open();
    const key = { namespace: there, name: 'settings' };
    await world.admin('west').create(configMaps, { metadata: key, data: { a: 'theirs' } });
    const halted = await isRefused(world, 'ExistingObjects', /ConfigMap shop\/settings is there/);
    assert.deepEqual(halted.status?.offers, ['Recheck', 'ProceedAnyway', 'Stop']);
    await decide(world, 'ProceedAnyway');
    const done = await reached(world, 'Done');
    assert.equal(done.status?.state, 'Success', saidBy(done));
    assert.equal(done.status?.overruled, true);
    assert.equal((await world.find('west', configMaps, key))?.data?.['a'], 'theirs');
    assert.match(done.status?.notes?.join() ?? '', /settings is there and was not made by this/);
    await world.stop();
  });

  test('what can be corrected is, and it waits on when something else is in the way', async () => {
    const world = await open();
    const west = world.admin('west');
    await west.create(configMaps, { metadata: { namespace: there, name: 'settings' }, data: {} });
    await west.create(limitRanges, {
      metadata: { namespace: there, name: 'tight' },
      spec: { limits: [{ type: 'PersistentVolumeClaim', max: { storage: '2Mi' } }] },
    } as never);
    await makeReplication(world, { decision: 'Remediate' });
    const first = await reached(world, 'Halted');
    assert.equal(resultOf(first, 'ExistingObjects'), 'Incompatible');
    await world.until('it is corrected', async () => {
      const one = await replication(world);
      return one?.status?.phase === 'Halted' && one.status.actionable === 0;
    });
    // The person solves the rest, and says so.
    await west.delete(configMaps, { namespace: there, name: 'settings' });
    await decide(world, 'Recheck');
    const done = await reached(world, 'Done');
    assert.equal(done.status?.state, 'Success', saidBy(done));
    await world.stop();
  });

  test('stopped it ends, and only a new run begins again', async () => {
    const world = await open();
    await world.admin('west').delete(namespaces, { namespace: '', name: there });
    await world.run(5_000);
    await makeReplication(world);
    await reached(world, 'Halted');
    await decide(world, 'Stop');
    const stopped = await reached(world, 'Stopped');
    assert.match(saidBy(stopped), /^Canceled: it was stopped after its checks/);
    await decide(world, 'Remediate');
    await world.until('it is refused', async () => {
      return (await replication(world))?.spec.decision === undefined;
    });
    assert.ok(world.events.some(({ reason }) => reason === 'DecisionRefused'));
    assert.equal((await replication(world))?.status?.phase, 'Stopped');
    await world.stop();
  });

  test('a cluster that is not known leaves nothing to proceed with', async () => {
    const world = await open();
    await makeReplication(world, { destination: 'nowhere' });
    await world.run(20_000);
    const halted = await reached(world, 'Halted');
    assert.equal(resultOf(halted, 'InvalidDestinationCluster'), 'Incompatible');
    assert.deepEqual(halted.status?.offers, ['Recheck', 'Stop']);
    await world.stop();
  });

  test('where a KubeSlice is, its slices are checked, and the follow-up is told', async () => {
    const world = await open();
    const [worker, controller] = ['networking.kubeslice.io', 'controller.kubeslice.io'];
    const slice = { ...typeOf(worker, 'slices', 'Slice') };
    const config = { ...typeOf(controller, 'sliceconfigs', 'SliceConfig') };
    for (const name of ['east', 'west'] as const) {
      const client = world.admin(name);
      await client.create(
        customResourceDefinitions,
        definition(worker, 'slices', 'Slice') as never,
      );
      await client.create(
        customResourceDefinitions,
        definition(controller, 'sliceconfigs', 'SliceConfig') as never,
      );
    }
    const put = (cluster: 'east' | 'west', type: ResourceType, object: object) =>
      world.until('it is served', async () =>
        world
          .admin(cluster)
          .create(type, object as never)
          .then(
            () => true,
            () => false,
          ),
      );
    const metadata = { namespace: 'transship-system', name: 'water' };
    const onboarded = (namespace: string) => ({
      metadata,
      status: { applicationNamespaces: [namespace] },
    });
    await put('east', slice, onboarded('shop'));
    await put('west', slice, onboarded(there));
    const entry = { namespace: there, clusters: ['*'] };
    await put('east', config, {
      metadata,
      spec: { namespaceIsolationProfile: { applicationNamespaces: [entry] } },
    });
    await world.run(61_000);
    await makeReplication(world);
    const halted = await reached(world, 'Halted');
    assert.equal(resultOf(halted, 'SliceOnboarding'), 'Incompatible');
    assert.match(
      checkOf(halted, 'SliceOnboarding')?.message ?? '',
      /market is on slice water from west/,
    );
    assert.equal(resultOf(halted, 'NamespaceSameness'), 'Incompatible');
    await world.admin('west').delete(slice, metadata);
    await world.admin('east').delete(config, metadata);
    world.onRequest = async (cluster, { path }) => {
      if (cluster !== 'west' || !/\/(slices|csistoragecapacities)/.test(path)) return;
      throw new TransshipError('Forbidden', 'the hub cannot list this');
    };
    await decide(world, 'Recheck');
    const done = await reached(world, 'Done');
    // What may not be seen is in nobody's way, and said.
    for (const name of ['SliceOnboarding', 'StorageTooSmall']) {
      assert.equal(resultOf(done, name), 'Compatible');
      assert.match(checkOf(done, name)?.message ?? '', /^not looked at: .*cannot list this/);
    }
    assert.equal(done.status?.state, 'Success', saidBy(done));
    assert.match(
      done.status?.notes?.join() ?? '',
      /Namespace shop is on slice water: .* SliceConfig water/,
    );
    await world.stop();
  });
});
