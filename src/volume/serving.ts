/** What a pool does for peers: leases, chunks, paths (design.md 4.4). */
import { fail } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Clock, Random } from '../base/ports.ts';
import type { Leases } from './leases.ts';
import { nameHex, nameOfHex } from './name.ts';
import type { Others } from './others.ts';
import { readPath } from './path.ts';
import type { Space } from './space.ts';
import type { ChunkStore } from './store.ts';
import type {
  LeaseGrant,
  LeaseRequest,
  Name,
  PathRequest,
  PeerStore,
  StoredChunk,
  VolumeSummary,
} from './types.ts';
import { keepChunks } from './upstream.ts';
import type { Volume } from './volume.ts';

export interface ServingOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly store: ChunkStore;
  readonly leases: Leases;
  readonly others: Others;
  readonly space: Space;
  readonly volumes: () => Iterable<Volume>;
  readonly find: (name: string) => Volume;
  readonly checkAlive: () => void;
}

export class Serving implements PeerStore {
  readonly #o: ServingOptions;

  constructor(options: ServingOptions) {
    this.#o = options;
  }

  listVolumes(): readonly VolumeSummary[] {
    return [...this.#o.volumes()].map((volume) => {
      const { id, name, sizeBytes, blockBytes, allocatedBlocks } = volume.document;
      return { id, name, sizeBytes, blockBytes, allocatedBlocks, phase: volume.phase };
    });
  }

  async grantLease(request: LeaseRequest): Promise<LeaseGrant> {
    const { clock, random, leases, find, checkAlive } = this.#o;
    const volume = find(request.volume);
    const { atMs, snapshot } = request;
    const version = await volume.versionAt({
      ...(atMs === undefined ? {} : { atMs }),
      ...(snapshot === undefined ? {} : { snapshot }),
    });
    checkAlive();
    // Nobody was asked whether it may go, as it had no lease.
    if (volume.isDeleted) fail('NotFound', `volume ${volume.name} was deleted`);
    const leaseId = request.leaseId ?? Buffer.from(random.bytes(16)).toString('hex');
    // Asked again after the answer was lost, and this process may be another one since.
    const known = leases.list().find((one) => one.leaseId === leaseId);
    if (known !== undefined) {
      const isSame = known.holder === request.holder && known.volumeId === volume.id;
      if (!isSame) fail('Conflict', `there is a lease ${leaseId} already`);
      const { sizeBytes, blockBytes, allocatedBlocks, expiresMs } = known;
      const root = nameOfHex(known.root) ?? fail('DataCorrupt', `not a root: ${known.root}`);
      const granted = { root, sizeBytes, blockBytes, allocatedBlocks };
      return { leaseId, version: granted, expiresMs, recentUse: volume.recentUse(snapshot) };
    }
    const expiresMs = clock.wallMs() + Math.min(request.lifeMs, limits.leaseMs);
    const { root, sizeBytes, blockBytes, allocatedBlocks } = version;
    leases.grant({
      leaseId,
      volumeId: volume.id,
      volume: volume.name,
      holder: request.holder,
      root: nameHex(root),
      sizeBytes,
      blockBytes,
      allocatedBlocks,
      expiresMs,
      ...(volume.document.origin === undefined ? {} : { partial: true }),
    });
    return { leaseId, version, expiresMs, recentUse: volume.recentUse(snapshot) };
  }

  async renewLease(leaseId: string, lifeMs: number): Promise<{ readonly expiresMs: number }> {
    this.#o.checkAlive();
    return { expiresMs: this.#o.leases.renew(leaseId, Math.min(lifeMs, limits.leaseMs)) };
  }

  async releaseLease(leaseId: string): Promise<void> {
    this.#o.checkAlive();
    this.#o.leases.release(leaseId);
  }

  has(names: readonly Name[]): readonly boolean[] {
    return names.map((name) => this.#o.store.has(name));
  }

  async readStored(names: readonly Name[]): Promise<readonly StoredChunk[]> {
    const { store, others } = this.#o;
    await others.bring(names.filter((name) => !store.has(name)));
    const found = await store.storedMany(names);
    return found.filter((chunk) => chunk !== undefined);
  }

  readPath(request: PathRequest): Promise<readonly StoredChunk[]> {
    // A volume that is itself still arriving brings what the asker needs from its own source.
    const upstreams = [...this.#o.volumes()].map((volume) => volume.upstream);
    return readPath(this.#o.store, request, upstreams);
  }

  async push(chunks: readonly StoredChunk[]): Promise<number> {
    this.#o.checkAlive();
    this.#o.space.checkWritable();
    return keepChunks(this.#o.store, chunks);
  }
}
