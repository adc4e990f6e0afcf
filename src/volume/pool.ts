/** A pool: chunks, journal and volumes of one directory (docs/formats/pool.md). */
import { fail, TransshipError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { checkName } from '../base/names.ts';
import type { Clock, Disk, Log, Random, Timer } from '../base/ports.ts';
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
import { policyProblem } from './history.ts';
import { Journal } from './journal.ts';
import { type LeaseDocument, Leases, Pins } from './leases.ts';
import { nameHex, nameKey, zeroName } from './name.ts';
import { readPath } from './path.ts';
import { replayJournal } from './replay.ts';
import { scrub } from './scrub.ts';
import { checkBlockBytes, checkSize } from './shape.ts';
import { Space } from './space.ts';
import { ChunkStore } from './store.ts';
import { treeDepth } from './tree.ts';
import type {
  LeaseGrant,
  LeaseRequest,
  Name,
  Packer,
  PathRequest,
  StoredChunk,
  VolumeSummary,
} from './types.ts';
import { acceptChunks, type DemandFetch, Upstream } from './upstream.ts';
import { namesMax, Volume } from './volume.ts';
import { documentPath, rootName, treeOf, type VolumeDocument } from './volume-document.ts';

const formatVersion = 1;
const pinMs = 10 * 60 * 1000;
const housekeepingMs = 1000;
/** Unsettled writes become durable chunks after so much quiet, or at the latest after so long. */
const quietMs = 1000;
const oldMs = 30_000;

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
  #nextNumber = 1;
  #timer: Timer | undefined;
  #failure: TransshipError | undefined;
  #closed = false;
  #keeping = false;
  #suspects = false;
  #ticks = 0;

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
      pressure: () => this.#keepSoon(),
    });
  }

  /** Reads what is there, replays the journal, and begins housekeeping. */
  async start(): Promise<void> {
    const { disk } = this.#o;
    for (const directory of ['volumes', 'history']) disk.makeDirectory(directory);
    const state = readDocument(disk, 'state.json') as StateDocument | undefined;
    this.#leases.load(state?.leases ?? []);
    this.#store.open(new Map(state?.suspects ?? []));
    this.#suspects = state?.suspects !== undefined;
    for (const file of disk.list('volumes')) {
      if (!file.endsWith('.json')) continue;
      this.#adopt(readDocument(disk, `volumes/${file}`) as VolumeDocument);
    }
    this.#replay();
    if (this.#suspects) await this.#settleSuspects();
    this.#schedule();
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
    return await this.createFromVersion({ name, version, policy });
  }

  createFromVersion(request: CreateFromVersion): Promise<VolumeApi> {
    return this.#lane.run(async () => {
      const { name, version, policy = noHistory, origin, source } = request;
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
      };
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
    return await this.createFromVersion({
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
    const wait = this.#space.admit();
    if (wait !== undefined) await wait;
    this.#checkAlive();
    await target.ingest(async () => {
      const names = await this.#store.put(bytes, target.blockSizeBytes, 'block');
      target.putNames(firstBlock, names);
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
        heal: (names) => this.#heal(names),
        affected: (names) => this.#affected(names),
        onProgress: onProgress ?? (() => undefined),
        stopped: () => this.#closed || this.#failure !== undefined,
      });
      this.#noteScrub(report);
      return report;
    });
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#timer?.cancel();
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
    if (alive && this.#failure === undefined) await this.#journal.flush();
    this.#journal.close();
    this.#store.close();
  }

  listVolumes(): readonly VolumeSummary[] {
    return [...this.#volumes.values()].map((volume) => {
      const { id, name, sizeBytes, blockBytes, allocatedBlocks } = volume.document;
      return { id, name, sizeBytes, blockBytes, allocatedBlocks, phase: volume.phase };
    });
  }

  async grantLease(request: LeaseRequest): Promise<LeaseGrant> {
    const volume = this.volume(request.volume);
    const { atMs, snapshot } = request;
    const version = await volume.versionAt({
      ...(atMs === undefined ? {} : { atMs }),
      ...(snapshot === undefined ? {} : { snapshot }),
    });
    this.#checkAlive();
    const leaseId = Buffer.from(this.#o.random.bytes(16)).toString('hex');
    const expiresMs = this.#o.clock.wallMs() + Math.min(request.lifeMs, limits.leaseMs);
    this.#leases.grant({
      leaseId,
      volumeId: volume.id,
      volume: volume.name,
      holder: request.holder,
      root: nameHex(version.root),
      sizeBytes: version.sizeBytes,
      blockBytes: version.blockBytes,
      allocatedBlocks: version.allocatedBlocks,
      expiresMs,
    });
    return { leaseId, version, expiresMs, recentUse: volume.recentUse(snapshot) };
  }

  async renewLease(leaseId: string, lifeMs: number): Promise<{ readonly expiresMs: number }> {
    this.#checkAlive();
    return { expiresMs: this.#leases.renew(leaseId, Math.min(lifeMs, limits.leaseMs)) };
  }

  async releaseLease(leaseId: string): Promise<void> {
    this.#checkAlive();
    this.#leases.release(leaseId);
  }

  has(names: readonly Name[]): readonly boolean[] {
    return names.map((name) => this.#store.has(name));
  }

  async readStored(names: readonly Name[]): Promise<readonly StoredChunk[]> {
    await this.#bringFor(names.filter((name) => !this.#store.has(name)));
    const found = await Promise.all(names.map((name) => this.#store.stored(name)));
    return found.filter((chunk) => chunk !== undefined);
  }

  readPath(request: PathRequest): Promise<readonly StoredChunk[]> {
    // A volume that is itself still arriving brings what the asker needs from its own source.
    const upstreams = [...this.#volumes.values()].map((volume) => volume.upstream);
    return readPath(this.#store, request, upstreams);
  }

  async push(chunks: readonly StoredChunk[]): Promise<number> {
    this.#checkAlive();
    this.#space.checkWritable();
    return (await acceptChunks(this.#store, chunks)).size;
  }

  /** Makes all chunks stored so far durable. */
  async sync(): Promise<void> {
    await this.#store.segments.syncLater();
  }

  #adopt(document: VolumeDocument): Volume {
    const { clock } = this.#o;
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
      disk: this.#o.disk,
      clock,
      head,
      upstream,
      gate: this.#gate,
      checkAlive: () => this.#checkAlive(),
      admit: () => this.#space.admit(),
      onRooted: () => this.#releaseJournal(),
      pin: (version) => this.#pins.add(version, pinMs),
      onFailure: (error) => this.#fail(error),
    });
    this.#volumes.set(document.id, volume);
    this.#nextNumber = Math.max(this.#nextNumber, document.number + 1);
    return volume;
  }

  #replay(): void {
    const byNumber = new Map<number, Volume>();
    for (const volume of this.#volumes.values()) byNumber.set(volume.document.number, volume);
    const froms = [...byNumber.values()].map((volume) => volume.document.journalFrom);
    const from = froms.length === 0 ? 1 : Math.min(...froms);
    const latest = Math.max(1, ...froms);
    const result = replayJournal(this.#o.disk, this.#poolId, from, (entry) => {
      const volume = byNumber.get(entry.volume);
      this.#nextNumber = Math.max(this.#nextNumber, entry.volume + 1);
      if (volume === undefined || entry.sequence < volume.document.journalFrom) return;
      const layer = volume.head.replayLayer(entry.sequence);
      if (entry.zero) {
        volume.head.applyZero(entry.firstSector, entry.sectors);
        return;
      }
      entry.checksums.forEach((checksum, i) => {
        layer.sectors.set(entry.firstSector + i, entry.file, entry.position + i, checksum);
      });
    });
    // A document may be ahead of a journal whose unacknowledged tail was lost.
    this.#journal.adopt({ ...result, nextSequence: Math.max(result.nextSequence, latest) });
    if (result.damaged > 0) {
      this.#conditions.set({
        type: 'JournalDamaged',
        status: 'True',
        reason: 'DataCorrupt',
        message: `${result.damaged} acknowledged journal frames could not be read`,
      });
      this.#o.log.log('error', 'the journal is damaged', { frames: result.damaged });
    }
    this.#releaseJournal();
  }

  /** After a failed sync nothing in the old journal files may be relied on: move it all. */
  async #settleSuspects(): Promise<void> {
    for (const volume of this.#volumes.values()) await volume.seal();
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
    for (const volume of this.#volumes.values()) {
      const blockBytes = volume.blockSizeBytes;
      for (const held of volume.held()) yield { ...held, blockBytes };
    }
    for (const { root, sizeBytes, blockBytes } of this.#leases.list()) {
      yield { name: rootName(root), sizeBytes, blockBytes, root: true };
    }
    for (const pinned of this.#pins.roots()) yield { ...pinned, root: true };
  }

  #schedule(): void {
    this.#timer = this.#o.clock.after(housekeepingMs, () => {
      void this.#keep().finally(() => {
        if (!this.#closed && this.#failure === undefined) this.#schedule();
      });
    });
  }

  #keepSoon(): void {
    if (!this.#keeping) void this.#keep();
  }

  async #keep(): Promise<void> {
    if (this.#keeping || this.#closed || this.#failure !== undefined) return;
    this.#keeping = true;
    this.#ticks++;
    try {
      this.#space.look();
      const nowMs = this.#o.clock.monotonicMs();
      const pressed = this.#space.isPressed;
      const prune = this.#ticks % 60 === 0;
      await Promise.all(
        [...this.#volumes.values()].map(async (volume) => {
          const { active, frozen, isRooted, names } = volume.head;
          const since = active.firstMs ?? nowMs;
          const quiet = !active.isEmpty && nowMs - active.lastMs >= quietMs;
          const due = quiet || pressed || nowMs - since >= oldMs || frozen.length > 0;
          const rooting = !isRooted && (due || names.size > namesMax);
          const checkpoint = due && (!active.isEmpty || frozen.length > 0 || rooting);
          try {
            await volume.keep({ checkpoint: checkpoint || prune, prune });
          } catch (error) {
            this.#noteKeep(volume, error);
          }
        }),
      );
    } finally {
      this.#keeping = false;
      this.#space.look();
    }
  }

  #noteKeep(volume: Volume, error: unknown): void {
    const problem = error instanceof Error ? error.message : String(error);
    this.#o.log.log('warn', 'housekeeping of a volume failed; it is tried again', {
      volume: volume.name,
      problem,
    });
    if (error instanceof TransshipError && error.reason === 'DiskFailed') this.#fail(error);
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
    this.#timer?.cancel();
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

  async #heal(names: readonly Name[]): Promise<readonly StoredChunk[]> {
    const found: StoredChunk[] = [];
    for (const volume of this.#volumes.values()) {
      const { source } = volume.upstream;
      if (source !== undefined) found.push(...(await source.pull(names, 'demand')));
    }
    return [...found, ...((await this.#o.heal?.(names)) ?? [])];
  }

  /** Onward teleport: what a peer asks us for may still be at our own source. */
  async #bringFor(absent: readonly Name[]): Promise<void> {
    const sources = new Set([...this.#volumes.values()].map(({ upstream }) => upstream.source));
    for (const source of sources) {
      const left = absent.filter((name) => !this.#store.has(name));
      if (source === undefined || left.length === 0) continue;
      try {
        await acceptChunks(this.#store, await source.pull(left, 'demand'));
      } catch (error) {
        // Left out of the answer: the asker asks again.
        const problem = error instanceof Error ? error.message : String(error);
        this.#o.log.log('debug', 'a source did not give chunks for a peer', { problem });
      }
    }
  }

  async #affected(names: ReadonlySet<string>): Promise<readonly string[]> {
    const affected: string[] = [];
    for (const volume of this.#volumes.values()) {
      if (await this.#reaches(volume, names)) affected.push(volume.name);
    }
    return affected;
  }

  async #reaches(volume: Volume, names: ReadonlySet<string>): Promise<boolean> {
    const visit = async (name: Name, level: number): Promise<boolean> => {
      if (names.has(nameKey(name))) return true;
      if (level < 0) return false;
      const page = await this.#store.page(name);
      if (page === undefined) return false;
      for (let at = 0; at < page.length; at += 32) {
        const child = page.subarray(at, at + 32);
        if (level === 0 ? names.has(nameKey(child)) : await visit(child, level - 1)) return true;
      }
      return false;
    };
    for (const { name, sizeBytes, root } of volume.held()) {
      const level = root ? treeDepth(sizeBytes, volume.blockSizeBytes) - 1 : -1;
      if (await visit(name, level)) return true;
    }
    return false;
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

function openIdentity(disk: Disk, random: Random, clock: Clock): string {
  const known = readDocument(disk, 'pool.json') as { id: string; version: number } | undefined;
  if (known !== undefined) {
    if (known.version > formatVersion) {
      fail('PoolUnusable', `the pool has format ${known.version}; this program knows 1`);
    }
    return known.id;
  }
  if (disk.list('segments').length > 0 || disk.list('volumes').length > 0) {
    fail('PoolUnusable', 'the directory has segments or volumes but no pool.json');
  }
  const id = Buffer.from(random.bytes(16)).toString('hex');
  replaceDocument(disk, 'pool.json', { id, version: formatVersion, createdMs: clock.wallMs() });
  return id;
}
