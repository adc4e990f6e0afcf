/**
 * Snapshot: within one cluster the storage system copies its volume itself, by the snapshot API of
 * CSI. Nothing can be done ahead of time: a snapshot is of one moment. A claim in another namespace
 * gets a snapshot of its own there, over the same data of the storage system.
 */
import { exactSize } from '../../../base/units.ts';
import type { Undoing } from '../../../flow/step.ts';
import { keyOf, keyText, type KubeObject, type ResourceType } from '../../../kube/objects.ts';
import {
  nodes,
  type PersistentVolumeClaim,
  persistentVolumeClaims,
  persistentVolumes,
} from '../../../kube/resources.ts';
import { driverOf } from '../../../workload/needs.ts';
import { quantityBytes } from '../../claim/made.ts';
import { annotations } from '../../labels.ts';
import { checkClaimFree, claimOf, makeOwn, removeOnce } from '../bound.ts';
import { type SourceClaim, sourceClaimOf, targetClaimOf } from '../choose.ts';
import { inheritedFrom, isMadeBy, marksOf, moveIdOf, ownNameOf } from '../marks.ts';
import type { Advance, Transfer, TransferMethod } from '../method.ts';
import { discardClaim } from './mover-claim.ts';
import {
  classOfDriver,
  servesSnapshots,
  type Snapshot,
  type SnapshotContent,
  snapshotContents,
  snapshotGroup,
  snapshots,
} from './snapshot-api.ts';

export const snapshotMethod: TransferMethod = { declines, advance, clean, discard };

async function declines({ object, source }: Transfer) {
  if (object.spec.overwrite === true) {
    return { reason: 'Overwrites', message: 'a snapshot becomes a new claim, not an existing one' };
  }
  const { client } = source;
  if (!(await servesSnapshots(client))) {
    const message = `cluster ${source.name} does not serve ${snapshotGroup}/v1`;
    return { reason: 'NoSnapshots', message };
  }
  const { volume } = await sourceClaimOf(source, object.spec);
  const driver = driverOf(volume);
  if ((await classOfDriver(client, driver)) !== undefined) return undefined;
  const message = `cluster ${source.name} has no VolumeSnapshotClass of driver ${driver}`;
  return { reason: 'NoSnapshotClass', message };
}

async function advance(transfer: Transfer): Promise<Advance> {
  const { object, destination } = transfer;
  if (object.spec.pass !== 'Last') return { kind: 'succeeded', numbers: { percent: 100 } };
  const claim = await claimOf(destination, object);
  if (isMadeBy(object, claim) && claim !== undefined) return follow(transfer, claim);
  await checkClaimFree(transfer);
  const snapshot = await ownSnapshot(transfer, object.spec.source.namespace);
  if (snapshot === undefined) {
    if (object.spec.paused === true) return running('it begins when spec.paused is false', 0);
    await takeSnapshot(transfer);
    return running('the storage system takes a snapshot', 0);
  }
  if (snapshot.status?.readyToUse !== true) return waitFor(snapshot);
  const { namespace } = object.spec.destination;
  if (namespace !== object.spec.source.namespace) {
    const there = await ownSnapshot(transfer, namespace);
    if (there === undefined) await bringSnapshot(transfer, snapshot);
    if (there?.status?.readyToUse !== true) return waitFor(there ?? snapshot);
  }
  await makeClaim(transfer, snapshot);
  return running('the storage system makes a volume of its snapshot', 50);
}

function running(message: string, percent: number): Advance {
  return { kind: 'running', message, numbers: { percent } };
}

function waitFor(snapshot: Snapshot): Advance {
  const name = `VolumeSnapshot ${keyText(keyOf(snapshot))}`;
  const { message } = snapshot.status?.error ?? {};
  if (message === undefined) return running(`${name} is not ready to use yet`, 0);
  const remedy = 'solve it at the storage system; its driver tries again by itself';
  return { kind: 'waiting', message: `${name}: ${message}`, remedy, numbers: { percent: 0 } };
}

function ownSnapshot(
  { object, source }: Transfer,
  namespace: string,
): Promise<Snapshot | undefined> {
  return source.client.get(snapshots, { namespace, name: ownNameOf(object) });
}

async function takeSnapshot(transfer: Transfer): Promise<void> {
  const { object, context, source } = transfer;
  const found = await sourceClaimOf(source, object.spec);
  const storage = await classOfDriver(source.client, driverOf(found.volume));
  const className = storage?.metadata.name;
  await makeOwn<Snapshot>(object, source.client, snapshots, {
    metadata: {
      namespace: object.spec.source.namespace,
      name: ownNameOf(object),
      annotations: marksOf(object, await moveIdOf(context, object)),
    },
    spec: {
      source: { persistentVolumeClaimName: object.spec.source.claim },
      ...(className === undefined ? {} : { volumeSnapshotClassName: className }),
    },
  });
}

/** A claim names a snapshot of its own namespace: one more name for the same data. */
async function bringSnapshot(transfer: Transfer, taken: Snapshot): Promise<void> {
  const { object, context, source } = transfer;
  const content = await contentOf(transfer, taken);
  const snapshotHandle = content?.status?.snapshotHandle;
  if (content === undefined || snapshotHandle === undefined) return;
  const { namespace } = object.spec.destination;
  const name = ownNameOf(object);
  const marks = marksOf(object, await moveIdOf(context, object));
  const { driver, sourceVolumeMode } = content.spec;
  await makeOwn<SnapshotContent>(object, source.client, snapshotContents, {
    metadata: { name, annotations: marks },
    spec: {
      // The data belongs to the other one, which ends it.
      deletionPolicy: 'Retain',
      driver,
      source: { snapshotHandle },
      ...(sourceVolumeMode === undefined ? {} : { sourceVolumeMode }),
      volumeSnapshotRef: { kind: snapshots.kind, namespace, name },
    },
  });
  await makeOwn<Snapshot>(object, source.client, snapshots, {
    metadata: { namespace, name, annotations: marks },
    spec: { source: { volumeSnapshotContentName: name } },
  });
}

async function contentOf({ source }: Transfer, snapshot: Snapshot) {
  const name = snapshot.status?.boundVolumeSnapshotContentName;
  return name === undefined
    ? undefined
    : source.client.get(snapshotContents, { namespace: '', name });
}

async function makeClaim(transfer: Transfer, snapshot: Snapshot): Promise<void> {
  const { object, context, source, destination } = transfer;
  const found = await sourceClaimOf(source, object.spec);
  const target = targetClaimOf(transfer, found);
  const { namespace, name, accessModes, volumeMode, storageClassName, storageClass } = target;
  // The storage system may have rounded up: what it restores does not fit into less.
  const bytes = Math.max(target.bytes, quantityBytes(snapshot.status?.restoreSize) ?? 0);
  const kept = inheritedFrom(found.claim);
  const isLate = storageClass?.volumeBindingMode === 'WaitForFirstConsumer';
  const node = isLate ? await nodeFor(transfer, found) : undefined;
  await makeOwn<PersistentVolumeClaim>(object, destination.client, persistentVolumeClaims, {
    metadata: {
      namespace,
      name,
      labels: kept.labels,
      annotations: {
        ...kept.annotations,
        ...marksOf(object, await moveIdOf(context, object)),
        ...(node === undefined ? {} : { [annotations.selectedNode]: node }),
      },
    },
    spec: {
      accessModes,
      volumeMode,
      storageClassName,
      resources: { requests: { storage: exactSize(bytes) } },
      dataSource: { apiGroup: snapshotGroup, kind: snapshots.kind, name: ownNameOf(object) },
    },
  });
}

/**
 * A class that waits for a pod gets the word that a scheduler would give: a node on which the old
 * volume could be used, so that the new one is where the workload is.
 */
async function nodeFor({ source }: Transfer, { volume }: SourceClaim): Promise<string | undefined> {
  const terms = volume.spec?.nodeAffinity?.required?.nodeSelectorTerms ?? [];
  const fits = (labels: Readonly<Record<string, string>>): boolean =>
    terms.length === 0 ||
    terms.some(({ matchExpressions = [] }) =>
      matchExpressions.every(({ key, operator, values = [] }) =>
        operator === 'In' ? values.includes(labels[key] ?? '') : true,
      ),
    );
  for await (const node of source.client.list(nodes)) {
    if (node.spec?.unschedulable === true) continue;
    if (fits(node.metadata.labels ?? {})) return node.metadata.name;
  }
  return undefined;
}

/** The claim is there: until it is bound, and its volume is kept whatever happens to the claim. */
async function follow(transfer: Transfer, claim: PersistentVolumeClaim): Promise<Advance> {
  const { object, context, destination } = transfer;
  const volume = claim.spec?.volumeName ?? '';
  if (claim.status?.phase !== 'Bound' || volume === '') {
    const what = `claim ${keyText(keyOf(claim))} is being made of the snapshot`;
    return running(`${what}; its events tell what its provisioner says`, 50);
  }
  const marks = marksOf(object, await moveIdOf(context, object));
  await destination.client.patch(
    persistentVolumes,
    { namespace: '', name: volume },
    { metadata: { annotations: marks }, spec: { persistentVolumeReclaimPolicy: 'Retain' } },
  );
  const bytes = quantityBytes(claim.status.capacity?.storage);
  const numbers = {
    percent: 100,
    ...(bytes === undefined ? {} : { totalBytes: bytes, copiedBytes: bytes }),
  };
  const unproven = 'the storage system made the copy; nothing was compared';
  const warnings = object.spec.verify === true ? [unproven] : [];
  return { kind: 'succeeded', volume, numbers, warnings };
}

/** The snapshots go when the claim has its volume; a claim that never got one goes with them. */
async function clean(transfer: Transfer): Promise<Undoing> {
  const { object, source, destination } = transfer;
  const claim = await claimOf(destination, object);
  const isPending = claim !== undefined && (claim.spec?.volumeName ?? '') === '';
  if (isPending && isMadeBy(object, claim)) {
    await removeOnce(destination.client, persistentVolumeClaims, claim);
    return { kind: 'running', message: `claim ${keyText(keyOf(claim))} is being deleted` };
  }
  const { namespace: there } = object.spec.destination;
  const { namespace: here } = object.spec.source;
  const name = ownNameOf(object);
  if (there !== here) {
    const own = await ownSnapshot(transfer, there);
    if (own !== undefined) return going(transfer, snapshots, own);
    const content = await source.client.get(snapshotContents, { namespace: '', name });
    if (content !== undefined) return going(transfer, snapshotContents, content);
  }
  const taken = await ownSnapshot(transfer, here);
  if (taken === undefined) return { kind: 'done' };
  await endData(transfer, taken);
  return going(transfer, snapshots, taken);
}

async function going<T extends KubeObject>(
  { source }: Transfer,
  type: ResourceType<T>,
  object: T,
): Promise<Undoing> {
  await removeOnce(source.client, type, object);
  return { kind: 'running', message: `${type.kind} ${keyText(keyOf(object))} is being deleted` };
}

/** Classes that retain mean the snapshots of people, not this one. */
async function endData(transfer: Transfer, taken: Snapshot): Promise<void> {
  const content = await contentOf(transfer, taken);
  if (content === undefined || content.spec.deletionPolicy === 'Delete') return;
  const { client } = transfer.source;
  await client.patch(snapshotContents, keyOf(content), { spec: { deletionPolicy: 'Delete' } });
}

function discard(transfer: Transfer): Promise<Undoing> {
  return discardClaim(transfer);
}
