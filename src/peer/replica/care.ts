/**
 * Looks after one member of a set that is led here: finds out what it has, and brings it into step,
 * again and again until it is.
 */
import { asTransshipError, fail, TransshipError } from '../../base/errors.ts';
import type { Clock } from '../../base/ports.ts';
import type { Member } from '../../volume/replica-types.ts';
import type { RebuildLimits, ReplicaPort, ReplicaStatus } from './api.ts';
import { compareStamps } from './configuration.ts';
import { compareMarks, decide, type Verdict } from './decide.ts';
import type { Elected } from './election.ts';
import type { SetEvent } from './events.ts';
import type { Leader } from './leader.ts';
import type { MemberStream } from './member-stream.ts';
import { rebuild } from './rebuild.ts';
import type { Slots } from './slots.ts';

const againMs = 1000;
const againMsMax = 10_000;
/** A replica in step whose agent answers nothing for so long does not count, also while nothing is
 * written: longer than a link takes to come back, shorter than a write to it may wait. */
const silentMs = 10_000;

/** What the carers of one set share. */
export interface CareOptions {
  readonly clock: Clock;
  readonly volume: string;
  readonly elected: Elected;
  readonly leader: Leader;
  /** Rebuilds of this agent. */
  readonly slots: Slots;
  /** Voters whose agents answer and have nothing any more. */
  readonly lost: Set<string>;
  /** Missed a snapshot, resize or policy: their marks do not tell. */
  readonly missed: Set<string>;
  /** Snapshots, resizes and policies of this epoch. */
  readonly points: () => number;
  readonly limits: () => RebuildLimits;
  /** Nothing is known to be damaged in the replica of this agent. */
  readonly isSound: (agent: string) => boolean;
  readonly newLease: () => string;
  /** A version sealed for a rebuild that its replica could not be told to let go. */
  readonly onHeld: (port: ReplicaPort, leaseId: string) => void;
  readonly tell: (kind: SetEvent['kind'], member: Member | undefined, note: string) => void;
}

export class MemberCare {
  readonly #o: CareOptions;
  readonly #stream: MemberStream;
  status: ReplicaStatus | undefined;
  rebuilding: 'new' | 'difference' | undefined;
  #busy = false;
  #nextMs = 0;
  #failures = 0;
  /** When the first of the looks that nobody answered was sent. */
  #silentSinceMs: number | undefined;

  constructor(options: CareOptions, stream: MemberStream) {
    this.#o = options;
    this.#stream = stream;
  }

  get #member(): Member {
    return this.#stream.port.member;
  }

  /** Not before so many milliseconds from now. */
  wait(ms: number): void {
    this.#nextMs = Math.max(this.#nextMs, this.#o.clock.monotonicMs() + ms);
  }

  /** Whatever kept it from trying again is over. */
  hurry(): void {
    this.#nextMs = 0;
  }

  round(nowMs: number): void {
    const isDue = this.#stream.standing === 'Out' && !this.#busy && nowMs >= this.#nextMs;
    if (isDue) void this.#bring();
  }

  /** What views show of one in step; and whether it still obeys, while nothing is written. */
  async look(): Promise<void> {
    if (this.#stream.standing !== 'InStep') return;
    const askedMs = this.#o.clock.monotonicMs();
    try {
      const known = this.#stream.applied;
      const status = await this.#stream.port.state();
      this.#silentSinceMs = undefined;
      this.status = status ?? this.status;
      const { term } = this.#o.leader.quorum;
      // Its agent started again between two requests, without what was not durable yet.
      if (status === undefined || compareMarks(status.mark, { ...term, sequence: known }) < 0) {
        const { agent } = this.#member;
        this.#stream.leave(new TransshipError('Conflict', `${agent} has lost its last writes`));
      }
      if (status !== undefined) this.#checkDamage(status);
      if (status === undefined || status.promised.epoch <= term.epoch) return;
      const { leader, epoch } = status.promised;
      const by = `volume ${this.#o.volume} is led by ${leader} now, in epoch ${epoch}`;
      this.#stream.leave(new TransshipError('Fenced', by));
    } catch (error) {
      this.#unheard(asTransshipError(error), askedMs);
    }
  }

  /** It is rebuilt, as long as that loses nothing. */
  #checkDamage({ damage }: ReplicaStatus): void {
    if (damage === '' || !this.#hasTwin) return;
    this.#stream.leave(new TransshipError('DataCorrupt', damage));
  }

  /** Another replica has everything acknowledged, and can read it. */
  get #hasTwin(): boolean {
    const { leader, isSound } = this.#o;
    return leader.quorum.streams().some((one) => {
      const isWhole = one.standing === 'InStep' && one.applied >= leader.quorum.acked;
      return one !== this.#stream && isWhole && isSound(one.port.member.agent);
    });
  }

  /** Writes would notice by themselves; without any, a dead replica would pass for a whole one. */
  #unheard(problem: TransshipError, askedMs: number): void {
    this.#silentSinceMs ??= askedMs;
    if (this.#o.clock.monotonicMs() - this.#silentSinceMs < silentMs) return;
    this.#silentSinceMs = undefined;
    this.#stream.leave(problem);
  }

  inStep(at: number, status: ReplicaStatus): void {
    const { quorum } = this.#o.leader;
    this.status = status;
    if (quorum.stream(this.#member.agent) !== this.#stream) return;
    quorum.resume(this.#stream, at);
    this.#o.tell('ReplicaHealthy', this.#member, `replica ${nameOf(this.#member)} is healthy`);
  }

  async #bring(): Promise<void> {
    const { quorum } = this.#o.leader;
    this.#busy = true;
    try {
      await this.#bringNow();
      this.#failures = 0;
    } catch (error) {
      const problem = asTransshipError(error);
      this.#stream.blame(problem);
      if (problem.reason === 'Fenced') {
        quorum.stop(problem);
        this.#o.tell('Fenced', undefined, problem.message);
      }
      const pauseMs = Math.min(againMsMax, againMs * 2 ** Math.min(this.#failures++, 4));
      this.wait(pauseMs);
    } finally {
      this.#busy = false;
      this.rebuilding = undefined;
    }
  }

  async #bringNow(): Promise<void> {
    const { port } = this.#stream;
    const { lost, volume, elected, leader } = this.#o;
    const { quorum } = leader;
    const { agent } = port.member;
    let status = await port.state();
    if (status !== undefined && status.set === elected.set) {
      if (status.promised.term !== quorum.term.term) status = await port.promise(quorum.term);
      lost.delete(agent);
    }
    this.status = status;
    if (status !== undefined && status.problem !== '') fail('PoolFull', status.problem);
    const verdict = this.#judge(status);
    switch (verdict.kind) {
      case 'nothing':
      case 'resend':
      case 'adopt':
        return this.#takeBack(status!);
      case 'difference':
      case 'fromNothing':
        return this.#rebuild();
      case 'lost':
        lost.add(agent);
        return fail('NotFound', `${agent} lost its replica: it is taken out and made anew`);
      case 'stranger':
        return fail('Conflict', `${agent} has another volume ${volume}: delete it there`);
      case 'ineligible':
        return fail('Conflict', `${agent} is no member`);
      case 'fenced':
        return fail('Fenced', `volume is led by ${status?.promised.leader ?? 'another agent'} now`);
    }
  }

  #judge(status: ReplicaStatus | undefined): Verdict {
    const { quorum } = this.#o.leader;
    const { set, chosen } = this.#o.elected;
    const { agent } = this.#member;
    const { term, sequence, windowFrom, configuration } = quorum;
    const knowledge = { set, term, chosen, sequence, windowFrom, configuration };
    const verdict = decide(agent, status, knowledge);
    const isNear = ['nothing', 'resend', 'adopt'].includes(verdict.kind);
    const isSame = status !== undefined && this.#isAlike(status);
    return isNear && !isSame ? { kind: 'difference' } : verdict;
  }

  /** The mark says nothing of snapshots, size and policy. */
  #isAlike(status: ReplicaStatus): boolean {
    if (this.#o.missed.has(this.#member.agent)) return false;
    if (status.damage !== '' && this.#hasTwin) return false;
    if (status.mark.epoch === this.#o.leader.quorum.term.epoch) return true;
    return this.#o.points() === 0 && factsOf(status) === factsOf(this.#o.elected.status);
  }

  async #takeBack(status: ReplicaStatus): Promise<void> {
    const { leader, elected } = this.#o;
    const { quorum } = leader;
    const { port } = this.#stream;
    let now = status;
    if (now.mark.epoch !== quorum.term.epoch) {
      now = await port.adopt(quorum.term, elected.chosen, quorum.configuration);
    } else if (compareStamps(now.configuration, quorum.configuration) < 0) {
      now = await port.configure(quorum.term, quorum.configuration, now.mark.sequence);
    }
    this.status = now;
    // Time has passed since it was judged.
    if (this.#judge(now).kind === 'difference') return this.#rebuild();
    return this.inStep(now.mark.sequence, now);
  }

  async #rebuild(): Promise<void> {
    const { clock, slots, leader, limits, points, missed, newLease, onHeld, tell } = this.#o;
    const { quorum } = leader;
    const member = this.#member;
    const isNew = this.status === undefined;
    await slots.run(async () => {
      quorum.usable();
      if (quorum.stream(member.agent) !== this.#stream) return;
      this.rebuilding = isNew ? 'new' : 'difference';
      tell('ReplicaRebuilding', member, `replica ${nameOf(member)} is being rebuilt`);
      await rebuild({
        clock,
        quorum,
        stream: this.#stream,
        create: isNew ? () => this.#creation() : undefined,
        limits,
        points,
        newLease,
        onHeld,
        onStatus: (status) => {
          this.status = status;
          if (status.fill?.fromNothing === true) this.rebuilding = 'new';
        },
      });
      missed.delete(member.agent);
      tell('ReplicaHealthy', member, `replica ${nameOf(member)} is healthy`);
    });
  }

  #creation() {
    const { elected, leader } = this.#o;
    const { sizeBytes, blockSizeBytes: blockBytes } = leader;
    const { configuration } = leader.quorum;
    const { policy } = elected.status;
    const phase = 'Receiving' as const;
    return { set: elected.set, sizeBytes, blockBytes, policy, configuration, phase };
  }
}

export function nameOf({ agent, pool }: Member): string {
  return `${agent}/${pool}`;
}

function factsOf({ sizeBytes, policy, snapshots }: ReplicaStatus): string {
  const kept = snapshots.map(({ name, root }) => `${name} ${root}`);
  return JSON.stringify([sizeBytes, policy, kept.toSorted()]);
}
