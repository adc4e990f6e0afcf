// Claims that ask for another VolumeAttributesClass: the living volume becomes what it says.
import assert from 'node:assert/strict';
import { before, suite, test } from 'node:test';
import { historyPolicies } from '../../src/api/kinds/history-policy.ts';
import { volumes } from '../../src/api/kinds/volume.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import {
  type PersistentVolumeClaim,
  persistentVolumeClaims,
  persistentVolumes,
  storageClasses,
  volumeAttributesClasses,
} from '../../src/kube/resources.ts';
import { bindClaims } from './binder.ts';
import { openNodes, type ReplicaWorld, saveNodes, type SavedNodes } from './replica-world.ts';

const library = createSchemaLibrary();
const key = { namespace: 'transship-system', name: 'db' };
const driver = 'transship.dev';

async function makeClaim(world: ReplicaWorld, attributesClass?: string): Promise<void> {
  const more = attributesClass === undefined ? {} : { volumeAttributesClassName: attributesClass };
  await world.client.create(persistentVolumeClaims, {
    metadata: key,
    spec: {
      storageClassName: 'transship',
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: '16Mi' } },
      ...more,
    },
  });
}

async function claimOf(world: ReplicaWorld): Promise<PersistentVolumeClaim> {
  const claim = await world.client.get(persistentVolumeClaims, key);
  assert.ok(claim !== undefined);
  return claim;
}

async function ask(world: ReplicaWorld, name: string): Promise<void> {
  const spec = { volumeAttributesClassName: name };
  await world.client.patch(persistentVolumeClaims, key, { spec });
}

async function makeClass(
  world: ReplicaWorld,
  name: string,
  parameters: Readonly<Record<string, string>>,
  driverName = driver,
): Promise<void> {
  await world.client.create(volumeAttributesClasses, {
    metadata: { name },
    driverName,
    parameters,
  });
}

const current = async (world: ReplicaWorld) =>
  (await claimOf(world)).status?.currentVolumeAttributesClassName;

const modifying = async (world: ReplicaWorld) => (await claimOf(world)).status?.modifyVolumeStatus;

/** Bound claims are bound by somebody else. */
async function open(saved: SavedNodes): Promise<ReplicaWorld> {
  const world = await openNodes(library, saved);
  world.onStep = () => bindClaims(world.client);
  return world;
}

suite('volume attributes classes', () => {
  let bound: SavedNodes;
  let empty: SavedNodes;

  before(async () => {
    const prepare = async (world: ReplicaWorld): Promise<void> => {
      await world.client.create(storageClasses, {
        metadata: { name: 'transship' },
        provisioner: driver,
        parameters: { replicas: '2', historyPolicy: 'none' },
      });
      const spec = { seconds: '1h' };
      await world.client.create(historyPolicies, { metadata: { name: 'hour' }, spec } as never);
      await makeClass(world, 'safe', { replicas: '3', historyPolicy: 'hour' });
      await makeClass(world, 'plain', { replicas: '1' });
      await world.run(3_000);
    };
    empty = await saveNodes(library, prepare);
    bound = await saveNodes(library, async (world) => {
      await prepare(world);
      world.onStep = () => bindClaims(world.client);
      await makeClaim(world);
      await world.until('bound', async () => (await claimOf(world)).status?.phase === 'Bound');
      await world.run(20_000);
    });
  });

  async function settled(world: ReplicaWorld, name: string, replicas: number): Promise<void> {
    await world.until(`it is as ${name}`, async () => (await current(world)) === name);
    const [volume] = await world.list(volumes);
    assert.equal(volume?.spec.replicas?.length, replicas);
    assert.deepEqual(
      volume?.status?.replicas?.map(({ state }) => state),
      Array.from({ length: replicas }, () => 'Healthy'),
    );
    assert.equal(await modifying(world), undefined);
    const [made] = await world.list(persistentVolumes);
    assert.equal(made?.spec?.volumeAttributesClassName, name);
  }

  test('more replicas and a policy, then fewer again, one by one', async () => {
    const world = await open(bound);
    await ask(world, 'safe');
    await world.until('it is under way', async () => {
      return (await modifying(world))?.status === 'InProgress';
    });
    assert.equal(await current(world), undefined, 'not before it is so');
    await settled(world, 'safe', 3);
    const [before] = await world.list(volumes);
    assert.equal(before?.spec.historyPolicy, 'hour');
    assert.equal(world.nodes.volume(before?.metadata.name ?? '').policy, 'hour');
    const leader = before?.status?.replicaSet?.leader;
    await ask(world, 'plain');
    await settled(world, 'plain', 1);
    const [after] = await world.list(volumes);
    assert.equal(after?.status?.replicas?.[0]?.agent, leader, 'the leader stays');
    assert.equal(after?.spec.historyPolicy, 'hour', 'what a class does not name stays');
    assert.equal(world.told('VolumeModifySuccessful').length, 2);
    world.kill();
  });

  test('what cannot be changes nothing and is said; it goes on when it can be', async () => {
    const world = await open(bound);
    const [untouched] = await world.list(volumes);
    for (const [name, parameters, driverName, words] of [
      ['blocks', { replicas: '3', blockSize: '4Ki' }, driver, /'blockSize' stays as .*; can be/],
      ['typo', { replica: '3' }, driver, /'replica' is unknown; can be changed: historyPolicy, r/],
      ['forever', { historyPolicy: 'forever' }, driver, /no history policy forever/],
      ['other', { iops: '100' }, 'other.example.org', /is for volumes of other\.example\.org/],
    ] as const) {
      await makeClass(world, name, parameters, driverName);
      await ask(world, name);
      await world.until(`${name} is infeasible`, async () => {
        const { targetVolumeAttributesClassName: target, status } = (await modifying(world)) ?? {};
        return target === name && status === 'Infeasible';
      });
      assert.match(world.told('VolumeModifyFailed').at(-1) ?? '', words);
    }
    await ask(world, 'later');
    await world.until('it waits', async () => (await modifying(world))?.status === 'Pending');
    const [still] = await world.list(volumes);
    assert.deepEqual(still?.spec, untouched?.spec);
    await makeClass(world, 'later', { replicas: '3' });
    await settled(world, 'later', 3);
    await makeClass(world, 'many', { replicas: '5' });
    await ask(world, 'many');
    await world.until('too few nodes', async () => {
      return /5 replicas are asked for/.test(world.told('VolumeModifyFailed').at(-1) ?? '');
    });
    // Taken back: nothing is under way any more.
    await ask(world, 'later');
    await world.until('it is taken back', async () => (await modifying(world)) === undefined);
    assert.equal(await current(world), 'later');
    world.kill();
  });

  test('a claim that begins with a class gets a volume made by it', async () => {
    const world = await open(empty);
    await makeClaim(world, 'safe');
    await settled(world, 'safe', 3);
    const [volume] = await world.list(volumes);
    assert.equal(volume?.spec.historyPolicy, 'hour');
    assert.equal(volume?.metadata.generation, 1, 'it was so from the beginning');
    world.kill();
  });
});
