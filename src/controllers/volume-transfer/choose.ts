/** What has to hold before a transfer begins, and which method it takes. Changes nothing. */
import type { Action, Choice, Declined, Method } from '../plan/method-ladder.ts';
import { actionsFor, chooseMethod, formatChangesOf } from '../plan/method-ladder.ts';
import { defaultClass } from '../plan/volumes.ts';
import type { VolumeTransferSpec } from '../../api/kinds/volume-transfer.ts';
import { fail } from '../../base/errors.ts';
import {
  namespaces,
  type PersistentVolume,
  type PersistentVolumeClaim,
  persistentVolumeClaims,
  persistentVolumes,
  type StorageClass,
} from '../../kube/resources.ts';
import { driverOf } from '../../workload/needs.ts';
import { quantityBytes } from '../claim/made.ts';
import type { ClusterAccess } from '../remotes/access.ts';
import { NotYet } from '../teleport/preflight.ts';
import type { Transfer, TransferMethod } from './method.ts';

function notYet(message: string): never {
  throw new NotYet('NotFound', message);
}

export interface SourceClaim {
  readonly claim: PersistentVolumeClaim;
  readonly volume: PersistentVolume;
}

/** The claim and what it is bound to; `NotYet` when it is not there or not bound. */
export async function sourceClaimOf(
  { client }: ClusterAccess,
  { source }: VolumeTransferSpec,
): Promise<SourceClaim> {
  const { cluster, namespace, claim: name } = source;
  const what = `claim ${namespace}/${name} of cluster ${cluster}`;
  const claim = await client.get(persistentVolumeClaims, { namespace, name });
  if (claim === undefined) notYet(`there is no ${what}`);
  const volumeName = claim.spec?.volumeName ?? '';
  if (volumeName === '') notYet(`${what} is not bound yet`);
  const volume = await client.get(persistentVolumes, { namespace: '', name: volumeName });
  if (volume === undefined) notYet(`the PersistentVolume ${volumeName} of ${what} is not there`);
  return { claim, volume };
}

/** What the claim at the destination is to be like, with everything filled in. */
export interface TargetClaim {
  readonly namespace: string;
  readonly name: string;
  /** Empty: of no class. */
  readonly storageClassName: string;
  readonly storageClass: StorageClass | undefined;
  readonly accessModes: NonNullable<VolumeTransferSpec['destination']['accessModes']>;
  readonly volumeMode: 'Filesystem' | 'Block';
  readonly bytes: number;
}

/** The class asked for, that of the same name, or the default. */
function classFor(
  { classes }: ClusterAccess,
  asked: string | undefined,
  current: string | undefined,
): StorageClass | undefined {
  if (asked !== undefined) return classes.get({ namespace: '', name: asked });
  const same = current === undefined ? undefined : classes.get({ namespace: '', name: current });
  const isDefault = ({ metadata }: StorageClass) => metadata.annotations?.[defaultClass] === 'true';
  return same ?? [...classes.list()].find(isDefault);
}

export function targetClaimOf(
  { object, destination }: Transfer,
  { claim, volume }: SourceClaim,
): TargetClaim {
  const wanted = object.spec.destination;
  const current = volume.spec?.storageClassName ?? claim.spec?.storageClassName;
  const storageClass = classFor(destination, wanted.storageClass, current);
  return {
    namespace: wanted.namespace,
    name: wanted.claim,
    storageClassName: wanted.storageClass ?? storageClass?.metadata.name ?? current ?? '',
    storageClass,
    accessModes: wanted.accessModes ?? claim.spec?.accessModes ?? ['ReadWriteOnce'],
    volumeMode: wanted.volumeMode ?? volume.spec?.volumeMode ?? 'Filesystem',
    bytes: quantityBytes(wanted.size) ?? bytesOf(volume),
  };
}

export function bytesOf(volume: PersistentVolume): number {
  return quantityBytes(volume.spec?.capacity?.storage) ?? 0;
}

export interface Chosen {
  readonly action: Action;
  /** Undefined: none can be used, or nothing has to be copied. */
  readonly method: Method | undefined;
  readonly declined: readonly Declined[];
}

export type Methods = Readonly<Partial<Record<Method, TransferMethod>>>;

/** `NotYet` for what may come; `Unsupported` for what cannot be moved like that. */
export async function choose(transfer: Transfer, methods: Methods): Promise<Chosen> {
  const { object, source, destination } = transfer;
  const { namespace, cluster } = object.spec.destination;
  const place = await destination.client.get(namespaces, { namespace: '', name: namespace });
  if (place === undefined) notYet(`cluster ${cluster} has no namespace ${namespace}`);
  const found = await sourceClaimOf(source, object.spec);
  const driver = driverOf(found.volume);
  const isSameCluster = source.name === destination.name;
  if (object.spec.action === 'Move') {
    if (actionsFor(driver, isSameCluster).includes('Move')) {
      return { action: 'Move', method: undefined, declined: [] };
    }
    const what = `volume ${found.volume.metadata.name} is on ${driver}`;
    fail('Unsupported', `${what}, which the other cluster cannot mount; use action Copy`);
  }
  const choice = await refine(transfer, methods, firstChoice(transfer, found));
  return { action: 'Copy', ...choice };
}

function firstChoice(transfer: Transfer, found: SourceClaim): Choice {
  const { object, context, source, destination } = transfer;
  const target = targetClaimOf(transfer, found);
  const { clusters } = context.informers;
  const capabilitiesOf = ({ name }: ClusterAccess) =>
    clusters.get({ namespace: '', name })?.status?.capabilities ?? [];
  return chooseMethod({
    driver: driverOf(found.volume),
    volumeMode: found.volume.spec?.volumeMode ?? 'Filesystem',
    targetMode: target.volumeMode,
    sizeBytes: bytesOf(found.volume),
    targetBytes: target.bytes,
    targetProvisioner: target.storageClass?.provisioner,
    isSameCluster: source.name === destination.name,
    formatChanges: formatChangesOf(
      source.classes.get({ namespace: '', name: found.volume.spec?.storageClassName ?? '' }),
      target.storageClass,
    ),
    capabilities: { source: capabilitiesOf(source), destination: capabilitiesOf(destination) },
    chosen: object.spec.method,
  });
}

/** The same, after the methods have looked at the clusters themselves. */
async function refine(transfer: Transfer, methods: Methods, first: Choice): Promise<Choice> {
  const declined = [...first.declined];
  const asked = transfer.object.spec.method;
  const order = asked === undefined ? ladderOrder : [asked];
  for (const method of order) {
    if (declined.some((one) => one.method === method)) continue;
    const why = await whyNot(transfer, methods[method]);
    if (why === undefined) return { method, declined };
    declined.push({ method, reason: why.reason, message: why.message.slice(0, 200) });
  }
  return { method: undefined, declined };
}

const ladderOrder: readonly Method[] = ['Teleport', 'Snapshot', 'Block', 'Filesystem'];

const notBuilt = { reason: 'NotBuilt', message: 'this version does not have it' };

async function whyNot(transfer: Transfer, method: TransferMethod | undefined) {
  if (method === undefined) return notBuilt;
  return method.declines?.(transfer);
}
