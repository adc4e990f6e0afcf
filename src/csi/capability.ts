/** Which ways of access a volume can be had: one writer, as a device or with a file system. */
import { accessModes, type VolumeCapability } from './wire/messages.ts';
import { missing } from './errors.ts';

/** File systems that a volume can be given. */
export const fsTypes: readonly string[] = ['ext4', 'xfs'];

const modesPossible: ReadonlySet<number> = new Set([
  accessModes.singleNodeWriter,
  accessModes.singleNodeReaderOnly,
  accessModes.singleNodeSingleWriter,
  accessModes.singleNodeMultiWriter,
]);

export interface Access {
  readonly kind: 'block' | 'mount';
  /** Of a mount; ext4 when the caller does not care. */
  readonly fsType: string;
  readonly flags: readonly string[];
  readonly readOnly: boolean;
}

/** Why a volume cannot be had in this way; undefined when it can. */
export function problemOf(capability: VolumeCapability): string | undefined {
  const { accessMode, block, mount } = capability;
  if (block === undefined && mount === undefined) return 'neither block nor mount is asked for';
  const mode = accessMode?.mode ?? accessModes.unknown;
  if (!modesPossible.has(mode)) {
    return 'a volume has one node at a time: ask for ReadWriteOnce or ReadWriteOncePod';
  }
  const { fsType = '' } = mount ?? {};
  if (fsType !== '' && !fsTypes.includes(fsType)) {
    return `file system ${fsType} is none of ${fsTypes.join(', ')}`;
  }
  return undefined;
}

export function checkPresent(capabilities: readonly VolumeCapability[]): void {
  if (capabilities.length === 0) missing('volume capabilities');
}

export function accessOf(capability: VolumeCapability): Access {
  const { mount, accessMode } = capability;
  const { fsType = '', mountFlags = [] } = mount ?? {};
  return {
    kind: mount === undefined ? 'block' : 'mount',
    fsType: fsType === '' ? 'ext4' : fsType,
    flags: mountFlags,
    readOnly: accessMode?.mode === accessModes.singleNodeReaderOnly,
  };
}
