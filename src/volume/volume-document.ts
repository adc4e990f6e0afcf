/** The document of a volume (docs/formats/pool.md): what of it survives a stop. */
import { fail } from '../base/errors.ts';
import type { HistoryPolicy, VolumeOrigin } from './api.ts';
import { nameHex, nameOfHex } from './name.ts';
import type { TreeRoot } from './tree.ts';
import { treeDepth } from './tree.ts';
import type { BlockRange, Name } from './types.ts';

export interface SnapshotDocument {
  readonly name: string;
  readonly root: string;
  readonly sizeBytes: number;
  readonly allocatedBlocks: number;
  readonly atMs: number;
  readonly trace?: readonly BlockRange[];
}

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

export function withTree(
  document: VolumeDocument,
  tree: TreeRoot,
  journalFrom: number,
): VolumeDocument {
  const { allocatedBlocks } = tree;
  return { ...document, root: nameHex(tree.root), allocatedBlocks, journalFrom };
}
