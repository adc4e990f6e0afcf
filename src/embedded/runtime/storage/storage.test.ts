import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import { keyOf } from '../../../kube/objects.ts';
import type { PodSpec } from '../../../kube/pod-spec.ts';
import { storageClasses, nodes } from '../../../kube/resources.ts';
import { pods } from '../kinds/pods.ts';
import {
  type ClaimSpec,
  type PersistentVolume,
  claims,
  persistentVolumes,
} from '../kinds/storage.ts';
import { createScheduler } from '../scheduler.ts';
import { MemoryWorld } from '../testing.ts';
import { createClaimBinder } from './claim-binder.ts';
import { createClaimProtection, createVolumeProtection } from './protection.ts';
import { createVolumePhases } from './volume-phases.ts';

const binder = createClaimBinder();
const phases = createVolumePhases();
const scheduler = createScheduler();
const key = { namespace: 'default', name: 'data' };
const volumeKey = (name: string) => ({ namespace: '', name });

function makeClaim(world: MemoryWorld, spec: ClaimSpec = {}) {
  return world.put(claims, {
    metadata: { name: 'data' },
    spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } }, ...spec },
    status: { phase: 'Pending' },
  });
}

function makeVolume(world: MemoryWorld, name: string, spec: PersistentVolume['spec'] = {}) {
  return world.put(persistentVolumes, {
    metadata: { name },
    spec: { accessModes: ['ReadWriteOnce'], capacity: { storage: '2Gi' }, ...spec },
    status: { phase: 'Available' },
  });
}

const phaseOf = (world: MemoryWorld, name: string) =>
  world.get(persistentVolumes, volumeKey(name))?.status?.phase;
const boundTo = (world: MemoryWorld) => world.get(claims, key)?.spec.volumeName;

suite('binding', () => {
  test('takes the smallest volume that serves', () => {
    const world = new MemoryWorld();
    makeVolume(world, 'large', { capacity: { storage: '10Gi' } });
    makeVolume(world, 'right', { capacity: { storage: '1024Mi' } });
    makeVolume(world, 'small', { capacity: { storage: '900Mi' } });
    makeVolume(world, 'other-class', { storageClassName: 'x', capacity: { storage: '1Gi' } });
    makeVolume(world, 'block', { volumeMode: 'Block', capacity: { storage: '1Gi' } });
    makeClaim(world, { storageClassName: '' });
    world.settle(binder, key);
    assert.equal(boundTo(world), 'right');
    const claim = world.get(claims, key);
    assert.equal(claim?.status?.phase, 'Bound');
    assert.equal(claim.status.capacity?.['storage'], '1024Mi');
    assert.equal(phaseOf(world, 'right'), 'Bound');
    const { claimRef } = world.get(persistentVolumes, volumeKey('right'))?.spec ?? {};
    assert.equal(claimRef?.uid, claim.metadata.uid);
  });

  test('prefers the volume reserved for it, and takes none reserved for others', () => {
    const world = new MemoryWorld();
    makeVolume(world, 'a', { claimRef: { namespace: 'default', name: 'other' } });
    makeVolume(world, 'b', {
      capacity: { storage: '9Gi' },
      claimRef: { namespace: 'default', name: 'data' },
    });
    makeVolume(world, 'c');
    makeClaim(world, { storageClassName: '' });
    world.settle(binder, key);
    assert.equal(boundTo(world), 'b');
  });

  test('cut after any of its writes goes on to the same end', () => {
    for (let cut = 0; cut < 4; cut++) {
      const world = new MemoryWorld();
      makeVolume(world, 'a');
      makeClaim(world, { storageClassName: '' });
      world.act(binder.decide(world, key).actions.slice(0, cut));
      world.settle(binder, key);
      world.settle(phases, volumeKey('a'));
      world.settle(binder, key);
      assert.equal(boundTo(world), 'a');
      assert.equal(phaseOf(world, 'a'), 'Bound');
    }
  });

  test('asks the provisioner of its class, which may be the default one', () => {
    const world = new MemoryWorld();
    const annotations = { 'storageclass.kubernetes.io/is-default-class': 'true' };
    world.put(storageClasses, {
      metadata: { name: 'transship', annotations },
      provisioner: 'transship.dev',
    });
    makeClaim(world);
    world.settle(binder, key);
    const claim = world.get(claims, key);
    assert.equal(claim?.spec.storageClassName, 'transship');
    assert.equal(
      claim.metadata.annotations?.['volume.kubernetes.io/storage-provisioner'],
      'transship.dev',
    );
    assert.equal(claim.status?.phase, 'Pending');
  });

  test('of a lost volume loses the claim, and a lost claim releases the volume', () => {
    const world = new MemoryWorld();
    makeVolume(world, 'a', { persistentVolumeReclaimPolicy: 'Retain' });
    makeClaim(world, { storageClassName: '' });
    world.settle(binder, key);
    world.drop(claims, key);
    world.settle(phases, volumeKey('a'));
    assert.equal(phaseOf(world, 'a'), 'Released');
    // A new claim of the same name is not the old one.
    makeClaim(world, { storageClassName: '' });
    world.settle(binder, key);
    assert.equal(boundTo(world), undefined);
    makeVolume(world, 'b');
    world.settle(binder, key);
    assert.equal(boundTo(world), 'b');
    world.drop(persistentVolumes, volumeKey('b'));
    world.settle(binder, key);
    assert.equal(world.get(claims, key)?.status?.phase, 'Lost');
  });
});

suite('protection', () => {
  test('keeps a claim while a pod uses it, and a volume while it is bound', () => {
    const world = new MemoryWorld();
    const [ofClaims, ofVolumes] = [createClaimProtection(), createVolumeProtection()];
    makeVolume(world, 'a');
    makeClaim(world, { storageClassName: '' });
    world.settle(binder, key);
    world.settle(ofClaims, key);
    world.settle(ofVolumes, volumeKey('a'));
    const pod = world.put(pods, { metadata: { name: 'user' }, spec: { ...user, nodeName: 'n' } });
    world.delete(claims, key);
    world.delete(persistentVolumes, volumeKey('a'));
    world.settle(ofClaims, key);
    world.settle(ofVolumes, volumeKey('a'));
    assert.deepEqual(world.get(claims, key)?.metadata.finalizers, ['kubernetes.io/pvc-protection']);
    assert.deepEqual(world.get(persistentVolumes, volumeKey('a'))?.metadata.finalizers, [
      'kubernetes.io/pv-protection',
    ]);
    world.drop(pods, keyOf(pod));
    world.settle(ofClaims, key);
    assert.deepEqual(world.get(claims, key)?.metadata.finalizers, []);
    world.drop(claims, key);
    world.settle(phases, volumeKey('a'));
    world.settle(ofVolumes, volumeKey('a'));
    assert.deepEqual(world.get(persistentVolumes, volumeKey('a'))?.metadata.finalizers, []);
  });
});

const user: PodSpec = {
  containers: [],
  volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }],
};

suite('placing a pod', () => {
  const podKey = { namespace: 'default', name: 'p' };
  const place = (
    spec: Partial<PodSpec>,
    prepare: (world: MemoryWorld) => void = () => undefined,
  ) => {
    const world = new MemoryWorld();
    world.put(nodes, { metadata: { name: 'a', labels: { disk: 'ssd' } } });
    const taints = [{ key: 'only', value: 'x', effect: 'NoSchedule' } as const];
    world.put(nodes, { metadata: { name: 'b' }, spec: { taints } });
    prepare(world);
    world.put(pods, { metadata: { name: 'p' }, spec: { containers: [], ...spec } });
    world.step(scheduler, podKey);
    return world;
  };
  const reasonOf = (world: MemoryWorld) =>
    world.get(pods, podKey)?.status?.conditions?.find((one) => one.type === 'PodScheduled');

  test('honours selectors, affinity and taints', () => {
    assert.deepEqual(place({}).done, ['bind p a']);
    const tolerations = [{ key: 'only', operator: 'Exists' }];
    const required = {
      nodeSelectorTerms: [
        { matchFields: [{ key: 'metadata.name', operator: 'In', values: ['b'] }] },
      ],
    };
    const affinity = { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: required } };
    assert.deepEqual(place({ tolerations, affinity }).done, ['bind p b']);
    const refused = place({ affinity });
    assert.equal(reasonOf(refused)?.reason, 'Unschedulable');
    assert.match(
      reasonOf(refused)?.message ?? '',
      /0\/2 nodes are available: .*1 node\(s\) had untolerated taint/,
    );
    assert.match(
      reasonOf(place({ nodeSelector: { disk: 'hdd' } }))?.message ?? '',
      /2 node\(s\) didn't match/,
    );
  });

  test('waits for claims, and chooses the node where their class waits for it', () => {
    const { volumes = [] } = user;
    assert.match(
      reasonOf(place({ volumes }))?.message ?? '',
      /persistentvolumeclaim "data" not found/,
    );
    const unbound = place({ volumes }, (world) => makeClaim(world));
    assert.match(reasonOf(unbound)?.message ?? '', /unbound immediate PersistentVolumeClaims/);
    const late = place({ volumes }, (world) => {
      const volumeBindingMode = 'WaitForFirstConsumer';
      world.put(storageClasses, {
        metadata: { name: 'late' },
        provisioner: 'p',
        volumeBindingMode,
      });
      makeClaim(world, { storageClassName: 'late' });
    });
    const { annotations } = late.get(claims, key)?.metadata ?? {};
    assert.equal(annotations?.['volume.kubernetes.io/selected-node'], 'a');
    assert.equal(late.done.length, 0);
    late.settle(binder, key);
    assert.equal(
      late.get(claims, key)?.metadata.annotations?.['volume.kubernetes.io/storage-provisioner'],
      'p',
    );
    makeVolume(late, 'made', { storageClassName: 'late' });
    late.settle(binder, key);
    late.step(scheduler, podKey);
    assert.deepEqual(
      late.done.filter((one) => one.startsWith('bind')),
      ['bind p a'],
    );
  });
});
