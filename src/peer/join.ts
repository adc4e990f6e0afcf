/** Becoming peers with a one-time token, on both sides: docs/formats/peer.md, section "Joining". */
import { asTransshipError, fail, TransshipError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Clock } from '../base/ports.ts';
import { startDeadline } from './deadline.ts';
import { decodeJson, encodeJson } from './json-fields.ts';
import type { Dialer, Link } from './link.ts';
import { type ClusterIdentity, decodeCluster, operations, protocolVersions } from './messages.ts';
import type { PeerRecord } from './record.ts';
import { checkRecord } from './registry.ts';
import { type Handler, LinkLost, onlyPayload, openSession } from './session.ts';
import { type JoinToken, makeProof } from './token.ts';

export interface JoinRequest {
  readonly protocol: number;
  readonly cluster: ClusterIdentity;
  readonly addresses: readonly string[];
  readonly agentVersion: string;
  readonly tokenId: string;
  readonly proof: string;
}

export type JoinAnswer = Pick<JoinRequest, 'cluster' | 'addresses' | 'agentVersion'>;

export const encodeJoinAnswer = (answer: JoinAnswer): Uint8Array => encodeJson(answer);

function decodeAnswer(payload: Uint8Array): JoinAnswer {
  const fields = decodeJson(payload);
  return {
    cluster: decodeCluster(fields),
    addresses: fields.texts('addresses', { countMax: 16, lengthMax: 300 }),
    agentVersion: fields.text('agentVersion', 64),
  };
}

export function decodeJoinRequest(payload: Uint8Array): JoinRequest {
  const fields = decodeJson(payload);
  return {
    ...decodeAnswer(payload),
    protocol: fields.count('protocol'),
    tokenId: fields.text('tokenId', 64),
    proof: fields.text('proof', 64),
  };
}

export interface JoinOptions {
  readonly token: JoinToken;
  readonly dialer: Dialer;
  readonly clock: Clock;
  readonly self: JoinAnswer & { readonly fingerprint: string };
}

/**
 * Shows the token to the cluster that made it; resolves with its record, to be stored here. The
 * other side has stored this cluster by then. `SourceUnreachable`, `NotTrusted` (somebody else
 * answers at the address), `TokenInvalid`, `AlreadyExists` (the name is taken there).
 */
export async function showToken(options: JoinOptions): Promise<PeerRecord> {
  const { token, clock } = options;
  const { link, address } = await dialAny(options);
  const answer = await ask(options, link);
  if (answer.cluster.id !== token.cluster.id) {
    fail('ProtocolError', 'the cluster that answered is not the one that made the token');
  }
  // What worked comes first; the rest may work from elsewhere.
  const others = answer.addresses.filter((other) => other !== address);
  const record: PeerRecord = {
    ...token.cluster,
    addresses: [address, ...others].slice(0, 16),
    fingerprint: token.fingerprint,
    addedMs: clock.wallMs(),
  };
  checkRecord(record);
  return record;
}

async function dialAny({ token, dialer }: JoinOptions): Promise<{ link: Link; address: string }> {
  const { fingerprint } = token;
  let last: unknown = new TransshipError('TokenInvalid', 'the token names no address');
  for (const address of token.addresses) {
    try {
      return { link: await dialer.connect({ address, fingerprint }), address };
    } catch (error) {
      last = error;
    }
  }
  throw asTransshipError(last);
}

async function ask({ token, clock, self }: JoinOptions, link: Link): Promise<JoinAnswer> {
  const { name } = token.cluster;
  const ms = limits.strangerMs;
  const error = () => new TransshipError('SourceUnreachable', `${name} did not answer in ${ms} ms`);
  const deadline = startDeadline({ clock, ms, error });
  const refuse: Handler = (_, answer) => answer.fail(new TransshipError('NotTrusted', 'not yet'));
  const session = openSession({ link, clock, name, handler: refuse, onClose: () => {} });
  const { fingerprint, ...said } = self;
  const request: JoinRequest = {
    ...said,
    protocol: protocolVersions.max,
    tokenId: token.tokenId,
    proof: makeProof({
      secret: token.secret,
      binding: link.remote.binding,
      joining: fingerprint,
      accepting: token.fingerprint,
    }),
  };
  try {
    const reply = await session.request({
      type: operations.join,
      lane: 'demand',
      payload: [encodeJson(request)],
      credit: limits.frameBytesStranger,
      signal: deadline.signal,
    });
    return decodeAnswer(onlyPayload(reply));
  } catch (cause) {
    if (!(cause instanceof LinkLost)) throw cause;
    const text = `${name} ended the link before it answered: ${cause.message}`;
    throw new TransshipError('SourceUnreachable', text, { cause });
  } finally {
    deadline.done();
    session.close(new TransshipError('Canceled', 'the join is over'));
  }
}
