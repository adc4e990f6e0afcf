/** Claims of the class `directory`, and pods as processes, on both kinds of clusters. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { pods } from '../../../src/embedded/runtime/kinds/pods.ts';
import {
  nodes,
  type PersistentVolumeClaim,
  persistentVolumeClaims,
  persistentVolumes,
} from '../../../src/kube/resources.ts';
import { planePaths } from '../../../src/host/control-plane/paths.ts';
import { fleetCases } from './case.ts';
import { type FleetContext, MiB } from './context.ts';
import type { Member } from './member.ts';

const ofDirectory = { size: '5Mi', storageClass: 'directory' };

interface PodWish {
  readonly name: string;
  readonly script: string;
  readonly claim?: string;
  readonly block?: boolean;
}

export async function makePod(t: FleetContext, at: Member, wish: PodWish): Promise<void> {
  const { name, script, claim, block = false } = wish;
  const seen = block
    ? { volumeDevices: [{ name: 'data', devicePath: '/transship-test-device' }] }
    : { volumeMounts: [{ name: 'data', mountPath: '/transship-test-data' }] };
  const volumes = [{ name: 'data', persistentVolumeClaim: { claimName: claim } }];
  const container = { name: 'main', image: 'host', command: ['sh', '-c', script] };
  const pod = {
    metadata: { name, namespace: t.namespace },
    spec: {
      restartPolicy: 'Never',
      terminationGracePeriodSeconds: 1,
      automountServiceAccountToken: false,
      containers: [{ ...container, ...(claim === undefined ? {} : seen) }],
      ...(claim === undefined ? {} : { volumes }),
    },
  };
  // A real server takes no pod before the namespace has its service account.
  await t.until(`pod ${name} to be taken`, () => at.client.create(pods, pod as never));
}

export async function phase(
  t: FleetContext,
  at: Member,
  name: string,
  wanted: string,
): Promise<void> {
  await t.until(`pod ${name} to be ${wanted}`, async () => {
    const pod = await at.client.get(pods, t.key(name));
    const seen = pod?.status?.phase;
    assert.ok(seen === wanted || seen !== 'Failed', `${name}: ${JSON.stringify(pod?.status)}`);
    return seen === wanted ? true : undefined;
  });
}

/** Runs a pod to its end and takes it away. Returns its log, without the last line end. */
export async function run(t: FleetContext, at: Member, wish: PodWish): Promise<string> {
  await makePod(t, at, wish);
  await phase(t, at, wish.name, 'Succeeded');
  const path = `/api/v1/namespaces/${t.namespace}/pods/${wish.name}/log?container=main`;
  const said = String(await at.client.request('GET', path)).trimEnd();
  await at.client.delete(pods, t.key(wish.name));
  await t.gone(at, pods, wish.name);
  return said;
}

export async function pathOf(t: FleetContext, at: Member, volume: string): Promise<string> {
  const { spec } = await t.object(at, persistentVolumes, volume);
  const { local } = spec as unknown as { readonly local?: { readonly path: string } };
  return local?.path ?? '';
}

export const directoryCases = fleetCases({
  'a claim waits for its pod, keeps what was written, and takes it along when it goes': async (
    t,
  ) => {
    const { east } = t;
    await t.makeClaim(east, 'data', ofDirectory);
    const script = 'echo kept > "$TRANSSHIP_MOUNT_DATA/word" && echo done';
    assert.equal(await run(t, east, { name: 'writer', claim: 'data', script }), 'done');
    const volume = await t.bound(east, 'data');
    const claim = await t.object(east, persistentVolumeClaims, 'data');
    assert.equal(volume, `pvc-${claim.metadata.uid}`);
    const path = await pathOf(t, east, volume);
    const { directories } = planePaths(t.fleet.cloud.home, east.name);
    assert.ok(path.startsWith(directories), path);
    assert.equal(statSync(directories).mode & 0o777, 0o700);
    const read = 'cat "$TRANSSHIP_MOUNT_DATA/word"';
    assert.equal(await run(t, east, { name: 'reader', claim: 'data', script: read }), 'kept');
    await east.client.delete(persistentVolumeClaims, t.key('data'));
    await t.gone(east, persistentVolumes, volume);
    assert.ok(!existsSync(dirname(path)));
    await t.nothingLeft();
  },

  'data stays while a pod uses it, though claim and volume are to go': async (t) => {
    const { east } = t;
    await t.makeClaim(east, 'data', ofDirectory);
    const script = 'touch "$TRANSSHIP_MOUNT_DATA/there"; exec sleep 1000';
    await makePod(t, east, { name: 'user', claim: 'data', script });
    await phase(t, east, 'user', 'Running');
    const volume = await t.bound(east, 'data');
    const path = await pathOf(t, east, volume);
    await east.client.delete(persistentVolumeClaims, t.key('data'));
    await east.client.delete(persistentVolumes, { namespace: '', name: volume });
    await t.until(
      'the pod to have written',
      async () => existsSync(join(path, 'there')) || undefined,
    );
    const claim = await t.object(east, persistentVolumeClaims, 'data');
    assert.ok(claim.metadata.deletionTimestamp !== undefined);
    await east.client.delete(pods, t.key('user'));
    await t.gone(east, persistentVolumes, volume);
    assert.ok(!existsSync(path));
  },

  'Retain keeps the data, also when its object goes': async (t) => {
    const { east } = t;
    await t.makeClaim(east, 'data', ofDirectory);
    const script = 'echo kept > "$TRANSSHIP_MOUNT_DATA/word"';
    await run(t, east, { name: 'writer', claim: 'data', script });
    const volume = await t.bound(east, 'data');
    const path = await pathOf(t, east, volume);
    await east.client.patch(persistentVolumes, { namespace: '', name: volume }, {
      spec: { persistentVolumeReclaimPolicy: 'Retain' },
    } as never);
    await east.client.delete(persistentVolumeClaims, t.key('data'));
    await t.until('the volume to be released', async () => {
      const { status } = await t.object(east, persistentVolumes, volume);
      return status?.phase === 'Released' ? true : undefined;
    });
    await east.client.delete(persistentVolumes, { namespace: '', name: volume });
    await t.gone(east, persistentVolumes, volume);
    assert.deepEqual(readdirSync(path), ['word']);
  },

  'a block claim is a device of exactly its size': async (t) => {
    const { east } = t;
    await east.client.create<PersistentVolumeClaim>(persistentVolumeClaims, {
      metadata: t.key('raw'),
      spec: {
        storageClassName: 'directory',
        volumeMode: 'Block',
        accessModes: ['ReadWriteOnce'],
        resources: { requests: { storage: '5Mi' } },
      } as never,
    });
    // It writes its last bytes, and says how many there are; `dd` fails beyond the end.
    const script = [
      'at="$TRANSSHIP_MOUNT_DATA"',
      'printf last | dd of="$at" bs=1 seek=5242876 conv=notrunc,fsync 2>/dev/null',
      'dd if="$at" bs=1M 2>/dev/null | wc -c',
    ].join(' && ');
    assert.equal(
      await run(t, east, { name: 'writer', claim: 'raw', block: true, script }),
      String(5 * MiB),
    );
    const volume = await t.bound(east, 'raw');
    const read = 'tail -c 4 "$TRANSSHIP_MOUNT_DATA"';
    const again = { name: 'reader', claim: 'raw', block: true, script: read };
    assert.equal(await run(t, east, again), 'last');
    const path = await pathOf(t, east, volume);
    assert.equal(statSync(path).size, 5 * MiB);
    await east.client.delete(persistentVolumeClaims, t.key('raw'));
    await t.gone(east, persistentVolumes, volume);
    assert.ok(!existsSync(path));
  },

  'a killed control plane makes and takes back what it had begun': {
    alone: true,
    run: async (t) => {
      const { east } = t;
      const names = ['one', 'two', 'three'];
      const restart = async (): Promise<void> => {
        await east.api.kill9();
        await east.api.start();
      };
      const script = 'echo kept > "$TRANSSHIP_MOUNT_DATA/word"';
      for (const name of names) {
        await t.makeClaim(east, name, ofDirectory);
        await makePod(t, east, { name, claim: name, script });
      }
      await restart();
      for (const name of names) await phase(t, east, name, 'Succeeded');
      const volumes = await Promise.all(names.map((name) => t.bound(east, name)));
      const paths = await Promise.all(volumes.map((volume) => pathOf(t, east, volume)));
      for (const path of paths) assert.deepEqual(readdirSync(path), ['word']);
      for (const name of names) {
        await east.client.delete(pods, t.key(name));
        await east.client.delete(persistentVolumeClaims, t.key(name));
      }
      await restart();
      for (const volume of volumes) await t.gone(east, persistentVolumes, volume);
      for (const path of paths) assert.ok(!existsSync(dirname(path)));
    },
  },

  'a pod of a cluster without the engine runs, and its log is read through the API': async (t) => {
    const { west } = t;
    const script = 'echo \'{"port":7}\'';
    assert.equal(await run(t, west, { name: 'says', script }), '{"port":7}');
    const node = await t.object(west, nodes, west.name);
    assert.equal(node.metadata.labels?.['kubernetes.io/hostname'], west.name);
  },
});
