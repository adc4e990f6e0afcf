/**
 * Teleports to this cluster (design.md 4.5), over restarts and lost links. A teleport's truth is
 * the origin in the volume's document; the record adds what people ask.
 */
import { asTransshipError, fail, TransshipError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { checkName } from '../base/names.ts';
import type { Clock, Log, Metrics, Random } from '../base/ports.ts';
import type { PoolApi, VolumeApi, VolumeOrigin } from '../volume/api.ts';
import { nameHex } from '../volume/name.ts';
import type { LeaseGrant } from '../volume/types.ts';
import type { TeleportPeer } from './teleport-peer.ts';
import {
  afterRestart,
  noProgress,
  recordOf,
  wholeProgress,
  type TeleportRecord,
  type TeleportRequest,
} from './teleport-record.ts';
import { TeleportRates } from './teleport-rates.ts';
import { TeleportRun } from './teleport-run.ts';

const releaseAgainMs = 10_000;
const lookAgainMs = 15_000;
const finishedMax = 200;

export interface TeleportsOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly cluster: string;
  readonly pools: () => readonly { readonly name: string; readonly api: PoolApi }[];
  /** `NotFound` for a cluster that is not a peer. */
  readonly peer: (name: string) => TeleportPeer;
  readonly load: () => readonly TeleportRecord[];
  readonly save: (records: readonly TeleportRecord[]) => void;
  readonly onChange?: (record: TeleportRecord) => void;
}

export class TeleportManager {
  readonly #o: TeleportsOptions;
  readonly #records = new Map<string, TeleportRecord>();
  /** By lease: clones of an arriving volume share it. */
  readonly #runs = new Map<string, TeleportRun>();
  readonly #rates = new TeleportRates();
  #closed = false;

  constructor(options: TeleportsOptions) {
    this.#o = options;
  }

  /** Takes up what an earlier process left. Call once the pools are open and the peers known. */
  async resume(): Promise<void> {
    const wallMs = this.#o.clock.wallMs();
    for (const record of this.#o.load()) {
      const { leaseId, volume } = record;
      const isThere = this.#volumes().some(({ name }) => name === volume);
      const isArriving = leaseId !== undefined && this.#volumesOf(leaseId).length > 0;
      this.#records.set(record.name, afterRestart(record, { isThere, isArriving, wallMs }));
    }
    await this.#adopt();
    this.#lookAgain();
    for (const record of this.#records.values()) {
      if (record.releasing === true) this.#releaseLease(record.name);
    }
    this.#save();
  }

  list(): readonly TeleportRecord[] {
    return [...this.#records.values()].map((record) => this.#withProgress(record));
  }

  /** By its own name, or the latest to a volume of this name, or the one a clone came with. */
  find(name: string): TeleportRecord | undefined {
    const byName = this.#records.get(name);
    const byVolume = () => [...this.#records.values()].findLast((one) => one.volume === name);
    const cloned = () =>
      this.#volumes()
        .find((one) => one.name === name)
        ?.status().origin;
    const record = byName ?? byVolume() ?? this.#records.get(cloned()?.teleport ?? '');
    return record === undefined ? undefined : this.#withProgress(record);
  }

  /** Resolves when the volume is `Accessible`. A refusal has changed nothing. */
  async start(request: TeleportRequest): Promise<TeleportRecord> {
    const { clock, random } = this.#o;
    checkName(request.name, 'volume');
    this.#checkFree(request.name);
    const peer = this.#o.peer(request.cluster);
    const pool = this.#pool(request.pool);
    const began = clock.monotonicMs();
    const name = `${request.name}-${Buffer.from(random.bytes(3)).toString('hex')}`;
    const { policy: _policy, name: volume, volume: sourceVolume, ...rest } = request;
    const startedMs = clock.wallMs();
    // Noted before it is asked for: whatever happens to the answer, the lease can be given back.
    const leaseId = Buffer.from(random.bytes(16)).toString('hex');
    const what = { ...rest, name, volume, sourceVolume, startedMs, leaseId };
    this.#put({ ...what, phase: 'Initializing', progress: noProgress });
    let grant: LeaseGrant | undefined;
    try {
      grant = await this.#lease(peer, request, leaseId);
      this.#update(name, { leaseId: grant.leaseId, root: nameHex(grant.version.root) });
      await this.#create({ pool, request, teleport: name, grant, peer });
    } catch (error) {
      const problem = asTransshipError(error);
      const { reason, message } = problem;
      this.#update(name, { phase: 'Failed', reason, message, finishedMs: clock.wallMs() });
      // A refusal has granted nothing; a lost answer may have.
      if (grant !== undefined || problem.retryable) this.#releaseLease(name);
      throw problem;
    }
    const accessibleAfterMs = clock.monotonicMs() - began;
    this.#update(name, { phase: 'Accessible', accessibleAfterMs, accessibleMs: clock.wallMs() });
    if (!request.thin) this.#runs.get(grant.leaseId)?.fill(grant.recentUse);
    return this.#require(name);
  }

  /** Fetches all that a thin teleport left, or changes the rate of one that runs. */
  async fill(name: string, bytesPerSecond: number | undefined): Promise<TeleportRecord> {
    const record = this.#require(name);
    const run = record.leaseId === undefined ? undefined : this.#runs.get(record.leaseId);
    if (bytesPerSecond !== undefined) {
      this.#update(record.name, { bytesPerSecond });
      if (run !== undefined) {
        const { cluster, leaseId } = run.origin;
        this.#rates.set(leaseId, cluster, bytesPerSecond);
        this.#o.peer(cluster).limitIncoming(bytesPerSecond);
      }
    }
    if (run === undefined) return record;
    this.#update(record.name, { thin: false });
    for (const volume of this.#volumesOf(run.origin.leaseId)) {
      const { origin } = volume.status();
      if (origin?.thin !== true) continue;
      // One that is deleted meanwhile keeps nothing from its clones.
      await volume.setOrigin({ ...origin, thin: false }, run.source).catch(unlessGone);
    }
    run.fill([]);
    return this.#require(record.name);
  }

  /** Deletes the destination volume; nothing is left here, and the source is released. */
  async cancel(name: string, force: boolean): Promise<TeleportRecord> {
    const record = this.#require(name);
    if (record.phase !== 'Accessible') {
      fail('BadArgument', `teleport ${record.name} is ${record.phase}: there is nothing to cancel`);
    }
    await this.#pool(record.pool).deleteVolume(record.volume, { force });
    this.#update(record.name, { phase: 'Canceled', finishedMs: this.#o.clock.wallMs() });
    if (record.leaseId !== undefined && this.#volumesOf(record.leaseId).length === 0) {
      this.#stop(record.leaseId);
      this.#releaseLease(record.name);
    }
    return this.#require(record.name);
  }

  /** 0 when all is here. */
  missingBytes(volume: string): number {
    const origin = this.#originOf(volume);
    if (origin === undefined) return 0;
    const run = this.#runs.get(origin.leaseId);
    return run?.progress().missingBytes ?? origin.allocatedBlocks * origin.blockBytes;
  }

  /** Names of teleports that cannot finish without this peer. */
  dependingOn(cluster: string): readonly string[] {
    const origins = this.#volumes().flatMap((volume) => volume.status().origin ?? []);
    const ours = origins.filter((origin) => origin.cluster === cluster);
    return [...new Set(ours.map((origin) => origin.teleport))];
  }

  /** The pool tells of every fetch that a reader waited for. */
  noteDemand(volume: string, fetch: { readonly blocks: number; readonly bytes: number }): void {
    const origin = this.#originOf(volume);
    if (origin !== undefined) this.#runs.get(origin.leaseId)?.noteDemand(fetch);
  }

  async close(): Promise<void> {
    this.#save();
    this.#closed = true;
    for (const leaseId of this.#runs.keys()) this.#stop(leaseId);
  }

  #lease(peer: TeleportPeer, request: TeleportRequest, leaseId: string): Promise<LeaseGrant> {
    const { atMs, snapshot } = request;
    return peer.grantLease({
      volume: request.volume,
      holder: `${this.#o.cluster}/${request.name}`,
      lifeMs: limits.leaseMs,
      leaseId,
      ...(atMs === undefined ? {} : { atMs }),
      ...(snapshot === undefined ? {} : { snapshot }),
    });
  }

  async #create(what: {
    readonly pool: PoolApi;
    readonly request: TeleportRequest;
    readonly teleport: string;
    readonly grant: LeaseGrant;
    readonly peer: TeleportPeer;
  }): Promise<void> {
    const { pool, request, teleport, peer } = what;
    const { version, leaseId } = what.grant;
    const { sizeBytes, blockBytes, allocatedBlocks } = version;
    const { name, policy, thin, cluster, volume, bytesPerSecond } = request;
    const root = nameHex(version.root);
    const shape = { root, sizeBytes, blockBytes, allocatedBlocks };
    const origin: VolumeOrigin = { cluster, volume, leaseId, ...shape, thin, teleport };
    const run = this.#begin(origin, peer, bytesPerSecond);
    try {
      await pool.createFromVersion({ name, version, policy, origin, source: run.source });
    } catch (error) {
      this.#stop(leaseId);
      throw error;
    }
    this.#showLink(run);
  }

  /** Volumes that wait for data without a run to bring it. */
  async #adopt(): Promise<void> {
    const running = new Set(this.#runs.keys());
    for (const { name: pool, api } of this.#o.pools()) {
      for (const volume of api.volumes()) {
        const { origin } = volume.status();
        if (origin === undefined || running.has(origin.leaseId)) continue;
        await this.#takeUp(pool, volume, origin);
      }
    }
  }

  /** Such is a clone made in the moment in which its source became whole. */
  #lookAgain(): void {
    this.#o.clock.after(lookAgainMs, () => {
      if (this.#closed) return;
      void this.#adopt().finally(() => this.#lookAgain());
    });
  }

  async #takeUp(pool: string, volume: VolumeApi, origin: VolumeOrigin): Promise<void> {
    const known = this.#records.get(origin.teleport);
    // A clone of what was cancelled goes on; the record stays what it is.
    const isOwn = known === undefined || known.volume === volume.name;
    if (known?.phase !== 'Accessible' && isOwn) {
      this.#records.set(origin.teleport, recordOf(volume.status(), origin, pool, known));
    }
    try {
      const peer = this.#o.peer(origin.cluster);
      const run =
        this.#runs.get(origin.leaseId) ?? this.#begin(origin, peer, known?.bytesPerSecond);
      await volume.setOrigin(origin, run.source);
      this.#showLink(run);
      if (!origin.thin) run.fill([]);
    } catch (error) {
      this.#trouble(origin, asTransshipError(error));
    }
  }

  #begin(
    origin: VolumeOrigin,
    peer: TeleportPeer,
    bytesPerSecond: number | undefined,
  ): TeleportRun {
    const { leaseId, cluster } = origin;
    if (bytesPerSecond !== undefined) {
      this.#rates.set(leaseId, cluster, bytesPerSecond);
      peer.limitIncoming(bytesPerSecond);
    }
    const run = new TeleportRun({
      clock: this.#o.clock,
      origin,
      peer,
      pool: () => this.#poolOf(leaseId),
      onLink: (one) => this.#showLink(one),
      onProgress: (one) => this.#changed(one.origin.teleport),
      onTrouble: (one, problem) => this.#trouble(one.origin, problem),
      onComplete: (one) => this.#complete(one),
    });
    this.#runs.set(leaseId, run);
    return run;
  }

  /** Nothing is missing: the volumes stand alone, and the source may forget. */
  async #complete(run: TeleportRun): Promise<void> {
    const { leaseId, teleport } = run.origin;
    for (const volume of this.#volumesOf(leaseId)) {
      await volume.setOrigin(undefined, undefined);
      volume.setCondition({
        type: 'SourceConnected',
        status: 'True',
        reason: 'NotNeeded',
        message: 'all data is here; the source is not needed any more',
      });
    }
    const progress = wholeProgress(run.progress());
    this.#stop(leaseId);
    // Cancelled, and its clones went on.
    if (this.find(teleport)?.phase === 'Accessible') {
      const finishedMs = this.#o.clock.wallMs();
      this.#update(teleport, { phase: 'Available', finishedMs, progress, releasing: true });
    }
    this.#o.metrics.add('transship_teleport_deduplicated_bytes_total', progress.presentBytes);
    this.#releaseLease(teleport);
  }

  /** Tells the source, again and again, until it heard or the lease has ended anyway. */
  #releaseLease(name: string): void {
    const { cluster, leaseId } = this.#require(name);
    if (leaseId === undefined) return;
    this.#update(name, { releasing: true });
    const attempt = async (): Promise<void> => {
      // One that was forgotten was one of hundreds that could not tell a source that is away.
      if (this.#closed || !this.#records.has(name)) return;
      try {
        await this.#o.peer(cluster).releaseLease(leaseId);
        this.#update(name, { releasing: false });
      } catch (error) {
        if (!asTransshipError(error).retryable) this.#update(name, { releasing: false });
        else this.#o.clock.after(releaseAgainMs, () => void attempt());
      }
    };
    void attempt();
  }

  #stop(leaseId: string): void {
    this.#runs.get(leaseId)?.stop();
    this.#runs.delete(leaseId);
    const cluster = this.#rates.end(leaseId);
    if (cluster !== undefined) this.#limit(cluster);
  }

  /** A peer that is not trusted any more has no link to limit. */
  #limit(cluster: string): void {
    try {
      this.#o.peer(cluster).limitIncoming(this.#rates.of(cluster));
    } catch (error) {
      if (!(error instanceof TransshipError)) throw error;
    }
  }

  #showLink(run: TeleportRun): void {
    const { connected, problem } = run.link();
    const { cluster, leaseId, teleport } = run.origin;
    for (const volume of this.#volumesOf(leaseId)) {
      volume.setCondition({
        type: 'SourceConnected',
        status: connected ? 'True' : 'False',
        reason: connected ? 'Connected' : 'SourceUnreachable',
        message: connected
          ? `reads what is missing from ${cluster}`
          : `no link to ${cluster}: ${problem}`,
      });
    }
    this.#changed(teleport);
  }

  #trouble(origin: VolumeOrigin, problem: TransshipError): void {
    const { reason, message } = problem;
    const { teleport, leaseId } = origin;
    this.#o.log.log('warn', 'a teleport is in trouble', { teleport, reason, problem: message });
    for (const volume of this.#volumesOf(leaseId)) {
      volume.setCondition({ type: 'SourceConnected', status: 'False', reason, message });
    }
    this.#update(teleport, { reason, message });
  }

  #withProgress(record: TeleportRecord): TeleportRecord {
    const run = record.leaseId === undefined ? undefined : this.#runs.get(record.leaseId);
    if (run === undefined || record.phase !== 'Accessible') return record;
    return { ...record, progress: run.progress() };
  }

  /** A replica that is being rebuilt has an origin too, and its own fetch. */
  #volumes(): VolumeApi[] {
    const all = this.#o.pools().flatMap(({ api }) => [...api.volumes()]);
    return all.filter(({ replica }) => replica.document === undefined);
  }

  #originOf(volume: string): VolumeOrigin | undefined {
    return this.#volumes()
      .find(({ name }) => name === volume)
      ?.status().origin;
  }

  #volumesOf(leaseId: string): VolumeApi[] {
    return this.#volumes().filter((volume) => volume.status().origin?.leaseId === leaseId);
  }

  #poolOf(leaseId: string): PoolApi | undefined {
    return this.#o.pools().find(({ api }) => {
      return api.volumes().some((volume) => volume.status().origin?.leaseId === leaseId);
    })?.api;
  }

  #pool(name: string): PoolApi {
    const found = this.#o.pools().find((pool) => pool.name === name);
    return found?.api ?? fail('NotFound', `no pool ${name}`);
  }

  #checkFree(name: string): void {
    const taken = this.#volumes().some((volume) => volume.name === name);
    if (taken) fail('AlreadyExists', `volume ${name} exists here already; use --name for another`);
  }

  #require(name: string): TeleportRecord {
    return this.find(name) ?? fail('NotFound', `no teleport ${name}`);
  }

  #put(record: TeleportRecord): void {
    this.#records.set(record.name, record);
    const finished = [...this.#records.values()].filter((one) => one.finishedMs !== undefined);
    const tooMany = Math.max(0, finished.length - finishedMax);
    // Those whose lease the source does not know to be over are forgotten last.
    const order = finished.toSorted(
      (a, b) => Number(a.releasing === true) - Number(b.releasing === true),
    );
    for (const old of order.slice(0, tooMany)) this.#records.delete(old.name);
    this.#save();
    this.#changed(record.name);
  }

  #update(name: string, change: Partial<TeleportRecord>): void {
    const record = this.#records.get(name);
    if (record !== undefined) this.#put({ ...record, ...change });
  }

  #changed(name: string): void {
    const record = this.#records.get(name);
    if (record !== undefined) this.#o.onChange?.(this.#withProgress(record));
  }

  #save(): void {
    if (this.#closed) return;
    this.#o.save([...this.#records.values()].map((record) => this.#withProgress(record)));
  }
}

function unlessGone(error: unknown): void {
  if (asTransshipError(error).reason !== 'NotFound') throw error;
}
