/** A pool in memory that keeps what the agent asks of it; for the agent's tests only. */
import { fail } from '../base/errors.ts';
import type { BlockDevice, Extent } from '../base/ports.ts';
import { MemoryDevice } from '../nbd/memory-device.ts';
import {
  type Condition,
  type CreateVolume,
  type HistoryPolicy,
  noHistory,
  type PoolApi,
  type SnapshotInfo,
  type VolumeApi,
  type VolumeStatus,
} from '../volume/api.ts';
import { nameHex } from '../volume/name.ts';
import { nameOf } from '../volume/pack.ts';
import type { Version } from '../volume/types.ts';

class FakeVolume extends MemoryDevice implements BlockDevice {
  readonly id: string;
  readonly name: string;
  policy: HistoryPolicy;
  readonly replica = { document: undefined };
  readonly doorNames: string[] = [];
  readonly kept: SnapshotInfo[] = [];
  readonly conditions: Condition[] = [];
  size: number;

  constructor(id: string, request: CreateVolume) {
    super({ sizeBytes: request.sizeBytes, blockSizeBytes: request.blockBytes ?? 65536 });
    this.id = id;
    this.name = request.name;
    this.policy = request.policy ?? noHistory;
    this.size = request.sizeBytes;
  }

  status(): VolumeStatus {
    const { id, name, policy, conditions } = this;
    return {
      id,
      name,
      policy,
      conditions,
      phase: 'Available',
      sizeBytes: this.size,
      blockBytes: this.blockSizeBytes,
      allocatedBytes: 0,
      root: nameHex(nameOf(this.bytes)),
      snapshots: this.kept.length,
      createdMs: 0,
      unsettledBytes: 0,
      origin: undefined,
    };
  }

  async seal(): Promise<Version> {
    const blockBytes = this.blockSizeBytes;
    return { root: nameOf(this.bytes), sizeBytes: this.size, blockBytes, allocatedBlocks: 0 };
  }

  async snapshot(name: string, options: { readonly trace?: boolean } = {}): Promise<SnapshotInfo> {
    const { root } = this.status();
    const hasTrace = options.trace === true;
    const info = { name, root, hasTrace, atMs: 0, sizeBytes: this.size, allocatedBlocks: 0 };
    this.kept.push(info);
    return info;
  }

  listSnapshots(): readonly SnapshotInfo[] {
    return this.kept;
  }

  async deleteSnapshot(name: string): Promise<void> {
    const at = this.kept.findIndex((one) => one.name === name);
    if (at < 0) fail('NotFound', `no snapshot ${name}`);
    this.kept.splice(at, 1);
  }

  async resize(sizeBytes: number, options: { readonly force?: boolean } = {}): Promise<void> {
    if (sizeBytes < this.size && options.force !== true) fail('BadArgument', 'would cut off data');
    this.size = sizeBytes;
  }

  async setPolicy(policy: HistoryPolicy): Promise<void> {
    this.policy = policy;
  }

  history() {
    return { policy: this.policy, oldestMs: undefined, newestMs: undefined, points: 0 };
  }

  doors(): readonly string[] {
    return this.doorNames;
  }

  openDoor(holder: string): () => void {
    this.doorNames.push(holder);
    return () => void this.doorNames.splice(this.doorNames.indexOf(holder), 1);
  }

  recentUse() {
    return [{ first: 2, count: 3 }];
  }

  async restore(): Promise<void> {
    if (this.doorNames.length > 0) fail('InUse', 'a door is open');
  }

  /** The fake has no holes, which is allowed: extents are a hint. */
  override async extents(_offset: number, lengthBytes: number): Promise<readonly Extent[]> {
    return [{ lengthBytes, hole: false }];
  }
}

export interface FakePool {
  readonly api: PoolApi;
  volume(name: string): FakeVolume;
}

/** What it does not have throws when it is used: a test that needs it uses the engine instead. */
export function createFakePool(): FakePool {
  const volumes = new Map<string, FakeVolume>();
  let next = 1;
  const create = async (request: CreateVolume): Promise<VolumeApi> => {
    const made = new FakeVolume(`id-${next++}`, request);
    volumes.set(request.name, made);
    return asVolume(made);
  };
  const some = {
    id: 'fake',
    status: () => fakeStatus(volumes.size),
    volumes: () => [...volumes.values()].map(asVolume),
    createVolume: create,
    cloneVolume: async (source: string, _moment: object, request: { readonly name: string }) => {
      const from = volumes.get(source)!;
      await create({ ...request, sizeBytes: from.size, blockBytes: from.blockSizeBytes });
      const made = volumes.get(request.name)!;
      made.bytes.set(from.bytes);
      return asVolume(made);
    },
    deleteVolume: async (name: string) => {
      const doors = volumes.get(name)?.doorNames ?? [];
      if (doors.length > 0) fail('InUse', `volume ${name} is used by ${doors.join(', ')}`);
      volumes.delete(name);
    },
    leases: () => [],
    ingest: async (volume: VolumeApi, firstBlock: number, bytes: Uint8Array) => {
      const target = volumes.get(volume.name)!;
      const offset = firstBlock * target.blockSizeBytes;
      target.bytes.set(bytes.subarray(0, target.sizeBytes - offset), offset);
    },
    collect: async () => ({ chunksFreed: 1, bytesFreed: 2, segmentsRemoved: 3 }),
    scrub: async (onProgress?: (done: number, total: number) => void) => {
      onProgress?.(1, 2);
      return { chunks: 2, bytes: 100, corrupt: 1, repaired: 0, affectedVolumes: ['db'] };
    },
  };
  return { api: some as unknown as PoolApi, volume: (name) => volumes.get(name)! };
}

function asVolume(volume: FakeVolume): VolumeApi {
  return volume as unknown as VolumeApi;
}

function fakeStatus(volumes: number): ReturnType<PoolApi['status']> {
  return {
    id: 'fake',
    phase: 'Healthy',
    capacityBytes: 1000,
    allocatedBytes: 10 * volumes,
    freeBytes: 990,
    readOnly: false,
    chunks: 2,
    segments: 1,
    journalBytes: 0,
    logicalBytes: 0,
    uniqueBytes: 0,
    storedBytes: 200,
    conditions: [],
  };
}
