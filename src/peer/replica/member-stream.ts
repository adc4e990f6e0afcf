/**
 * The writes on their way to one replica: in order, a few requests at a time, bounded. A replica
 * that is out of step gets none; what it missed is made good by a rebuild, or from the leader's
 * window.
 */
import { asTransshipError, type TransshipError } from '../../base/errors.ts';
import type { Clock } from '../../base/ports.ts';
import type { SectorRecord } from '../../volume/replica-types.ts';
import type { Term } from '../../volume/replica-types.ts';
import type { ReplicaPort, WriteBatch } from './api.ts';
import { recordsMax } from './codec.ts';

/** Requests on the way to another agent: enough to fill a round trip. */
const requestsMax = 8;
const requestBytes = 1024 * 1024;
/** A full pool is asked again so often. */
const fullMs = 250;

/** Writes that were numbered together. */
export interface Batch {
  readonly first: number;
  readonly records: readonly SectorRecord[];
  readonly bytes: number;
  readonly atMs: number;
}

/**
 * `InStep`: has the content, gets every write, counts. `Joining`: gets every write, but lacks what
 * was before. `Out`: gets none.
 */
export type Standing = 'InStep' | 'Joining' | 'Out';

export interface StreamEvents {
  /** `applied` or `durable` has risen. */
  readonly onProgress: () => void;
  /** It went out of step by itself. */
  readonly onOut: (stream: MemberStream, problem: TransshipError) => void;
}

export class MemberStream {
  readonly port: ReplicaPort;
  readonly #term: Term;
  readonly #clock: Clock;
  readonly #events: StreamEvents;
  #standing: Standing = 'Out';
  #problem: TransshipError | undefined;
  #queue: Batch[] = [];
  #onWay = 0;
  #queuedBytes = 0;
  #oldestMs: number[] = [];
  #joins = false;
  #joined = 0;
  /** Rises with every start, so that answers of an earlier stream count for nothing. */
  #generation = 0;
  #flushTarget = 0;
  #flushing = false;
  #full: TransshipError | undefined;
  applied = 0;
  durable = 0;

  constructor(port: ReplicaPort, term: Term, clock: Clock, events: StreamEvents) {
    this.port = port;
    this.#term = term;
    this.#clock = clock;
    this.#events = events;
  }

  get standing(): Standing {
    return this.#standing;
  }
  get problem(): TransshipError | undefined {
    return this.#problem;
  }
  /** Bytes that it has not confirmed. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }
  /** Since it joined, nothing was written: it does not know where it is. */
  get isFresh(): boolean {
    return this.#joins;
  }
  get joinedAt(): number {
    return this.#joined;
  }

  /** Its pool is full: it reads, and writes wait until space returns. */
  get full(): TransshipError | undefined {
    return this.#full;
  }

  /** How long the oldest write that it has not confirmed waits, in milliseconds. */
  get lagMs(): number {
    const oldest = this.#oldestMs[0];
    return oldest === undefined ? 0 : this.#clock.monotonicMs() - oldest;
  }

  /** It has everything up to `at`, or, when it joins, takes everything behind it. */
  start(at: number, how: 'InStep' | 'Joining'): void {
    this.#generation++;
    this.#standing = how;
    this.#problem = undefined;
    this.#queue = [];
    this.#oldestMs = [];
    this.#queuedBytes = 0;
    this.#onWay = 0;
    this.#joins = how === 'Joining';
    this.#full = undefined;
    this.#joined = at;
    this.#flushing = false;
    this.#flushTarget = 0;
    this.applied = at;
    this.durable = 0;
  }

  /** It has the content now: it counts. */
  confirm(): void {
    if (this.#standing === 'Joining') this.#standing = 'InStep';
    // It knows where it is now, also if nothing was written meanwhile.
    this.#joins = false;
    this.#events.onProgress();
  }

  leave(problem: TransshipError): void {
    if (this.#standing === 'Out') return;
    this.#generation++;
    this.#standing = 'Out';
    this.#problem = problem;
    this.#queue = [];
    this.#oldestMs = [];
    this.#queuedBytes = 0;
    this.#events.onOut(this, problem);
  }

  /** Another reason why it stays out. */
  blame(problem: TransshipError): void {
    if (this.#standing === 'Out') this.#problem = problem;
  }

  push(batch: Batch): void {
    if (this.#standing === 'Out') return;
    this.#queue.push(batch);
    this.#oldestMs.push(batch.atMs);
    this.#queuedBytes += batch.bytes;
    this.#pump();
  }

  /** Everything up to `target` is to become durable there; `onProgress` tells when. */
  flushTo(target: number): void {
    this.#flushTarget = Math.max(this.#flushTarget, target);
    if (!this.#flushing && this.#standing === 'InStep') void this.#flush();
  }

  async #flush(): Promise<void> {
    const generation = this.#generation;
    this.#flushing = true;
    try {
      while (this.durable < this.#flushTarget) {
        const target = this.#flushTarget;
        await this.port.flush(this.#term, target);
        if (generation !== this.#generation) return;
        this.durable = Math.max(this.durable, target);
        this.#events.onProgress();
      }
      this.#flushing = false;
    } catch (error) {
      if (generation === this.#generation) this.leave(asTransshipError(error));
    }
  }

  #pump(): void {
    // What joins must be known there before anything that comes behind it.
    const most = this.port.isLocal || this.#joins ? 1 : requestsMax;
    while (this.#queue.length > 0 && this.#onWay < most && this.#full === undefined) {
      const count = this.#gather();
      const parts = this.#queue.splice(0, count);
      this.#send(parts);
      if (this.#standing === 'Out') return;
    }
  }

  /** How many batches fit one request, which numbers its writes one after another; at least one. */
  #gather(): number {
    let bytes = 0;
    let records = 0;
    let count = 0;
    const first = this.#queue[0]?.first ?? 0;
    for (const batch of this.#queue) {
      // Between one that was refused and what came since, others may be on their way.
      if (batch.first !== first + records) break;
      bytes += batch.bytes;
      records += batch.records.length;
      if (count > 0 && (bytes > requestBytes || records > recordsMax)) break;
      count++;
    }
    return count;
  }

  #send(parts: readonly Batch[]): void {
    const first = parts[0]!;
    const records = parts.length === 1 ? first.records : parts.flatMap((one) => one.records);
    const batch: WriteBatch = { first: first.first, records, joins: this.#joins };
    const generation = this.#generation;
    this.#onWay++;
    try {
      const wait = this.port.write(this.#term, batch);
      if (wait === undefined) {
        this.#confirmed(parts, generation);
        return;
      }
      wait.then(
        () => {
          this.#confirmed(parts, generation);
          if (generation === this.#generation) this.#pump();
        },
        (error: unknown) => this.#failed(error, parts, generation),
      );
    } catch (error) {
      this.#failed(error, parts, generation);
    }
  }

  #confirmed(parts: readonly Batch[], generation: number): void {
    if (generation !== this.#generation) return;
    this.#onWay--;
    this.#joins = false;
    this.#oldestMs.splice(0, parts.length);
    for (const { first, records, bytes } of parts) {
      this.#queuedBytes -= bytes;
      this.applied = Math.max(this.applied, first + records.length - 1);
    }
    this.#events.onProgress();
  }

  #failed(error: unknown, parts: readonly Batch[], generation: number): void {
    if (generation !== this.#generation) return;
    const problem = asTransshipError(error);
    if (problem.reason !== 'ReadOnly' || this.#standing !== 'InStep') {
      this.leave(problem);
      return;
    }
    this.#onWay--;
    this.#queue = [...parts, ...this.#queue].sort((a, b) => a.first - b.first);
    if (this.#full !== undefined) return;
    this.#full = problem;
    this.#clock.after(fullMs, () => {
      if (generation !== this.#generation) return;
      this.#full = undefined;
      this.#pump();
    });
  }
}
