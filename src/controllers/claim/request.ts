/** What a claim asks for, or why it cannot be made. Pure. */
import { replicasMax, type Volume } from '../../api/kinds/volume.ts';
import { fail } from '../../base/errors.ts';
import { exactSize, parseBlockSize, parseMoment, parseVolumeSize } from '../../base/units.ts';
import type {
  PersistentVolume,
  PersistentVolumeClaim,
  StorageClass,
} from '../../kube/resources.ts';
import { annotations } from '../labels.ts';
import { fsTypeParameter, handleOf, isOurVolume, quantityBytes } from './made.ts';

export interface ClaimView {
  readonly nowMs: number;
  findClaim(namespace: string, name: string): PersistentVolumeClaim | undefined;
  findPersistentVolume(name: string): PersistentVolume | undefined;
  /** So many pools of different nodes; fails when there are too few. */
  choosePools(count: number): readonly string[];
}

/** Parameters of a class (I-26); an unknown one is a mistake that nobody else would tell. */
export const parametersKnown: ReadonlySet<string> = new Set([
  'type',
  'blockSize',
  'historyPolicy',
  'replicas',
]);
const typesKnown: ReadonlySet<string> = new Set(['ext4', 'xfs', 'block']);

export function checkParameters(storageClass: Pick<StorageClass, 'parameters'>): void {
  const parameters = storageClass.parameters ?? {};
  const unknown = Object.keys(parameters).find((name) => {
    return !parametersKnown.has(name) && !name.startsWith('csi.storage.k8s.io/');
  });
  if (unknown !== undefined) {
    const known = [...parametersKnown].join(', ');
    fail('BadArgument', `storage class parameter '${unknown}' is unknown (there are ${known})`);
  }
  const { type, [fsTypeParameter]: common } = parameters;
  if (type !== undefined && !typesKnown.has(type)) {
    fail('BadArgument', `type '${type}' is not ext4, xfs or block`);
  }
  if (common !== undefined && (common === 'block' || !typesKnown.has(common))) {
    fail('BadArgument', `${fsTypeParameter} '${common}' is not ext4 or xfs`);
  }
  if (type !== undefined && common !== undefined && type !== common) {
    fail('BadArgument', `type says ${type} and ${fsTypeParameter} says ${common}: keep one`);
  }
  replicaCountOf(parameters);
}

/** How many copies volumes of a class have; 1 when it does not say. */
export function replicaCountOf(parameters: Readonly<Record<string, string>>): number {
  const text = parameters['replicas'] ?? '1';
  const count = /^[0-9]$/.test(text) ? Number(text) : 0;
  if (count >= 1 && count <= replicasMax) return count;
  return fail('BadArgument', `replicas '${text}' is no number from 1 to ${replicasMax}`);
}

export function specOf(
  claim: PersistentVolumeClaim,
  storageClass: StorageClass,
  view: ClaimView,
): Volume['spec'] {
  checkParameters(storageClass);
  const { parameters = {} } = storageClass;
  const requested = claim.spec?.resources?.requests?.storage ?? '';
  const sizeBytes = parseVolumeSize(requested);
  const blockSize = blockSizeOf(parameters['blockSize']);
  const annotated = claim.metadata.annotations?.[annotations.historyPolicy];
  const historyPolicy = annotated ?? parameters['historyPolicy'];
  const source = sourceOf(claim, sizeBytes, view);
  const count = replicaCountOf(parameters);
  const pools = count === 1 ? undefined : view.choosePools(count);
  return {
    size: exactSize(sizeBytes),
    ...(historyPolicy === undefined ? {} : { historyPolicy }),
    ...(pools === undefined ? {} : { replicas: pools.map((pool) => ({ pool })) }),
    // A clone has the block size of what it shares its blocks with.
    ...(source === undefined ? (blockSize === undefined ? {} : { blockSize }) : { source }),
  };
}

function blockSizeOf(text: string | undefined): Volume['spec']['blockSize'] {
  if (text === undefined) return undefined;
  return exactSize(parseBlockSize(text)) as Volume['spec']['blockSize'];
}

function sourceOf(
  claim: PersistentVolumeClaim,
  sizeBytes: number,
  view: ClaimView,
): Volume['spec']['source'] {
  const { annotations: notes = {}, namespace = '' } = claim.metadata;
  const data = claim.spec?.dataSourceRef ?? claim.spec?.dataSource;
  const named = notes[annotations.sourceClaim];
  const time = notes[annotations.sourceTime];
  if (data !== undefined && data.kind !== 'PersistentVolumeClaim') {
    fail('Unsupported', `a ${data.kind} cannot be the source; name a PersistentVolumeClaim`);
  }
  const name = named ?? data?.name;
  if (name === undefined) {
    if (time !== undefined) fail('BadArgument', `${annotations.sourceTime} needs a source claim`);
    return undefined;
  }
  // The namespace is that of the claim: a claim must not read what its namespace cannot.
  const bound = volumeBehind(name, namespace, view);
  const volume = handleOf(bound);
  const sourceText = bound.spec?.capacity?.storage ?? '0';
  if (sizeBytes < (quantityBytes(sourceText) ?? 0)) {
    fail('BadSize', `claim ${namespace}/${name} has ${sourceText}: a clone cannot be smaller`);
  }
  if (time === undefined) return { clone: { volume } };
  return { clone: { volume, time: new Date(parseMoment(time, view.nowMs)).toISOString() } };
}

function volumeBehind(name: string, namespace: string, view: ClaimView): PersistentVolume {
  const source = view.findClaim(namespace, name);
  if (source === undefined) fail('NotFound', `there is no claim ${namespace}/${name} to clone`);
  const bound = view.findPersistentVolume(source.spec?.volumeName ?? '');
  if (bound === undefined) fail('NotAccessible', `claim ${namespace}/${name} is not bound yet`);
  if (!isOurVolume(bound)) {
    fail('Unsupported', `claim ${namespace}/${name} is not on a volume of Transship`);
  }
  return bound;
}
