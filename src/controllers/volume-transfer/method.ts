/** How the copy of one volume is made: what the methods have in common. */
import type { VolumeTransfer } from '../../api/kinds/volume-transfer.ts';
import type { VolumeTransferStatus } from '../../api/kinds/volume-transfer.ts';
import type { Reason } from '../../base/reasons.ts';
import type { Undoing } from '../../flow/step.ts';
import type { Context } from '../context.ts';
import type { ClusterAccess } from '../remotes/access.ts';

export interface Transfer {
  /** Of the hub, which has the object. */
  readonly context: Context;
  readonly object: VolumeTransfer;
  readonly source: ClusterAccess;
  readonly destination: ClusterAccess;
}

/** What the status says beside conditions; what is not given stays as it was. */
export type TransferNumbers = Partial<
  Pick<
    VolumeTransferStatus,
    | 'attempts'
    | 'percent'
    | 'totalBytes'
    | 'copiedBytes'
    | 'wireBytes'
    | 'bytesPerSecond'
    | 'route'
    | 'log'
    | 'audit'
  >
>;

export type Advance =
  | { readonly kind: 'running'; readonly message: string; readonly numbers: TransferNumbers }
  | {
      /** Somebody else has to move first. */
      readonly kind: 'waiting';
      readonly message: string;
      readonly remedy: string;
      readonly numbers: TransferNumbers;
    }
  | {
      /** Final. The last pass only: `volume` is bound to the claim of the destination. */
      readonly kind: 'succeeded';
      /** The PersistentVolume at the destination, where there is one already. */
      readonly volume?: string;
      /** Whether a closing audit found both sides equal; absent when there was none. */
      readonly verified?: boolean;
      readonly numbers: TransferNumbers;
      readonly warnings?: readonly string[];
    }
  | {
      /** Final: all attempts are used up, or another could not help. */
      readonly kind: 'failed';
      readonly reason: Reason;
      readonly message: string;
      readonly numbers: TransferNumbers;
    };

export type Settling = Undoing & { readonly numbers?: TransferNumbers };

/**
 * A method. Every function may be killed at any `await` and is called again, by another process
 * perhaps; what is done is seen in the clusters. Errors are `TransshipError`s: retryable ones are
 * tried again with back-off by the controller, others fail the transfer.
 */
export interface TransferMethod {
  /**
   * Why it cannot be used after all, seen in the clusters: the next method of the ladder is taken
   * then. Asked before anything is begun; absent: nothing can be in its way.
   */
  declines?(
    transfer: Transfer,
  ): Promise<{ readonly reason: string; readonly message: string } | undefined>;
  /** Looks, and does the next thing; called every second or two until the end. */
  advance(transfer: Transfer): Promise<Advance>;
  /**
   * Takes away helpers (pods, Secrets, Teleports that still run) but no data. Also called after
   * success and failure, and when the object is deleted. Until it says `done`.
   */
  clean(transfer: Transfer): Promise<Undoing>;
  /**
   * After success and `clean`: what goes on by itself, such as blocks that still come. Until it
   * says `done`; absent: all is there at success.
   */
  settle?(transfer: Transfer): Promise<Settling>;
  /** Takes away the data that this very transfer made at the destination. After `clean`. */
  discard(transfer: Transfer): Promise<Undoing>;
}
