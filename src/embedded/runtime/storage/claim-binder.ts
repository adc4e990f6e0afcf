/**
 * Binds claims to volumes, as kube-controller-manager does. It makes no volumes: for classes with a
 * provisioner it leaves the annotation that the provisioner waits for.
 */
import { type ObjectKey, keyOf } from '../../../kube/objects.ts';
import { type StorageClass, storageClasses } from '../../../kube/resources.ts';
import {
  type Action,
  type Controller,
  type Decision,
  type View,
  decision,
  isDeleted,
  nothing,
  patch,
  setStatus,
} from '../controller.ts';
import { type Claim, type PersistentVolume, claims, persistentVolumes } from '../kinds/storage.ts';
import { bestVolume, classOf, defaultClass, isFor, mismatch } from './match.ts';

export const boundNote = 'pv.kubernetes.io/bind-completed';
export const ourBindNote = 'pv.kubernetes.io/bound-by-controller';
export const selectedNodeNote = 'volume.kubernetes.io/selected-node';
const provisionerNotes = [
  'volume.kubernetes.io/storage-provisioner',
  'volume.beta.kubernetes.io/storage-provisioner',
];
const noProvisioner = 'kubernetes.io/no-provisioner';

export function createClaimBinder(): Controller {
  return {
    name: 'claim-binder',
    sources: [
      { type: claims, keysOf: (object) => [keyOf(object)] },
      {
        type: persistentVolumes,
        keysOf: (object, view) => claimsOfVolume(object as PersistentVolume, view),
      },
      { type: storageClasses, keysOf: (_, view) => view.list(claims).filter(isOpen).map(keyOf) },
    ],
    reads: [claims, persistentVolumes, storageClasses],
    // A claim is called lost only after asking for its volume.
    confirms: [],
    decide: decideClaim,
  };
}

const isOpen = (claim: Claim): boolean => claim.metadata.annotations?.[boundNote] === undefined;

/** The claim it is for, those that name it, and when it is free all that wait for one. */
function claimsOfVolume({ metadata, spec }: PersistentVolume, view: View): readonly ObjectKey[] {
  const { namespace = '', name = '' } = spec.claimRef ?? {};
  if (name !== '') return [{ namespace, name }];
  const all = view.list(claims);
  return all.filter((claim) => isOpen(claim) || claim.spec.volumeName === metadata.name).map(keyOf);
}

export function decideClaim(view: View, key: ObjectKey): Decision {
  const claim = view.get(claims, key);
  if (claim === undefined) return nothing;
  if (!isOpen(claim)) return decision(keepBound(view, claim));
  if (isDeleted(claim)) return nothing;
  return decision(claim.spec.volumeName ? bindNamed(view, claim) : bindAny(view, claim));
}

/** A bound claim stays bound to its volume, or is lost. */
function keepBound(view: View, claim: Claim): readonly Action[] {
  const { volumeName = '' } = claim.spec;
  const volume = view.get(persistentVolumes, { namespace: '', name: volumeName });
  if (volume === undefined) {
    return lose(claim, 'ClaimLost', 'Bound claim has lost its PersistentVolume. Data is lost!');
  }
  if (volume.spec.claimRef !== undefined && !isFor(volume.spec.claimRef, claim)) {
    return lose(claim, 'ClaimMisbound', 'Two claims are bound to the same volume');
  }
  return bind(claim, volume);
}

function lose(claim: Claim, reason: string, note: string): readonly Action[] {
  if (claim.status?.phase === 'Lost') return [];
  return [
    ...setStatus(claims, claim, { phase: 'Lost', accessModes: undefined, capacity: undefined }),
    { act: 'event', regarding: claim, type: 'Warning', reason, note },
  ];
}

/** The claim names its volume: that one or none. */
function bindNamed(view: View, claim: Claim): readonly Action[] {
  const { volumeName = '' } = claim.spec;
  const volume = view.get(persistentVolumes, { namespace: '', name: volumeName });
  const waits = setStatus(claims, claim, { phase: 'Pending' });
  if (volume === undefined) return waits;
  if (volume.spec.claimRef !== undefined && !isFor(volume.spec.claimRef, claim)) return waits;
  const problem = mismatch(claim, volume);
  if (problem === undefined) return bind(claim, volume);
  const note = `Cannot bind to requested volume "${volumeName}": ${problem}`;
  return [...waits, warning(claim, 'VolumeMismatch', note)];
}

function warning(claim: Claim, reason: string, note: string): Action {
  return { act: 'event', regarding: claim, type: 'Warning', reason, note };
}

function bindAny(view: View, claim: Claim): readonly Action[] {
  const all = view.list(storageClasses);
  const { storageClassName } = claim.spec;
  const given = defaultClass(all);
  if (storageClassName === undefined && classOf(claim) === '' && given !== undefined) {
    return [patch(claims, claim, { spec: { storageClassName: given.metadata.name } })];
  }
  const wanted = all.find((one) => one.metadata.name === classOf(claim));
  const volume = candidate(view, claim, wanted);
  if (volume !== undefined) return bind(claim, volume);
  return [...setStatus(claims, claim, { phase: 'Pending' }), ...provision(claim, wanted)];
}

const isLate = (wanted: StorageClass | undefined): boolean =>
  wanted?.volumeBindingMode === 'WaitForFirstConsumer';

/** A late class binds only to what is reserved, until the scheduler has chosen a node. */
function candidate(
  view: View,
  claim: Claim,
  wanted: StorageClass | undefined,
): PersistentVolume | undefined {
  const volumes = view.list(persistentVolumes);
  const isPlaced = claim.metadata.annotations?.[selectedNodeNote] !== undefined;
  if (!isLate(wanted) || isPlaced) return bestVolume(claim, volumes);
  return bestVolume(
    claim,
    volumes.filter((volume) => isFor(volume.spec.claimRef, claim)),
  );
}

/** Says who is to make a volume, and why nobody does. */
function provision(claim: Claim, wanted: StorageClass | undefined): readonly Action[] {
  const isPlaced = claim.metadata.annotations?.[selectedNodeNote] !== undefined;
  if (isLate(wanted) && !isPlaced) {
    const note = 'waiting for first consumer to be created before binding';
    return [
      { act: 'event', regarding: claim, type: 'Normal', reason: 'WaitForFirstConsumer', note },
    ];
  }
  const className = classOf(claim);
  if (className === '') {
    const note = 'no persistent volumes available for this claim and no storage class is set';
    return [{ act: 'event', regarding: claim, type: 'Normal', reason: 'FailedBinding', note }];
  }
  if (wanted === undefined) {
    const note = `storageclass.storage.k8s.io "${className}" not found`;
    return [warning(claim, 'ProvisioningFailed', note)];
  }
  const { provisioner } = wanted;
  if (provisioner === noProvisioner) return [];
  const notes = Object.fromEntries(provisionerNotes.map((name) => [name, provisioner]));
  const has = provisionerNotes.every((name) => claim.metadata.annotations?.[name] === provisioner);
  if (has) return [];
  const note =
    'Waiting for a volume to be created either by the external provisioner ' +
    `'${provisioner}' or manually by the system administrator`;
  return [
    patch(claims, claim, { metadata: { annotations: notes } }),
    { act: 'event', regarding: claim, type: 'Normal', reason: 'ExternalProvisioning', note },
  ];
}

/** Both sides, in an order that a crash may cut anywhere: the volume first, the claim last. */
export function bind(claim: Claim, volume: PersistentVolume): readonly Action[] {
  const { name, namespace, uid, resourceVersion } = claim.metadata;
  const actions: Action[] = [];
  const isReserved = volume.spec.claimRef !== undefined;
  if (volume.spec.claimRef?.uid !== uid) {
    const claimRef = {
      apiVersion: 'v1',
      kind: 'PersistentVolumeClaim',
      name,
      namespace,
      uid,
      resourceVersion,
    };
    const ours = isReserved ? {} : { metadata: { annotations: { [ourBindNote]: 'yes' } } };
    actions.push(patch(persistentVolumes, volume, { ...ours, spec: { claimRef } }));
  }
  actions.push(...setStatus(persistentVolumes, volume, { phase: 'Bound' }));
  const isNamed = claim.spec.volumeName === volume.metadata.name;
  if (!isNamed || isOpen(claim)) {
    const notes = { [boundNote]: 'yes', ...(isNamed ? {} : { [ourBindNote]: 'yes' }) };
    const spec = { volumeName: volume.metadata.name };
    actions.push(patch(claims, claim, { metadata: { annotations: notes }, spec }));
  }
  return [...actions, ...boundStatus(claim, volume)];
}

function boundStatus(claim: Claim, volume: PersistentVolume): readonly Action[] {
  const { phase } = claim.status ?? {};
  // Once bound the capacity is the resizer's to change.
  const isNew = phase !== 'Bound';
  const capacity = isNew ? { capacity: volume.spec.capacity } : {};
  const { accessModes } = volume.spec;
  return setStatus(claims, claim, { phase: 'Bound', accessModes, ...capacity });
}
