/** One teleport at work: its source, its lease's renewal, its background fetch, its numbers. */
import { asTransshipError, type TransshipError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Clock, Timer } from '../base/ports.ts';
import { sleep } from '../base/sleep.ts';
import type { PoolApi, VolumeOrigin } from '../volume/api.ts';
import type { BlockRange } from '../volume/types.ts';
import { fill, type FillProgress } from './filler.ts';
import type { PeerSource } from './source.ts';
import type { TeleportPeer } from './teleport-peer.ts';
import type { TeleportProgress } from '../api/objects.ts';

/** How long the filler waits before it asks again for what the source did not give. */
const askAgainMs = 2000;
/** Readers ask for much at once; the filler looks once after some of it. */
const lookAfterDemandMs = 1000;
/** The rate shown is over about this long; it is looked at ten times in it. */
const rateWindowMs = 5000;

export interface RunOptions {
  readonly clock: Clock;
  readonly origin: VolumeOrigin;
  readonly peer: TeleportPeer;
  /** The pool that holds the volumes of this lease, while there are any. */
  readonly pool: () => PoolApi | undefined;
  readonly onLink: (run: TeleportRun) => void;
  readonly onProgress: (run: TeleportRun) => void;
  /** The source refuses or lost the lease; the fetch is tried again unless it is `SourceGone`. */
  readonly onTrouble: (run: TeleportRun, problem: TransshipError) => void;
  /** A whole walk found nothing missing. */
  readonly onComplete: (run: TeleportRun) => Promise<void>;
}

export class TeleportRun {
  readonly origin: VolumeOrigin;
  readonly source: PeerSource;
  readonly #o: RunOptions;
  readonly #stopListening: () => void;
  #renewal: Timer | undefined;
  #look: Timer | undefined;
  #lookAgain: () => void = () => undefined;
  #filling = false;
  #stopped = false;
  #demandBlocks = 0;
  #demandBytes = 0;
  #walked: FillProgress = { presentBlocks: 0, fetchedBlocks: 0, fetchedBytes: 0 };
  #rateFrom: { readonly atMs: number; readonly bytes: number };
  #rate = 0;

  constructor(options: RunOptions) {
    this.#o = options;
    this.origin = options.origin;
    this.source = options.peer.sourceFor({ leaseId: options.origin.leaseId });
    this.#stopListening = options.peer.onState(() => options.onLink(this));
    this.#rateFrom = { atMs: options.clock.monotonicMs(), bytes: 0 };
    this.#renewLater();
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  link(): { readonly connected: boolean; readonly problem: string } {
    const { connected, lastError } = this.#o.peer.status();
    return { connected, problem: lastError?.message ?? 'not connected yet' };
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#renewal?.cancel();
    this.#look?.cancel();
    this.#stopListening();
    this.source.close();
  }

  /** A reader waited for these. */
  noteDemand(fetch: { readonly blocks: number; readonly bytes: number }): void {
    this.#demandBlocks += fetch.blocks;
    this.#demandBytes += fetch.bytes;
    if (this.#stopped || !this.#filling) return;
    this.#look ??= this.#o.clock.after(lookAfterDemandMs, () => {
      this.#look = undefined;
      this.#lookAgain();
    });
  }

  /** Begins, or goes on with, the background fetch. */
  fill(recentUse: readonly BlockRange[]): void {
    const pool = this.#o.pool();
    if (this.#filling || this.#stopped || pool === undefined) return;
    this.#filling = true;
    fill({
      pool,
      source: this.source,
      origin: this.origin,
      recentUse,
      onProgress: (progress) => this.#noteProgress(progress),
      stopped: () => this.#stopped,
      pause: () => sleep(this.#o.clock, askAgainMs),
      listen: (lookAgain) => {
        this.#lookAgain = lookAgain;
      },
    })
      .then(async (complete) => {
        this.#filling = false;
        if (complete) await this.#o.onComplete(this);
      })
      .catch(async (error: unknown) => {
        this.#filling = false;
        if (this.#stopped) return;
        const problem = asTransshipError(error);
        this.#o.onTrouble(this, problem);
        if (problem.reason === 'SourceGone') return;
        await sleep(this.#o.clock, askAgainMs);
        this.fill([]);
      });
  }

  /** What was fetched on demand the walk meets as present: every block counts once. */
  progress(): TeleportProgress {
    const { blockBytes, allocatedBlocks } = this.origin;
    const { presentBlocks, fetchedBlocks, fetchedBytes } = this.#walked;
    const bytes = (blocks: number): number => blocks * blockBytes;
    const background = Math.min(fetchedBlocks, allocatedBlocks);
    const demand = Math.min(this.#demandBlocks, allocatedBlocks - background);
    const seen = Math.max(0, presentBlocks - demand);
    const present = Math.min(seen, allocatedBlocks - background - demand);
    const missing = allocatedBlocks - background - demand - present;
    const rate = this.#rate;
    return {
      totalBytes: bytes(allocatedBlocks),
      presentBytes: bytes(present),
      demandBytes: bytes(demand),
      backgroundBytes: bytes(background),
      missingBytes: bytes(missing),
      wireBytes: fetchedBytes + this.#demandBytes,
      bytesPerSecond: rate,
      ...(rate > 0 ? { etaMs: (bytes(missing) / rate) * 1000 } : {}),
    };
  }

  #noteProgress(walked: FillProgress): void {
    this.#walked = walked;
    const nowMs = this.#o.clock.monotonicMs();
    const elapsed = nowMs - this.#rateFrom.atMs;
    if (elapsed < rateWindowMs / 10) return;
    const bytes = walked.fetchedBlocks * this.origin.blockBytes;
    const rate = ((bytes - this.#rateFrom.bytes) * 1000) / elapsed;
    const weight = Math.min(1, elapsed / rateWindowMs);
    this.#rate = this.#rate === 0 ? rate : this.#rate * (1 - weight) + rate * weight;
    this.#rateFrom = { atMs: nowMs, bytes };
    this.#o.onProgress(this);
  }

  #renewLater(): void {
    const { clock, peer } = this.#o;
    this.#renewal = clock.after(limits.leaseRenewMs, () => {
      peer
        .renewLease(this.origin.leaseId, limits.leaseMs)
        .catch((error: unknown) => {
          const problem = asTransshipError(error);
          // Anything else is the link's trouble, which is shown as such.
          if (problem.reason === 'NotFound') this.#o.onTrouble(this, problem);
        })
        .finally(() => {
          if (!this.#stopped) this.#renewLater();
        });
    });
  }
}
