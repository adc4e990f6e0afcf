/** The document of a volume (docs/formats/pool.md): what of it survives a stop. */
import { fail } from '../base/errors.ts';
import type { HistoryPolicy, VolumeOrigin } from './api.ts';
import type { IntervalSet } from './intervals.ts';
import { nameHex, nameOfHex } from './name.ts';
import type { Mark, ReplicaDocument, SnapshotDocument } from './replica-types.ts';
import type { TreeRoot } from './tree.ts';
import { treeDepth } from './tree.ts';
import type { Name } from './types.ts';

export interface VolumeDocument {
  readonly id: string;
  readonly number: number;
  readonly name: string;
  readonly sizeBytes: number;
  readonly blockBytes: number;
  readonly root: string;
  readonly allocatedBlocks: number;
  readonly journalFrom: number;
  readonly createdMs: number;
  readonly policy: HistoryPolicy;
  readonly snapshots: readonly SnapshotDocument[];
  readonly origin?: VolumeOrigin;
  /** Settled changes that the tree could not take because its pages are out of reach. */
  readonly pending?: PendingDocument;
  /** Absent unless the volume is replicated. */
  readonly replica?: ReplicaDocument;
}

export interface PendingDocument {
  readonly names: readonly (readonly [number, string])[];
  readonly zeroes: readonly (readonly [number, number])[];
}

export function documentPath(id: string): string {
  return `volumes/${id}.json`;
}

export function rootName(hex: string): Name {
  return nameOfHex(hex) ?? fail('DataCorrupt', `not a root: ${hex}`);
}

export function treeOf(
  part: Pick<VolumeDocument, 'root' | 'sizeBytes' | 'allocatedBlocks'>,
  blockBytes: number,
): TreeRoot {
  const depth = treeDepth(part.sizeBytes, blockBytes);
  return { root: rootName(part.root), depth, allocatedBlocks: part.allocatedBlocks };
}

/** `mark` is that of the tree; a volume that is not replicated has none. */
export function withTree(
  document: VolumeDocument,
  tree: TreeRoot,
  journalFrom: number,
  mark?: Mark,
): VolumeDocument {
  const { allocatedBlocks } = tree;
  const { pending: _rooted, ...rest } = document;
  const marked = withMark(rest, mark);
  return { ...marked, root: nameHex(tree.root), allocatedBlocks, journalFrom };
}

export function withMark(document: VolumeDocument, mark: Mark | undefined): VolumeDocument {
  const { replica } = document;
  if (replica === undefined || mark === undefined) return document;
  return { ...document, replica: { ...replica, mark } };
}

export function pendingOf(names: ReadonlyMap<number, Name>, zeroes: IntervalSet): PendingDocument {
  return {
    names: [...names].map(([block, name]) => [block, nameHex(name)]),
    zeroes: [...zeroes.ranges()].map(({ first, count }) => [first, count]),
  };
}
