import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pools } from '../../../api/kinds/pool.ts';
import { volumes } from '../../../api/kinds/volume.ts';
import { annotations, driver } from '../../../controllers/labels.ts';
import { nodes } from '../../../kube/resources.ts';
import { pods } from '../kinds/pods.ts';
import { claims, persistentVolumes } from '../kinds/storage.ts';
import { createScheduler } from '../scheduler.ts';
import { MemoryWorld } from '../testing.ts';
import { boundNote } from './claim-binder.ts';

const scheduler = createScheduler({ nearVolumes: true });
const podKey = { namespace: 'default', name: 'p' };

/** Nodes a, b and c with a pool each; the first two have a pod already. */
function worldWith(leader: string, replicas: readonly string[], cordoned?: string): MemoryWorld {
  const world = new MemoryWorld();
  for (const name of ['a', 'b', 'c']) {
    world.put(nodes, { metadata: { name }, spec: { unschedulable: name === cordoned } });
    const spec = { node: name, path: '/pool', capacity: '1Gi' };
    world.put(pools, { metadata: { name: `${name}-main` }, spec });
    if (name === 'c') continue;
    world.put(pods, { metadata: { name }, spec: { containers: [], nodeName: name } });
  }
  world.put(volumes, {
    metadata: { name: 'v', annotations: { [annotations.agent]: leader } },
    spec: { size: '1Gi', replicas: replicas.map((pool) => ({ pool: `${pool}-main` })) },
  });
  world.put(persistentVolumes, {
    metadata: { name: 'v' },
    spec: { csi: { driver, volumeHandle: 'v' } },
  });
  world.put(claims, {
    metadata: { name: 'data', annotations: { [boundNote]: 'yes' } },
    spec: { volumeName: 'v' },
  });
  world.put(pods, {
    metadata: { name: 'p' },
    spec: {
      containers: [],
      volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }],
    },
  });
  world.step(scheduler, podKey);
  return world;
}

test('a pod goes to the leader of its volume, else to a replica, else where there is room', () => {
  assert.deepEqual(worldWith('b', ['a', 'b']).done, ['bind p b']);
  assert.deepEqual(worldWith('b', ['a', 'b'], 'b').done, ['bind p a']);
  assert.deepEqual(worldWith('b', [], 'b').done, ['bind p c']);
  assert.deepEqual(worldWith('gone', []).done, ['bind p c']);
});
