/** The background fetch of a replica that is being rebuilt: bounded, paced, and counted. */
import { asTransshipError } from '../../base/errors.ts';
import type { Clock } from '../../base/ports.ts';
import { sleep } from '../../base/sleep.ts';
import type { PoolApi, VolumeOrigin } from '../../volume/api.ts';
import type { BlockRange, ChunkSource, Name, StoredChunk } from '../../volume/types.ts';
import { fill, type FillProgress } from '../filler.ts';
import { createRateLimit, type RateLimit } from '../rate.ts';
import type { FillStatus, RebuildLimits } from './api.ts';
import { Slots } from './slots.ts';

const askAgainMs = 1000;
/** The rate shown is over about this long. */
const rateWindowMs = 5000;
/** Requests at a time while the application works: the rest of the link and the disk is its. */
const politeRequests = 2;
const freeRequests = 48;
/** The longest pause between two requests, so that a slow answer does not end the rebuild. */
const pauseMsMax = 500;

export interface FillRunOptions {
  readonly clock: Clock;
  readonly pool: Pick<PoolApi, 'missing' | 'readPage' | 'push'>;
  readonly source: ChunkSource & { close(): void };
  readonly limits: RebuildLimits;
  readonly recentUse: readonly BlockRange[];
  readonly fromNothing: boolean;
  /** Everything that must be here: the content, then the snapshots. */
  readonly trees: readonly VolumeOrigin[];
  readonly allocatedBytes: number;
  readonly onChange: () => void;
}

export interface FillRun {
  status(): FillStatus;
  limit(limits: RebuildLimits): void;
  stop(): void;
}

export type StartFill = (options: FillRunOptions) => FillRun;

/** At most so many fetch at once in one agent; the others wait for their turn. */
export function fillStarter(slots: Slots): StartFill {
  return (options) => new Run(options, slots);
}

class Run implements FillRun {
  readonly #o: FillRunOptions;
  readonly #paced: PacedSource;
  #stopped = false;
  #complete = false;
  #problem = 'waits for other rebuilds of this agent';
  /** Of the content's own tree; snapshots share nearly all of it. */
  #walked: FillProgress = { presentBlocks: 0, fetchedBlocks: 0, fetchedBytes: 0 };
  #rate = 0;
  #rateFrom = { atMs: 0, bytes: 0 };

  constructor(options: FillRunOptions, slots: Slots) {
    this.#o = options;
    this.#paced = new PacedSource(options);
    void slots.run(() => this.#run());
  }

  status(): FillStatus {
    const { allocatedBytes, fromNothing, trees } = this.#o;
    const blockBytes = trees[0]?.blockBytes ?? 1;
    const { presentBlocks, fetchedBlocks, fetchedBytes } = this.#walked;
    const here = Math.min(allocatedBytes, (presentBlocks + fetchedBlocks) * blockBytes);
    return {
      totalBytes: allocatedBytes,
      missingBytes: this.#complete ? 0 : allocatedBytes - here,
      bytesPerSecond: this.#complete ? 0 : this.#rate,
      wireBytes: fetchedBytes,
      complete: this.#complete,
      fromNothing,
      problem: this.#problem,
    };
  }

  limit(limits: RebuildLimits): void {
    this.#paced.limit(limits);
  }

  stop(): void {
    this.#stopped = true;
    this.#o.source.close();
  }

  async #run(): Promise<void> {
    this.#problem = '';
    this.#rateFrom = { atMs: this.#o.clock.monotonicMs(), bytes: 0 };
    while (!this.#stopped && !this.#complete) {
      try {
        this.#complete = await this.#walkAll();
        this.#problem = '';
      } catch (error) {
        if (this.#stopped) return;
        this.#problem = asTransshipError(error).message;
        await sleep(this.#o.clock, askAgainMs);
      }
    }
    if (!this.#stopped) this.#o.onChange();
  }

  async #walkAll(): Promise<boolean> {
    const { pool, trees, recentUse } = this.#o;
    for (const [i, origin] of trees.entries()) {
      const whole = await fill({
        pool,
        source: this.#paced,
        origin,
        recentUse: i === 0 ? recentUse : [],
        onProgress: (progress) => {
          if (i === 0) this.#note(progress);
        },
        stopped: () => this.#stopped,
        pause: () => sleep(this.#o.clock, askAgainMs),
      });
      if (!whole) return false;
    }
    return true;
  }

  #note(walked: FillProgress): void {
    this.#walked = walked;
    const nowMs = this.#o.clock.monotonicMs();
    const elapsed = nowMs - this.#rateFrom.atMs;
    if (elapsed < rateWindowMs / 10) return;
    const bytes = walked.fetchedBlocks * (this.#o.trees[0]?.blockBytes ?? 1);
    const rate = ((bytes - this.#rateFrom.bytes) * 1000) / elapsed;
    const weight = Math.min(1, elapsed / rateWindowMs);
    this.#rate = this.#rate === 0 ? rate : this.#rate * (1 - weight) + rate * weight;
    this.#rateFrom = { atMs: nowMs, bytes };
  }
}

/** A source that leaves the application its share: of time, and of bytes when a rate is set. */
class PacedSource implements ChunkSource {
  readonly #clock: Clock;
  readonly #source: ChunkSource;
  readonly #rate: RateLimit;
  readonly #slots = new Slots(freeRequests);
  #share = 1;
  #chunkBytes = 32 * 1024;

  constructor({ clock, source, limits }: FillRunOptions) {
    this.#clock = clock;
    this.#source = source;
    this.#rate = createRateLimit(clock);
    this.limit(limits);
  }

  limit({ bytesPerSecond, share }: RebuildLimits): void {
    this.#share = Math.min(1, Math.max(0.01, share));
    this.#slots.setMost(this.#share < 1 ? politeRequests : freeRequests);
    if (bytesPerSecond !== this.#rate.get()) this.#rate.set(bytesPerSecond);
  }

  readPath(request: Parameters<ChunkSource['readPath']>[0]): Promise<readonly StoredChunk[]> {
    return this.#source.readPath(request);
  }

  pull(
    names: readonly Name[],
    lane: 'demand' | 'background',
    signal?: AbortSignal,
  ): Promise<readonly StoredChunk[]> {
    return this.#slots.run(async () => {
      const expected = names.length * this.#chunkBytes;
      await this.#rate.take(expected, signal);
      const startMs = this.#clock.monotonicMs();
      const chunks = await this.#source.pull(names, lane, signal);
      const bytes = chunks.reduce((sum, chunk) => sum + chunk.bytes.length, 0);
      this.#rate.giveBack(expected - bytes);
      if (chunks.length > 0) this.#chunkBytes += (bytes / chunks.length - this.#chunkBytes) / 5;
      await this.#rest(this.#clock.monotonicMs() - startMs);
      return chunks;
    });
  }

  /** As long as the request took, times what the others are to have of the time. */
  async #rest(tookMs: number): Promise<void> {
    if (this.#share >= 1) return;
    const ms = Math.min(pauseMsMax, tookMs * (1 / this.#share - 1));
    await sleep(this.#clock, ms);
  }
}
