/** All pools of an agent as one store for its peers. */
import type {
  LeaseGrant,
  LeaseRequest,
  Name,
  PathRequest,
  PeerStore,
  StoredChunk,
  VolumeSummary,
} from '../volume/types.ts';
import { nameKey } from '../volume/name.ts';
import { fail } from '../base/errors.ts';
import type { Pools } from './pools.ts';

export function sharedStore(pools: Pools): PeerStore {
  return new SharedStore(pools);
}

class SharedStore implements PeerStore {
  readonly #pools: Pools;

  constructor(pools: Pools) {
    this.#pools = pools;
  }

  /** The common case, and the fastest. */
  get #only(): PeerStore | undefined {
    return this.#pools.all.length === 1 ? this.#pools.all[0]?.api : undefined;
  }

  listVolumes(): readonly VolumeSummary[] {
    return this.#pools.all.flatMap(({ api }) => api.listVolumes());
  }

  async grantLease(request: LeaseRequest): Promise<LeaseGrant> {
    const { pool } = await this.#pools.whole(request.volume);
    return pool.api.grantLease(request);
  }

  async renewLease(leaseId: string, lifeMs: number): Promise<{ readonly expiresMs: number }> {
    for (const { api } of this.#pools.all) {
      const has = api.leases().some((lease) => lease.leaseId === leaseId);
      if (has) return api.renewLease(leaseId, lifeMs);
    }
    return fail('NotFound', 'no such lease; it ended');
  }

  async releaseLease(leaseId: string): Promise<void> {
    for (const { api } of this.#pools.all) await api.releaseLease(leaseId);
  }

  has(names: readonly Name[]): readonly boolean[] {
    const only = this.#only;
    if (only !== undefined) return only.has(names);
    const flags = this.#pools.all.map(({ api }) => api.has(names));
    return names.map((_, index) => flags.some((one) => one[index] === true));
  }

  async readStored(names: readonly Name[]): Promise<readonly StoredChunk[]> {
    const only = this.#only;
    if (only !== undefined) return only.readStored(names);
    const found = new Map<string, StoredChunk>();
    for (const { api } of this.#pools.all) {
      const rest = names.filter((name) => !found.has(nameKey(name)));
      if (rest.length === 0) break;
      for (const chunk of await api.readStored(rest)) found.set(nameKey(chunk.name), chunk);
    }
    return names.flatMap((name) => found.get(nameKey(name)) ?? []);
  }

  async readPath(request: PathRequest): Promise<readonly StoredChunk[]> {
    for (const { api } of this.#pools.all) {
      const [here] = api.has([request.root]);
      if (here === true) return api.readPath(request);
    }
    return [];
  }

  push(chunks: readonly StoredChunk[]): Promise<number> {
    return this.#pools.pick(undefined).api.push(chunks);
  }
}
