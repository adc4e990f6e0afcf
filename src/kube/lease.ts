/**
 * Leader election by a Lease (Kubernetes documentation, "Leases").
 *
 * Clocks of different machines are never compared: a lease of somebody else is judged by how long
 * we have seen it unchanged, our own by how long ago we began to send the renewal that worked. The
 * leader gives up after `renewMs`, others wait `leaseMs` after the last change they saw, and a
 * change is seen after it was sent: so the old leader always stops first.
 */
import { AssertionFailure, assert, asTransshipError } from '../base/errors.ts';
import type { Clock } from '../base/ports.ts';
import type { KubeClient } from './api.ts';
import { createKubeClient } from './client.ts';
import type { ObjectKey } from './objects.ts';
import { leases, type Lease } from './resources.ts';
import { sleep } from '../base/sleep.ts';

export interface LeaseTimes {
  /** How long others wait for a holder that says nothing. */
  readonly leaseMs: number;
  /** How long a holder goes on without a renewal that worked. */
  readonly renewMs: number;
  /** Between attempts. */
  readonly retryMs: number;
}

export const leaseTimesDefault: LeaseTimes = { leaseMs: 15_000, renewMs: 10_000, retryMs: 2_000 };

export interface LeaderElectionOptions {
  readonly client: Pick<KubeClient, 'connection'>;
  readonly namespace: string;
  readonly name: string;
  /** Unique to this process: two with one identity would both think that they lead. */
  readonly identity: string;
  readonly times?: LeaseTimes;
  /**
   * The leader's work; the signal ends it. Nobody here leads again before it has ended, and a clean
   * stop gives the lease back only then.
   */
  onStarted(signal: AbortSignal): Promise<void>;
  onStopped?(): void;
}

export interface LeaderElection {
  /** To be asked before every effect: true only while nobody else can lead. */
  isLeader(): boolean;
  /** Who holds the lease, as last seen. */
  readonly holder: string | undefined;
  /** Ends the work, then gives the lease back. */
  stop(): Promise<void>;
}

export function createLeaderElection(options: LeaderElectionOptions): LeaderElection {
  return new LeaseElection(options);
}

/** Time since a moment: by both clocks, because the monotonic one may stand still in a suspend. */
class Elapsed {
  readonly #clock: Clock;
  readonly #monotonicMs: number;
  readonly #wallMs: number;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#monotonicMs = clock.monotonicMs();
    this.#wallMs = clock.wallMs();
  }

  get ms(): number {
    return this.#clock.monotonicMs() - this.#monotonicMs;
  }

  /** At least so much may have passed for others. A wall clock set forward costs us the lease. */
  get msAtMost(): number {
    return Math.max(this.ms, this.#clock.wallMs() - this.#wallMs);
  }
}

interface Work {
  readonly stop: AbortController;
  readonly done: Promise<void>;
  hasFailed: boolean;
}

class LeaseElection implements LeaderElection {
  readonly #options: LeaderElectionOptions;
  readonly #times: LeaseTimes;
  readonly #client: KubeClient;
  readonly #key: ObjectKey;
  readonly #ending = new AbortController();
  readonly #ended: Promise<void>;
  /** The lease as last seen, and when it last changed for us. */
  #seen: { readonly lease: Lease; readonly since: Elapsed } | undefined;
  /** Since we began to send the last renewal that worked. */
  #renewed: Elapsed | undefined;
  #work: Work | undefined;
  #expiry: { cancel(): void } | undefined;
  #said = '';

  constructor(options: LeaderElectionOptions) {
    this.#options = options;
    this.#times = options.times ?? leaseTimesDefault;
    const { leaseMs, renewMs, retryMs } = this.#times;
    assert(leaseMs > renewMs && renewMs > 2 * retryMs, 'lease > renew deadline > 2 × retry');
    assert(options.identity !== '', 'a candidate needs an identity');
    this.#key = { namespace: options.namespace, name: options.name };
    // One attempt must not take all the time there is for renewing.
    this.#client = createKubeClient({
      ...options.client.connection,
      fieldManager: 'transship-leader-election',
      requestTimeMs: renewMs / 2,
    });
    this.#ended = this.#run();
  }

  isLeader(): boolean {
    return this.#renewed !== undefined && this.#renewed.msAtMost < this.#times.renewMs;
  }

  get holder(): string | undefined {
    return this.#seen?.lease.spec?.holderIdentity ?? undefined;
  }

  async stop(): Promise<void> {
    this.#work?.stop.abort();
    this.#ending.abort();
    await this.#ended;
  }

  async #run(): Promise<void> {
    const { clock, random } = this.#client.connection;
    const { retryMs } = this.#times;
    while (!this.#ending.signal.aborted) {
      // A leadership that was lost ends here before another begins.
      if (this.#work !== undefined && !this.isLeader()) this.#work.stop.abort();
      if (this.#work?.stop.signal.aborted === true) await this.#rest();
      await this.#attempt();
      // Told to stop meanwhile: the lease is given back below, and nothing is begun.
      if (this.isLeader() && !this.#ending.signal.aborted) this.#lead();
      if (this.#work?.hasFailed === true) {
        await this.#rest();
        await this.#release();
      }
      await sleep(clock, retryMs * (1 + 0.2 * random.fraction()), this.#ending.signal);
    }
    await this.#keepWhileEnding();
    await this.#rest();
    await this.#release();
  }

  /** The work may need its time; the lease is kept until it has ended. */
  async #keepWhileEnding(): Promise<void> {
    const ended = new AbortController();
    void Promise.resolve(this.#work?.done).then(() => ended.abort());
    const { clock } = this.#client.connection;
    await sleep(clock, this.#times.retryMs, ended.signal);
    while (!ended.signal.aborted && this.isLeader()) {
      await this.#attempt();
      await sleep(clock, this.#times.retryMs, ended.signal);
    }
  }

  /** Acquires or renews. What fails is tried again by the next attempt. */
  async #attempt(): Promise<void> {
    const { connection } = this.#client;
    const sent = new Elapsed(connection.clock);
    try {
      if (!(await this.#write())) return;
      this.#renewed = sent;
      this.#said = '';
      this.#expiry?.cancel();
      const leftMs = Math.max(0, this.#times.renewMs - sent.ms);
      this.#expiry = connection.clock.after(leftMs, () => this.#expired());
    } catch (error) {
      if (error instanceof AssertionFailure) throw error;
      const { reason, message } = asTransshipError(error);
      if (reason === 'Conflict' || reason === 'AlreadyExists' || this.#said === message) return;
      this.#said = message;
      connection.log.log('warn', `leader election: ${message}`, { reason });
    }
  }

  /** True when the lease now is ours. */
  async #write(): Promise<boolean> {
    const lease = await this.#client.get(leases, this.#key);
    if (lease === undefined) {
      this.#see(await this.#client.create(leases, this.#draft(undefined)));
      return true;
    }
    this.#see(lease);
    const holder = lease.spec?.holderIdentity ?? '';
    if (holder !== '' && holder !== this.#options.identity && !this.#isOver(lease)) return false;
    this.#see(await this.#client.replace(leases, this.#draft(lease)));
    return true;
  }

  #see(lease: Lease): void {
    const { resourceVersion } = lease.metadata;
    if (this.#seen?.lease.metadata.resourceVersion === resourceVersion) return;
    this.#seen = { lease, since: new Elapsed(this.#client.connection.clock) };
  }

  /** We have seen it unchanged for as long as its holder may be silent. */
  #isOver(lease: Lease): boolean {
    const theirMs = (lease.spec?.leaseDurationSeconds ?? 0) * 1000;
    const leaseMs = Math.max(theirMs, this.#times.leaseMs);
    return this.#seen !== undefined && this.#seen.since.ms > leaseMs;
  }

  #draft(before: Lease | undefined): Lease {
    const { identity } = this.#options;
    const renewTime = microTime(this.#client.connection.clock.wallMs());
    const spec = before?.spec ?? {};
    const isOurs = spec.holderIdentity === identity;
    const transitions = spec.leaseTransitions ?? 0;
    return {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: before?.metadata ?? this.#key,
      spec: {
        ...spec,
        holderIdentity: identity,
        leaseDurationSeconds: Math.ceil(this.#times.leaseMs / 1000),
        acquireTime: isOurs ? (spec.acquireTime ?? renewTime) : renewTime,
        renewTime,
        leaseTransitions: isOurs || before === undefined ? transitions : transitions + 1,
      },
    };
  }

  #lead(): void {
    if (this.#work !== undefined) return;
    const stop = new AbortController();
    const { log } = this.#client.connection;
    const { identity, name } = this.#options;
    log.log('info', 'leads', { lease: name, identity });
    const done = this.#options.onStarted(stop.signal).catch((error: unknown) => {
      if (error instanceof AssertionFailure) throw error;
      const { message } = asTransshipError(error);
      log.log('error', `the leader's work failed: ${message}`, { lease: name });
      // Somebody else may have more luck.
      work.hasFailed = true;
    });
    const work: Work = { stop, done, hasFailed: false };
    this.#work = work;
  }

  #expired(): void {
    if (this.isLeader() || this.#work === undefined) return;
    const { log } = this.#client.connection;
    log.log('warn', 'leads no longer: the lease was not renewed', { lease: this.#options.name });
    this.#work.stop.abort();
  }

  /** Until the work of a lost leadership has ended. */
  async #rest(): Promise<void> {
    if (this.#work === undefined) return;
    const { stop, done } = this.#work;
    stop.abort();
    await done;
    this.#work = undefined;
    this.#options.onStopped?.();
  }

  /** Lets the next one begin at once. Not being able to only costs the others time. */
  async #release(): Promise<void> {
    this.#expiry?.cancel();
    const wasLeader = this.isLeader();
    this.#renewed = undefined;
    const lease = this.#seen?.lease;
    if (!wasLeader || lease?.spec?.holderIdentity !== this.#options.identity) return;
    const renewTime = microTime(this.#client.connection.clock.wallMs());
    const spec = { ...lease.spec, holderIdentity: '', leaseDurationSeconds: 1, renewTime };
    try {
      await this.#client.replace(leases, { ...lease, spec });
    } catch (error) {
      const { message } = asTransshipError(error);
      this.#client.connection.log.log('info', `the lease was not given back: ${message}`);
    }
  }
}

/** `metav1.MicroTime`. */
export function microTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace('Z', '000Z');
}
