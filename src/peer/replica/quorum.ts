/**
 * The numbered writes of a leader, and what of them a majority of the voters has: acknowledged when
 * applied there, durable when synced there (design.md 4.6).
 */
import { TransshipError } from '../../base/errors.ts';
import type { Clock, Timer } from '../../base/ports.ts';
import { sleep } from '../../base/sleep.ts';
import type { SectorRecord } from '../../volume/replica-types.ts';
import type { Configuration, Term } from '../../volume/replica-types.ts';
import type { ReplicaPort } from './api.ts';
import { majorityOf } from './configuration.ts';
import { type Batch, MemberStream } from './member-stream.ts';
import { Waiters } from './waiters.ts';

const tickMs = 250;
/** A replica that others do not wait for may be so far behind. */
const lagMsMax = 3000;
const lagBytesMax = 32 * 1024 * 1024;
/** Writes that can be sent again to a replica that was away for a moment. */
const windowBytesMax = 16 * 1024 * 1024;
/** I/O waits so long for a majority before it fails. */
export const quorumMs = 30_000;

export interface QuorumOptions {
  readonly clock: Clock;
  readonly volume: string;
  readonly term: Term;
  readonly configuration: Configuration;
  /** The last write before this epoch. */
  readonly sequence: number;
  readonly onOut: (stream: MemberStream, problem: TransshipError) => void;
  /** Somebody else leads: nothing works any more. */
  readonly onFenced: (problem: TransshipError) => void;
}

export class Quorum {
  readonly term: Term;
  readonly #o: QuorumOptions;
  readonly #streams = new Map<string, MemberStream>();
  readonly #writes = new Waiters();
  readonly #flushes = new Waiters();
  #configuration: Configuration;
  #sequence: number;
  #acked: number;
  #durable = 0;
  #corks = 0;
  #records: SectorRecord[] = [];
  #bytes = 0;
  #window: Batch[] = [];
  #windowBytes = 0;
  #stopped: TransshipError | undefined;
  #timer: Timer | undefined;
  #established = false;

  constructor(options: QuorumOptions) {
    this.#o = options;
    this.term = options.term;
    this.#configuration = options.configuration;
    this.#sequence = options.sequence;
    this.#acked = options.sequence;
    this.#tick();
  }

  get sequence(): number {
    return this.#sequence;
  }
  get acked(): number {
    return this.#acked;
  }
  /** The oldest write that can be sent again. */
  get windowFrom(): number {
    return this.#window[0]?.first ?? this.#nextBatch;
  }
  get configuration(): Configuration {
    return this.#configuration;
  }
  get stopped(): TransshipError | undefined {
    return this.#stopped;
  }
  /** A majority has had everything of this epoch once: reads mean something. */
  get isEstablished(): boolean {
    return this.#established;
  }
  get quorum(): number {
    return majorityOf(this.#configuration.voters.length);
  }
  get hasQuorum(): boolean {
    return this.#voters().length >= this.quorum;
  }

  configure(configuration: Configuration): void {
    this.#configuration = configuration;
    this.#settle();
  }

  stream(agent: string): MemberStream | undefined {
    return this.#streams.get(agent);
  }

  streams(): readonly MemberStream[] {
    return [...this.#streams.values()];
  }

  /** Those that have the content and get every write. */
  inStep(): readonly MemberStream[] {
    return this.streams().filter(({ standing }) => standing === 'InStep');
  }

  /** Of the replica in this process, when it has the content and gets every write. */
  inStepHere(): MemberStream | undefined {
    return this.inStep().find(({ port }) => port.isLocal);
  }

  /** False when the replica here went out of step before it had everything up to `sequence`. */
  async reachedHere(sequence: number): Promise<boolean> {
    const here = this.inStepHere();
    while (here !== undefined && here.applied < sequence) {
      this.usable();
      await sleep(this.#o.clock, 5);
      if (this.inStepHere() !== here) return false;
    }
    return here !== undefined;
  }

  /** A member, out of step until it is started. */
  add(port: ReplicaPort): MemberStream {
    const stream = new MemberStream(port, this.term, this.#o.clock, {
      onProgress: () => this.#settle(),
      onOut: (one, problem) => this.#onOut(one, problem),
    });
    this.#streams.set(port.member.agent, stream);
    return stream;
  }

  remove(agent: string): void {
    const stream = this.#streams.get(agent);
    this.#streams.delete(agent);
    stream?.leave(new TransshipError('NotFound', `${agent} has no replica any more`));
    this.#settle();
  }

  /** It has everything up to `at`; what was written since is sent again. */
  resume(stream: MemberStream, at: number): void {
    this.#dispatch();
    stream.start(at, 'InStep');
    for (const batch of this.#window) {
      if (batch.first + batch.records.length - 1 > at) stream.push(batch);
    }
    this.#settle();
  }

  /** From the next write on it gets every one. */
  join(stream: MemberStream): void {
    this.#dispatch();
    stream.start(this.#sequence, 'Joining');
  }

  /** Undefined when it is acknowledged at once. */
  submit(record: SectorRecord): undefined | Promise<void> {
    this.usable();
    this.checkSpace();
    this.#sequence++;
    this.#records.push(record);
    this.#bytes += record.data?.length ?? 0;
    const sequence = this.#sequence;
    if (this.#corks === 0) this.#dispatch();
    return this.whenAcked(sequence);
  }

  whenAcked(sequence: number): undefined | Promise<void> {
    if (this.#acked >= sequence) return undefined;
    // Nobody would ever tell who begins to wait after the end.
    this.usable();
    return this.#writes.add(sequence, this.#o.clock.monotonicMs());
  }

  /** Everything numbered so far is acknowledged when it resolves. */
  async settled(): Promise<number> {
    this.#dispatch();
    const sequence = this.#sequence;
    await this.whenAcked(sequence);
    return sequence;
  }

  async flush(): Promise<void> {
    this.usable();
    // Whatever was acknowledged before this call; a majority has it, and must make it durable.
    const target = this.#acked;
    if (this.#durable >= target) return;
    const done = this.#flushes.add(target, this.#o.clock.monotonicMs());
    for (const stream of this.#streams.values()) stream.flushTo(target);
    await done;
  }

  cork(): void {
    this.#corks++;
  }

  uncork(): void {
    this.#corks--;
    if (this.#corks === 0) this.#dispatch();
  }

  /** Near before far; never one that lacks what was acknowledged. */
  reader(except?: ReadonlySet<MemberStream>): MemberStream | undefined {
    let found: MemberStream | undefined;
    if (!this.#established) return undefined;
    for (const stream of this.#streams.values()) {
      if (stream.standing !== 'InStep' || stream.applied < this.#acked) continue;
      if (except?.has(stream) === true) continue;
      if (stream.port.isLocal) return stream;
      found ??= stream;
    }
    return found;
  }

  /** All in step have everything up to here; who is late by more than `waitMs` goes out of step. */
  async allApplied(sequence: number, waitMs: number): Promise<void> {
    const late = () => this.inStep().filter(({ applied }) => applied < sequence);
    const until = this.#o.clock.monotonicMs() + waitMs;
    while (late().length > 0 && this.#o.clock.monotonicMs() < until) await sleep(this.#o.clock, 5);
    for (const stream of late()) {
      stream.leave(new TransshipError('TimedOut', `${stream.port.member.agent} fell behind`));
    }
    this.usable();
  }

  stop(error: TransshipError): void {
    if (this.#stopped !== undefined) return;
    this.#stopped = error;
    this.#timer?.cancel();
    this.#writes.fail(error);
    this.#flushes.fail(error);
    for (const stream of this.#streams.values()) stream.leave(error);
  }

  usable(): void {
    if (this.#stopped !== undefined) throw this.#stopped;
  }

  noQuorum(): TransshipError {
    const away = this.#configuration.voters.filter(
      ({ agent }) => this.#streams.get(agent)?.standing !== 'InStep',
    );
    const names = away.map(({ agent, pool }) => `${agent}/${pool}`).join(', ');
    const { volume } = this.#o;
    return new TransshipError('QuorumLost', `volume ${volume} waits for its replicas ${names}`);
  }

  get #nextBatch(): number {
    return this.#sequence - this.#records.length + 1;
  }

  /** What arrived together goes out together. */
  #dispatch(): void {
    if (this.#records.length === 0) return;
    const records = this.#records;
    const first = this.#nextBatch;
    const atMs = this.#o.clock.monotonicMs();
    const batch: Batch = { first, records, bytes: this.#bytes, atMs };
    this.#records = [];
    this.#bytes = 0;
    this.#remember(batch);
    for (const stream of this.#streams.values()) stream.push(batch);
    this.#dropLate(false);
  }

  #remember(batch: Batch): void {
    this.#window.push(batch);
    this.#windowBytes += batch.bytes + batch.records.length * 64;
    while (this.#windowBytes > windowBytesMax) {
      const oldest = this.#window.shift();
      if (oldest === undefined) break;
      this.#windowBytes -= oldest.bytes + oldest.records.length * 64;
    }
  }

  #voters(): MemberStream[] {
    return this.#configuration.voters.flatMap(({ agent }) => {
      const stream = this.#streams.get(agent);
      return stream?.standing === 'InStep' ? [stream] : [];
    });
  }

  #settle(): void {
    const voters = this.#voters();
    const { quorum } = this;
    if (voters.length < quorum) return;
    this.#established = true;
    const nth = (pick: (stream: MemberStream) => number): number =>
      voters.map(pick).sort((a, b) => b - a)[quorum - 1] ?? 0;
    this.#acked = Math.max(
      this.#acked,
      nth(({ applied }) => applied),
    );
    this.#durable = Math.max(
      this.#durable,
      Math.min(
        this.#acked,
        nth(({ durable }) => durable),
      ),
    );
    this.#writes.reached(this.#acked);
    this.#flushes.reached(this.#durable);
    if (this.#flushes.isEmpty) return;
    // Who came into step since was not asked.
    for (const stream of voters) stream.flushTo(this.#flushes.last);
  }

  #onOut(stream: MemberStream, problem: TransshipError): void {
    if (this.#stopped !== undefined) return;
    if (problem.reason === 'Fenced') {
      this.stop(problem);
      this.#o.onFenced(problem);
      return;
    }
    this.#o.onOut(stream, problem);
    this.#settle();
  }

  #tick(): void {
    if (this.#stopped !== undefined) return;
    this.#dropLate(true);
    const before = this.#o.clock.monotonicMs() - quorumMs;
    const error = () =>
      this.#voters().find(({ full }) => full !== undefined)?.full ?? this.noQuorum();
    this.#writes.expire(before, error);
    this.#flushes.expire(before, error);
    this.#timer = this.#o.clock.after(tickMs, () => this.#tick());
  }

  /** A write that must wait for somebody to make space fails at once, as on any full disk. */
  checkSpace(): void {
    const voters = this.#voters();
    const full = voters.flatMap((stream) => stream.full ?? []);
    const [first] = full;
    if (first !== undefined && voters.length - full.length < this.quorum) throw first;
  }

  /** Who is far behind while the others suffice must not take memory without end. */
  #dropLate(byTime: boolean): void {
    for (const stream of this.#streams.values()) {
      if (stream.standing === 'Out') continue;
      const isFar = stream.queuedBytes > lagBytesMax || (byTime && stream.lagMs > lagMsMax);
      if (!isFar || (this.#acked <= stream.applied && stream.standing === 'InStep')) continue;
      stream.leave(new TransshipError('TimedOut', `${stream.port.member.agent} fell behind`));
    }
  }
}
