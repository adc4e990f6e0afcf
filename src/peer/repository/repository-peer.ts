/**
 * A repository as a teleport sees a peer: its versions are what it has, leases are locks there, and
 * its chunks come by range requests. The moment asked for is the name of a saved version.
 */
import { fail, type TransshipError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { LeaseGrant, LeaseRequest } from '../../volume/types.ts';
import { createRateLimit, type RateLimit } from '../rate.ts';
import type { PeerState } from '../record.ts';
import type { PeerSource } from '../source.ts';
import type { TeleportPeer } from '../teleport-peer.ts';
import { encodeLock, type SavedVersion } from './documents.ts';
import type { ObjectStore } from './object-store.ts';
import { readIfThere, type Repository, type RepositoryPorts } from './repository.ts';
import { RepositorySource } from './repository-source.ts';
import { createRetryingStore } from './retrying-store.ts';

export interface RepositoryPeerOptions {
  /** The store without retries. */
  readonly ports: RepositoryPorts;
  /** `NotFound`, `Unauthorized`, and what the store says. */
  readonly open: (store: ObjectStore) => Promise<Repository>;
}

export class RepositoryPeer implements TeleportPeer {
  readonly #o: RepositoryPeerOptions;
  readonly #incoming: RateLimit;
  readonly #stores: Readonly<Record<'demand' | 'background', ObjectStore>>;
  readonly #listeners = new Set<(state: PeerState) => void>();
  #opened: Promise<Repository> | undefined;
  #state: PeerState;
  #unreachable: TransshipError | undefined;
  #missing: TransshipError | undefined;

  constructor(options: RepositoryPeerOptions) {
    this.#o = options;
    const { store, clock, random } = options.ports;
    this.#incoming = createRateLimit(clock);
    this.#state = { connected: true, sinceMs: clock.wallMs(), lastError: undefined };
    const onState = (problem: TransshipError | undefined) => {
      this.#unreachable = problem;
      this.#tell();
    };
    const patience = { clock, random, onState };
    this.#stores = {
      demand: createRetryingStore(store, { ...patience, deadlineMs: limits.demandTimeoutMs }),
      background: createRetryingStore(store, { ...patience, deadlineMs: undefined }),
    };
  }

  status(): PeerState {
    return this.#state;
  }

  onState(listener: (state: PeerState) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  limitIncoming(bytesPerSecond: number | undefined): void {
    this.#incoming.set(bytesPerSecond);
  }

  /** `snapshot` is the version's name; without it the newest is taken. `NotFound`. */
  async grantLease(request: LeaseRequest): Promise<LeaseGrant> {
    const { volume, snapshot, holder, atMs, leaseId = this.#newLeaseId() } = request;
    if (atMs !== undefined) {
      fail('BadArgument', 'a repository has versions with names, not moments; give the name');
    }
    const repository = await this.#repository();
    const { store, clock, random } = repository.ports;
    const version = await this.#find(repository, volume, snapshot);
    const { root, sizeBytes, blockBytes, allocatedBlocks, recentUse } = version;
    const reads = { root, sizeBytes, blockBytes };
    const document = { use: 'lease', holder, sinceMs: clock.wallMs(), reads } as const;
    await store.put(leaseObject(leaseId), encodeLock(repository.key, random, document));
    // Forgotten before the lease was there, it may be on its way out.
    if ((await repository.version(volume, version.name)) === undefined) {
      await this.releaseLease(leaseId);
      fail('NotFound', `version ${version.name} of volume ${volume} was just forgotten`);
    }
    const expiresMs = clock.wallMs() + limits.leaseMs;
    const what = { root, sizeBytes, blockBytes, allocatedBlocks };
    return { leaseId, version: what, expiresMs, recentUse };
  }

  async renewLease(leaseId: string): Promise<{ readonly expiresMs: number }> {
    const { store, clock } = (await this.#repository()).ports;
    const object = await readIfThere(store, leaseObject(leaseId));
    if (object === undefined) {
      fail('NotFound', `the lease in ${store.place} was not renewed for 7 days and is gone`);
    }
    await store.put(leaseObject(leaseId), [object]);
    return { expiresMs: clock.wallMs() + limits.leaseMs };
  }

  async releaseLease(leaseId: string): Promise<void> {
    const { store } = (await this.#repository()).ports;
    await store.delete(leaseObject(leaseId));
  }

  sourceFor(): PeerSource {
    return new RepositorySource({
      repository: () => this.#repository(),
      incoming: this.#incoming,
      stores: this.#stores,
      onMissing: (problem) => {
        this.#missing = problem;
        this.#tell();
      },
    });
  }

  #repository(): Promise<Repository> {
    this.#opened ??= this.#o.open(this.#stores.demand).catch((error: unknown) => {
      // The next one tries again.
      this.#opened = undefined;
      throw error;
    });
    return this.#opened;
  }

  async #find(
    repository: Repository,
    volume: string,
    name: string | undefined,
  ): Promise<SavedVersion> {
    const { place } = repository.ports.store;
    if (name !== undefined) {
      const found = await repository.version(volume, name);
      return found ?? fail('NotFound', `${place} has no version ${name} of volume ${volume}`);
    }
    const all = await repository.versions(() => undefined);
    const newest = all.findLast((one) => one.volume === volume);
    return newest ?? fail('NotFound', `${place} has no version of volume ${volume}`);
  }

  #newLeaseId(): string {
    return Buffer.from(this.#o.ports.random.bytes(16)).toString('hex');
  }

  #tell(): void {
    const lastError = this.#unreachable ?? this.#missing;
    if (lastError?.message === this.#state.lastError?.message) return;
    const sinceMs = this.#o.ports.clock.wallMs();
    this.#state = { connected: lastError === undefined, sinceMs, lastError };
    for (const listener of this.#listeners) listener(this.#state);
  }
}

function leaseObject(leaseId: string): string {
  return `locks/${leaseId}`;
}
