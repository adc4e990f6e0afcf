/** Join tokens and their proofs: docs/formats/peer.md, section "Joining". */
import { createHash, createHmac, timingSafeEqual } from 'node:crypto';
import { fail, TransshipError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Clock, Random } from '../base/ports.ts';
import { decodeJson, encodeJson } from './json-fields.ts';
import { type ClusterIdentity, readCluster } from './messages.ts';

const prefix = 'transship1-';
const sumBytes = 4;

export interface JoinToken {
  /** The cluster that made it. */
  readonly cluster: ClusterIdentity;
  readonly addresses: readonly string[];
  readonly fingerprint: string;
  readonly tokenId: string;
  readonly secret: Uint8Array;
  readonly expiresMs: number;
}

export function encodeToken(token: JoinToken): string {
  const { secret, ...rest } = token;
  const json = encodeJson({ ...rest, secret: Buffer.from(secret).toString('hex') });
  return prefix + Buffer.concat([json, sumOf(json)]).toString('base64url');
}

/** `TokenInvalid` for anything that is not a whole token. The text is never repeated: a secret. */
export function decodeToken(text: string): JoinToken {
  const trimmed = text.trim();
  const body = trimmed.slice(prefix.length);
  const isText = trimmed.length <= limits.tokenCharactersMax && /^[\w-]+$/.test(body);
  if (!trimmed.startsWith(prefix) || !isText) {
    fail('TokenInvalid', `this is not a join token; it starts with ${prefix}`);
  }
  const bytes = Buffer.from(body, 'base64url');
  const json = bytes.subarray(0, -sumBytes);
  if (!sumOf(json).equals(bytes.subarray(-sumBytes))) {
    fail('TokenInvalid', 'the token is cut off or mistyped');
  }
  try {
    const fields = decodeJson(json);
    return {
      cluster: readCluster(fields.object('cluster')),
      addresses: fields.texts('addresses', { countMax: 16, lengthMax: 300 }),
      fingerprint: Buffer.from(fields.hash('fingerprint')).toString('hex'),
      tokenId: fields.text('tokenId', 64),
      secret: fields.hash('secret'),
      expiresMs: fields.number('expiresMs'),
    };
  } catch (error) {
    fail('TokenInvalid', 'the token was made by another version of Transship', error);
  }
}

function sumOf(json: Uint8Array): Buffer {
  return createHash('sha256').update(json).digest().subarray(0, sumBytes);
}

export interface ProofOf {
  readonly secret: Uint8Array;
  /** Of the link: a proof seen on one link is worthless on every other. */
  readonly binding: Uint8Array;
  readonly joining: string;
  readonly accepting: string;
}

export function makeProof({ secret, binding, joining, accepting }: ProofOf): string {
  return createHmac('sha256', secret)
    .update('transship join 1')
    .update(binding)
    .update(Buffer.from(joining, 'hex'))
    .update(Buffer.from(accepting, 'hex'))
    .digest('hex');
}

interface Issued {
  readonly secret: Uint8Array;
  /** Agents of this very cluster may join with it, and nobody else. */
  readonly isForMember: boolean;
  readonly expiresMs: number;
  usedBy: string | undefined;
}

/** The tokens this cluster gave out; in memory only, so that no disk holds their secrets. */
export class TokenDesk {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #issued = new Map<string, Issued>();

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
  }

  /** `LimitExceeded` when too many are open. */
  issue(
    self: Omit<JoinToken, 'tokenId' | 'secret' | 'expiresMs'>,
    lifeMs: number,
    isForMember = false,
  ): JoinToken {
    this.#expire();
    if (this.#issued.size >= limits.tokensMax) {
      fail('LimitExceeded', `${limits.tokensMax} tokens are open; they expire within an hour`);
    }
    const tokenId = Buffer.from(this.#random.bytes(8)).toString('hex');
    const secret = this.#random.bytes(32);
    const expiresMs = this.#clock.wallMs() + Math.min(lifeMs, limits.tokenLifeMs);
    this.#issued.set(tokenId, { secret, isForMember, expiresMs, usedBy: undefined });
    return { ...self, tokenId, secret, expiresMs };
  }

  /**
   * `TokenInvalid`, in the same words whatever is wrong: a stranger learns nothing. The same
   * fingerprint may show its token again, because it may not have got the answer. Says whether the
   * token is for an agent of this very cluster.
   */
  check(tokenId: string, proof: string, of: Omit<ProofOf, 'secret'>): boolean {
    this.#expire();
    const issued = this.#issued.get(tokenId);
    // An unknown token takes the same work as a known one.
    const secret = issued?.secret ?? new Uint8Array(32);
    const right = Buffer.from(makeProof({ ...of, secret }));
    const shown = Buffer.from(proof.padEnd(right.length).slice(0, right.length));
    const isProven = timingSafeEqual(right, shown) && proof.length === right.length;
    const isFree = issued?.usedBy === undefined || issued.usedBy === of.joining;
    if (issued === undefined || !isProven || !isFree) throw invalid();
    return issued.isForMember;
  }

  use(tokenId: string, joining: string): void {
    const issued = this.#issued.get(tokenId);
    if (issued === undefined) throw invalid();
    issued.usedBy = joining;
  }

  #expire(): void {
    const nowMs = this.#clock.wallMs();
    for (const [tokenId, { expiresMs }] of this.#issued) {
      if (expiresMs <= nowMs) this.#issued.delete(tokenId);
    }
  }
}

function invalid(): TransshipError {
  return new TransshipError('TokenInvalid', 'the token is unknown, expired or used');
}
