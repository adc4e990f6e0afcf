// An API server in memory with the controllers that bind, protect, own and collect.
import { GarbageCollector } from '../../src/embedded/runtime/upkeep/garbage.ts';
import { createClaimBinder } from '../../src/embedded/runtime/storage/claim-binder.ts';
import {
  createClaimProtection,
  createVolumeProtection,
} from '../../src/embedded/runtime/storage/protection.ts';
import { createVolumePhases } from '../../src/embedded/runtime/storage/volume-phases.ts';
import { createStatefulSetController } from '../../src/embedded/runtime/workload/statefulset.ts';
import { InformerPool } from '../../src/embedded/runtime/informers.ts';
import { runController } from '../../src/embedded/runtime/run-controller.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import { createApiServer } from '../../src/embedded/server/server.ts';
import { admin, MemoryPersistence } from '../../src/embedded/server/testing.ts';
import { createClock } from '../../src/host/clock.ts';
import { createRandom } from '../../src/host/random.ts';
import type { KubeClient } from '../../src/kube/api.ts';
import { createKubeClient } from '../../src/kube/client.ts';
import { createEventRecorder } from '../../src/kube/events.ts';
import {
  namespaces,
  type PersistentVolume,
  type PersistentVolumeClaim,
  persistentVolumeClaims,
  persistentVolumes,
} from '../../src/kube/resources.ts';
import { waitUntil } from '../../src/workload/rebind-wait.ts';

const library = createSchemaLibrary();
const silent = { log: () => undefined };
const metrics = { add: () => undefined, set: () => undefined, observe: () => undefined };
export const patience = { waitMs: 120_000 };

export interface Cluster {
  readonly client: KubeClient;
  stop(): Promise<void>;
}

export async function startCluster(): Promise<Cluster> {
  const clock = createClock();
  const random = createRandom();
  const persistence = new MemoryPersistence();
  const server = createApiServer({ clock, random, log: silent, library, persistence });
  const client = createKubeClient({
    cluster: 'here',
    transport: (request) => server.handle(request, admin),
    clock,
    random,
    log: silent,
    fieldManager: 'test',
  });
  const informers = new InformerPool(client);
  const events = createEventRecorder({ client, reporter: 'test', instance: 'test' });
  const host = { client, informers, events, metrics, log: silent };
  const running = [
    createClaimBinder(),
    createVolumePhases(),
    createClaimProtection(),
    createVolumeProtection(),
    createStatefulSetController(),
  ].map((one) => runController(host, one));
  const garbage = new GarbageCollector(host);
  await garbage.start();
  await Promise.all(running.map((one) => one.started));
  for (const name of ['shop', 'other', 'transship-system']) {
    await client.create(namespaces, { metadata: { name } });
  }
  return {
    client,
    stop: async () => {
      await garbage.stop();
      await Promise.all(running.map((one) => one.stop()));
      await events.stop();
      await informers.stop();
      await server.close();
    },
  };
}

/** Every request from the n-th on fails: the n-th after it was carried out, or before. */
export function killedAt(client: KubeClient, at: number, after: boolean): KubeClient {
  let requests = 0;
  const verbs: readonly unknown[] = ['get', 'patch', 'delete', 'create', 'apply'];
  return new Proxy(client, {
    get: (target, verb) => {
      const call = Reflect.get(target, verb) as unknown;
      if (typeof call !== 'function' || !verbs.includes(verb)) return call;
      return async (...given: unknown[]): Promise<unknown> => {
        requests++;
        if (requests === at && after) await Reflect.apply(call, target, given);
        if (requests >= at) throw new Error('killed');
        return Reflect.apply(call, target, given);
      };
    },
  });
}

export interface VolumeShape {
  readonly name: string;
  readonly storageClass: string;
  readonly driver: string;
  readonly size: string;
}

export function makeVolume(client: KubeClient, shape: VolumeShape): Promise<PersistentVolume> {
  return client.create(persistentVolumes, {
    metadata: { name: shape.name },
    spec: {
      capacity: { storage: shape.size },
      accessModes: ['ReadWriteOnce'],
      persistentVolumeReclaimPolicy: 'Delete',
      storageClassName: shape.storageClass,
      csi: { driver: shape.driver, volumeHandle: shape.name },
    },
  });
}

/** Bound to the volume when it resolves. */
export async function makeBoundClaim(
  client: KubeClient,
  name: string,
  shape: VolumeShape,
  metadata: PersistentVolumeClaim['metadata'] = {},
): Promise<PersistentVolumeClaim> {
  const key = { namespace: 'shop', name };
  await makeVolume(client, shape);
  await client.create(persistentVolumeClaims, {
    metadata: { ...metadata, ...key },
    spec: {
      accessModes: ['ReadWriteOnce'],
      storageClassName: shape.storageClass,
      volumeName: shape.name,
      resources: { requests: { storage: '1Gi' } },
    },
  });
  const bound = async (): Promise<PersistentVolumeClaim | undefined> => {
    const claim = await client.get(persistentVolumeClaims, key);
    const isProtected = (claim?.metadata.finalizers ?? []).length > 0;
    return claim?.status?.phase === 'Bound' && isProtected ? claim : undefined;
  };
  await waitUntil(client, async () => ((await bound()) ? undefined : `${name} waits`), patience);
  return (await bound())!;
}
