import type { ApiObject } from './objects.ts';

/** Bytes of a snapshot that hold data, or that are not as in an earlier one. */
export interface ChangesObject extends ApiObject {
  readonly kind: 'Changes';
  readonly spec: { readonly volume: string; readonly snapshot: string; readonly from?: string };
  readonly status: {
    /** Of the snapshot. */
    readonly sizeBytes: number;
    /** Ranges begin at whole blocks; only the last may end inside of one, at the end. */
    readonly blockBytes: number;
    /** Other roots in the next page: a snapshot was replaced by another of its name. */
    readonly root: string;
    readonly fromRoot?: string;
    /** Rising, never two that overlap. */
    readonly ranges: readonly { readonly offset: number; readonly lengthBytes: number }[];
    /** Ask again from here; absent at the end. */
    readonly nextOffset?: number;
  };
}
