/**
 * Teleports to this cluster (design.md 4.5): from the lease at the source to the last chunk, over
 * restarts and lost links. A teleport's truth is the origin in the volume's document; the record
 * adds what people ask.
 */
import { asTransshipError, fail, TransshipError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { checkName } from '../base/names.ts';
import type { Clock, Log, Metrics, Random, Timer } from '../base/ports.ts';
import type { HistoryPolicy, PoolApi, VolumeApi, VolumeOrigin } from '../volume/api.ts';
import { nameHex } from '../volume/name.ts';
import type { LeaseGrant } from '../volume/types.ts';
import { fill, type FillProgress } from './filler.ts';
import type { Peer } from './peer.ts';
import type { PeerSource } from './source.ts';

/** How long the filler waits before it asks again for what the source did not give. */
const askAgainMs = 2000;
const releaseAgainMs = 10_000;
const finishedMax = 200;
/** The rate shown is over about this long. */
const rateWindowMs = 5000;

export type TeleportPhase = 'Initializing' | 'Accessible' | 'Available' | 'Canceled' | 'Failed';

/** What survives a restart. */
export interface TeleportRecord {
  readonly name: string;
  readonly cluster: string;
  readonly sourceVolume: string;
  readonly volume: string;
  readonly pool: string;
  readonly policyName: string;
  readonly thin: boolean;
  readonly atMs?: number;
  readonly snapshot?: string;
  readonly bytesPerSecond?: number;
  readonly leaseId?: string;
  readonly root?: string;
  readonly phase: TeleportPhase;
  readonly startedMs: number;
  /** Milliseconds from the request to `Accessible`, on the monotonic clock. */
  readonly accessibleAfterMs?: number;
  readonly accessibleMs?: number;
  readonly finishedMs?: number;
  readonly reason?: string;
  readonly message?: string;
  /** The source may still hold the lease and has to be told. */
  readonly releasing?: boolean;
  readonly progress: TeleportProgress;
}

export interface TeleportProgress {
  /** Blocks that are not holes, uncompressed. */
  readonly totalBytes: number;
  readonly presentBytes: number;
  readonly demandBytes: number;
  readonly backgroundBytes: number;
  readonly missingBytes: number;
  /** Compressed bytes of chunks that travelled. */
  readonly wireBytes: number;
  readonly bytesPerSecond: number;
  readonly etaMs?: number;
}

export interface TeleportRequest {
  readonly cluster: string;
  readonly volume: string;
  readonly name: string;
  readonly pool: string;
  readonly policy: HistoryPolicy;
  readonly policyName: string;
  readonly thin: boolean;
  readonly atMs?: number;
  readonly snapshot?: string;
  readonly bytesPerSecond?: number;
}

export interface TeleportsOptions {
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly cluster: string;
  readonly pools: () => readonly { readonly name: string; readonly api: PoolApi }[];
  /** `NotFound` for a cluster that is not a peer. */
  readonly peer: (name: string) => Peer;
  readonly load: () => readonly TeleportRecord[];
  readonly save: (records: readonly TeleportRecord[]) => void;
  readonly onChange?: (record: TeleportRecord) => void;
}

const noProgress: TeleportProgress = {
  totalBytes: 0,
  presentBytes: 0,
  demandBytes: 0,
  backgroundBytes: 0,
  missingBytes: 0,
  wireBytes: 0,
  bytesPerSecond: 0,
};

/** One teleport at work. */
interface Run {
  readonly teleport: string;
  readonly origin: VolumeOrigin;
  readonly source: PeerSource;
  readonly stopListening: () => void;
  renewal: Timer | undefined;
  filling: boolean;
  stopped: boolean;
  demandBlocks: number;
  demandBytes: number;
  walked: FillProgress;
  rateFrom: { atMs: number; bytes: number };
  rate: number;
}

export class TeleportManager {
  readonly #o: TeleportsOptions;
  readonly #records = new Map<string, TeleportRecord>();
  readonly #runs = new Map<string, Run>();
  #closed = false;

  constructor(options: TeleportsOptions) {
    this.#o = options;
  }

  /** Takes up what an earlier process left. Call once the pools are open and the peers known. */
  async resume(): Promise<void> {
    for (const record of this.#o.load()) {
      const lost = record.phase === 'Initializing';
      const message = 'the agent stopped before the volume was accessible';
      const ended = { phase: 'Failed', reason: 'Stopping', message } as const;
      this.#records.set(record.name, lost ? { ...record, ...ended } : record);
    }
    for (const { name: pool, api } of this.#o.pools()) {
      for (const volume of api.volumes()) {
        const { origin } = volume.status();
        if (origin !== undefined) await this.#takeUp(pool, volume, origin);
      }
    }
    for (const record of this.#records.values()) {
      if (record.releasing === true) this.#releaseLease(record.name);
    }
    this.#save();
  }

  list(): readonly TeleportRecord[] {
    return [...this.#records.values()].map((record) => this.#withProgress(record));
  }

  find(name: string): TeleportRecord | undefined {
    const byName = this.#records.get(name);
    const record = byName ?? [...this.#records.values()].findLast((one) => one.volume === name);
    return record === undefined ? undefined : this.#withProgress(record);
  }

  async start(request: TeleportRequest): Promise<TeleportRecord> {
    const { clock, random } = this.#o;
    checkName(request.name, 'volume');
    this.#checkFree(request.name);
    const peer = this.#o.peer(request.cluster);
    const pool = this.#pool(request.pool);
    const began = clock.monotonicMs();
    const name = `${request.name}-${Buffer.from(random.bytes(3)).toString('hex')}`;
    const { policy: _policy, name: volume, volume: sourceVolume, ...rest } = request;
    this.#put({
      ...rest,
      name,
      volume,
      sourceVolume,
      phase: 'Initializing',
      startedMs: clock.wallMs(),
      progress: noProgress,
    });
    let grant: LeaseGrant | undefined;
    try {
      grant = await peer.grantLease({
        volume: request.volume,
        holder: `${this.#o.cluster}/${request.name}`,
        lifeMs: limits.leaseMs,
        ...(request.atMs === undefined ? {} : { atMs: request.atMs }),
        ...(request.snapshot === undefined ? {} : { snapshot: request.snapshot }),
      });
      this.#update(name, { leaseId: grant.leaseId, root: nameHex(grant.version.root) });
      await this.#create(pool, request, name, grant, peer);
    } catch (error) {
      const problem = asTransshipError(error);
      const { reason, message } = problem;
      const finishedMs = clock.wallMs();
      this.#update(name, { phase: 'Failed', reason, message, finishedMs });
      if (grant !== undefined) this.#releaseLease(name);
      throw problem;
    }
    const accessibleAfterMs = clock.monotonicMs() - began;
    this.#update(name, { phase: 'Accessible', accessibleAfterMs, accessibleMs: clock.wallMs() });
    const run = this.#runs.get(grant.leaseId);
    if (run !== undefined && !request.thin) this.#fill(run, grant.recentUse);
    return this.#require(name);
  }

  /** Fetches all that a thin teleport left, or changes the rate of one that runs. */
  async fill(name: string, bytesPerSecond: number | undefined): Promise<TeleportRecord> {
    const record = this.#require(name);
    const run = record.leaseId === undefined ? undefined : this.#runs.get(record.leaseId);
    if (bytesPerSecond !== undefined) {
      this.#update(record.name, { bytesPerSecond });
      this.#o.peer(record.cluster).setRates({ incoming: bytesPerSecond });
    }
    if (record.phase !== 'Accessible' || run === undefined) return record;
    this.#update(record.name, { thin: false });
    for (const volume of this.#volumesOf(run.origin.leaseId)) {
      const { origin } = volume.status();
      if (origin?.thin === true) await volume.setOrigin({ ...origin, thin: false }, run.source);
    }
    this.#fill(run, []);
    return this.#require(record.name);
  }

  /** Deletes the destination volume; nothing of it is left here, and the source is released. */
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

  missingBytes(volume: string): number {
    for (const { api } of this.#o.pools()) {
      for (const one of api.volumes()) {
        const { origin } = one.status();
        if (one.name !== volume || origin === undefined) continue;
        const run = this.#runs.get(origin.leaseId);
        return run === undefined
          ? origin.allocatedBlocks * origin.blockBytes
          : this.#progress(run).missingBytes;
      }
    }
    return 0;
  }

  dependingOn(cluster: string): readonly string[] {
    return this.list()
      .filter((record) => record.cluster === cluster && record.phase === 'Accessible')
      .map((record) => record.name);
  }

  /** Called by the pool for every fetch that a reader waited for. */
  noteDemand(volume: string, fetch: { readonly chunks: number; readonly bytes: number }): void {
    for (const run of this.#runs.values()) {
      if (run.origin.volume === volume || this.#isOf(run, volume)) {
        run.demandBlocks += fetch.chunks;
        run.demandBytes += fetch.bytes;
      }
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const leaseId of [...this.#runs.keys()]) this.#stop(leaseId);
    this.#save();
  }

  async #create(
    pool: PoolApi,
    request: TeleportRequest,
    teleport: string,
    grant: LeaseGrant,
    peer: Peer,
  ): Promise<void> {
    const { version, leaseId } = grant;
    const origin: VolumeOrigin = {
      cluster: request.cluster,
      volume: request.volume,
      leaseId,
      root: nameHex(version.root),
      sizeBytes: version.sizeBytes,
      blockBytes: version.blockBytes,
      allocatedBlocks: version.allocatedBlocks,
      thin: request.thin,
      teleport,
    };
    const run = this.#begin(origin, peer, request.bytesPerSecond);
    try {
      const { name, policy } = request;
      await pool.createFromVersion({ name, version, policy, origin, source: run.source });
    } catch (error) {
      this.#stop(leaseId);
      throw error;
    }
    this.#showLink(run, peer);
  }

  async #takeUp(pool: string, volume: VolumeApi, origin: VolumeOrigin): Promise<void> {
    let run = this.#runs.get(origin.leaseId);
    const known = this.#records.get(origin.teleport);
    if (known === undefined || known.phase !== 'Accessible') {
      this.#records.set(origin.teleport, {
        name: origin.teleport,
        cluster: origin.cluster,
        sourceVolume: origin.volume,
        volume: volume.name,
        pool,
        policyName: known?.policyName ?? '',
        thin: origin.thin,
        leaseId: origin.leaseId,
        root: origin.root,
        startedMs: known?.startedMs ?? volume.status().createdMs,
        progress: known?.progress ?? noProgress,
        phase: 'Accessible',
      });
    }
    try {
      const peer = this.#o.peer(origin.cluster);
      run ??= this.#begin(origin, peer, known?.bytesPerSecond);
      await volume.setOrigin(origin, run.source);
      this.#showLink(run, peer);
      if (!origin.thin) this.#fill(run, []);
    } catch (error) {
      this.#sourceLost(origin, asTransshipError(error));
    }
  }

  #begin(origin: VolumeOrigin, peer: Peer, bytesPerSecond: number | undefined): Run {
    if (bytesPerSecond !== undefined) peer.setRates({ incoming: bytesPerSecond });
    const run: Run = {
      teleport: origin.teleport,
      origin,
      source: peer.sourceFor({ leaseId: origin.leaseId }),
      stopListening: peer.onState(() => this.#showLink(run, peer)),
      renewal: undefined,
      filling: false,
      stopped: false,
      demandBlocks: 0,
      demandBytes: 0,
      walked: { coveredBlocks: 0, presentBlocks: 0, fetchedChunks: 0, fetchedBytes: 0 },
      rateFrom: { atMs: this.#o.clock.monotonicMs(), bytes: 0 },
      rate: 0,
    };
    this.#runs.set(origin.leaseId, run);
    this.#renewLater(run, peer);
    return run;
  }

  #renewLater(run: Run, peer: Peer): void {
    run.renewal = this.#o.clock.after(limits.leaseRenewMs, () => {
      if (run.stopped) return;
      peer
        .renewLease(run.origin.leaseId, limits.leaseMs)
        .catch((error: unknown) => {
          const problem = asTransshipError(error);
          if (problem.reason === 'NotFound') this.#sourceLost(run.origin, problem);
        })
        .finally(() => this.#renewLater(run, peer));
    });
  }

  #fill(run: Run, recentUse: LeaseGrant['recentUse']): void {
    if (run.filling || run.stopped) return;
    run.filling = true;
    const pool = this.#poolOf(run.origin.leaseId);
    if (pool === undefined) return;
    fill({
      pool,
      source: run.source,
      origin: run.origin,
      recentUse,
      onProgress: (progress) => this.#noteProgress(run, progress),
      stopped: () => run.stopped,
      pause: () => this.#pause(askAgainMs),
    })
      .then(async (complete) => {
        run.filling = false;
        if (complete) await this.#complete(run);
      })
      .catch((error: unknown) => {
        run.filling = false;
        if (!run.stopped) this.#fillFailed(run, asTransshipError(error));
      });
  }

  #fillFailed(run: Run, problem: TransshipError): void {
    this.#o.log.log('warn', 'the background fetch stopped', {
      teleport: run.teleport,
      reason: problem.reason,
      problem: problem.message,
    });
    this.#sourceLost(run.origin, problem);
    if (problem.reason === 'SourceGone') return;
    void this.#pause(askAgainMs).then(() => {
      if (!run.stopped) this.#fill(run, []);
    });
  }

  /** Nothing is missing: the volumes stand alone, and the source may forget. */
  async #complete(run: Run): Promise<void> {
    for (const volume of this.#volumesOf(run.origin.leaseId)) {
      await volume.setOrigin(undefined, undefined);
      volume.setCondition({
        type: 'SourceConnected',
        status: 'True',
        reason: 'NotNeeded',
        message: 'all data is here; the source is not needed any more',
      });
    }
    const progress = { ...this.#progress(run), missingBytes: 0, bytesPerSecond: 0 };
    this.#stop(run.origin.leaseId);
    const finishedMs = this.#o.clock.wallMs();
    this.#update(run.teleport, { phase: 'Available', finishedMs, progress });
    this.#o.metrics.add('transship_teleport_deduplicated_bytes_total', progress.presentBytes);
    this.#releaseLease(run.teleport);
  }

  /** Tells the source, again and again, until it heard or the lease has ended anyway. */
  #releaseLease(name: string): void {
    const record = this.#records.get(name);
    if (record?.leaseId === undefined) return;
    this.#update(name, { releasing: true });
    const attempt = async (): Promise<void> => {
      if (this.#closed || record.leaseId === undefined) return;
      try {
        await this.#o.peer(record.cluster).releaseLease(record.leaseId);
        this.#update(name, { releasing: false });
      } catch (error) {
        const { retryable } = asTransshipError(error);
        if (!retryable) this.#update(name, { releasing: false });
        else this.#o.clock.after(releaseAgainMs, () => void attempt());
      }
    };
    void attempt();
  }

  #stop(leaseId: string): void {
    const run = this.#runs.get(leaseId);
    if (run === undefined) return;
    run.stopped = true;
    run.renewal?.cancel();
    run.stopListening();
    run.source.close();
    this.#runs.delete(leaseId);
  }

  #showLink(run: Run, peer: Peer): void {
    const { connected, lastError } = peer.status();
    for (const volume of this.#volumesOf(run.origin.leaseId)) {
      volume.setCondition({
        type: 'SourceConnected',
        status: connected ? 'True' : 'False',
        reason: connected ? 'Connected' : 'SourceUnreachable',
        message: connected
          ? `reads what is missing from ${run.origin.cluster}`
          : `no link to ${run.origin.cluster}: ${lastError?.message ?? 'not connected yet'}`,
      });
    }
    const record = this.#records.get(run.teleport);
    if (record !== undefined) this.#o.onChange?.(this.#withProgress(record));
  }

  #sourceLost(origin: VolumeOrigin, problem: TransshipError): void {
    for (const volume of this.#volumesOf(origin.leaseId)) {
      volume.setCondition({
        type: 'SourceConnected',
        status: 'False',
        reason: problem.reason,
        message: problem.message,
      });
    }
    const { reason, message } = problem;
    if (this.#records.has(origin.teleport)) this.#update(origin.teleport, { reason, message });
  }

  #noteProgress(run: Run, walked: FillProgress): void {
    run.walked = walked;
    const nowMs = this.#o.clock.monotonicMs();
    const elapsed = nowMs - run.rateFrom.atMs;
    if (elapsed >= rateWindowMs / 10) {
      const bytes = walked.fetchedChunks * run.origin.blockBytes;
      const rate = ((bytes - run.rateFrom.bytes) * 1000) / elapsed;
      const weight = Math.min(1, elapsed / rateWindowMs);
      run.rate = run.rate === 0 ? rate : run.rate * (1 - weight) + rate * weight;
      run.rateFrom = { atMs: nowMs, bytes };
      const record = this.#records.get(run.teleport);
      if (record !== undefined) this.#o.onChange?.(this.#withProgress(record));
    }
  }

  #progress(run: Run): TeleportProgress {
    const { origin, walked, demandBlocks, demandBytes, rate } = run;
    const bytes = (blocks: number): number => blocks * origin.blockBytes;
    const covered = Math.max(walked.coveredBlocks, demandBlocks);
    const missing = Math.max(0, origin.allocatedBlocks - covered);
    const present = Math.max(0, walked.presentBlocks - demandBlocks);
    return {
      totalBytes: bytes(origin.allocatedBlocks),
      presentBytes: bytes(present),
      demandBytes: bytes(demandBlocks),
      backgroundBytes: bytes(Math.min(walked.fetchedChunks, origin.allocatedBlocks)),
      missingBytes: bytes(missing),
      wireBytes: walked.fetchedBytes + demandBytes,
      bytesPerSecond: rate,
      ...(rate > 0 ? { etaMs: (bytes(missing) / rate) * 1000 } : {}),
    };
  }

  #withProgress(record: TeleportRecord): TeleportRecord {
    const run = record.leaseId === undefined ? undefined : this.#runs.get(record.leaseId);
    if (run === undefined || record.phase !== 'Accessible') return record;
    return { ...record, progress: this.#progress(run) };
  }

  #volumesOf(leaseId: string): VolumeApi[] {
    return this.#o
      .pools()
      .flatMap(({ api }) => api.volumes())
      .filter((volume) => volume.status().origin?.leaseId === leaseId);
  }

  #poolOf(leaseId: string): PoolApi | undefined {
    return this.#o.pools().find(({ api }) => {
      return api.volumes().some((volume) => volume.status().origin?.leaseId === leaseId);
    })?.api;
  }

  #isOf(run: Run, volume: string): boolean {
    return this.#volumesOf(run.origin.leaseId).some((one) => one.name === volume);
  }

  #pool(name: string): PoolApi {
    const found = this.#o.pools().find((pool) => pool.name === name);
    if (found === undefined) fail('NotFound', `no pool ${name}`);
    return found.api;
  }

  #checkFree(name: string): void {
    const taken = this.#o.pools().some(({ api }) => api.volumes().some((v) => v.name === name));
    if (taken) fail('AlreadyExists', `volume ${name} exists here already; use --name for another`);
  }

  #require(name: string): TeleportRecord {
    return this.find(name) ?? fail('NotFound', `no teleport ${name}`);
  }

  #put(record: TeleportRecord): void {
    this.#records.set(record.name, record);
    const finished = [...this.#records.values()].filter((one) => one.finishedMs !== undefined);
    for (const old of finished.slice(0, Math.max(0, finished.length - finishedMax))) {
      this.#records.delete(old.name);
    }
    this.#save();
    this.#o.onChange?.(this.#withProgress(record));
  }

  #update(name: string, change: Partial<TeleportRecord>): void {
    const record = this.#records.get(name);
    if (record !== undefined) this.#put({ ...record, ...change });
  }

  #save(): void {
    this.#o.save([...this.#records.values()]);
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => {
      this.#o.clock.after(ms, resolve);
    });
  }
}
