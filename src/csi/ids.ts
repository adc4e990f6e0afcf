/** Names that callers choose become names of ours; identifiers of snapshots name both parts. */
import { createHash } from 'node:crypto';
import { isName } from '../base/names.ts';

/** The same name gives the same volume, whatever characters it has: calls are repeated. */
export function nameFor(asked: string): string {
  if (isName(asked)) return asked;
  return `csi-${createHash('sha256').update(asked).digest('hex').slice(0, 32)}`;
}

const mark = '@';

export interface SnapshotId {
  readonly volume: string;
  readonly snapshot: string;
}

export function snapshotId({ volume, snapshot }: SnapshotId): string {
  return `${volume}${mark}${snapshot}`;
}

/** Undefined when it cannot be one of ours. */
export function parseSnapshotId(id: string): SnapshotId | undefined {
  const [volume = '', snapshot = '', more] = id.split(mark);
  if (more !== undefined || !isName(volume) || !isName(snapshot)) return undefined;
  return { volume, snapshot };
}

/** Of a snapshot of several volumes; each of them has a snapshot of this name. */
export function groupNameFor(asked: string): string {
  return `group-${createHash('sha256').update(asked).digest('hex').slice(0, 32)}`;
}

export function isGroupName(name: string): boolean {
  return /^group-[0-9a-f]{32}$/.test(name);
}
