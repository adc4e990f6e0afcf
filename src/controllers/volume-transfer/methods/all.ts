/** The methods by name, and the one for what is not copied at all. */
import type { VolumeTransfer } from '../../../api/kinds/volume-transfer.ts';
import { fail } from '../../../base/errors.ts';
import type { Methods } from '../choose.ts';
import type { TransferMethod } from '../method.ts';
import { blockMethod } from './block.ts';
import { filesystemMethod } from './filesystem.ts';
import { moveMethod } from './move.ts';
import { snapshotMethod } from './snapshot.ts';
import { teleportMethod } from './teleport.ts';

/** Those that this version has; the others decline. */
export const methods: Methods = {
  Teleport: teleportMethod,
  Snapshot: snapshotMethod,
  Block: blockMethod,
  Filesystem: filesystemMethod,
};

/** Of a transfer that has begun: what was chosen then. */
export function methodOf({ spec, status }: VolumeTransfer): TransferMethod {
  if (spec.action === 'Move') return moveMethod;
  const name = status?.method;
  const method = name === undefined ? undefined : methods[name];
  return method ?? fail('Unsupported', `this version does not have the method ${name ?? 'none'}`);
}
