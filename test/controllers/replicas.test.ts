import assert from 'node:assert/strict';
import { before, suite, test } from 'node:test';
import { clusters } from '../../src/api/kinds/cluster.ts';
import { pools } from '../../src/api/kinds/pool.ts';
import { volumes } from '../../src/api/kinds/volume.ts';
import { volumeReplicas } from '../../src/api/kinds/volume-replica.ts';
import { budgetOf } from '../../src/controllers/disruption/controller.ts';
import { conditionOf, isTrue } from '../../src/controllers/status.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import { podDisruptionBudgets } from '../../src/kube/jobs.ts';
import { persistentVolumeClaims, storageClasses } from '../../src/kube/resources.ts';
import { openNodes, type ReplicaWorld, saveNodes, type SavedNodes } from './replica-world.ts';

const library = createSchemaLibrary();
const MiB = 1024 * 1024;
const scaling = 'ScalingVolumeReplicas';

suite('replicas of a volume', () => {
  let plain: SavedNodes;
  let two: SavedNodes;

  before(async () => {
    plain = await saveNodes(library, async (world) => {
      await world.run(3_000);
      await world.makeVolume('db', ['p1']);
      await world.run(3_000);
      world.nodes.volume('db').dataBytes = 8 * MiB;
      await world.run(20_000);
    });
    two = await saveNodes(library, async (world) => {
      await world.run(3_000);
      await world.makeVolume('db', ['p1', 'p2']);
      await world.until('two', () => world.isSettled('db', ['p1', 'p2']));
      world.nodes.volume('db').dataBytes = 8 * MiB;
      await world.run(20_000);
    });
  });

  async function shown(world: ReplicaWorld): Promise<readonly string[]> {
    const all = await world.list(volumeReplicas);
    return all.map(({ metadata, status }) => `${metadata.name} ${status?.phase}`).toSorted();
  }

  test('a volume with one replica is a plain one, and has no view', async () => {
    const world = await openNodes(library, plain);
    await world.run(10_000);
    const db = await world.find(volumes, 'db');
    assert.equal(db?.status?.replicaSet, undefined);
    assert.deepEqual(
      db?.status?.replicas?.map(({ pool, state }) => [pool, state]),
      [['p1', 'Healthy']],
    );
    assert.equal(conditionOf(db, 'ScalingReplicas'), undefined);
    assert.deepEqual(await shown(world), []);
    assert.deepEqual(world.nodes.asked, []);
    world.kill();
  });

  test('scaled up: reconstructed first, said to be scaled when it is Healthy', async () => {
    const world = await openNodes(library, two);
    world.events.length = 0;
    await world.edit('db', ['p1', 'p2', 'p3']);
    await world.until('it is being made', async () => {
      return (await shown(world)).includes('db-p3 ReconstructingNewReplica');
    });
    const during = await world.find(volumes, 'db');
    assert.equal(conditionOf(during, 'ScalingReplicas')?.reason, 'ScalingUp');
    assert.equal(conditionOf(during, 'Degraded')?.status, 'False');
    assert.equal(during?.status?.replicaSet?.shown, '2/3');
    assert.ok(isTrue(during, 'Ready'));
    assert.deepEqual(world.told(scaling), [
      'Normal Scaling up volume replicas from 2 to 3 is in progress',
    ]);
    await world.until('three', () => world.isSettled('db', ['p1', 'p2', 'p3']));
    assert.deepEqual(world.told(scaling), [
      'Normal Scaling up volume replicas from 2 to 3 is in progress',
      'Normal successfully scaled volume replicas to 3',
    ]);
    await world.run(3_000);
    assert.deepEqual(await shown(world), ['db-p1 Healthy', 'db-p2 Healthy', 'db-p3 Healthy']);
    const [view] = await world.list(volumeReplicas);
    assert.deepEqual([view?.status?.used, view?.status?.allocated], ['8Mi', '8Mi']);
    world.kill();
  });

  test('scaled down: the view goes, and both events are told', async () => {
    const world = await openNodes(library, two);
    await world.edit('db', ['p2']);
    await world.until('one', () => world.isSettled('db', ['p2']));
    assert.deepEqual(world.told(scaling), [
      'Warning Scaling down volume replicas from 2 to 1 is in progress',
      'Normal successfully scaled volume replicas to 1',
    ]);
    // The agent that led keeps nothing any more, and nobody uses the volume there.
    await world.until('led where it is', async () => {
      return (await world.find(volumes, 'db'))?.status?.replicaSet?.leader === 'n2';
    });
    assert.deepEqual(await shown(world), ['db-p2 Healthy']);
    world.kill();
  });

  test('a name in place of another moves the replica, whole before the old one goes', async () => {
    const world = await openNodes(library, plain);
    let least = Number.POSITIVE_INFINITY;
    world.onStep = async () => {
      const { set } = world.nodes.volume('db');
      const whole = [...(set?.members.values() ?? [])].filter(({ voter, missingBytes }) => {
        return voter && missingBytes === 0;
      });
      if (set !== undefined) least = Math.min(least, whole.length);
    };
    await world.edit('db', ['p3']);
    await world.until('moved', () => world.isSettled('db', ['p3']));
    assert.equal(least, 1);
    assert.deepEqual(world.told(scaling), [
      'Normal Moving volume replicas from pool p1 to p3 is in progress',
      'Normal successfully moved volume replicas to pool p3',
    ]);
    world.kill();
  });

  test('two edits in a row: what counts is the last one', async () => {
    const world = await openNodes(library, two);
    await world.edit('db', ['p1', 'p2', 'p3']);
    await world.run(1_500);
    await world.edit('db', ['p1', 'p2', 'p4']);
    await world.until('three', () => world.isSettled('db', ['p1', 'p2', 'p4']));
    assert.equal(world.nodes.volume('db').set?.members.size, 3);
    await world.run(3_000);
    assert.deepEqual(await shown(world), ['db-p1 Healthy', 'db-p2 Healthy', 'db-p4 Healthy']);
    world.kill();
  });

  test('what cannot be is refused with the reason, and nothing is told to the leader', async () => {
    for (const [wanted, reason, says] of [
      [['p1', 'p2', 'p9'], 'NotFound', /no pool p9 .*\(there are p1, p2, p3, p4\)/],
      [['p1', 'p2', 'p3'], 'PoolFull', /p3 has 1Mi left, a replica takes 8Mi/],
      [['p1', 'p2', 'p4'], 'Draining', /p4 is being drained/],
    ] as const) {
      const world = await openNodes(library, two);
      world.nodes.freeBytes.set('n3', MiB);
      await world.client.patch(pools, { namespace: '', name: 'p4' }, { spec: { drain: {} } });
      await world.run(15_000);
      world.nodes.asked.length = 0;
      await world.edit('db', wanted);
      await world.run(5_000);
      const db = await world.find(volumes, 'db');
      for (const type of ['Synced', 'ScalingReplicas']) {
        assert.equal(conditionOf(db, type)?.reason, reason, type);
        assert.match(conditionOf(db, type)?.message ?? '', says);
      }
      assert.ok(isTrue(db, 'Ready'));
      assert.deepEqual(world.nodes.asked, []);
      assert.equal(world.told(scaling).length, 1);
      await world.edit('db', ['p1', 'p2']);
      await world.until('taken back', () => world.isSettled('db', ['p1', 'p2']));
      world.kill();
    }
  });

  test('the last Healthy replica is not taken away, by the API server already', async () => {
    const world = await openNodes(library, two);
    world.nodes.stop('n2');
    await world.until('n2 is missed', async () => {
      const db = await world.find(volumes, 'db');
      return conditionOf(db, 'Degraded')?.reason === 'ReplicaOffline';
    });
    await assert.rejects(
      () => world.edit('db', ['p2']),
      /no replica that is left would be Healthy/,
    );
    await assert.rejects(() => world.edit('db', []), /name at least one pool/);
    assert.deepEqual(world.told('ReplicasDegraded'), [
      'Warning pool p2 is Offline (agent n2 does not answer)',
    ]);
    world.nodes.start('n2');
    await world.until('whole again', () => world.isSettled('db', ['p1', 'p2']));
    assert.deepEqual(world.told('ReplicasHealthy'), [
      'Normal every replica that counts is Healthy',
    ]);
    world.kill();
  });

  test('a leader that is gone for long is followed by one that has a replica', async () => {
    const world = await openNodes(library, two);
    await world.edit('db', ['p1', 'p2', 'p3']);
    await world.until('three', () => world.isSettled('db', ['p1', 'p2', 'p3']));
    await world.run(6_000);
    world.nodes.stop('n1');
    await world.run(8_000);
    const waiting = await world.find(volumes, 'db');
    assert.equal(conditionOf(waiting, 'Ready')?.status, 'Unknown');
    assert.match(conditionOf(waiting, 'Ready')?.message ?? '', /another agent leads it when/);
    await world.until('another leads', async () => {
      const db = await world.find(volumes, 'db');
      return db?.status?.replicaSet?.leader === 'n2' && isTrue(db, 'Ready');
    });
    const [note] = world.told('ReplicaLeaderMoved');
    assert.match(
      note ?? '',
      /^Warning agent n2 leads the replicas instead of agent n1 \(epoch 2\)/,
    );
    const db = await world.find(volumes, 'db');
    assert.equal(db?.metadata.annotations?.['transship.dev/agent'], 'n2');
    assert.equal(conditionOf(db, 'Degraded')?.reason, 'ReplicaOffline');
    assert.equal(db?.status?.phase, 'Degraded');
    world.nodes.start('n1');
    await world.until('whole again', () => world.isSettled('db', ['p1', 'p2', 'p3']));
    assert.equal(world.nodes.volume('db').set?.leader, 'n2');
    world.kill();
  });

  test('without a majority nobody takes over, and it says who is missing', async () => {
    const world = await openNodes(library, two);
    world.nodes.stop('n1');
    world.nodes.stop('n2');
    await world.run(40_000);
    const db = await world.find(volumes, 'db');
    assert.equal(conditionOf(db, 'Ready')?.status, 'Unknown');
    assert.equal(conditionOf(db, 'Ready')?.reason, 'QuorumLost');
    world.nodes.start('n1');
    await world.until('n1 alone is not enough', async () => {
      return conditionOf(await world.find(volumes, 'db'), 'Synced')?.reason === 'QuorumLost';
    });
    world.nodes.start('n2');
    await world.until('whole again', () => world.isSettled('db', ['p1', 'p2']));
    world.kill();
  });

  test('it is led where somebody wants to use it, once nobody uses it elsewhere', async () => {
    const world = await openNodes(library, two);
    const own = world.nodes.volume('db');
    own.doors.push('nbd');
    // Seen by then: agents are asked for all their volumes now and then.
    await world.run(20_000);
    const key = { namespace: '', name: 'db' };
    const annotations = { 'transship.dev/lead': 'n2' };
    await world.client.patch(volumes, key, { metadata: { annotations } });
    await world.run(5_000);
    assert.equal(own.set?.leader, 'n1');
    assert.equal(conditionOf(await world.find(volumes, 'db'), 'Synced')?.reason, 'InUse');
    assert.deepEqual(world.nodes.asked, [], 'nobody is asked to let go of what is in use');
    own.doors.pop();
    await world.until('led at n2', async () => {
      return (await world.find(volumes, 'db'))?.status?.replicaSet?.leader === 'n2';
    });
    const db = await world.find(volumes, 'db');
    assert.equal(db?.metadata.annotations?.['transship.dev/lead'], undefined);
    world.kill();
  });

  test('a plain volume is led elsewhere when that is wished, and not given up', async () => {
    const world = await openNodes(library, plain);
    const metadata = { annotations: { 'transship.dev/lead': 'n2' } };
    await world.client.patch(volumes, { namespace: '', name: 'db' }, { metadata });
    await world.until('led at n2', async () => {
      return (await world.find(volumes, 'db'))?.status?.replicaSet?.leader === 'n2';
    });
    assert.ok(isTrue(await world.find(volumes, 'db'), 'Ready'));
    assert.deepEqual(world.nodes.asked, [
      'n1 replica.lead n1/p1',
      'n1 replica.yield',
      'n2 replica.lead n1/p1',
    ]);
    world.kill();
  });

  test('an agent without a replica leads when it asks, until another asks', async () => {
    const world = await openNodes(library, two);
    const wish = async (agent: string): Promise<void> => {
      const annotations = { 'transship.dev/lead': agent };
      await world.client.patch(
        volumes,
        { namespace: '', name: 'db' },
        { metadata: { annotations } },
      );
      await world.until(`led at ${agent}`, async () => {
        return (await world.find(volumes, 'db'))?.status?.replicaSet?.leader === agent;
      });
    };
    await wish('n4');
    await world.run(60_000);
    assert.equal(world.nodes.volume('db').set?.leader, 'n4');
    await wish('n2');
    world.kill();
  });

  test('a class says how many replicas; too few nodes are told to the claim', async () => {
    const world = await openNodes(library, plain);
    for (const replicas of ['3', '5', 'many']) {
      await world.client.create(storageClasses, {
        metadata: { name: `class-${replicas}` },
        provisioner: 'transship.dev',
        parameters: { replicas },
        volumeBindingMode: 'Immediate',
      });
      await world.client.create(persistentVolumeClaims, {
        metadata: { namespace: 'transship-system', name: `claim-${replicas}` },
        spec: {
          storageClassName: `class-${replicas}`,
          accessModes: ['ReadWriteOnce'],
          resources: { requests: { storage: '16Mi' } },
        },
      });
    }
    await world.until('the volume', async () => {
      const all = await world.list(volumes);
      const made = all.find(({ metadata }) => metadata.name?.startsWith('pvc-') === true);
      // The one with the most in it is not among them.
      return made !== undefined && world.isSettled(made.metadata.name ?? '', ['p2', 'p3', 'p4']);
    });
    assert.equal((await world.list(volumes)).length, 2);
    const told = world.told('ProvisioningFailed').join('\n');
    assert.match(told, /5 replicas need pools of 5 nodes; ready for one are 4/);
    assert.match(told, /replicas 'many' is no number from 1 to 8/);
    world.kill();
  });

  test('agents that are pods are evicted one at a time while a volume has three', async () => {
    const world = await openNodes(library, two);
    const place = { namespace: 'transship-system', name: 'transship-agents' };
    const budget = () => world.client.get(podDisruptionBudgets, place);
    await world.edit('db', ['p1', 'p2', 'p3']);
    await world.until('three', () => world.isSettled('db', ['p1', 'p2', 'p3']));
    // Nobody evicts what runs as processes of a host.
    assert.equal(await budget(), undefined);
    const agentPods = { namespace: 'transship-system', selector: 'app=agent', port: 7000 };
    await world.client.patch(clusters, { namespace: '', name: 'east' }, { spec: { agentPods } });
    await world.until('a budget', async () => (await budget()) !== undefined);
    assert.equal(budgetOf(agentPods, 4).spec.minAvailable, 3);
    // Here all agents are named, and none is a pod.
    assert.deepEqual((await budget())?.spec, {
      minAvailable: 1,
      selector: { matchExpressions: [{ key: 'app', operator: 'In', values: ['agent'] }] },
    });
    await world.edit('db', ['p1', 'p2']);
    await world.until('none', async () => (await budget()) === undefined);
    world.kill();
  });

  test('deleted with all its replicas, also those of agents that come back', async () => {
    const world = await openNodes(library, two);
    world.nodes.stop('n2');
    await world.run(5_000);
    await world.client.delete(volumes, { namespace: '', name: 'db' });
    await world.run(10_000);
    const db = await world.find(volumes, 'db');
    assert.equal(conditionOf(db, 'Deleting')?.reason, 'AgentUnreachable');
    assert.match(conditionOf(db, 'Deleting')?.message ?? '', /agent n2 keeps a replica/);
    world.nodes.start('n2');
    await world.until('gone', async () => (await world.find(volumes, 'db')) === undefined);
    assert.equal(world.nodes.state.volumes.size, 0);
    assert.equal(world.nodes.state.strays.size, 0);
    await world.run(5_000);
    assert.deepEqual(await world.list(volumeReplicas), []);
    world.kill();
  });
});
