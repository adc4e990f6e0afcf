import type { TransshipError } from '../base/errors.ts';

/** The other end of a link, proven by the transport and not by anything it says. */
export interface LinkRemote {
  /** Host and port, for people. */
  readonly address: string;
  /** SHA-256 of its public key (SubjectPublicKeyInfo) in hex: its identity. */
  readonly fingerprint: string;
  /** 32 bytes only the two ends of this link know; a proof over them cannot be used elsewhere. */
  readonly binding: Uint8Array;
}

export interface LinkEvents {
  /** The next bytes, in order, in pieces of any size. They are valid during the call only. */
  onBytes(bytes: Uint8Array): void;
  /** After `send` returned false: there is room again. */
  onDrain(): void;
  /** Exactly once, whoever ended it; no other call follows. An orderly end has no error. */
  onClose(error: TransshipError | undefined): void;
}

/**
 * One ordered connection to another agent, encrypted and authenticated by both sides. It may die at
 * any moment and take along what was sent. Implemented by `src/host/tls-link.ts` and
 * `memory-link.ts`.
 */
export interface Link {
  readonly remote: LinkRemote;
  /** Once. Nothing is delivered before; what arrived until then follows at once or soon. */
  start(events: LinkEvents): void;
  /**
   * Sends the parts one after another; they must not change afterwards. False means taken, but wait
   * for `onDrain` before the next. After the end it takes and drops everything.
   */
  send(parts: readonly Uint8Array[]): boolean;
  /** Sends what was taken, then ends the link. May be called again. */
  close(): void;
}

export interface DialTarget {
  /** `host:port`; IPv6 in brackets. */
  readonly address: string;
  /** What the other end must prove to be. */
  readonly fingerprint: string;
}

export interface Dialer {
  /** `SourceUnreachable` when nothing answers in time; `NotTrusted` when somebody else answers. */
  connect(target: DialTarget): Promise<Link>;
}
