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
