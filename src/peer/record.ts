import type { TransshipError } from '../base/errors.ts';

/** A trusted cluster. Plain data, kept by the registry. */
export interface PeerRecord {
  /** Unique here, and what people type. */
  readonly name: string;
  readonly id: string;
  /** `host:port`, tried in turn; empty when only the peer can dial. */
  readonly addresses: readonly string[];
  /** SHA-256 of its public key in hex. */
  readonly fingerprint: string;
  readonly addedMs: number;
}

export interface PeerState {
  readonly connected: boolean;
  /** Wall clock of the last change. */
  readonly sinceMs: number;
  /** Why it is not connected, or was not before. */
  readonly lastError: TransshipError | undefined;
}
