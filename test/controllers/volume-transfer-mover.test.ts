// Copies by pods: which way leads to the server, who is asked to move first, and what is left.
import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { annotations, labels } from '../../src/controllers/labels.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import {
  namespaces,
  type PersistentVolumeClaim,
  persistentVolumeClaims,
  persistentVolumes,
  secrets,
} from '../../src/kube/resources.ts';
import { type Pod, pods } from '../../src/kube/workloads.ts';
import { begin, helpersOf, isCopying } from './mover-transfers.ts';
import { withData } from './scenarios.ts';
import { change, messageOf, transfer, untilCleanedUp, untilEnded } from './transfers.ts';
import { openWorld, saveWorld, type World } from './world.ts';

const library = createSchemaLibrary();

/** What tells the attempt at hand from those before it. */
async function attemptOf(world: World) {
  const all = await world.list('east', secrets);
  const secret = all.find(({ metadata }) => metadata.name?.endsWith('-client'));
  const notes = secret?.metadata.annotations ?? {};
  const memory = JSON.parse(notes[annotations.moverMemory] ?? '{}') as { runs?: number };
  const servers = (await world.list('west', pods)).map(({ metadata }) => metadata.uid);
  return { authority: notes[annotations.moverAuthority], server: servers[0], runs: memory.runs };
}
const saved = await saveWorld(library, withData);

suite('copies by pods', () => {
  const open = (): Promise<World> => openWorld(library, saved);

  test('helpers go with success, the data stays', async () => {
    const world = await open();
    await begin(world, undefined, { pass: 'Last' });
    assert.equal(await untilEnded(world), 'Succeeded', await messageOf(world));
    await untilCleanedUp(world);
    assert.deepEqual(await helpersOf(world), []);
    const { status } = (await transfer(world))!;
    assert.equal(status?.route, 'address of the pod, 10.0.0.1:20001');
    assert.equal(status?.audit?.destination?.digest, 'd');
    const [volume] = await world.list('west', persistentVolumes);
    assert.equal(volume?.metadata.name, status.volume);
    assert.equal(volume?.spec?.persistentVolumeReclaimPolicy, 'Retain');
    await world.stop();
  });

  test('the next way is tried when one leads nowhere', async () => {
    const world = await open();
    world.nodes.reaches = (host) => host === '203.0.113.7';
    world.nodes.balancer = '203.0.113.7';
    await begin(world);
    assert.equal(await untilEnded(world), 'Succeeded', await messageOf(world));
    const { status } = (await transfer(world))!;
    assert.match(status?.route ?? '', /^Service of type LoadBalancer, 203\.0\.113\.7:\d+$/);
    await untilCleanedUp(world);
    assert.deepEqual(await helpersOf(world), []);
    await world.stop();
  });

  test('when no way leads there, all that was tried is told', async () => {
    const world = await open();
    world.nodes.reaches = () => false;
    await begin(world);
    assert.equal(await untilEnded(world, undefined, 1_200_000), 'Failed');
    const message = await messageOf(world);
    for (const said of [
      /^SourceUnreachable: the server at the destination cannot be reached/,
      /address of the pod: no connection: Connection refused/,
      /Service of type LoadBalancer: no address has been given to it/,
      /Service of type NodePort: /,
    ]) {
      assert.match(message, said);
    }
    await untilCleanedUp(world);
    assert.deepEqual(await helpersOf(world), []);
    await world.stop();
  });

  test('the last copy waits for whoever still uses the claim, and names it', async () => {
    const world = await open();
    const writer = { namespace: 'shop', name: 'writer' };
    await world.admin('east').create<Pod>(pods, {
      metadata: { ...writer, labels: {} },
      spec: {
        containers: [{ name: 'main', image: 'db', command: ['server'] }],
        volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'db' } }],
      },
    });
    await begin(world, undefined, { pass: 'Last' });
    await world.until('it waits', async () => /pod writer/.test(await messageOf(world)));
    assert.match(await messageOf(world), /^Waiting: claim shop\/db is used by pod writer; Stop/);
    await world.admin('east').delete(pods, writer, { graceSeconds: 0 });
    assert.equal(await untilEnded(world), 'Succeeded', await messageOf(world));
    await world.stop();
  });

  test('who copies after another has certificates that the other one never had', async () => {
    const world = await open();
    world.nodes.looksMax = 2;
    await begin(world);
    await world.until('it copies', () => isCopying(world));
    const before = await attemptOf(world);
    const [client] = await world.list('east', pods);
    const key = { namespace: 'shop', name: client?.metadata.name ?? '' };
    await world.admin('east').delete(pods, key, { graceSeconds: 0 });
    await world.until('another one copies', async () => {
      const [next] = await world.list('east', pods);
      return next !== undefined && next.metadata.uid !== client?.metadata.uid;
    });
    const after = await attemptOf(world);
    assert.notEqual(after.authority, before.authority);
    assert.notEqual(after.server, before.server);
    assert.deepEqual([before.runs, after.runs], [1, 2]);
    world.nodes.looksMax = Number.POSITIVE_INFINITY;
    assert.equal(await untilEnded(world), 'Succeeded', await messageOf(world));
    await untilCleanedUp(world);
    assert.deepEqual(await helpersOf(world), []);
    await world.stop();
  });

  test('nobody writes beside a server of another copy, and that one is named', async () => {
    const world = await open();
    const other = { namespace: 'shop', name: 'vt-other-server' };
    await world.admin('west').create<Pod>(pods, {
      metadata: {
        ...other,
        labels: { [labels.transfer]: 'other', [labels.moverSide]: 'server' },
        finalizers: ['example.com/lost-node'],
      },
      spec: {
        containers: [{ name: 'mover', image: 'm', command: ['server'] }],
        volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'db' } }],
      },
    });
    await begin(world);
    await world.until('it waits', async () => {
      return /claim shop\/db .* pod vt-other-server of another copy/.test(await messageOf(world));
    });
    assert.deepEqual((await world.list('west', pods)).length, 1);
    await world.admin('west').patch(pods, other, { metadata: { finalizers: null } });
    await world.admin('west').delete(pods, other, { graceSeconds: 0 });
    assert.equal(await untilEnded(world), 'Succeeded', await messageOf(world));
    await world.stop();
  });

  test('a namespace that admits no root gets a restricted pod, and the price is told', async () => {
    const world = await open();
    const level = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    const shop = { namespace: '', name: 'shop' };
    await world.admin('west').patch(namespaces, shop, { metadata: { labels: level } });
    world.nodes.looksMax = 2;
    await begin(world);
    await world.until('it copies', () => isCopying(world));
    const [server] = await world.list('west', pods);
    assert.equal(server?.spec?.securityContext?.['runAsNonRoot'], true);
    const [client] = await world.list('east', pods);
    assert.equal(client?.spec?.securityContext?.['runAsUser'], 0);
    world.nodes.looksMax = Number.POSITIVE_INFINITY;
    assert.equal(await untilEnded(world), 'Succeeded', await messageOf(world));
    assert.match(await messageOf(world), /all files belong to one user/);
    await world.stop();
  });

  test('a copy ahead runs where the claim is in use, and bears what its user bears', async () => {
    const world = await open();
    const tolerations = [{ key: 'kept-for', value: 'databases', effect: 'NoSchedule' }];
    await world.admin('east').create<Pod>(pods, {
      metadata: { namespace: 'shop', name: 'writer' },
      spec: {
        nodeName: 'node-7',
        tolerations,
        containers: [{ name: 'main', image: 'db', command: ['server'] }],
        volumes: [{ name: 'data', persistentVolumeClaim: { claimName: 'db' } }],
      },
    });
    await begin(world);
    await world.until('it copies', () => isCopying(world));
    const all = await world.list('east', pods);
    const client = all.find(({ metadata }) => metadata.name !== 'writer');
    assert.match(JSON.stringify(client?.spec?.affinity), /"values":\["node-7"\]/);
    assert.deepEqual(client?.spec?.tolerations?.slice(0, 1), tolerations);
    assert.equal(await untilEnded(world), 'Succeeded', await messageOf(world));
    await world.stop();
  });

  test('a claim whose content is replaced is torn until the last pass succeeded', async () => {
    const world = await open();
    const client = world.admin('west');
    await client.create<PersistentVolumeClaim>(persistentVolumeClaims, {
      metadata: { namespace: 'shop', name: 'db' },
      spec: {
        storageClassName: 'transship',
        accessModes: ['ReadWriteOnce'],
        resources: { requests: { storage: '16Mi' } },
      },
    });
    const torn = async (): Promise<unknown> => {
      const claim = await client.get(persistentVolumeClaims, { namespace: 'shop', name: 'db' });
      return claim?.metadata.annotations?.['transship.dev/torn'];
    };
    await begin(world);
    assert.equal(await untilEnded(world), 'Failed');
    assert.match(await messageOf(world), /^AlreadyExists: claim shop\/db of cluster west was not/);
    assert.equal(await torn(), undefined);
    await begin(world, 'over', { overwrite: true });
    assert.equal(await untilEnded(world, 'over'), 'Succeeded', await messageOf(world, 'over'));
    assert.equal(await torn(), (await transfer(world, 'over'))?.metadata.uid);
    await begin(world, 'last', { overwrite: true, pass: 'Last' });
    assert.equal(await untilEnded(world, 'last'), 'Succeeded', await messageOf(world, 'last'));
    assert.equal(await torn(), undefined);
    await change(world, { canceled: true, discard: true }, 'last');
    await untilCleanedUp(world, 'last');
    await world.run(5_000);
    assert.equal((await world.list('west', persistentVolumeClaims)).length, 1, 'it is not ours');
    await world.stop();
  });

  test('a rate that changes reaches the client where it looks for it', async () => {
    const world = await open();
    world.nodes.looksMax = 2;
    await begin(world, undefined, { bandwidth: '1Mi' });
    await world.until('it copies', () => isCopying(world));
    const rate = async (): Promise<unknown> => {
      const all = await world.list('east', secrets);
      const text = all.map(({ data }) => data?.['config.json']).find((one) => one !== undefined);
      const config = JSON.parse(Buffer.from(text ?? '', 'base64').toString('utf8')) as object;
      return 'bytesPerSecond' in config ? config.bytesPerSecond : undefined;
    };
    assert.equal(await rate(), 2 ** 20);
    await change(world, { bandwidth: '3Mi' });
    await world.until('the rate is told', async () => (await rate()) === 3 * 2 ** 20);
    world.nodes.looksMax = Number.POSITIVE_INFINITY;
    assert.equal(await untilEnded(world), 'Succeeded', await messageOf(world));
    await world.stop();
  });
});
