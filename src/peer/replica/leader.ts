/**
 * The one writer of a replicated volume, as a block device: whole sectors go to the quorum, reads
 * come from a replica that has everything acknowledged (design.md 4.6). Who is in step and who is a
 * voter is decided in `led-set.ts`.
 */
import { asTransshipError, fail, TransshipError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { BlockDevice, Extent } from '../../base/ports.ts';
import { sleep } from '../../base/sleep.ts';
import type { VolumeApi } from '../../volume/api.ts';
import type { SectorRecord } from '../../volume/replica-types.ts';
import type { Member } from '../../volume/replica-types.ts';
import type { MemberStream } from './member-stream.ts';
import { Quorum, quorumMs, type QuorumOptions } from './quorum.ts';
import { Ragged } from './ragged.ts';

const { sectorBytes } = limits;
const lookAgainMs = 20;
/** A larger write is several: one record has to fit what other agents take in one request. */
const recordBytesMax = 1024 * 1024;

export interface LeaderOptions extends QuorumOptions {
  readonly sizeBytes: number;
  readonly blockBytes: number;
  /** The replica in this process, when there is one. */
  readonly local: () => VolumeApi | undefined;
  /** A read was answered by another replica than the one that should. */
  readonly onReadElsewhere: (member: Member, problem: TransshipError) => void;
}

export class Leader implements BlockDevice {
  readonly quorum: Quorum;
  readonly #o: LeaderOptions;
  readonly #ragged = new Ragged();
  #hold: Promise<void> | undefined;
  #lastUseMs = Number.NEGATIVE_INFINITY;
  sizeBytes: number;

  constructor(options: LeaderOptions) {
    this.#o = options;
    this.quorum = new Quorum(options);
    this.sizeBytes = options.sizeBytes;
  }

  get blockSizeBytes(): number {
    return this.#o.blockBytes;
  }
  get readOnly(): boolean {
    return false;
  }
  /** Read or written within the last second. */
  get isBusy(): boolean {
    return this.#o.clock.monotonicMs() - this.#lastUseMs < 1000;
  }

  read(into: Uint8Array, offset: number): undefined | Promise<void> {
    this.#check(offset, into.length);
    this.#lastUseMs = this.#o.clock.monotonicMs();
    const { quorum } = this;
    const stream = quorum.reader();
    if (stream === undefined) return this.#readLater(into, offset);
    try {
      const wait = stream.port.read(quorum.term, { into, offset, sequence: quorum.acked });
      return wait?.catch((error: unknown) => this.#readElsewhere(into, offset, stream, error));
    } catch (error) {
      return this.#readElsewhere(into, offset, stream, error);
    }
  }

  write(from: Uint8Array, offset: number): undefined | Promise<void> {
    this.#check(offset, from.length);
    if (from.length === 0) return undefined;
    // The caller's bytes change after this call; all replicas share one copy.
    const own = new Uint8Array(from);
    if (own.length <= recordBytesMax) return this.#writeOwn(own, offset);
    const parts: (() => undefined | Promise<void>)[] = [];
    for (let at = 0; at < own.length; ) {
      // Cut between sectors: the halves of one would wait for each other.
      const cut = Math.floor((offset + at + recordBytesMax) / sectorBytes) * sectorBytes - offset;
      const [start, end] = [at, Math.min(own.length, cut)];
      parts.push(() => this.#writeOwn(own.subarray(start, end), offset + start));
      at = end;
    }
    return allOf(parts);
  }

  writeZeroes(offset: number, lengthBytes: number): undefined | Promise<void> {
    this.#check(offset, lengthBytes);
    if (lengthBytes === 0) return undefined;
    const end = offset + lengthBytes;
    const first = Math.ceil(offset / sectorBytes);
    const isEnd = end === this.sizeBytes;
    const last = isEnd ? Math.ceil(end / sectorBytes) : Math.floor(end / sectorBytes);
    if (last <= first) return this.#writeOwn(new Uint8Array(lengthBytes), offset);
    const parts: (() => undefined | Promise<void>)[] = [];
    const before = first * sectorBytes - offset;
    if (before > 0) parts.push(() => this.#writeOwn(new Uint8Array(before), offset));
    const behind = isEnd ? 0 : end - last * sectorBytes;
    if (behind > 0) parts.push(() => this.#writeOwn(new Uint8Array(behind), end - behind));
    const zero = { firstSector: first, sectors: last - first, data: undefined };
    parts.push(() => this.#submitWhenFree(zero));
    return allOf(parts);
  }

  flush(): Promise<void> {
    return this.quorum.flush();
  }

  async prefetch(offset: number, lengthBytes: number): Promise<void> {
    this.quorum.usable();
    await this.#localInStep()?.prefetch(offset, lengthBytes);
  }

  async extents(offset: number, lengthBytes: number): Promise<readonly Extent[]> {
    this.#check(offset, lengthBytes);
    const local = this.#localInStep();
    if (local !== undefined) return local.extents(offset, lengthBytes);
    return [{ lengthBytes, hole: false }];
  }

  cork(): void {
    this.quorum.cork();
  }
  uncork(): void {
    this.quorum.uncork();
  }

  /**
   * Runs `work` between two writes: everything numbered is acknowledged and applied by all in step,
   * and new writes wait until it is done. Who is late by more than `waitMs` goes out of step.
   */
  async between<T>(waitMs: number, work: (sequence: number) => Promise<T>): Promise<T> {
    while (this.#hold !== undefined) await this.#hold;
    const { quorum } = this;
    quorum.usable();
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#hold = promise;
    try {
      const sequence = await quorum.settled();
      await quorum.allApplied(sequence, waitMs);
      return await work(sequence);
    } finally {
      this.#hold = undefined;
      resolve();
    }
  }

  #writeOwn(data: Uint8Array, offset: number): undefined | Promise<void> {
    if (this.#hold !== undefined) return this.#hold.then(() => this.#writeOwn(data, offset));
    this.quorum.usable();
    this.#lastUseMs = this.#o.clock.monotonicMs();
    const isWhole = offset % sectorBytes === 0 && data.length % sectorBytes === 0;
    if (!isWhole) return this.#ragged.run(offset, data.length, () => this.#fillUp(data, offset));
    const sectors = data.length / sectorBytes;
    return this.#submitWhenFree({ firstSector: offset / sectorBytes, sectors, data });
  }

  #submitWhenFree(record: SectorRecord): undefined | Promise<void> {
    const offset = record.firstSector * sectorBytes;
    const busy = this.#ragged.over(offset, record.sectors * sectorBytes) ?? this.#hold;
    if (busy !== undefined) return busy.then(() => this.#submitWhenFree(record));
    return this.quorum.submit(record);
  }

  /** Reads what surrounds the bytes in their sectors: replicas know whole sectors only. */
  async #fillUp(data: Uint8Array, offset: number): Promise<void> {
    const start = Math.floor(offset / sectorBytes) * sectorBytes;
    const end = Math.ceil((offset + data.length) / sectorBytes) * sectorBytes;
    // What was numbered before may itself wait for space.
    this.quorum.checkSpace();
    // Every write that was numbered before is read; none to these sectors is numbered meanwhile.
    await this.quorum.settled();
    const whole = new Uint8Array(end - start);
    await this.read(whole.subarray(0, Math.min(end, this.sizeBytes) - start), start);
    while (this.#hold !== undefined) await this.#hold;
    whole.set(data, offset - start);
    const sectors = whole.length / sectorBytes;
    await this.quorum.submit({ firstSector: start / sectorBytes, sectors, data: whole });
  }

  #localInStep(): VolumeApi | undefined {
    return this.quorum.reader()?.port.isLocal === true ? this.#o.local() : undefined;
  }

  async #readElsewhere(
    into: Uint8Array,
    offset: number,
    from: MemberStream,
    cause: unknown,
  ): Promise<void> {
    const { quorum } = this;
    const tried = new Set([from]);
    let problem = cause;
    for (let next = quorum.reader(tried); next !== undefined; next = quorum.reader(tried)) {
      if (problem instanceof TransshipError && problem.reason === 'Fenced') from.leave(problem);
      quorum.usable();
      tried.add(next);
      try {
        await next.port.read(quorum.term, { into, offset, sequence: quorum.acked });
        if (cause instanceof TransshipError) this.#o.onReadElsewhere(from.port.member, cause);
        return;
      } catch (error) {
        problem = error;
      }
    }
    throw problem;
  }

  /** No replica can answer now; one will, or the time is over. */
  async #readLater(into: Uint8Array, offset: number): Promise<void> {
    const { clock } = this.#o;
    const until = clock.monotonicMs() + quorumMs;
    while (this.quorum.reader() === undefined) {
      this.quorum.usable();
      if (clock.monotonicMs() > until) throw this.quorum.noQuorum();
      await sleep(clock, lookAgainMs);
    }
    await this.read(into, offset);
  }

  #check(offset: number, lengthBytes: number): void {
    this.quorum.usable();
    if (offset >= 0 && offset + lengthBytes <= this.sizeBytes) return;
    fail('BadArgument', `${offset}+${lengthBytes} is past the end (${this.sizeBytes} bytes)`);
  }
}

/** Each begins, and what one throws is told after all have ended: none rejects unheard. */
function allOf(parts: readonly (() => undefined | Promise<void>)[]): undefined | Promise<void> {
  const waits = parts.map((part) => {
    try {
      return part();
    } catch (error) {
      return Promise.reject(asTransshipError(error));
    }
  });
  const left = waits.filter((one) => one !== undefined);
  return left.length === 0 ? undefined : Promise.all(left).then(() => undefined);
}
