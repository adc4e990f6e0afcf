import assert from 'node:assert/strict';
import { before, suite, test } from 'node:test';
import { clusters } from '../../src/api/kinds/cluster.ts';
import { historyPolicies } from '../../src/api/kinds/history-policy.ts';
import { pools } from '../../src/api/kinds/pool.ts';
import { repositories } from '../../src/api/kinds/repository.ts';
import { volumes } from '../../src/api/kinds/volume.ts';
import { conditionOf, isTrue, type Reported } from '../../src/controllers/status.ts';
import { fail } from '../../src/base/errors.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import type { ResourceType } from '../../src/kube/objects.ts';
import {
  persistentVolumeClaims,
  volumeAttachments,
  persistentVolumes,
  secrets,
  storageClasses,
} from '../../src/kube/resources.ts';
import { driver } from '../../src/controllers/labels.ts';
import { isBound, makeClaim } from './scenarios.ts';
import { openWorld, type Saved, saveWorld, type World } from './world.ts';

const library = createSchemaLibrary();
const MiB = 1024 * 1024;

suite('objects of one cluster', () => {
  let saved: Saved;

  before(async () => {
    saved = await saveWorld(library, (world) => world.run(5_000));
  });

  const open = (): Promise<World> => openWorld(library, saved);

  async function reasonOf<T extends Reported>(
    world: World,
    type: ResourceType<T>,
    name: string,
    condition = 'Ready',
  ): Promise<string | undefined> {
    return conditionOf(await world.find('east', type, { name }), condition)?.reason;
  }

  async function makeVolume(world: World, name: string, spec: object): Promise<void> {
    await world.admin('east').create(volumes, { metadata: { name }, spec } as never);
  }

  test('a volume that an agent has gets an object, and loses it with the volume', async () => {
    const world = await open();
    const agent = world.cloud.find('east').client;
    await agent.call('volume.create', { name: 'found', sizeBytes: 4 * MiB });
    await world.run(2_000);
    const found = await world.find('east', volumes, { name: 'found' });
    assert.ok(isTrue(found, 'Ready'));
    assert.equal(found?.spec.size, '4Mi');
    assert.equal(found?.metadata.labels?.['transship.dev/adopted'], 'true');
    await agent.call('volume.delete', { name: 'found' });
    await world.run(20_000);
    assert.equal(await world.find('east', volumes, { name: 'found' }), undefined);
    await world.stop();
  });

  test('a volume that its agent lost is not made again in silence', async () => {
    const world = await open();
    await makeVolume(world, 'lost', { size: '4Mi' });
    await world.run(2_000);
    await world.cloud.find('east').client.call('volume.delete', { name: 'lost' });
    await world.run(20_000);
    assert.equal(await reasonOf(world, volumes, 'lost'), 'NotFound');
    assert.equal(world.cloud.find('east').state.volumes.size, 0);
    await world.stop();
  });

  test('a name that something else has is refused, and that is left alone', async () => {
    const world = await open();
    for (const process of world.processes.values()) process.kill();
    const agent = world.cloud.find('east').client;
    await agent.call('volume.create', { name: 'mine', sizeBytes: 8 * MiB });
    await makeVolume(world, 'mine', { size: '4Mi' });
    world.startAll();
    await world.run(3_000);
    assert.equal(await reasonOf(world, volumes, 'mine'), 'AlreadyExists');
    await world.admin('east').delete(volumes, { namespace: '', name: 'mine' });
    await world.run(2_000);
    assert.equal(world.cloud.find('east').volume('mine').sizeBytes, 8 * MiB);
    await world.stop();
  });

  test('a volume in use is not deleted, says who uses it, and goes when that ends', async () => {
    const world = await open();
    await makeVolume(world, 'busy', { size: '4Mi' });
    await world.run(2_000);
    const own = world.cloud.find('east').volume('busy');
    own.doors.push('nbd');
    await world.admin('east').delete(volumes, { namespace: '', name: 'busy' });
    await world.run(5_000);
    const busy = await world.find('east', volumes, { name: 'busy' });
    assert.equal(conditionOf(busy, 'Deleting')?.reason, 'InUse');
    assert.match(conditionOf(busy, 'Deleting')?.message ?? '', /nbd/);
    const told = world.events.filter(({ action }) => action === 'Deleting');
    assert.equal(told.length, 1, 'told once');
    own.doors.pop();
    world.cloud.tell();
    await world.run(40_000);
    assert.equal(await world.find('east', volumes, { name: 'busy' }), undefined);
    await world.stop();
  });

  test('a leased volume goes at once when it is forced', async () => {
    const world = await open();
    await makeVolume(world, 'leased', { size: '4Mi' });
    await world.run(2_000);
    world.cloud.find('east').state.leases.set('l', { volume: 'leased', holder: 'north/x' });
    const key = { namespace: '', name: 'leased' };
    await world.admin('east').delete(volumes, key);
    await world.run(5_000);
    assert.equal(await reasonOf(world, volumes, 'leased', 'Deleting'), 'Leased');
    const annotations = { 'transship.dev/force-delete': 'true' };
    await world.admin('east').patch(volumes, key, { metadata: { annotations } });
    await world.run(40_000);
    assert.equal(await world.find('east', volumes, key), undefined);
    assert.equal(world.cloud.find('east').state.volumes.size, 0);
    await world.stop();
  });

  test('an agent that does not answer: nothing is forgotten, nothing is claimed', async () => {
    const world = await open();
    await makeVolume(world, 'far', { size: '4Mi' });
    await world.run(2_000);
    world.cloud.find('east').isDown = true;
    await world.run(20_000);
    const far = await world.find('east', volumes, { name: 'far' });
    assert.equal(conditionOf(far, 'Ready')?.status, 'Unknown');
    assert.equal(conditionOf(far, 'Ready')?.reason, 'AgentUnreachable');
    assert.equal(far?.status?.sizeBytes, 4 * MiB);
    assert.equal(await reasonOf(world, pools, 'main'), 'AgentUnreachable');
    assert.equal(await reasonOf(world, clusters, 'east', 'Connected'), 'AgentUnreachable');
    world.cloud.find('east').isDown = false;
    await world.run(20_000);
    assert.ok(isTrue(await world.find('east', volumes, { name: 'far' }), 'Ready'));
    assert.ok(isTrue(await world.find('east', pools, { name: 'main' }), 'Ready'));
    assert.ok(isTrue(await world.find('east', clusters, { name: 'east' }), 'Ready'));
    await world.stop();
  });

  test('a preset comes back when it is deleted, and is put right when it is changed', async () => {
    const world = await open();
    const key = { namespace: '', name: 'one-hour' };
    await world.admin('east').delete(historyPolicies, key);
    await world.run(2_000);
    assert.equal((await world.find('east', historyPolicies, key))?.spec.seconds, '1h');
    await world.admin('east').patch(historyPolicies, key, { spec: { seconds: '2h' } });
    await world.run(2_000);
    assert.equal((await world.find('east', historyPolicies, key))?.spec.seconds, '1h');
    assert.ok(world.events.some(({ reason }) => reason === 'NotAllowed'));
    await world.stop();
  });

  test('a cluster says what is wrong with its credentials, and takes new ones', async () => {
    const world = await open();
    await world.run(10_000);
    assert.ok(isTrue(await world.find('east', clusters, { name: 'west' }), 'Ready'));
    world.refusals.set('west', 401);
    await world.run(40_000);
    assert.equal(await reasonOf(world, clusters, 'west', 'Reachable'), 'Unauthorized');
    const secret = { namespace: 'transship-system', name: 'west' };
    await world.admin('east').delete(secrets, secret);
    await world.run(40_000);
    assert.equal(await reasonOf(world, clusters, 'west', 'Reachable'), 'CredentialsMissing');
    world.refusals.clear();
    await world.admin('east').create(secrets, {
      metadata: secret,
      stringData: { kubeconfig: 'west' },
    });
    await world.run(40_000);
    assert.ok(isTrue(await world.find('east', clusters, { name: 'west' }), 'Ready'));
    await world.stop();
  });

  test('the way to a cluster is checked when somebody asks', async () => {
    const world = await open();
    await world.run(10_000);
    const asked = { 'transship.dev/check-requested': 'now' };
    world.cloud.find('east').isCut = true;
    const key = { namespace: '', name: 'west' };
    await world.admin('east').patch(clusters, key, { metadata: { annotations: asked } });
    await world.run(15_000);
    const checked = await world.find('east', clusters, key);
    assert.equal(conditionOf(checked, 'Checked')?.status, 'False');
    assert.equal(checked?.metadata.annotations?.['transship.dev/checked'], 'now');
    assert.equal(conditionOf(checked, 'Connected')?.status, 'False');
    await world.stop();
  });

  test('a repository says why it cannot be used', async () => {
    const world = await open();
    const client = world.admin('east');
    const spec = { directory: { path: '/nowhere' } };
    await client.create(repositories, { metadata: { name: 'backups' }, spec } as never);
    await world.run(3_000);
    assert.equal(await reasonOf(world, repositories, 'backups'), 'NotFound');
    await world.stop();
  });

  test('a claim waits for its first consumer, and its volume outlives it with Retain', async () => {
    const world = await open();
    const client = world.admin('east');
    await client.delete(storageClasses, { namespace: '', name: 'transship' });
    await client.create(storageClasses, {
      metadata: { name: 'transship' },
      provisioner: 'transship.dev',
      reclaimPolicy: 'Retain',
      volumeBindingMode: 'WaitForFirstConsumer',
      parameters: { type: 'xfs', historyPolicy: 'one-hour', blockSize: '16k' },
    });
    await makeClaim(world, 'east');
    await world.run(5_000);
    assert.deepEqual(await world.list('east', volumes), []);
    const db = { namespace: 'shop', name: 'db' };
    const annotations = { 'volume.kubernetes.io/selected-node': 'node-1' };
    await client.patch(persistentVolumeClaims, db, { metadata: { annotations } });
    await world.until('bound', () => isBound(world, 'east'));
    const [made] = await world.list('east', volumes);
    assert.equal(made?.spec.blockSize, '16Ki');
    assert.equal(made?.spec.historyPolicy, 'one-hour');
    await client.delete(persistentVolumeClaims, db);
    await world.run(20_000);
    const [bound] = await world.list('east', persistentVolumes);
    assert.equal(bound?.status?.phase, 'Released');
    await client.delete(persistentVolumes, { namespace: '', name: bound?.metadata.name ?? '' });
    await world.run(20_000);
    assert.deepEqual(await world.list('east', persistentVolumes), []);
    assert.equal((await world.list('east', volumes)).length, 1, 'it was to be kept');
    await world.stop();
  });

  test('a PersistentVolume that is deleted before it is bound is made again', async () => {
    const world = await open();
    const client = world.admin('east');
    await makeClaim(world, 'east');
    const made = async () => (await world.list('east', persistentVolumes))[0]?.metadata;
    // Nobody binds meanwhile.
    while ((await made()) === undefined) await world.clock.advance(world.stepMs);
    const { name = '', uid } = (await made())!;
    await client.delete(persistentVolumes, { namespace: '', name });
    await world.until('it is bound', () => isBound(world, 'east'));
    assert.notEqual((await made())?.uid, uid);
    await world.stop();
  });

  test('a claim in use grows when its kubelet has grown the device, others at once', async () => {
    const world = await open();
    const client = world.admin('east');
    await makeClaim(world, 'east');
    await world.until('bound', () => isBound(world, 'east'));
    const db = { namespace: 'shop', name: 'db' };
    const [bound] = await world.list('east', persistentVolumes);
    const persistentVolumeName = bound?.metadata.name ?? '';
    const spec = { attacher: driver, nodeName: 'node-1', source: { persistentVolumeName } };
    await client.create(volumeAttachments, { metadata: { name: 'of-db' }, spec });
    const grow = async (storage: string) => {
      await client.patch(persistentVolumeClaims, db, {
        spec: { resources: { requests: { storage } } },
      });
      await world.until('the PersistentVolume has grown', async () => {
        const [found] = await world.list('east', persistentVolumes);
        return found?.spec?.capacity?.storage === storage;
      });
      await world.run(5_000);
      return (await world.find('east', persistentVolumeClaims, db))?.status;
    };
    const before = (await world.find('east', persistentVolumeClaims, db))?.status?.capacity;
    const pending = await grow('64Mi');
    assert.deepEqual(pending?.capacity, before);
    assert.deepEqual(pending?.allocatedResources, { storage: '64Mi' });
    assert.deepEqual(pending?.allocatedResourceStatuses, { storage: 'NodeResizePending' });
    const types = (status: typeof pending) => (status?.conditions ?? []).map(({ type }) => type);
    assert.deepEqual(types(pending), ['FileSystemResizePending']);
    // As the kubelet does when it has grown the file system.
    const done = { capacity: { storage: '64Mi' }, allocatedResourceStatuses: null, conditions: [] };
    await client.patchStatus(persistentVolumeClaims, db, { status: done });
    assert.equal((await grow('96Mi'))?.capacity?.storage, '64Mi');
    // The pod went before its kubelet got to it: whoever mounts it next grows it.
    await client.delete(volumeAttachments, { namespace: '', name: 'of-db' });
    await world.run(5_000);
    const unused = (await world.find('east', persistentVolumeClaims, db))?.status;
    assert.equal(unused?.capacity?.storage, '96Mi');
    assert.equal(unused?.allocatedResourceStatuses, undefined);
    assert.deepEqual(types(unused), []);
    assert.equal((await grow('128Mi'))?.capacity?.storage, '128Mi');
    await world.stop();
  });

  test('a clone that has to grow is bound when it has grown', async () => {
    const world = await open();
    await makeClaim(world, 'east');
    await world.until('its source is bound', () => isBound(world, 'east'));
    const clone = { namespace: 'shop', name: 'clone' };
    let refusals = 3;
    world.cloud.find('east').onCall = (operation, stage) => {
      if (operation !== 'volume.resize' || stage === 'done' || refusals-- <= 0) return;
      fail('AgentUnreachable', 'the request is lost');
    };
    const dataSource = { kind: 'PersistentVolumeClaim', name: 'db' };
    await makeClaim(world, 'east', clone, { dataSource, storage: '32Mi' });
    await world.until('the clone is bound', () => isBound(world, 'east', clone));
    const claim = await world.find('east', persistentVolumeClaims, clone);
    assert.equal(claim?.status?.capacity?.storage, '32Mi');
    await world.stop();
  });

  test('a class with a parameter that nobody knows makes no volumes, and says so', async () => {
    const world = await open();
    const client = world.admin('east');
    await client.delete(storageClasses, { namespace: '', name: 'transship' });
    await client.create(storageClasses, {
      metadata: { name: 'transship' },
      provisioner: 'transship.dev',
      parameters: { blocksize: '16k' },
    });
    await makeClaim(world, 'east');
    await world.run(5_000);
    assert.deepEqual(await world.list('east', volumes), []);
    const told = world.events.find(({ reason }) => reason === 'ProvisioningFailed');
    assert.match(told?.note ?? '', /'blocksize' is unknown/);
    await world.stop();
  });
});
