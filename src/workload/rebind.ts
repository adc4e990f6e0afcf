/**
 * A claim keeps its name while the volume under it changes; or gets another name or namespace and
 * keeps its volume. Here is what to do and what stands in the way; `rebind-run.ts` does it.
 */
import type { ObjectKey } from '../kube/objects.ts';
import { keyOf, keyText } from '../kube/objects.ts';
import type { PersistentVolume, PersistentVolumeClaim, StorageClass } from '../kube/resources.ts';
import { withoutAt, withoutEmpty } from './fields.ts';
import type { ObjectName } from './names.ts';
import type { Blocker } from './quiesce.ts';

export interface RebindRequest {
  /** The claim people know: its labels, annotations and owners are kept. */
  readonly claim: ObjectKey;
  /** The PersistentVolume that is to be under it. Absent: its own, for a new name. */
  readonly volume?: string;
  /** The name and namespace afterwards. Absent: those of `claim`. */
  readonly to?: ObjectKey;
  /** What was asked for; the volume must be of it, before and after. Absent: not checked. */
  readonly storageClass?: string;
}

/** What was read for one request. */
export interface RebindView {
  readonly claim: PersistentVolumeClaim | undefined;
  /** Under the claim now. */
  readonly oldVolume: PersistentVolume | undefined;
  /** Under it afterwards. */
  readonly newVolume: PersistentVolume | undefined;
  /** Who is bound to the new volume now: a temporary claim, or the claim itself. */
  readonly holder: PersistentVolumeClaim | undefined;
  /** What already has the new name, where that is another one. */
  readonly taken: PersistentVolumeClaim | undefined;
  /** The namespace of the new name is there and is not ending. */
  readonly hasNamespace: boolean;
  /** The class that was asked for. */
  readonly storageClass: StorageClass | undefined;
}

export interface VolumeBefore {
  readonly name: string;
  readonly uid: string;
  readonly reclaimPolicy: 'Retain' | 'Delete' | 'Recycle';
  /** Null: there was none. */
  readonly claimRef: NonNullable<PersistentVolume['spec']>['claimRef'] | null;
}

/** Plain JSON, written down before the first change: from it everything is put back. */
export interface RebindRecord {
  readonly to: ObjectKey;
  /** Whole, as they were; they are taken away. The first is the claim people know. */
  readonly claims: readonly PersistentVolumeClaim[];
  /** The volume under the claim afterwards. */
  readonly volume: VolumeBefore;
  /** The one that was under it, where that is another one. */
  readonly oldVolume?: VolumeBefore;
  readonly make: PersistentVolumeClaim;
  readonly storageClass: string;
  /** Empty: not known, and not checked. */
  readonly provisioner: string;
}

export interface RebindPlan {
  /** Undefined while there are blockers, or when it is already as it should be. */
  readonly record: RebindRecord | undefined;
  readonly blockers: readonly Blocker[];
  /** What is lost on the way, in a sentence each. */
  readonly warnings: readonly string[];
}

export function planRebind(view: RebindView, request: RebindRequest): RebindPlan {
  const blockers = [...claimBlockers(view, request), ...volumeBlockers(view, request)];
  const { claim, newVolume, oldVolume, holder } = view;
  if (blockers.length > 0 || claim === undefined || newVolume === undefined) {
    return { record: undefined, blockers, warnings: [] };
  }
  const to = request.to ?? request.claim;
  const isOther = holder !== undefined && holder.metadata.uid !== claim.metadata.uid;
  const isConversion = oldVolume?.metadata.uid !== newVolume.metadata.uid;
  if (!isConversion && keyText(to) === keyText(request.claim)) {
    return { record: undefined, blockers, warnings: [] };
  }
  const { make, warnings } = claimToMake(claim, to, isConversion ? newVolume : undefined);
  const record: RebindRecord = {
    to,
    claims: isOther ? [claim, holder] : [claim],
    volume: volumeBefore(newVolume),
    ...(oldVolume !== undefined && isConversion ? { oldVolume: volumeBefore(oldVolume) } : {}),
    make,
    storageClass: classOf(newVolume),
    provisioner: provisionerOf(newVolume),
  };
  return { record, blockers, warnings };
}

export const recordKeyOf = ({ to }: RebindRecord): string => keyText(to);

function claimName({ namespace, name }: ObjectKey): ObjectName {
  return { group: '', kind: 'PersistentVolumeClaim', namespace, name };
}

function claimBlockers(view: RebindView, request: RebindRequest): readonly Blocker[] {
  const { claim, taken } = view;
  const name = claimName(request.claim);
  const block = (message: string, remedy: string): readonly Blocker[] => [
    { name, message, remedy },
  ];
  if (claim === undefined) return block('there is no such claim', 'Check its name.');
  if (claim.metadata.deletionTimestamp !== undefined) {
    return block('it is being deleted', 'Wait until it is gone, or restore it first.');
  }
  if (claim.status?.phase !== 'Bound') {
    return block(`it is ${claim.status?.phase ?? 'Pending'}`, 'Wait until it is bound.');
  }
  const to = request.to ?? request.claim;
  if (taken !== undefined) {
    return block(`${keyText(to)} already exists`, 'Choose another name, or delete that claim.');
  }
  if (!view.hasNamespace) {
    return block(`there is no namespace ${to.namespace} for it`, 'Make the namespace first.');
  }
  return [];
}

function volumeBlockers(view: RebindView, request: RebindRequest): readonly Blocker[] {
  const { newVolume: volume, oldVolume, claim, storageClass } = view;
  const volumeName = request.volume ?? claim?.spec?.volumeName ?? '';
  const name: ObjectName = {
    group: '',
    kind: 'PersistentVolume',
    namespace: '',
    name: volumeName,
  };
  const block = (message: string, remedy: string): readonly Blocker[] => [
    { name, message, remedy },
  ];
  if (claim === undefined) return [];
  if (volume === undefined) return block('there is no such volume', 'Check its name.');
  if (oldVolume === undefined) {
    const lost = { ...name, name: claim.spec?.volumeName ?? '' };
    return [{ name: lost, message: 'the volume under the claim is gone', remedy: 'Restore it.' }];
  }
  const isEnding = [volume, oldVolume].some((one) => one.metadata.deletionTimestamp !== undefined);
  if (isEnding) return block('it is being deleted', 'It cannot be kept any more.');
  if (volume.status?.phase === 'Failed') {
    return block(`it has failed: ${volume.status.message ?? '?'}`, 'Repair the volume first.');
  }
  if (request.storageClass === undefined) return [];
  const problem = mismatchOf(volume, {
    storageClass: request.storageClass,
    provisioner: storageClass?.provisioner ?? '',
  });
  return problem === undefined ? [] : block(problem, 'Copy the data to a volume of that class.');
}

/** A label is no proof: the class's name and who made the volume must both be as asked. */
export function mismatchOf(
  volume: PersistentVolume,
  asked: Pick<RebindRecord, 'storageClass' | 'provisioner'>,
): string | undefined {
  if (classOf(volume) !== asked.storageClass) {
    return `it is of class "${classOf(volume)}", asked for was "${asked.storageClass}"`;
  }
  const made = provisionerOf(volume);
  const isWrong = asked.provisioner !== '' && made !== '' && made !== asked.provisioner;
  const isManual = asked.provisioner === 'kubernetes.io/no-provisioner';
  if (!isWrong || isManual) return undefined;
  return `it was made by ${made}, asked for was ${asked.provisioner}`;
}

const classNote = 'volume.beta.kubernetes.io/storage-class';

export function classOf(volume: PersistentVolume): string {
  return volume.metadata.annotations?.[classNote] ?? volume.spec?.storageClassName ?? '';
}

/** Who serves it; empty for volumes made by hand. */
export function provisionerOf({ metadata, spec }: PersistentVolume): string {
  return spec?.csi?.driver ?? metadata.annotations?.['pv.kubernetes.io/provisioned-by'] ?? '';
}

function volumeBefore({ metadata, spec }: PersistentVolume): VolumeBefore {
  return {
    name: metadata.name ?? '',
    uid: metadata.uid ?? '',
    reclaimPolicy: spec?.persistentVolumeReclaimPolicy ?? 'Retain',
    claimRef: spec?.claimRef ?? null,
  };
}

/** With these a new claim would be taken for one that is bound already. */
const bindNotes = ['pv.kubernetes.io/bind-completed', 'pv.kubernetes.io/bound-by-controller'];
/** These say how the old volume came to be. */
const originNotes = [
  classNote,
  'volume.beta.kubernetes.io/storage-provisioner',
  'volume.kubernetes.io/storage-provisioner',
  'volume.kubernetes.io/storage-resizer',
  'volume.kubernetes.io/selected-node',
];
const serverSet = [
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'managedFields',
  'generateName',
  'selfLink',
];

/** The claim as it was, such that a server makes and binds it again. */
export function claimAgain(claim: PersistentVolumeClaim): PersistentVolumeClaim {
  let again = withoutAt(claim, ['status']);
  for (const name of serverSet) again = withoutAt(again, ['metadata', name]);
  for (const name of bindNotes) again = withoutAt(again, ['metadata', 'annotations', name]);
  const finalizers = claim.metadata.finalizers?.filter((one) => !one.startsWith('kubernetes.io/'));
  again = { ...again, metadata: { ...again.metadata, finalizers: finalizers ?? [] } };
  again = withoutEmpty(again, ['metadata', 'finalizers']);
  return withoutEmpty(again, ['metadata', 'annotations']);
}

/** `volume` where it changes; class, size and modes are then the volume's. */
function claimToMake(
  claim: PersistentVolumeClaim,
  to: ObjectKey,
  volume: PersistentVolume | undefined,
): { readonly make: PersistentVolumeClaim; readonly warnings: readonly string[] } {
  let make = claimAgain(claim);
  for (const name of volume === undefined ? [] : originNotes) {
    make = withoutAt(make, ['metadata', 'annotations', name]);
  }
  make = withoutEmpty(make, ['metadata', 'annotations']);
  const isMoved = to.namespace !== claim.metadata.namespace;
  const warnings = (isMoved ? (claim.metadata.ownerReferences ?? []) : []).map(
    ({ kind, name }) => `${keyText(to)} loses its owner, ${kind} ${name} of another namespace`,
  );
  if (isMoved) make = withoutAt(make, ['metadata', 'ownerReferences']);
  // Where its content came from is of no use to a claim that names its volume.
  for (const name of ['dataSource', 'dataSourceRef', 'selector']) {
    make = withoutAt(make, ['spec', name]);
  }
  const { capacity, accessModes, volumeMode } = volume?.spec ?? {};
  const changed =
    volume === undefined
      ? {}
      : {
          volumeName: volume.metadata.name ?? '',
          storageClassName: classOf(volume),
          resources: { requests: { storage: capacity?.storage ?? '0' } },
          accessModes: accessModes ?? [],
          volumeMode: volumeMode ?? ('Filesystem' as const),
        };
  const metadata = { ...make.metadata, ...to };
  return { make: { ...make, metadata, spec: { ...make.spec, ...changed } }, warnings };
}

/** Reserves a volume for a claim that has no uid yet; merge patch. */
export function reservation({ namespace, name }: ObjectKey): object {
  return {
    apiVersion: 'v1',
    kind: 'PersistentVolumeClaim',
    namespace,
    name,
    uid: null,
    resourceVersion: null,
  };
}

/** One volume under two names would be lost to one of them. `undefined`: all is well. */
export function clashOf(records: readonly RebindRecord[]): string | undefined {
  const seen = new Set<string>();
  for (const { volume, oldVolume, claims, to } of records) {
    const names = [volume.name, ...(oldVolume === undefined ? [] : [oldVolume.name])];
    const keys = [keyText(to), ...claims.map((one) => keyText(keyOf(one)))];
    for (const name of [...names, ...new Set(keys)]) {
      if (seen.has(name)) return `${name} is in two changes of claims at once`;
      seen.add(name);
    }
  }
  return undefined;
}
