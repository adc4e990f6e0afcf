/**
 * How one volume travels. The methods are tried in a fixed order; each that cannot be used says
 * why, and only when all decline is it an error. Pure.
 */
import { methods } from '../../api/kinds/migrating.ts';
import type { StorageClass } from '../../kube/resources.ts';
import { driver as ours } from '../labels.ts';

export type Method = (typeof methods)[number];
export type Action = 'Copy' | 'Move' | 'Skip';

export interface Rung {
  /** The CSI driver, or the field of the volume that says where it is. */
  readonly driver: string;
  readonly volumeMode: 'Filesystem' | 'Block';
  readonly targetMode: 'Filesystem' | 'Block';
  readonly sizeBytes: number;
  readonly targetBytes: number;
  /** Undefined: no class at the destination was found for it. */
  readonly targetProvisioner: string | undefined;
  readonly isSameCluster: boolean;
  /** What the new class says otherwise than the old one about what is on the device. */
  readonly formatChanges: readonly string[];
  readonly capabilities: {
    readonly source: readonly string[];
    readonly destination: readonly string[];
  };
  readonly chosen: Method | undefined;
}

export interface Declined {
  readonly method: Method;
  readonly reason: string;
  readonly message: string;
}

export interface Choice {
  /** Undefined: all declined, or the one that was asked for did. */
  readonly method: Method | undefined;
  readonly declined: readonly Declined[];
}

type Why = readonly [reason: string, message: string] | undefined;

function teleport(rung: Rung): Why {
  const { driver, targetProvisioner, volumeMode, targetMode } = rung;
  if (driver !== ours) return ['ForeignSource', `the volume is on ${driver}, not on ${ours}`];
  if (targetProvisioner !== ours) {
    return ['ForeignClass', `the new class is of ${targetProvisioner}, not of ${ours}`];
  }
  if (rung.isSameCluster && rung.formatChanges.length > 0) {
    const what = rung.formatChanges.join(' and ');
    return ['FormatChanges', `it stays in its cluster, and a clone would keep its ${what}`];
  }
  if (volumeMode !== targetMode) return ['ModeChanges', 'files become a raw device, or back'];
  if (rung.targetBytes !== rung.sizeBytes) {
    return ['SizeChanges', 'the new volume has another size'];
  }
  return undefined;
}

function snapshot(rung: Rung): Why {
  const { driver, targetProvisioner, capabilities, volumeMode, targetMode } = rung;
  if (driver !== targetProvisioner) {
    return ['OtherDriver', `${driver} cannot give its snapshots to ${targetProvisioner}`];
  }
  if (!rung.isSameCluster) {
    return ['NotShared', 'snapshots of the storage system stay in their cluster'];
  }
  if (!capabilities.source.includes('Snapshots')) {
    return ['NoSnapshots', 'the cluster has no classes of snapshots'];
  }
  if (volumeMode !== targetMode) return ['ModeChanges', 'files become a raw device, or back'];
  if (rung.targetBytes < rung.sizeBytes) return ['Shrinks', 'the new volume would be smaller'];
  return undefined;
}

function block({ volumeMode, targetMode, targetBytes, sizeBytes }: Rung): Why {
  if (volumeMode !== 'Block') return ['HasFiles', 'the claim is mounted as files'];
  if (targetMode !== 'Block') return ['ModeChanges', 'the new claim has files'];
  if (targetBytes < sizeBytes) return ['Shrinks', 'the new device would be smaller'];
  return undefined;
}

function filesystem({ volumeMode, targetMode }: Rung): Why {
  if (volumeMode !== 'Filesystem') return ['RawDevice', 'the claim is a raw device'];
  if (targetMode !== 'Filesystem') return ['ModeChanges', 'the new claim is a raw device'];
  return undefined;
}

const ladder: Readonly<Record<Method, (rung: Rung) => Why>> = {
  Teleport: teleport,
  Snapshot: snapshot,
  Block: block,
  Filesystem: filesystem,
};

const formatWords: Readonly<Record<string, string>> = { type: 'file system', blockSize: 'blocks' };
const formatDefaults: Readonly<Record<string, string>> = { type: 'ext4', blockSize: '64Ki' };

/** `formatChanges` of a rung: nothing where a class is not known. */
export function formatChangesOf(
  before: StorageClass | undefined,
  after: StorageClass | undefined,
): readonly string[] {
  if (before === undefined || after === undefined) return [];
  const valueOf = ({ parameters = {} }: StorageClass, name: string) =>
    parameters[name] ?? formatDefaults[name];
  return Object.entries(formatWords)
    .filter(([name]) => valueOf(before, name) !== valueOf(after, name))
    .map(([, word]) => word);
}

/** The first method that does not decline; the one asked for, or none. */
export function chooseMethod(rung: Rung): Choice {
  const noTarget: Why =
    rung.targetProvisioner === undefined
      ? ['NoClass', 'no storage class of the destination was found for it']
      : undefined;
  const tried = methods.map((method) => ({ method, why: noTarget ?? ladder[method](rung) }));
  const declined = tried.flatMap(({ method, why }) => {
    if (why === undefined) return [];
    const [reason, message] = why;
    return [{ method, reason, message: message.slice(0, 200) }];
  });
  const usable = tried.filter(({ why }) => why === undefined).map(({ method }) => method);
  const { chosen } = rung;
  const method = chosen === undefined ? usable[0] : usable.find((one) => one === chosen);
  return { method, declined };
}

/** Both clusters can mount the same one. */
const remote: ReadonlySet<string> = new Set([
  'nfs',
  'nfs.csi.k8s.io',
  'efs.csi.aws.com',
  'file.csi.azure.com',
  'filestore.csi.storage.gke.io',
  'smb.csi.k8s.io',
  'azureFile',
]);

/** What can be done with a volume; the first is what is done. */
export function actionsFor(driver: string, isSameCluster: boolean): readonly Action[] {
  if (driver === 'hostPath') return ['Skip'];
  return remote.has(driver) && !isSameCluster ? ['Copy', 'Move', 'Skip'] : ['Copy', 'Skip'];
}
