/** One pool, its machine and what must be true of it: the state that a schedule works on. */
import { AssertionFailure, TransshipError } from '../../src/base/errors.ts';
import type { Clock, Disk, Log } from '../../src/base/ports.ts';
import type { Reason } from '../../src/base/reasons.ts';
import type { PoolApi, VolumeApi } from '../../src/volume/api.ts';
import type { Packer, Version } from '../../src/volume/types.ts';
import { ContentSource } from './content.ts';
import { hasFaults, type Profile } from './engine-profile.ts';
import { type Frozen, Mismatch, VolumeModel } from './model.ts';
import { answerOf, Endings, Gone } from './mortal.ts';
import type { Range } from './range.ts';
import { createRng, type Rng } from './rng.ts';
import { Crashed, Scheduler, simRandom, wallStartMs } from './scheduler.ts';
import { SimDisk } from './sim-disk.ts';
import { createSimPacker } from './sim-packer.ts';

export interface SnapshotModel {
  readonly frozen: Frozen;
  /** False while taking or deleting it is unfinished: a crash leaves it there or not. */
  sure: boolean;
}

export interface TrackedVolume {
  readonly model: VolumeModel;
  readonly snapshots: Map<string, SnapshotModel>;
  readonly points: { readonly atMs: number; readonly frozen: Frozen }[];
  /** False while creating or deleting it is unfinished. */
  sure: boolean;
  readonly busy: Set<Range>;
  /** An operation on the volume as a whole runs: `sole` ones tolerate no reads and writes. */
  whole: 'none' | 'shared' | 'sole';
  resizingTo: number | undefined;
  restoring: Frozen | undefined;
  readonly hasHistory: boolean;
}

export interface LeaseModel {
  readonly leaseId: string;
  readonly volume: string;
  readonly version: Version;
  readonly frozen: Frozen;
}

export interface Engine {
  readonly disk: Disk;
  readonly clock: Clock;
  readonly random: ReturnType<typeof simRandom>;
  readonly log: Log;
  readonly packer: Packer;
  readonly profile: Profile;
}

export type OpenEngine = (engine: Engine) => Promise<PoolApi>;

export interface WorldOptions {
  readonly seed: number;
  readonly profile: Profile;
  readonly open: OpenEngine;
  readonly onEvent?: ((label: string, nowMs: number) => void) | undefined;
}

export class World {
  readonly rng: Rng;
  readonly profile: Profile;
  readonly scheduler: Scheduler;
  readonly simDisk: SimDisk;
  readonly content: ContentSource;
  readonly volumes = new Map<string, TrackedVolume>();
  readonly leases = new Map<string, LeaseModel>();
  readonly running = new Set<Promise<void>>();
  readonly #options: WorldOptions;
  readonly #log: { readonly level: string; readonly message: string }[] = [];
  pool: PoolApi | undefined;
  /** Rises when a process ends; what belonged to an earlier one counts no more. */
  life = 0;
  /** The pool said that its disk failed: it may refuse everything until it is reopened. */
  hurt = false;
  collecting = false;
  crashSoon = false;
  violation: Error | undefined;
  counter = 0;
  readonly #endings: Endings<World>;

  constructor(options: WorldOptions) {
    this.#options = options;
    this.profile = options.profile;
    this.rng = createRng(options.seed);
    this.scheduler = new Scheduler({
      rng: this.rng.fork('scheduler'),
      eventsMax: 400_000,
      ...(options.onEvent === undefined ? {} : { onEvent: options.onEvent }),
    });
    const disk = { capacityBytes: options.profile.capacityBytes, ...options.profile.faults };
    this.simDisk = new SimDisk(this.scheduler, this.rng.fork('disk'), disk);
    this.#endings = new Endings(this.scheduler);
    this.content = new ContentSource(this.rng.fork('content'));
  }

  get messages(): readonly string[] {
    return this.#log.map(({ level, message }) => `${level} ${message}`);
  }

  get wallMs(): number {
    return wallStartMs + this.scheduler.nowMs;
  }

  unique(prefix: string): string {
    this.counter += 1;
    return `${prefix}${this.counter}`;
  }

  /** Starts a process; it ends by itself in the middle of a disk call when told to. */
  async start(crashAfterCalls: number | undefined): Promise<void> {
    this.life += 1;
    this.hurt = false;
    const afterCalls = crashAfterCalls ?? Number.POSITIVE_INFINITY;
    const disk = this.simDisk.mount({ afterCalls, onCrash: () => this.#end() });
    const { profile, scheduler } = this;
    const engine: Engine = {
      disk,
      profile,
      clock: scheduler.clock(wallStartMs),
      random: simRandom(this.rng.fork('random')),
      log: { log: (level, message) => void this.#log.push({ level, message }) },
      packer: createSimPacker(scheduler, this.rng.fork('packer'), profile.fastPacker),
    };
    this.pool = await this.untilCrash(this.#options.open(engine));
  }

  /** Lets things happen until the work ends or the process does (`Gone`). */
  untilCrash<T>(work: Promise<T>): Promise<T> {
    return this.#endings.drive(this, work);
  }

  idle(forMs: number): Promise<void> {
    const wait = new Promise<void>((done) => void this.scheduler.at(forMs, 'idle', done));
    return this.untilCrash(wait);
  }

  powerOff(): void {
    this.simDisk.powerOff();
    this.#end();
  }

  kill(): void {
    this.simDisk.killProcess();
    this.#end();
  }

  #end(): void {
    this.life += 1;
    this.scheduler.note('process ended');
    this.scheduler.clear();
    this.running.clear();
    this.pool = undefined;
    this.collecting = false;
    for (const volume of this.volumes.values()) {
      volume.busy.clear();
      volume.whole = 'none';
    }
    this.#endings.ended(this);
  }

  /** Runs an operation beside others. What it throws that is not expected is a violation. */
  spawn(label: string, operation: () => Promise<void>): void {
    const { life } = this;
    this.scheduler.note(`start ${label}`);
    const work = operation()
      .catch((error: unknown) => {
        if (this.life !== life || error instanceof Gone || error instanceof Crashed) return;
        this.fail(new Error(`${label}: ${String(error)}`, { cause: error }));
      })
      .finally(() => {
        if (this.life !== life) return;
        this.scheduler.note(`end ${label}`);
        this.running.delete(work);
      });
    this.running.add(work);
  }

  /** An answer of the engine; throws `Gone` when its process has ended meanwhile. */
  answer<T>(call: () => T | Promise<T>): Promise<T> {
    return answerOf(this, call);
  }

  /** True when the error is a right answer on this day; anything else is a violation. */
  excuses(error: unknown): boolean {
    if (!(error instanceof TransshipError)) return false;
    const { profile } = this;
    const has = (...reasons: Reason[]) => reasons.includes(error.reason);
    if (has('DiskFailed', 'Stopping')) {
      if (hasFaults(profile)) this.hurt = true;
      return hasFaults(profile);
    }
    if (has('ReadOnly', 'PoolFull')) return profile.tight || this.hurt;
    const mayMiss = profile.rot > 0 || profile.faults.readFailure !== undefined;
    return has('DataCorrupt', 'DataMissing', 'SourceUnreachable') && mayMiss;
  }

  fail(error: Error): void {
    this.violation ??= error;
  }

  device(volume: TrackedVolume): VolumeApi {
    if (this.pool === undefined) throw new Gone();
    return this.pool.volume(volume.model.name);
  }

  /** Volumes that surely are there and on which nothing forbids reads and writes. */
  usable(): TrackedVolume[] {
    return [...this.volumes.values()].filter(({ sure, whole }) => sure && whole !== 'sole');
  }

  track(model: VolumeModel, hasHistory: boolean): TrackedVolume {
    const volume: TrackedVolume = {
      model,
      hasHistory,
      snapshots: new Map(),
      points: [],
      sure: false,
      busy: new Set(),
      whole: 'none',
      resizingTo: undefined,
      restoring: undefined,
    };
    this.volumes.set(model.name, volume);
    return volume;
  }
}

/** Bugs of the engine that must not be mistaken for answers. */
export function isBug(error: unknown): boolean {
  return error instanceof AssertionFailure || error instanceof Mismatch;
}

export { VolumeModel };
