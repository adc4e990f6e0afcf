/**
 * The clusters that trust each other, seen from one of them: who they are, how they join and leave,
 * and which link belongs to whom.
 */
import { asTransshipError, AssertionFailure, fail, TransshipError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { printable } from '../base/names.ts';
import type { Clock, Disk, Log, Metrics, Random } from '../base/ports.ts';
import type { PeerStore } from '../volume/types.ts';
import { checkHello } from './greeting.ts';
import { decodeJoinRequest, encodeJoinAnswer, showToken } from './join.ts';
import type { Dialer, Link } from './link.ts';
import {
  type ClusterIdentity,
  decodeHello,
  encodeHello,
  type Hello,
  type LinkUse,
  operations,
  protocolVersions,
} from './messages.ts';
import { createPeer, type Peer, type PeerHost } from './peer.ts';
import { areFellows, clusterOf, type PeerRecord } from './record.ts';
import { openRegistry, type PeerRegistry } from './registry.ts';
import type { ReplicaService } from './replica/replica-server.ts';
import { type Answer, type Incoming, openSession, type Session } from './session.ts';
import { decodeToken, encodeToken, TokenDesk } from './token.ts';

export interface CloudSelf {
  readonly id: string;
  readonly name: string;
  /** The cluster that this is one agent of; absent: its own name is the cluster's. */
  readonly memberOf?: string;
  readonly fingerprint: string;
  readonly agentVersion: string;
  readonly capabilities: readonly string[];
  /** Where peers reach this cluster; known once it listens. */
  readonly addresses: () => readonly string[];
}

export interface CloudOptions {
  readonly self: CloudSelf;
  /** Holds `peers.json`. */
  readonly disk: Disk;
  readonly store: PeerStore;
  readonly replicas?: ReplicaService;
  readonly dialer: Dialer;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  /** For tests; `limits.ts` by default. */
  readonly links?: number;
  readonly demandTimeoutMs?: number;
}

export interface Cloud {
  peers(): readonly Peer[];
  /** `NotFound`, naming the peers there are. */
  peer(name: string): Peer;
  /** After a peer was added or removed; returns how to stop that. */
  onChange(listener: () => void): () => void;
  /**
   * A secret, for one person once; with `isMember` for an agent of this very cluster and nobody
   * else. `LimitExceeded`; `Unsupported` without an address.
   */
  createToken(
    lifeMs?: number,
    isMember?: boolean,
  ): { readonly token: string; readonly expiresMs: number };
  /**
   * Both clusters trust each other when it resolves; nothing has changed here when it rejects.
   * With `isMember` the token must be of an agent of this very cluster, and without it of none.
   * `TokenInvalid`, `AlreadyExists`, `NotTrusted`, `SourceUnreachable`, `BadArgument`.
   */
  join(token: string, isMember?: boolean): Promise<Peer>;
  /** Ends its links and its trust, on this side. `NotFound`. */
  remove(name: string): void;
  /** A link somebody opened to the peer port. */
  accept(link: Link): void;
  close(): void;
}

/** Connects to all known peers at once. `DataCorrupt` when their document is damaged. */
export function openCloud(options: CloudOptions): Cloud {
  return new RegistryCloud(options);
}

class RegistryCloud implements Cloud {
  readonly #options: CloudOptions;
  readonly #registry: PeerRegistry;
  readonly #tokens: TokenDesk;
  readonly #hosts = new Map<string, PeerHost>();
  readonly #linksIn = new Map<string, number>();
  readonly #greeting = new Set<Session>();
  readonly #listeners = new Set<() => void>();
  #strangers = 0;
  #isClosed = false;

  constructor(options: CloudOptions) {
    this.#options = options;
    this.#registry = openRegistry(options.disk, options.self);
    this.#tokens = new TokenDesk(options.clock, options.random);
    for (const record of this.#registry.list()) this.#host(record);
  }

  peers(): readonly Peer[] {
    return [...this.#hosts.values()].map(({ peer }) => peer);
  }

  peer(name: string): Peer {
    const found = this.peers().find((peer) => peer.record.name === name);
    if (found !== undefined) return found;
    const names = this.peers().map(({ record }) => record.name);
    const known = names.length === 0 ? 'there are none' : `there are ${names.join(', ')}`;
    fail('NotFound', `no peer is called '${printable(name)}'; ${known}`);
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  createToken(
    lifeMs: number = limits.tokenLifeMs,
    isMember = false,
  ): { token: string; expiresMs: number } {
    const { self } = this.#options;
    const addresses = self.addresses();
    if (!(lifeMs > 0)) fail('BadArgument', 'a token lives longer than nothing');
    if (addresses.length === 0) {
      fail('Unsupported', 'this agent listens for no peers; start it with a peer address');
    }
    const said = { cluster: identityOf(self), addresses, fingerprint: self.fingerprint };
    const token = this.#tokens.issue(said, lifeMs, isMember);
    return { token: encodeToken(token), expiresMs: token.expiresMs };
  }

  async join(text: string, isMember = false): Promise<Peer> {
    const { self, dialer, clock } = this.#options;
    const token = decodeToken(text);
    if (token.fingerprint === self.fingerprint) {
      fail('BadArgument', 'the token is of this cluster; use it on another one');
    }
    checkFellow(self, token.cluster, isMember);
    const known = this.#registry.byFingerprint(token.fingerprint);
    if (known !== undefined) fail('AlreadyExists', `${known.name} is a peer already`);
    const { addresses, fingerprint } = token;
    this.#registry.check({ ...token.cluster, addresses, fingerprint, addedMs: clock.wallMs() });
    const { agentVersion } = self;
    const said = { cluster: identityOf(self), agentVersion, addresses: self.addresses() };
    const own = { ...said, fingerprint: self.fingerprint };
    const record = await showToken({ token, dialer, clock, self: own });
    this.#registry.put(record);
    return this.#host(record).peer;
  }

  remove(name: string): void {
    const record = this.#registry.remove(name);
    this.#drop(record.fingerprint);
    this.#notify();
  }

  accept(link: Link): void {
    const { fingerprint } = link.remote;
    const host = this.#hosts.get(fingerprint);
    const inside = this.#linksIn.get(fingerprint) ?? 0;
    const isFull =
      host === undefined ? this.#strangers >= limits.strangersMax : inside >= limits.peerLinksInMax;
    if (this.#isClosed || isFull) {
      link.start({ onBytes: () => {}, onDrain: () => {}, onClose: () => {} });
      link.close();
      return;
    }
    if (host === undefined) this.#strangers++;
    this.#linksIn.set(fingerprint, inside + 1);
    this.#welcome(link, host);
  }

  close(): void {
    this.#isClosed = true;
    const error = new TransshipError('Stopping', 'the agent is stopping');
    for (const session of this.#greeting) session.close(error);
    for (const fingerprint of this.#hosts.keys()) this.#drop(fingerprint);
  }

  #host(record: PeerRecord): PeerHost {
    this.#drop(record.fingerprint);
    const { replicas, ...others } = this.#options;
    // Whoever writes a replica writes the volume: only agents of this cluster may.
    const own = replicas !== undefined && areFellows(record, others.self) ? { replicas } : {};
    const host = createPeer({ ...others, ...own, record, mine: (use) => this.#hello(use) });
    this.#hosts.set(record.fingerprint, host);
    this.#notify();
    return host;
  }

  #drop(fingerprint: string): void {
    this.#hosts.get(fingerprint)?.peer.close();
    this.#hosts.delete(fingerprint);
  }

  #notify(): void {
    for (const listener of this.#listeners) listener();
  }

  #hello(use: LinkUse): Hello {
    const { self, clock } = this.#options;
    const { agentVersion, capabilities } = self;
    const wallMs = clock.wallMs();
    const cluster = identityOf(self);
    return { protocol: protocolVersions, cluster, agentVersion, capabilities, use, wallMs };
  }

  /** Waits for the one frame that says what the link is for, but not for long. */
  #welcome(link: Link, host: PeerHost | undefined): void {
    const { clock } = this.#options;
    const name = host?.peer.record.name ?? `a stranger at ${link.remote.address}`;
    const late = () =>
      session.close(new TransshipError('TimedOut', `${name} opened a link and said nothing`));
    const timer = clock.after(limits.strangerMs, late);
    const onClose = (error: TransshipError) => {
      timer.cancel();
      this.#greeting.delete(session);
      this.#left(link, host, error);
      host?.leave(session, error);
    };
    const handler = (incoming: Incoming, answer: Answer) => {
      timer.cancel();
      this.#greeting.delete(session);
      this.#receive({ session, host, incoming, answer });
    };
    const session: Session = openSession({ link, clock, name, handler, onClose });
    this.#greeting.add(session);
  }

  #left(link: Link, host: PeerHost | undefined, error: TransshipError): void {
    const { fingerprint, address } = link.remote;
    const inside = this.#linksIn.get(fingerprint) ?? 1;
    if (inside > 1) this.#linksIn.set(fingerprint, inside - 1);
    else this.#linksIn.delete(fingerprint);
    if (host === undefined) this.#strangers--;
    this.#options.log.log('debug', 'link from outside ended', { address, error });
  }

  #receive(arrival: Arrival): void {
    const { session, incoming, answer } = arrival;
    try {
      if (incoming.type === operations.join) this.#acceptJoin(arrival);
      else this.#acceptHello(arrival);
    } catch (error) {
      if (error instanceof AssertionFailure) throw error;
      const ours = asTransshipError(error);
      const { address } = session.remote;
      this.#options.log.log('warn', 'link refused', { address, error: ours });
      answer.fail(ours);
      session.close(ours);
    }
  }

  #acceptHello({ session, host, incoming, answer }: Arrival): void {
    // The host of the moment: the peer may have been removed since it connected.
    if (host === undefined || this.#hosts.get(session.remote.fingerprint) !== host) {
      fail('NotTrusted', 'this cluster does not know you; join with a token first');
    }
    if (incoming.type !== operations.hello) fail('ProtocolError', 'the first frame is not hello');
    const hello = decodeHello(incoming.payload);
    const mine = this.#hello(hello.use);
    const version = checkHello(hello, mine, host.peer.record);
    void answer.frame([encodeHello(mine)], { last: true });
    session.admit(host.server.handler());
    host.adopt(session, { hello, version });
  }

  #acceptJoin({ session, incoming, answer }: Arrival): void {
    const { self, clock, log } = this.#options;
    const { fingerprint, binding } = session.remote;
    const request = decodeJoinRequest(incoming.payload);
    const { tokenId, proof, cluster, addresses } = request;
    const of = { binding, joining: fingerprint, accepting: self.fingerprint };
    checkFellow(self, cluster, this.#tokens.check(tokenId, proof, of));
    if (request.protocol < protocolVersions.min || request.protocol > protocolVersions.max) {
      fail('ProtocolError', `it speaks peer protocol ${request.protocol}: upgrade the older side`);
    }
    // One that joins again keeps the name that objects here may refer to.
    const known = this.#registry.byFingerprint(fingerprint);
    const name = known?.name ?? cluster.name;
    const record = { ...cluster, name, addresses, fingerprint, addedMs: clock.wallMs() };
    this.#registry.put(record);
    this.#tokens.use(tokenId, fingerprint);
    log.log('info', 'a cluster joined', { peer: name, tokenId });
    const { agentVersion } = self;
    const said = { cluster: identityOf(self), addresses: self.addresses(), agentVersion };
    void answer.frame([encodeJoinAnswer(said)], { last: true });
    session.close(new TransshipError('Canceled', 'the join is over'));
    // One that only lost the answer keeps its links and what runs over them.
    const isSame = known !== undefined && known.addresses.join() === addresses.join();
    if (!isSame) this.#host(record);
  }
}

function identityOf({ id, name, memberOf }: CloudSelf): ClusterIdentity {
  return { id, name, ...(memberOf === undefined ? {} : { memberOf }) };
}

/** Agents of one cluster may do more than peers: nobody becomes one by saying so. */
function checkFellow(self: CloudSelf, other: ClusterIdentity, isMember: boolean): void {
  if (areFellows(self, other) === isMember) return;
  const cluster = printable(clusterOf(self));
  if (isMember) fail('NotTrusted', `the token is for agents of cluster ${cluster} only`);
  fail('AlreadyExists', `an agent of a cluster ${cluster} cannot join one of that name`);
}

interface Arrival {
  readonly session: Session;
  readonly host: PeerHost | undefined;
  readonly incoming: Incoming;
  readonly answer: Answer;
}
