/** One trusted cluster as the rest of the agent sees it: leases, chunks, state, limits. */
import { TransshipError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Clock, Log, Metrics, Random } from '../base/ports.ts';
import type {
  LeaseGrant,
  LeaseRequest,
  Name,
  PeerStore,
  StoredChunk,
  VolumeSummary,
} from '../volume/types.ts';
import { askInTime, type Channel } from './channel.ts';
import { checkPeer, type PeerCheck } from './check.ts';
import { decodeFlags, encodeChunk, encodeNames } from './chunk-codec.ts';
import type { Greeted } from './greeting.ts';
import { decodeJson, encodeJson } from './json-fields.ts';
import type { Dialer } from './link.ts';
import { LayeredRate } from './layered-rate.ts';
import { LinkPool } from './link-pool.ts';
import {
  decodeGrant,
  decodeVolumes,
  encodeGrantRequest,
  type Hello,
  type LinkUse,
  operations,
} from './messages.ts';
import { createRateLimit, type RateLimit } from './rate.ts';
import type { PeerRecord, PeerState } from './record.ts';
import type { ReplicaService } from './replica/replica-server.ts';
import { createPeerServer, type PeerServer } from './server.ts';
import { onlyPayload, type Reply, type Session } from './session.ts';
import { createPeerSource, type PeerSource, type SourceOptions } from './source.ts';
import { createWindow, type WindowStatus } from './window.ts';

export interface PeerStatus extends PeerState {
  readonly links: number;
  readonly reconnects: number;
  readonly window: WindowStatus;
  /** What the other agent said of itself; undefined before the first greeting. */
  readonly agentVersion: string | undefined;
  readonly protocol: number | undefined;
  readonly capabilities: readonly string[];
  /** Limits of the background lane in bytes a second. */
  readonly incomingRate: number | undefined;
  readonly outgoingRate: number | undefined;
}

export interface PeerOptions {
  readonly record: PeerRecord;
  readonly dialer: Dialer;
  /** What is served to this peer. */
  readonly store: PeerStore;
  /** The replicas kept here; without it replica operations are `Unsupported`. */
  readonly replicas?: ReplicaService;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly mine: (use: LinkUse) => Hello;
  readonly links?: number;
  readonly demandTimeoutMs?: number;
}

/**
 * Control calls wait at most the demand time-out and then reject with `SourceUnreachable`; else
 * they reject with what the other side answered. All are safe to repeat.
 */
export interface Peer {
  readonly record: PeerRecord;
  status(): PeerStatus;
  /** Calls back on every change of connection; returns how to stop that. */
  onState(listener: (state: PeerState) => void): () => void;
  /** For the background lane, in bytes a second, undefined for none; also while it runs. */
  setRates(rates: {
    readonly incoming?: number | undefined;
    readonly outgoing?: number | undefined;
  }): void;
  /** Takes the place of the incoming rate of `setRates`; undefined: that one holds again. */
  limitIncoming(bytesPerSecond: number | undefined): void;
  listVolumes(): Promise<readonly VolumeSummary[]>;
  grantLease(request: LeaseRequest): Promise<LeaseGrant>;
  renewLease(leaseId: string, lifeMs: number): Promise<{ readonly expiresMs: number }>;
  releaseLease(leaseId: string): Promise<void>;
  /** Waits for the link; one flag per name. */
  have(names: readonly Name[], signal?: AbortSignal): Promise<readonly boolean[]>;
  /** Waits for the link; resolves with how many the peer verified and stored. */
  push(chunks: readonly StoredChunk[], signal?: AbortSignal): Promise<number>;
  sourceFor(options?: SourceOptions): PeerSource;
  /** One demand request of another part of this folder; waits at most `timeoutMs` for a link. */
  ask(call: PeerAsk): Promise<Reply>;
  /** Measures the link with real bytes. */
  check(options?: { readonly probeBytes?: number }): Promise<PeerCheck>;
  close(): void;
}

export interface PeerAsk {
  readonly type: number;
  readonly payload: readonly Uint8Array[];
  readonly credit: number;
  readonly timeoutMs: number;
  /** Nobody wants it done any more: it is not asked again on another link. */
  readonly signal?: AbortSignal;
}

/** A peer and its way in: links that the other side opened. */
export interface PeerHost {
  readonly peer: Peer;
  readonly server: PeerServer;
  adopt(session: Session, greeted: Greeted): void;
  leave(session: Session, error: TransshipError): void;
}

export function createPeer(options: PeerOptions): PeerHost {
  const { record, clock, metrics } = options;
  const outgoing = createRateLimit(clock);
  const server = createPeerServer({ ...options, peerName: record.name, outgoing });
  const listeners = new Set<(state: PeerState) => void>();
  const bounds = { bytesMin: limits.peerWindowBytesMin, bytesMax: limits.peerWindowBytesMax };
  const window = createWindow(clock, bounds);
  const labels = { peer: record.name };
  const pool = new LinkPool({
    ...options,
    handler: () => server.handler(),
    onRoundTrip: (ms) => {
      window.measured(ms);
      metrics.set('transship_peer_round_trip_seconds', ms / 1000, labels);
    },
    onState: (state) => {
      metrics.set('transship_peer_connected', state.connected ? 1 : 0, labels);
      for (const listener of listeners) listener(state);
    },
    onReconnect: () => metrics.add('transship_peer_reconnects_total', 1, labels),
  });
  const closer = new AbortController();
  const channel: Channel = {
    name: record.name,
    clock,
    metrics,
    pool,
    window,
    incoming: createRateLimit(clock),
    closing: closer.signal,
    demandTimeoutMs: options.demandTimeoutMs ?? limits.demandTimeoutMs,
    chunkBytes: limits.blockBytesDefault,
  };
  const peer = new ChannelPeer({ options, channel, outgoing, listeners, closer });
  pool.start();
  return {
    peer,
    server,
    adopt: (session, greeted) => pool.adopt(session, greeted),
    leave: (session, error) => pool.leave(session, error),
  };
}

interface Parts {
  readonly options: PeerOptions;
  readonly channel: Channel;
  readonly outgoing: RateLimit;
  readonly listeners: Set<(state: PeerState) => void>;
  readonly closer: AbortController;
}

class ChannelPeer implements Peer {
  readonly record: PeerRecord;
  readonly #parts: Parts;
  readonly #incoming: LayeredRate;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#incoming = new LayeredRate(parts.channel.incoming);
    this.record = parts.options.record;
  }

  status(): PeerStatus {
    const { channel, outgoing } = this.#parts;
    const { pool } = channel;
    return {
      ...pool.state,
      links: pool.openLinks,
      reconnects: pool.reconnects,
      window: channel.window.status(),
      agentVersion: pool.greeted?.hello.agentVersion,
      protocol: pool.greeted?.version,
      capabilities: pool.greeted?.hello.capabilities ?? [],
      incomingRate: channel.incoming.get(),
      outgoingRate: outgoing.get(),
    };
  }

  onState(listener: (state: PeerState) => void): () => void {
    const { listeners } = this.#parts;
    listeners.add(listener);
    return () => void listeners.delete(listener);
  }

  setRates(rates: {
    readonly incoming?: number | undefined;
    readonly outgoing?: number | undefined;
  }): void {
    if ('incoming' in rates) this.#incoming.setUsual(rates.incoming);
    if ('outgoing' in rates) this.#parts.outgoing.set(rates.outgoing);
  }

  limitIncoming(bytesPerSecond: number | undefined): void {
    this.#incoming.setNow(bytesPerSecond);
  }

  async listVolumes(): Promise<readonly VolumeSummary[]> {
    return decodeVolumes(onlyPayload(await this.#ask(operations.volumes, new Uint8Array(0))));
  }

  async grantLease({ leaseId, ...request }: LeaseRequest): Promise<LeaseGrant> {
    const key = leaseId ?? Buffer.from(this.#parts.options.random.bytes(16)).toString('hex');
    const reply = await this.#ask(operations.grant, encodeGrantRequest({ ...request, key }));
    return decodeGrant(onlyPayload(reply));
  }

  async renewLease(leaseId: string, lifeMs: number): Promise<{ readonly expiresMs: number }> {
    const reply = await this.#ask(operations.renew, encodeJson({ leaseId, lifeMs }));
    return { expiresMs: decodeJson(onlyPayload(reply)).number('expiresMs') };
  }

  async releaseLease(leaseId: string): Promise<void> {
    await this.#ask(operations.release, encodeJson({ leaseId }));
  }

  async have(names: readonly Name[], signal?: AbortSignal): Promise<readonly boolean[]> {
    const flags: boolean[] = [];
    for (let first = 0; first < names.length; first += limits.haveNamesMax) {
      const some = names.slice(first, first + limits.haveNamesMax);
      const reply = await this.#parts.channel.pool.call({
        type: operations.have,
        lane: 'background',
        payload: [encodeNames(some)],
        credit: limits.haveNamesMax,
        signal: signal ?? this.#parts.channel.closing,
      });
      flags.push(...decodeFlags(onlyPayload(reply), some.length));
    }
    return flags;
  }

  async push(chunks: readonly StoredChunk[], signal?: AbortSignal): Promise<number> {
    const batches = batchesOf(chunks);
    const counts = await Promise.all(batches.map((batch) => this.#pushBatch(batch, signal)));
    return counts.reduce((sum, count) => sum + count, 0);
  }

  sourceFor(options: SourceOptions = {}): PeerSource {
    const renew = (leaseId: string) => this.renewLease(leaseId, limits.leaseMs);
    return createPeerSource(this.#parts.channel, renew, options);
  }

  ask({ type, payload, credit, timeoutMs, signal }: PeerAsk): Promise<Reply> {
    const channel = { ...this.#parts.channel, demandTimeoutMs: timeoutMs };
    const { closing } = channel;
    const ends = signal === undefined ? closing : AbortSignal.any([closing, signal]);
    return askInTime(channel, { type, payload, credit }, ends);
  }

  check(options: { readonly probeBytes?: number } = {}): Promise<PeerCheck> {
    return checkPeer(this.#parts.channel, options);
  }

  close(): void {
    const error = new TransshipError('Stopping', `the link to ${this.record.name} was closed`);
    this.#parts.closer.abort(error);
    this.#parts.channel.pool.close(error);
  }

  async #pushBatch(parts: readonly Uint8Array[], signal: AbortSignal | undefined): Promise<number> {
    const { channel } = this.#parts;
    const ends = signal ?? channel.closing;
    const bytes = parts.reduce((sum, part) => sum + part.length, 0);
    await channel.window.acquire(bytes, ends);
    try {
      await this.#parts.outgoing.take(bytes, ends);
      const reply = await channel.pool.call({
        type: operations.push,
        lane: 'background',
        payload: parts,
        credit: 1024,
        signal: ends,
      });
      return decodeJson(onlyPayload(reply)).count('accepted');
    } finally {
      channel.window.release(bytes, 0);
    }
  }

  #ask(type: number, payload: Uint8Array): Promise<Reply> {
    const credit = limits.frameBytesMax;
    return askInTime(this.#parts.channel, { type, payload: [payload], credit });
  }
}

function batchesOf(chunks: readonly StoredChunk[]): Uint8Array[][] {
  const batches: Uint8Array[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const chunk of chunks) {
    const parts: Uint8Array[] = [];
    encodeChunk(chunk, parts);
    const size = parts.reduce((sum, part) => sum + part.length, 0);
    if (bytes + size > limits.pushBytesMax) {
      batches.push([]);
      bytes = 0;
    }
    batches.at(-1)?.push(...parts);
    bytes += size;
  }
  return batches;
}
