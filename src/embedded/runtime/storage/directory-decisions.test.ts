import assert from 'node:assert/strict';
import { suite, test } from 'node:test';
import type { PodPhase, PodSpec } from '../../../kube/pod-spec.ts';
import { MemoryWorld } from '../testing.ts';
import { pods } from '../kinds/pods.ts';
import { type Claim, type PersistentVolume, claims, persistentVolumes } from '../kinds/storage.ts';
import { directoryClass, directoryProvisioner } from './directory-class.ts';
import { dataFinalizer, decideFate, decideProvision } from './directory-decisions.ts';

const here = ['here'];
const asked = {
  'volume.kubernetes.io/storage-provisioner': directoryProvisioner,
  'volume.kubernetes.io/selected-node': 'here',
};

function claimOf(spec: object = {}, annotations: Record<string, string> = asked): Claim {
  return new MemoryWorld().put(claims, {
    metadata: { name: 'data', uid: 'c-1', annotations },
    spec: {
      storageClassName: 'directory',
      accessModes: ['ReadWriteOnce'],
      resources: { requests: { storage: '1500k' } },
      ...spec,
    },
  });
}

const doOf = (claim: Claim, storageClass = directoryClass()) =>
  decideProvision(claim, storageClass, here).do;

suite('provisioning of directories', () => {
  test('name from the uid, size as asked, bound to the claim and the node', () => {
    const plan = decideProvision(claimOf({ volumeMode: 'Block' }), directoryClass(), here);
    assert.ok(plan.do === 'make');
    assert.deepEqual(plan.volume, { name: 'pvc-c-1', block: true, sizeBytes: 1_500_000 });
    const { metadata, spec } = plan.object('/home/disk');
    assert.equal(metadata.name, 'pvc-c-1');
    assert.deepEqual(metadata.finalizers, [dataFinalizer]);
    assert.deepEqual(spec?.local, { path: '/home/disk' });
    assert.deepEqual(spec.capacity, { storage: '1500k' });
    const { name, namespace, uid } = spec.claimRef ?? {};
    assert.deepEqual([name, namespace, uid], ['data', 'default', 'c-1']);
    assert.equal(spec.persistentVolumeReclaimPolicy, 'Delete');
    const [term] = spec.nodeAffinity?.required?.nodeSelectorTerms ?? [];
    assert.deepEqual(term?.matchExpressions?.[0]?.values, here);
  });

  test('waits for the binder, and for the node where the class says so', () => {
    const { 'volume.kubernetes.io/selected-node': _, ...unplaced } = asked;
    assert.equal(doOf(claimOf({}, unplaced)), 'nothing');
    assert.equal(doOf(claimOf({}, { 'volume.kubernetes.io/selected-node': 'here' })), 'nothing');
    const immediate = { ...directoryClass(), volumeBindingMode: 'Immediate' } as const;
    assert.equal(doOf(claimOf({}, unplaced), immediate), 'make');
  });

  test('leaves alone what is not its own', () => {
    const elsewhere = { ...asked, 'volume.kubernetes.io/selected-node': 'there' };
    assert.equal(doOf(claimOf({}, elsewhere)), 'nothing');
    assert.equal(doOf(claimOf({ volumeName: 'other' })), 'nothing');
    assert.equal(doOf(claimOf(), { ...directoryClass(), provisioner: 'other' }), 'nothing');
    assert.equal(decideProvision(undefined, directoryClass(), here).do, 'nothing');
  });

  test('refuses what a directory cannot be', () => {
    assert.equal(doOf(claimOf({ dataSource: { kind: 'VolumeSnapshot', name: 'x' } })), 'refuse');
    assert.equal(doOf(claimOf({ selector: { matchLabels: { a: 'b' } } })), 'refuse');
  });
});

type VolumeStatus = NonNullable<PersistentVolume['status']>;

interface Change {
  readonly phase?: VolumeStatus['phase'];
  readonly policy?: PersistentVolume['spec']['persistentVolumeReclaimPolicy'];
  readonly deleted?: boolean;
  readonly finalizers?: readonly string[];
}

function volumeIn(world: MemoryWorld, change: Change = {}): PersistentVolume {
  const { phase = 'Released', policy = 'Delete', deleted, finalizers = [dataFinalizer] } = change;
  const plan = decideProvision(claimOf(), directoryClass(), here);
  assert.ok(plan.do === 'make');
  const { metadata, spec } = plan.object('/home/data');
  const ended = deleted === true ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {};
  return world.put(persistentVolumes, {
    metadata: { ...metadata, ...ended, finalizers },
    spec: { ...spec, persistentVolumeReclaimPolicy: policy },
    status: { phase },
  });
}

function podIn(world: MemoryWorld, phase: PodPhase): void {
  const spec = {
    containers: [],
    nodeName: 'here',
    volumes: [{ name: 'v', persistentVolumeClaim: { claimName: 'data' } }],
  };
  world.put(pods, { metadata: { name: 'user' }, spec: spec as PodSpec, status: { phase } });
}

suite('the end of directories', () => {
  test('the object is asked to go before its data is touched', () => {
    const world = new MemoryWorld();
    assert.equal(decideFate(world, volumeIn(world), here), 'delete');
    assert.equal(decideFate(world, volumeIn(world, { deleted: true }), here), 'erase');
  });

  test('Retain keeps the data and lets the object go', () => {
    const world = new MemoryWorld();
    assert.equal(decideFate(world, volumeIn(world, { policy: 'Retain' }), here), 'nothing');
    const ended = volumeIn(world, { policy: 'Retain', deleted: true });
    assert.equal(decideFate(world, ended, here), 'let-go');
  });

  test('a claim that has it keeps it, whatever the phase says', () => {
    const world = new MemoryWorld();
    world.put(claims, { ...claimOf({ volumeName: 'pvc-c-1' }) });
    assert.equal(decideFate(world, volumeIn(world), here), 'wait');
    assert.equal(decideFate(world, volumeIn(world, { deleted: true }), here), 'wait');
  });

  test('a pod that still sees it keeps it; one that ended does not', () => {
    const world = new MemoryWorld();
    const volume = volumeIn(world, { deleted: true });
    podIn(world, 'Running');
    assert.equal(decideFate(world, volume, here), 'wait');
    podIn(world, 'Succeeded');
    assert.equal(decideFate(world, volume, here), 'erase');
  });

  test('pods of a newer claim of the same name do not', () => {
    const world = new MemoryWorld();
    const newer = claimOf({ volumeName: 'pvc-c-2' });
    world.put(claims, { ...newer, metadata: { ...newer.metadata, uid: 'c-2' } });
    podIn(world, 'Running');
    assert.equal(decideFate(world, volumeIn(world), here), 'delete');
  });

  test('volumes of other machines, and those let go already, are left alone', () => {
    const world = new MemoryWorld();
    assert.equal(decideFate(world, volumeIn(world, { deleted: true }), ['there']), 'nothing');
    const done = volumeIn(world, { deleted: true, finalizers: ['kubernetes.io/pv-protection'] });
    assert.equal(decideFate(world, done, here), 'nothing');
  });
});
