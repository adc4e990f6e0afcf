// Copies through a repository: when it is taken, who can, and what is left.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { clusters } from '../../src/api/kinds/cluster.ts';
import { repositories } from '../../src/api/kinds/repository.ts';
import { savedVersions } from '../../src/api/kinds/saved-version.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import { persistentVolumes, secrets } from '../../src/kube/resources.ts';
import { pods } from '../../src/kube/workloads.ts';
import { begin, helpersOf } from './mover-transfers.ts';
import { withData } from './scenarios.ts';
import {
  change,
  makeTransfer,
  messageOf,
  phaseOf,
  transfer,
  untilCleanedUp,
  untilEnded,
} from './transfers.ts';
import { openWorld, saveWorld, type World } from './world.ts';

const library = createSchemaLibrary();
const saved = await saveWorld(library, withData);
const route = 'repository between (restic)';

const bucket = {
  s3: {
    endpoint: 'https://s3.example.org',
    bucket: 'moves',
    prefix: 'team/',
    credentialsSecretRef: { namespace: 'shop', name: 'keys' },
  },
};

async function repository(world: World, spec: object = bucket, marks: object = {}): Promise<void> {
  const hub = world.admin('west');
  const data = { accessKeyId: 'aWQ=', secretAccessKey: 'c2VjcmV0' };
  await hub.create(secrets, { metadata: { namespace: 'shop', name: 'keys' }, data } as never);
  const metadata = { name: 'between', annotations: marks };
  await hub.create(repositories, { metadata, spec } as never);
}

const passwordsOf = async (world: World) =>
  (await world.list('west', secrets)).filter(({ metadata }) =>
    // Those of chunks are the controllers' own.
    isOfTransfer(metadata),
  );
const isOfTransfer = ({ name, namespace }: { name?: string; namespace?: string }): boolean =>
  name?.startsWith('transship-repository-') === true && namespace !== 'transship-system';

suite('copies through a repository', () => {
  const open = (): Promise<World> => openWorld(library, saved);

  test('it is taken when no way leads there, each tried once', async () => {
    const world = await open();
    world.nodes.reaches = () => false;
    await repository(world);
    await begin(world, undefined, { pass: 'Last', repository: 'between' });
    assert.equal(
      await untilEnded(world, undefined, 1_200_000),
      'Succeeded',
      await messageOf(world),
    );
    const { status } = (await transfer(world))!;
    assert.equal(status?.route, route);
    assert.equal(status.percent, 100);
    assert.equal(status.audit?.destination?.digest, 'd');
    assert.match(await messageOf(world), /no sockets/);
    const [volume] = await world.list('west', persistentVolumes);
    assert.equal(volume?.spec?.persistentVolumeReclaimPolicy, 'Retain');
    await untilCleanedUp(world);
    assert.deepEqual(await helpersOf(world), []);
    assert.equal((await passwordsOf(world)).length, 1);
    const [place = ''] = world.nodes.saved;
    assert.match(place, /"prefix":"team\/transship-volumes\/[0-9a-f-]+"/);
    await world.stop();
  });

  test('it is not taken where a direct way leads', async () => {
    const world = await open();
    await repository(world);
    await begin(world, undefined, { repository: 'between' });
    assert.equal(await untilEnded(world), 'Succeeded', await messageOf(world));
    assert.match((await transfer(world))?.status?.route ?? '', /^address of the pod/);
    assert.deepEqual(await passwordsOf(world), []);
    await world.stop();
  });

  test('it is taken at once when it says so itself, or another copy found out', async () => {
    const world = await open();
    await repository(world, bucket, { 'transship.dev/no-direct-way': 'true' });
    await begin(world, undefined, { repository: 'between' });
    assert.equal(await untilEnded(world), 'Succeeded', await messageOf(world));
    assert.equal((await transfer(world))?.status?.route, route);
    await world
      .admin('west')
      .patch(
        repositories,
        { namespace: '', name: 'between' },
        { metadata: { annotations: { 'transship.dev/no-direct-way': null } } },
      );
    const spec = { repository: 'between', pass: 'Last', overwrite: true };
    await begin(world, 'again', spec);
    assert.equal(await untilEnded(world, 'again'), 'Succeeded', await messageOf(world, 'again'));
    assert.equal((await transfer(world, 'again'))?.status?.route, route);
    // Both were saved in one place, so that the second found what the first had brought.
    assert.equal(world.nodes.saved.size, 1);
    await world.stop();
  });

  test('a directory is of no use to clusters that cannot see it', async () => {
    const world = await open();
    await repository(world, { directory: { path: '/backups' } });
    world.nodes.reaches = () => false;
    await begin(world, undefined, { repository: 'between' });
    assert.equal(await untilEnded(world, undefined, 1_200_000), 'Failed');
    assert.match(await messageOf(world), /^Unsupported: pods of cluster \w+ cannot see directory/);
    await untilCleanedUp(world);
    assert.deepEqual(await helpersOf(world), []);
    await world.stop();
  });

  const alone = async (world: World): Promise<void> => {
    world.cloud.find('west').isAlone = true;
    const west = { namespace: '', name: 'west' };
    await world.until('nobody is known', async () => {
      const found = await world.find('west', clusters, west);
      return found?.status?.peers?.length === 0;
    });
  };

  test('a volume of ours goes there as chunks when the clusters have not joined', async () => {
    const world = await open();
    await alone(world);
    await repository(world, bucket);
    await makeTransfer(world, { spec: { repository: 'between', pass: 'Ahead' } });
    await world.until('the volume arrives', async () => {
      world.cloud.fetch(1 << 30);
      return (await phaseOf(world)) === 'Succeeded';
    });
    assert.equal(await untilEnded(world), 'Succeeded', await messageOf(world));
    const { status } = (await transfer(world))!;
    assert.deepEqual(
      [status?.method, status?.route, status?.percent],
      ['Teleport', 'repository between (chunks)', 100],
    );
    const [first] = await world.list('east', savedVersions);
    assert.equal(first?.status?.phase, 'Saved');
    // How it is reached there is a copy of the hub's, with a Secret of its own.
    const there = await world.find('east', repositories, { namespace: '', name: 'between' });
    const own = { namespace: 'transship-system', name: 'transship-repository-between' };
    assert.deepEqual(there?.spec.s3?.credentialsSecretRef, own);
    assert.deepEqual(
      (await world.find('east', secrets, own))?.data?.['password'],
      (await world.find('west', secrets, own))?.data?.['password'],
    );
    await makeTransfer(world, { name: 'last', spec: { repository: 'between', pass: 'Last' } });
    assert.equal(await untilEnded(world, 'last'), 'Succeeded', await messageOf(world, 'last'));
    assert.match(await messageOf(world, 'last'), /must be reachable/);
    const claimed = await world.list('west', persistentVolumes);
    assert.equal(claimed.length, 1);
    // What an earlier pass saved is forgotten when a later one is complete.
    await world.until('one version is left', async () => {
      world.cloud.fetch(1 << 30);
      return (await world.list('east', savedVersions)).length === 1;
    });
    assert.deepEqual(world.cloud.forgotten, [first?.metadata.name]);
    await world.stop();
  });

  test('it goes there as files when the repository cannot be used for chunks', async () => {
    const world = await open();
    await alone(world);
    await makeTransfer(world, { spec: { repository: 'nowhere' } });
    await world.until(
      'a method',
      async () => (await transfer(world))?.status?.method !== undefined,
    );
    const { status } = (await transfer(world))!;
    assert.equal(status?.method, 'Filesystem');
    const declined = status?.declined?.find(({ method }) => method === 'Teleport');
    assert.equal(declined?.reason, 'NoLink');
    await world.stop();
  });

  test('paused, it has no pod; a pod that vanished is made again', async () => {
    const world = await open();
    await repository(world, bucket, { 'transship.dev/no-direct-way': 'true' });
    world.nodes.looksMax = 2;
    await begin(world, undefined, { repository: 'between' });
    const running = async () => (await world.list('east', pods)).filter(isMover);
    const isMover = ({ metadata }: { metadata: { name?: string } }): boolean =>
      metadata.name?.startsWith('vt-') === true;
    await world.until('a pod saves', async () => (await running()).length === 1);
    await change(world, { paused: true });
    await world.until('no pod', async () => (await running()).length === 0);
    await change(world, { paused: false });
    await world.until('another pod', async () => (await running()).length === 1);
    const [pod] = await running();
    const key = { namespace: 'shop', name: pod?.metadata.name ?? '' };
    await world.admin('east').delete(pods, key, { graceSeconds: 0 });
    world.nodes.looksMax = Number.POSITIVE_INFINITY;
    assert.equal(await untilEnded(world), 'Succeeded', await messageOf(world));
    assert.ok(((await transfer(world))?.status?.attempts ?? 0) >= 2);
    await world.stop();
  });
});
