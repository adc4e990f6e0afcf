/** What the provisioner of directories makes of claims and volumes; nothing is touched here. */
import type { Draft } from '../../../kube/api.ts';
import { keyText } from '../../../kube/objects.ts';
import type { StorageClass } from '../../../kube/resources.ts';
import { parseQuantity } from '../../schema/quantity.ts';
import { type View, isDeleted } from '../controller.ts';
import { pods } from '../kinds/pods.ts';
import { type Claim, type PersistentVolume, claims } from '../kinds/storage.ts';
import { isFinished } from '../workload/pods.ts';
import { boundNote, selectedNodeNote } from './claim-binder.ts';
import { directoryProvisioner } from './directory-class.ts';
import { classOf, isFor } from './match.ts';
import { claimsOfPod } from './protection.ts';

/** Keeps the volume's object until its data is gone. */
export const dataFinalizer = `${directoryProvisioner}/data`;
export const provisionedNote = 'pv.kubernetes.io/provisioned-by';
const provisionerNote = 'volume.kubernetes.io/storage-provisioner';

export interface DirectoryVolume {
  /** Of the PersistentVolume, and of the directory. From the claim's uid: fixed before anything. */
  readonly name: string;
  readonly block: boolean;
  /** Exact for Block; for a directory nobody keeps it. */
  readonly sizeBytes: number;
}

export type Provision =
  | { readonly do: 'nothing' }
  | { readonly do: 'refuse'; readonly why: string }
  | {
      readonly do: 'make';
      readonly volume: DirectoryVolume;
      object(path: string): Draft<PersistentVolume>;
    };

const nothing: Provision = { do: 'nothing' };

/** `nodes` are those whose directories are here: claims of other nodes are left alone. */
export function decideProvision(
  claim: Claim | undefined,
  storageClass: StorageClass | undefined,
  nodes: readonly string[],
): Provision {
  if (claim === undefined || isDeleted(claim)) return nothing;
  if (storageClass?.provisioner !== directoryProvisioner) return nothing;
  const { annotations = {}, uid } = claim.metadata;
  const isTaken = annotations[boundNote] !== undefined || Boolean(claim.spec.volumeName);
  // The binder asks for it by this note, after it has looked for a volume that is there already.
  if (isTaken || annotations[provisionerNote] !== directoryProvisioner) return nothing;
  const isLate = storageClass.volumeBindingMode === 'WaitForFirstConsumer';
  const node = isLate ? annotations[selectedNodeNote] : nodes[0];
  if (uid === undefined || node === undefined || !nodes.includes(node)) return nothing;
  const why = objection(claim);
  if (why !== undefined) return { do: 'refuse', why };
  const size = askedSize(claim);
  const volume = {
    name: volumeNameOf(uid),
    block: claim.spec.volumeMode === 'Block',
    sizeBytes: Number(size.bytes),
  };
  const object = (path: string) =>
    volumeObject({ claim, storageClass, node, capacity: size.text, name: volume.name, path });
  return { do: 'make', volume, object };
}

export function volumeNameOf(claimUid: string): string {
  return `pvc-${claimUid}`;
}

function askedSize(claim: Claim) {
  const text = String(claim.spec.resources?.requests?.['storage'] ?? '0');
  // The server takes no claim whose size it cannot read.
  const { nanos } = parseQuantity(text) ?? { nanos: 0n };
  return { text, bytes: (nanos + 999_999_999n) / 1_000_000_000n };
}

function objection({ spec }: Claim): string | undefined {
  if (spec.dataSource !== undefined || spec.dataSourceRef !== undefined) {
    return 'a directory starts empty: dataSource is not supported';
  }
  return spec.selector === undefined ? undefined : 'claim.spec.selector is not supported';
}

interface Made {
  readonly claim: Claim;
  readonly storageClass: StorageClass;
  readonly node: string;
  readonly capacity: string;
  readonly name: string;
  readonly path: string;
}

function volumeObject(made: Made): Draft<PersistentVolume> {
  const { claim, storageClass, node, capacity, name, path } = made;
  const { namespace = '', name: claimName = '', uid = '' } = claim.metadata;
  const reference = { namespace, name: claimName, uid };
  const onNode = { key: 'kubernetes.io/hostname', operator: 'In', values: [node] };
  return {
    metadata: {
      name,
      annotations: { [provisionedNote]: directoryProvisioner },
      finalizers: [dataFinalizer],
    },
    spec: {
      capacity: { storage: capacity },
      accessModes: claim.spec.accessModes ?? ['ReadWriteOnce'],
      claimRef: { apiVersion: 'v1', kind: 'PersistentVolumeClaim', ...reference },
      persistentVolumeReclaimPolicy: storageClass.reclaimPolicy ?? 'Delete',
      storageClassName: classOf(claim),
      volumeMode: claim.spec.volumeMode ?? 'Filesystem',
      local: { path },
      nodeAffinity: { required: { nodeSelectorTerms: [{ matchExpressions: [onNode] }] } },
    },
  };
}

/**
 * `delete`: ask for the end of the object, after which nobody can bind it again. `erase`: the data
 * goes, then the finalizer. `let-go`: the finalizer alone. `wait`: it is still used.
 */
export type Fate = 'nothing' | 'delete' | 'erase' | 'let-go' | 'wait';

export function isDirectory({ metadata, spec }: PersistentVolume): boolean {
  const isOurs = metadata.annotations?.[provisionedNote] === directoryProvisioner;
  return isOurs && spec.local !== undefined;
}

export function decideFate(view: View, volume: PersistentVolume, nodes: readonly string[]): Fate {
  if (!isDirectory(volume) || !liesOn(volume, nodes)) return 'nothing';
  if (!(volume.metadata.finalizers ?? []).includes(dataFinalizer)) return 'nothing';
  const isUnwanted = volume.spec.persistentVolumeReclaimPolicy === 'Delete';
  const isReleased = volume.status?.phase === 'Released';
  if (!isDeleted(volume) && !(isReleased && isUnwanted)) return 'nothing';
  if (isHeld(view, volume) || isUsed(view, volume)) return 'wait';
  if (!isDeleted(volume)) return 'delete';
  return isUnwanted ? 'erase' : 'let-go';
}

function liesOn({ spec }: PersistentVolume, nodes: readonly string[]): boolean {
  const terms = spec.nodeAffinity?.required?.nodeSelectorTerms ?? [];
  const named = terms.flatMap(({ matchExpressions = [] }) =>
    matchExpressions.flatMap(({ values = [] }) => values),
  );
  return named.some((one) => nodes.includes(one));
}

/** Has its claim still got it? The phase follows a moment later. */
function isHeld(view: View, { metadata, spec }: PersistentVolume): boolean {
  const { namespace = '', name = '' } = spec.claimRef ?? {};
  if (name === '') return false;
  const claim = view.get(claims, { namespace, name });
  if (claim === undefined || !isFor(spec.claimRef, claim)) return false;
  return (claim.spec.volumeName || metadata.name) === metadata.name;
}

/** Does a pod still see it, though its claim went by force? */
function isUsed(view: View, { metadata, spec }: PersistentVolume): boolean {
  const { namespace = '', name = '' } = spec.claimRef ?? {};
  const claim = view.get(claims, { namespace, name });
  // A newer claim of the same name has a volume of its own, and its pods use that one.
  if (claim !== undefined && claim.spec.volumeName !== metadata.name) return false;
  return view
    .list(pods, namespace)
    .some(
      (pod) =>
        pod.spec.nodeName !== undefined &&
        !isFinished(pod) &&
        claimsOfPod(pod).some((one) => keyText(one) === keyText({ namespace, name })),
    );
}
