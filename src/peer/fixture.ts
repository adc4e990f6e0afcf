/** What the tests of this folder share: a store, a disk and clusters in memory. */
import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import { fail, TransshipError } from '../base/errors.ts';
import type { Disk, DiskFile, Log, Metrics, Random } from '../base/ports.ts';
import { nameHex } from '../volume/name.ts';
import type { Name, PeerStore, StoredChunk } from '../volume/types.ts';
import { type Cloud, openCloud } from './cloud.ts';
import type { Dialer } from './link.ts';
import { createManualClock, type ManualClock } from './manual-clock.ts';
import { createMemoryLinks, type MemoryLinkOptions, type MemoryLinkPair } from './memory-link.ts';

export const silent: Log = { log: () => {} };
export const noMetrics: Metrics = { add: () => {}, set: () => {}, observe: () => {} };

export function seededRandom(seed: number): Random {
  let state = seed * 2654435761 + 1;
  const next = () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return {
    fraction: next,
    bytes: (count) => Uint8Array.from({ length: count }, () => Math.floor(next() * 256)),
  };
}

/** Chunk number `n`: raw, with content that nothing compresses to. */
export function chunkOf(n: number, bytes = 4096): StoredChunk {
  const content = Buffer.alloc(bytes, createHash('sha256').update(`chunk ${n}`).digest());
  return {
    name: createHash('sha256').update(content).digest(),
    kind: 'block',
    codec: 0,
    rawBytes: bytes,
    checksum: crc32(content),
    bytes: content,
  };
}

export function isGood(chunk: StoredChunk): boolean {
  const name = createHash('sha256').update(chunk.bytes).digest();
  return name.equals(chunk.name) && crc32(chunk.bytes) === chunk.checksum;
}

export interface MemoryStore extends PeerStore {
  readonly chunks: Map<string, StoredChunk>;
  readonly leases: Map<string, string>;
  /** Every `readStored` waits for this. */
  gate: Promise<void>;
  reads: number;
}

export function createMemoryStore(chunks: readonly StoredChunk[] = []): MemoryStore {
  const held = new Map(chunks.map((chunk) => [nameHex(chunk.name), chunk]));
  const find = (names: readonly Name[]) => names.flatMap((name) => held.get(nameHex(name)) ?? []);
  const expiresMs = 1_800_000_000_000;
  const store: MemoryStore = {
    chunks: held,
    leases: new Map(),
    gate: Promise.resolve(),
    reads: 0,
    listVolumes: () => [
      {
        id: 'v1',
        name: 'data',
        sizeBytes: 1 << 20,
        blockBytes: 4096,
        phase: 'Available',
        allocatedBlocks: 3,
      },
    ],
    grantLease: async (request) => {
      if (request.volume !== 'data') fail('NotFound', `no volume ${request.volume}`);
      const leaseId = `lease-${store.leases.size + 1}`;
      store.leases.set(leaseId, request.holder);
      const root = Buffer.alloc(32, 7);
      const version = { root, sizeBytes: 1 << 20, blockBytes: 4096, allocatedBlocks: 3 };
      return { leaseId, version, expiresMs, recentUse: [{ first: 5, count: 2 }] };
    },
    renewLease: async (leaseId) => {
      if (!store.leases.has(leaseId)) fail('NotFound', `no lease ${leaseId}`);
      return { expiresMs };
    },
    releaseLease: async (leaseId) => void store.leases.delete(leaseId),
    has: (names) => names.map((name) => held.has(nameHex(name))),
    readStored: async (names) => {
      store.reads += names.length;
      await store.gate;
      return find(names);
    },
    readPath: async ({ blockCount }) => [...held.values()].slice(0, blockCount),
    push: async (pushed) => {
      const good = pushed.filter(isGood);
      for (const chunk of good) held.set(nameHex(chunk.name), chunk);
      return good.length;
    },
  };
  return store;
}

/** Just enough of a disk for small documents. */
export function createMemoryDisk(): Disk & { readonly files: Map<string, Buffer> } {
  const files = new Map<string, Buffer>();
  const open = (path: string, options: { readonly create?: boolean } = {}): DiskFile => {
    if (!files.has(path) && options.create !== true) fail('NotFound', path);
    if (!files.has(path)) files.set(path, Buffer.alloc(0));
    const content = () => files.get(path) ?? Buffer.alloc(0);
    const read = (into: Uint8Array, position: number) => content().copy(into, 0, position);
    return {
      path,
      read,
      readLater: async (into, position) => read(into, position),
      write: (parts, position) =>
        void files.set(path, Buffer.concat([content().subarray(0, position), ...parts])),
      sync: () => {},
      syncLater: async () => {},
      sizeBytes: () => content().length,
      truncate: (bytes) => void files.set(path, Buffer.from(content().subarray(0, bytes))),
      close: () => {},
    };
  };
  return {
    files,
    open,
    exists: (path) => files.has(path),
    list: () => [...files.keys()],
    makeDirectory: () => {},
    remove: (path) => void files.delete(path),
    rename: (from, to) => {
      files.set(to, files.get(from) ?? Buffer.alloc(0));
      files.delete(from);
    },
    syncDirectory: () => {},
    space: () => ({ totalBytes: 1e9, freeBytes: 1e9 }),
  };
}

export interface TestCluster {
  readonly name: string;
  readonly fingerprint: string;
  readonly store: MemoryStore;
  readonly disk: Disk & { readonly files: Map<string, Buffer> };
  cloud: Cloud;
  /** Opens the cloud again from its disk, as after a restart. */
  restart(): void;
}

export interface TestNet {
  readonly clock: ManualClock;
  /** Links that were made, oldest first. */
  readonly links: MemoryLinkPair[];
  /** Applied to each new link. */
  faults: Partial<MemoryLinkOptions>;
  /** False: nothing answers. */
  isUp: boolean;
  /** `key` stands for its key pair and its host; two clusters may have one name. */
  cluster(name: string, store?: MemoryStore, key?: string): TestCluster;
  /** One more agent of a cluster of several. */
  member(name: string, memberOf: string): TestCluster;
}

/** Clusters whose dialers reach each other by name. */
export function createTestNet(options: { readonly links?: number } = {}): TestNet {
  const clock = createManualClock();
  const clusters = new Map<string, TestCluster>();
  const make = (who: Who): TestCluster => {
    const { name, store = createMemoryStore(), key = name, memberOf } = who;
    const fingerprint = createHash('sha256').update(key).digest('hex');
    const dialer = dialerFor(net, clusters, fingerprint);
    const disk = createMemoryDisk();
    const self = {
      id: fingerprint.slice(0, 32),
      name,
      ...(memberOf === undefined ? {} : { memberOf }),
      fingerprint,
      agentVersion: '0.1.0',
      capabilities: ['test'],
      addresses: () => [`${key}:7441`],
    };
    const random = seededRandom(clusters.size + 1);
    const ports = { clock, random, log: silent, metrics: noMetrics };
    const open = () => openCloud({ self, disk, store, dialer, ...ports, ...options });
    const cluster: TestCluster = {
      name,
      fingerprint,
      store,
      disk,
      cloud: open(),
      restart: () => {
        cluster.cloud.close();
        cluster.cloud = open();
      },
    };
    clusters.set(`${key}:7441`, cluster);
    return cluster;
  };
  const net: TestNet = {
    clock,
    links: [],
    faults: {},
    isUp: true,
    cluster: (name, store, key) =>
      make({ name, ...(store && { store }), ...(key === undefined ? {} : { key }) }),
    member: (name, memberOf) => make({ name, memberOf }),
  };
  return net;
}

interface Who {
  readonly name: string;
  readonly store?: MemoryStore;
  readonly key?: string;
  readonly memberOf?: string;
}

function dialerFor(net: TestNet, clusters: Map<string, TestCluster>, own: string): Dialer {
  return {
    connect: async ({ address, fingerprint }) => {
      const found = clusters.get(address);
      if (!net.isUp || found === undefined) {
        throw new TransshipError('SourceUnreachable', `${address} does not answer`);
      }
      if (found.fingerprint !== fingerprint) fail('NotTrusted', `${address} is somebody else`);
      const pair = createMemoryLinks({
        fingerprints: [own, found.fingerprint],
        later: (run) => void net.clock.after(1, run),
        ...net.faults,
      });
      net.links.push(pair);
      found.cloud.accept(pair.ends[1]);
      return pair.ends[0];
    },
  };
}

/** Two clusters that have joined: `west` with a token of `east`. */
export async function joined(
  options: { readonly links?: number; readonly store?: MemoryStore } = {},
) {
  const net = createTestNet(options);
  const east = net.cluster('east', options.store ?? createMemoryStore());
  const west = net.cluster('west');
  const joining = west.cloud.join(east.cloud.createToken().token);
  await net.clock.advance(100);
  return { net, east, west, peer: await joining };
}

/** Drives the clock until the promise settles. */
export async function within<T>(clock: ManualClock, ms: number, promise: Promise<T>): Promise<T> {
  let isDone = false;
  const done = () => {
    isDone = true;
  };
  const watched = promise.finally(done);
  watched.catch(() => {});
  for (let passed = 0; passed < ms && !isDone; passed += 10) await clock.advance(10);
  if (!isDone) throw new Error(`not settled within ${ms} ms`);
  return watched;
}
