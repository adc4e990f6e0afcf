/** A pool: chunks, journal and volumes of one directory (docs/formats/pool.md). */
import { assert, fail, TransshipError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { checkName } from '../base/names.ts';
import type { Clock, Disk, Log, Random } from '../base/ports.ts';
import type {
  CollectReport,
  CreateFromVersion,
  CreateVolume,
  HistoryPolicy,
  Moment,
  PoolApi,
  PoolStatus,
  ScrubReport,
  VolumeApi,
} from './api.ts';
import { noHistory } from './api.ts';
import { collect, type Held } from './collect.ts';
import { Conditions } from './conditions.ts';
import { readDocument, removeDocument, replaceDocument } from './document.ts';
import { Gate, Lane } from './gate.ts';
import { Head } from './head.ts';
import { Housekeeper } from './housekeeper.ts';
import { allowReplicas, openIdentity } from './identity.ts';
import { policyProblem } from './history.ts';
import { Journal } from './journal.ts';
import { type LeaseDocument, Leases, Pins } from './leases.ts';
import { nameHex, zeroName } from './name.ts';
import { affectedVolumes, noteRootless, Others } from './others.ts';
import { recover } from './recovery.ts';
import { scrub } from './scrub.ts';
import { Serving } from './serving.ts';
import { checkBlockBytes, checkSize } from './shape.ts';
import { Space } from './space.ts';
import { ChunkStore } from './store.ts';
import type {
  LeaseGrant,
  LeaseRequest,
  Name,
  Packer,
  PathRequest,
  StoredChunk,
  VolumeSummary,
} from './types.ts';
import { type DemandFetch, Upstream } from './upstream.ts';
import { Volume } from './volume.ts';
import { documentPath, rootName, treeOf, type VolumeDocument } from './volume-document.ts';

/** How long whoever asked for a version has to make it durable. */
const pinMs = 60 * 1000;
export interface PoolOptions {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly packer: Packer;
  /** Bytes the pool may take; the disk's size when absent. */
  readonly capacityBytes?: number;
  readonly cacheBytes?: number;
  readonly reserveBytes?: number;
  readonly journalBytesMax?: number;
  readonly journalFileBytes?: number;
  readonly segmentBytesMax?: number;
  /** Other holders of chunks, asked when a record is damaged. */
  readonly heal?: (names: readonly Name[]) => Promise<readonly StoredChunk[]>;
  readonly onDemand?: (volume: string, fetch: DemandFetch) => void;
  /** The pool stopped after a failed write or sync; it must be closed and opened again. */
  readonly onFailure?: (error: TransshipError) => void;
}

interface StateDocument {
  readonly leases: readonly LeaseDocument[];
  /** Trusted lengths of segments after a failed sync; absent otherwise. */
  readonly suspects?: readonly (readonly [number, number])[];
}

/** Opens the pool in a directory, or makes one in an empty directory. */
export async function openPool(options: PoolOptions): Promise<Pool> {
  const fileBytes = options.journalFileBytes ?? limits.journalFileBytes;
  // The file being written is never released: with less, a full journal could not empty itself.
  const { journalBytesMax = limits.journalBytesMax } = options;
  assert(journalBytesMax >= 2 * fileBytes, 'a journal holds at least two files');
  const pool = new Pool(options);
  await pool.start();
  return pool;
}

export class Pool implements PoolApi {
  readonly id: string;
  readonly #o: PoolOptions;
  readonly #poolId: Uint8Array;
  readonly #store: ChunkStore;
  readonly #journal: Journal;
  readonly #gate = new Gate();
  readonly #lane = new Lane();
  readonly #collecting = new Lane();
  readonly #leases: Leases;
  readonly #pins: Pins;
  readonly #space: Space;
  readonly #conditions: Conditions;
  readonly #volumes = new Map<string, Volume>();
  readonly #keeper: Housekeeper;
  readonly #others: Others;
  readonly #serving: Serving;
  #nextNumber = 1;
  #failure: TransshipError | undefined;
  #closed = false;
  #suspects = false;

  constructor(options: PoolOptions) {
    const { disk, clock, random, log } = options;
    this.#o = options;
    const identity = openIdentity(disk, random, clock);
    this.id = identity;
    this.#poolId = Buffer.from(identity, 'hex');
    const poolId = this.#poolId;
    const cacheBytes = options.cacheBytes ?? limits.cacheBytesDefault;
    this.#store = new ChunkStore({
      ...options,
      poolId,
      cacheBytes,
      log,
      onFailure: (error: unknown) => this.#fail(error),
    });
    this.#store.onCorrupt = (name) => this.#onCorrupt(name);
    this.#journal = new Journal({
      disk,
      clock,
      random,
      poolId,
      onFailure: (error) => this.#fail(error),
      ...(options.journalFileBytes === undefined ? {} : { fileBytes: options.journalFileBytes }),
    });
    this.#conditions = new Conditions(clock);
    this.#leases = new Leases(clock, () => this.#saveState());
    this.#pins = new Pins(clock);
    this.#space = new Space({
      ...options,
      usedBytes: () => this.#store.segments.totalBytes + this.#journal.liveBytes,
      journalBytes: () => this.#journal.liveBytes,
      conditions: this.#conditions,
      pressure: () => this.#keeper.soon(),
    });
    this.#keeper = new Housekeeper({
      clock,
      log,
      space: this.#space,
      volumes: () => this.#volumes.values(),
      stopped: () => this.#closed || this.#failure !== undefined,
    });
    this.#others = new Others({
      store: this.#store,
      log,
      volumes: () => this.#volumes.values(),
      heal: options.heal,
    });
    this.#serving = new Serving({
      clock,
      random,
      store: this.#store,
      leases: this.#leases,
      others: this.#others,
      space: this.#space,
      volumes: () => this.#volumes.values(),
      find: (name) => this.volume(name),
      checkAlive: () => this.#checkAlive(),
    });
  }

  /** Reads what is there, replays the journal, and begins housekeeping. */
  async start(): Promise<void> {
    const { disk } = this.#o;
    for (const name of ['volumes', 'history', 'segments']) disk.makeDirectory(name);
    // What a killed process left may be in the kernel's memory only. It must survive a loss of
    // power before anything is built on it.
    for (const name of ['.', 'volumes', 'history', 'segments']) disk.syncDirectory(name);
    const state = readDocument(disk, 'state.json') as StateDocument | undefined;
    this.#leases.load(state?.leases ?? []);
    this.#store.open(new Map(state?.suspects ?? []));
    this.#suspects = state?.suspects !== undefined;
    for (const file of disk.list('volumes')) {
      if (!file.endsWith('.json')) continue;
      this.#adopt(readDocument(disk, `volumes/${file}`) as VolumeDocument);
    }
    this.#replay();
    noteRootless(this.#store, this.#volumes.values());
    if (this.#suspects) await this.#settleSuspects();
    this.#keeper.start();
  }

  status(): PoolStatus {
    const store = this.#store;
    let logicalBytes = 0;
    for (const volume of this.#volumes.values()) logicalBytes += volume.status().allocatedBytes;
    const { capacityBytes, allocatedBytes, freeBytes } = this.#space.now();
    const failed = this.#failure !== undefined;
    return {
      id: this.id,
      phase: failed ? 'Failed' : this.#space.readOnly ? 'ReadOnly' : 'Healthy',
      capacityBytes,
      allocatedBytes,
      freeBytes,
      readOnly: failed || this.#space.readOnly,
      chunks: store.index.size,
      segments: store.segments.count,
      journalBytes: this.#journal.liveBytes,
      logicalBytes,
      uniqueBytes: store.uniqueBytes,
      storedBytes: store.segments.totalBytes,
      conditions: this.#conditions.list(),
    };
  }

  volumes(): readonly VolumeApi[] {
    return [...this.#volumes.values()];
  }

  volume(name: string): Volume {
    for (const volume of this.#volumes.values()) if (volume.name === name) return volume;
    const names = [...this.#volumes.values()].slice(0, 8).map((volume) => volume.name);
    fail('NotFound', `no volume ${name} here (there are: ${names.join(', ') || 'none'})`);
  }

  async createVolume(request: CreateVolume): Promise<VolumeApi> {
    const { name, sizeBytes, policy = noHistory } = request;
    const blockBytes = request.blockBytes ?? limits.blockBytesDefault;
    const version = { root: zeroName, sizeBytes, blockBytes, allocatedBlocks: 0 };
    return this.createFromVersion({ name, version, policy });
  }

  createFromVersion(request: CreateFromVersion): Promise<VolumeApi> {
    return this.#lane.run(async () => {
      const { name, version, policy = noHistory, origin, source, replica } = request;
      this.#checkAlive();
      checkName(name, 'volume');
      checkSize(version.sizeBytes);
      checkBlockBytes(version.blockBytes);
      const problem = policyProblem(policy);
      if (problem !== undefined) fail('BadPolicy', problem);
      this.#space.checkWritable();
      if ([...this.#volumes.values()].some((volume) => volume.name === name)) {
        fail('AlreadyExists', `volume ${name} exists already`);
      }
      const document: VolumeDocument = {
        id: Buffer.from(this.#o.random.bytes(8)).toString('hex'),
        number: this.#nextNumber,
        name,
        sizeBytes: version.sizeBytes,
        blockBytes: version.blockBytes,
        root: nameHex(version.root),
        allocatedBlocks: version.allocatedBlocks,
        journalFrom: this.#journal.nextSequence,
        createdMs: this.#o.clock.wallMs(),
        policy,
        snapshots: [],
        ...(origin === undefined ? {} : { origin }),
        ...(replica === undefined ? {} : { replica }),
      };
      if (replica !== undefined) allowReplicas(this.#o.disk);
      replaceDocument(this.#o.disk, documentPath(document.id), document);
      const volume = this.#adopt(document);
      volume.upstream.source = source;
      return volume;
    });
  }

  async cloneVolume(
    source: string,
    moment: Moment,
    request: { readonly name: string; readonly policy?: HistoryPolicy },
  ): Promise<VolumeApi> {
    const from = this.volume(source);
    const version = await from.versionAt(moment);
    const { origin } = from.document;
    return this.createFromVersion({
      ...request,
      version,
      ...(origin === undefined ? {} : { origin }),
      ...(from.upstream.source === undefined ? {} : { source: from.upstream.source }),
    });
  }

  deleteVolume(name: string, options: { readonly force?: boolean } = {}): Promise<void> {
    return this.#lane.run(async () => {
      this.#checkAlive();
      const volume = this.volume(name);
      const doors = volume.doors();
      if (doors.length > 0) fail('InUse', `volume ${name} is used by ${doors.join(', ')}`);
      const holders = this.#leases.of(volume.id).map((lease) => lease.holder);
      if (holders.length > 0 && options.force !== true) {
        fail('Leased', `volume ${name} is still being read by ${holders.join(', ')}`);
      }
      removeDocument(this.#o.disk, documentPath(volume.id));
      this.#volumes.delete(volume.id);
      await volume.erase();
      this.#releaseJournal();
    });
  }

  leases(): readonly LeaseDocument[] {
    return this.#leases.list();
  }

  async ingest(volume: VolumeApi, firstBlock: number, bytes: Uint8Array): Promise<void> {
    const target = this.#own(volume);
    if (target.document.replica !== undefined) {
      fail('Unsupported', `volume ${target.name} is replicated: write to it through a door`);
    }
    const wait = this.#space.admit();
    if (wait !== undefined) await wait;
    this.#checkAlive();
    const from = { blocks: bytes, blockBytes: target.blockSizeBytes, kind: 'block' } as const;
    // Before its turn comes: the packers work on this piece while the one before it is stored.
    const packing = this.#store.pack(bytes, target.blockSizeBytes);
    packing.catch(() => undefined);
    await target.ingest(async () => {
      target.putNames(firstBlock, await this.#store.keep(await packing, from));
    });
  }

  missing(names: readonly Name[]): readonly Name[] {
    return names.filter((name) => !this.#store.claim(name));
  }

  readPage(name: Name): Promise<Uint8Array | undefined> {
    return this.#store.page(name);
  }

  collect(): Promise<CollectReport> {
    return this.#collecting.run(async () => {
      this.#checkAlive();
      const report = await collect({
        store: this.#store,
        gate: this.#gate,
        held: () => this.#held(),
        breathe: () => this.#breathe(),
        stopped: () => this.#closed || this.#failure !== undefined,
      });
      this.#space.look();
      return report;
    });
  }

  scrub(onProgress?: (done: number, total: number) => void): Promise<ScrubReport> {
    return this.#collecting.run(async () => {
      this.#checkAlive();
      const report = await scrub({
        store: this.#store,
        heal: (names) => this.#others.heal(names),
        affected: (names) => affectedVolumes(this.#store, this.#volumes.values(), names),
        onProgress: onProgress ?? (() => undefined),
        stopped: () => this.#closed || this.#failure !== undefined,
      });
      this.#noteScrub(report);
      return report;
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#keeper.stop();
    const alive = this.#failure === undefined;
    for (const volume of this.#volumes.values()) {
      try {
        await volume.stop({ checkpoint: alive });
      } catch (error) {
        // The journal still has it; nothing is lost.
        this.#o.log.log('warn', 'a volume was not settled at close', {
          volume: volume.name,
          problem: error instanceof Error ? error.message : String(error),
        });
      }
    }
    this.#closed = true;
    await this.#collecting.run(() => Promise.resolve());
    if (alive && this.#failure === undefined) {
      await this.#journal.flush();
      await this.#store.segments.syncLater();
      this.#store.saveIndex();
    }
    this.#journal.close();
    this.#store.close();
  }

  listVolumes(): readonly VolumeSummary[] {
    return this.#serving.listVolumes();
  }
  grantLease(request: LeaseRequest): Promise<LeaseGrant> {
    return this.#serving.grantLease(request);
  }
  renewLease(leaseId: string, lifeMs: number): Promise<{ readonly expiresMs: number }> {
    return this.#serving.renewLease(leaseId, lifeMs);
  }
  releaseLease(leaseId: string): Promise<void> {
    return this.#serving.releaseLease(leaseId);
  }
  has(names: readonly Name[]): readonly boolean[] {
    return this.#serving.has(names);
  }
  readStored(names: readonly Name[]): Promise<readonly StoredChunk[]> {
    return this.#serving.readStored(names);
  }
  readPath(request: PathRequest): Promise<readonly StoredChunk[]> {
    return this.#serving.readPath(request);
  }
  push(chunks: readonly StoredChunk[]): Promise<number> {
    return this.#serving.push(chunks);
  }

  /** Makes all chunks stored so far durable. */
  async sync(): Promise<void> {
    await this.#store.segments.syncLater();
  }

  #adopt(document: VolumeDocument): Volume {
    const { clock, disk } = this.#o;
    const nowMs = () => clock.monotonicMs();
    const head = new Head(
      {
        number: document.number,
        blockBytes: document.blockBytes,
        journal: this.#journal,
        store: this.#store,
        nowMs,
      },
      treeOf(document, document.blockBytes),
    );
    head.mark = document.replica?.mark;
    for (const [block, hex] of document.pending?.names ?? []) head.names.set(block, rootName(hex));
    for (const [first, count] of document.pending?.zeroes ?? []) head.zeroes.add(first, count);
    const upstream = new Upstream({
      store: this.#store,
      blockBytes: document.blockBytes,
      volume: document.name,
      heal: this.#o.heal,
      nowMs,
      onDemand: (fetch) => this.#o.onDemand?.(document.name, fetch),
    });
    upstream.origin = document.origin;
    const volume = new Volume({
      document,
      disk,
      clock,
      head,
      upstream,
      gate: this.#gate,
      checkAlive: () => this.#checkAlive(),
      admit: () => this.#space.admit(),
      onRooted: () => this.#releaseJournal(),
      allowReplicas: () => allowReplicas(disk),
      pin: (version) => this.#pins.add(version, pinMs, upstream.origin !== undefined),
      onFailure: (error) => this.#fail(error),
    });
    this.#volumes.set(document.id, volume);
    this.#nextNumber = Math.max(this.#nextNumber, document.number + 1);
    return volume;
  }

  #replay(): void {
    const { disk, log } = this.#o;
    const found = recover(disk, this.#poolId, this.#volumes.values(), this.#journal);
    this.#nextNumber = Math.max(this.#nextNumber, found.lastNumber + 1);
    for (const { replica } of this.#volumes.values()) replica.replayed(found.damaged > 0);
    if (found.damaged > 0) {
      this.#conditions.set({
        type: 'JournalDamaged',
        status: 'True',
        reason: 'DataCorrupt',
        message: `${found.damaged} acknowledged journal frames could not be read`,
      });
      log.log('error', 'the journal is damaged', { frames: found.damaged });
    }
    this.#releaseJournal();
  }

  /** After a failed sync nothing in the old journal files may be relied on: move it all. */
  async #settleSuspects(): Promise<void> {
    for (const volume of this.#volumes.values()) {
      // A replica that is being rebuilt is rebuilt from the beginning.
      if (isWhole(volume)) await volume.seal();
      else await volume.replica.shed();
    }
    this.#suspects = false;
    this.#saveState();
    this.#releaseJournal();
  }

  #saveState(): void {
    const state: StateDocument = { leases: this.#leases.list() };
    replaceDocument(this.#o.disk, 'state.json', state);
  }

  #releaseJournal(): void {
    let pin = this.#journal.nextSequence;
    for (const volume of this.#volumes.values()) pin = Math.min(pin, volume.head.pinSequence);
    this.#journal.release(pin);
    this.#space.look();
  }

  *#held(): Generator<Held> {
    const arrives = (volume: Volume) => volume.document.origin !== undefined || !isWhole(volume);
    for (const volume of this.#volumes.values()) {
      const blockBytes = volume.blockSizeBytes;
      for (const held of volume.held()) yield { ...held, blockBytes, partial: arrives(volume) };
    }
    // Of a volume that was deleted while it arrived; of one that is whole by now, all is here.
    for (const { root, volumeId, sizeBytes, blockBytes, ...lease } of this.#leases.list()) {
      const volume = this.#volumes.get(volumeId);
      const partial = lease.partial === true && (volume === undefined || arrives(volume));
      yield { name: rootName(root), sizeBytes, blockBytes, root: true, partial };
    }
    for (const pinned of this.#pins.roots()) yield { ...pinned, root: true };
  }

  #checkAlive(): void {
    if (this.#failure !== undefined) throw this.#failure;
    if (this.#closed) fail('Stopping', 'the pool is closed');
  }

  #fail(error: unknown): void {
    if (this.#failure !== undefined || this.#closed) return;
    const message = error instanceof Error ? error.message : String(error);
    this.#failure = new TransshipError('DiskFailed', `the pool stopped: ${message}`, {
      cause: error,
    });
    this.#keeper.stop();
    this.#o.log.log('error', 'the pool stopped', { problem: message });
    this.#conditions.set({ type: 'Ready', status: 'False', reason: 'DiskFailed', message });
    try {
      const suspects = [...this.#store.segments.trustedLengths()];
      replaceDocument(this.#o.disk, 'state.json', { leases: this.#leases.list(), suspects });
    } catch {
      // The disk is failing; opening scans what is there and trusts what it can verify.
    }
    this.#o.onFailure?.(this.#failure);
  }

  #onCorrupt(name: Name): void {
    this.#o.log.log('error', 'a chunk is damaged', { name: nameHex(name) });
    this.#conditions.set({
      type: 'DataDamaged',
      status: 'True',
      reason: 'DataCorrupt',
      message: `chunk ${nameHex(name).slice(0, 16)} is damaged; run a scrub`,
    });
  }

  #noteScrub(report: ScrubReport): void {
    for (const name of report.affectedVolumes) {
      const message = 'chunks of this volume are damaged and nobody else has them';
      this.volume(name).setCondition({
        type: 'DataDamaged',
        status: 'True',
        reason: 'DataCorrupt',
        message,
      });
    }
    if (report.affectedVolumes.length === 0) this.#conditions.clear('DataDamaged');
  }

  #breathe(): Promise<void> {
    return new Promise((resolve) => {
      this.#o.clock.after(0, resolve);
    });
  }

  #own(volume: VolumeApi): Volume {
    const own = this.#volumes.get(volume.id);
    if (own === undefined) fail('NotFound', `volume ${volume.name} is not in this pool`);
    return own;
  }
}

/** Not a replica that is being rebuilt. */
function isWhole({ document }: Volume): boolean {
  return document.replica === undefined || document.replica.phase === 'Healthy';
}
