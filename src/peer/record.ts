import type { TransshipError } from '../base/errors.ts';

/** A trusted cluster. Plain data, kept by the registry. */
export interface PeerRecord {
  /** Unique here, and what people type. */
  readonly name: string;
  readonly id: string;
  /** The cluster that it is one agent of; absent: its own name is the cluster's. */
  readonly memberOf?: string;
  /** `host:port`, tried in turn; empty when only the peer can dial. */
  readonly addresses: readonly string[];
  /** SHA-256 of its public key in hex. */
  readonly fingerprint: string;
  readonly addedMs: number;
}

/** The cluster that an agent belongs to. */
export function clusterOf({ name, memberOf }: Pick<PeerRecord, 'name' | 'memberOf'>): string {
  return memberOf ?? name;
}

/** Agents of one cluster: they joined by a token that was made for that. */
export function areFellows(
  a: Pick<PeerRecord, 'name' | 'memberOf'>,
  b: Pick<PeerRecord, 'name' | 'memberOf'>,
): boolean {
  return clusterOf(a) === clusterOf(b);
}

export interface PeerState {
  readonly connected: boolean;
  /** Wall clock of the last change. */
  readonly sinceMs: number;
  /** Why it is not connected, or was not before. */
  readonly lastError: TransshipError | undefined;
}
