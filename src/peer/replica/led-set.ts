/**
 * A replicated volume that this agent leads: keeps its replicas in step, rebuilds those that are
 * not, and makes the members those that are wanted, one change at a time.
 */
import { asTransshipError, TransshipError } from '../../base/errors.ts';
import type { Clock, Log, Timer } from '../../base/ports.ts';
import type { VolumeApi } from '../../volume/api.ts';
import type { Configuration, Member } from '../../volume/replica-types.ts';
import type { PointOperation, ReplicaPort, ReplicaStatus } from './api.ts';
import { type CareOptions, MemberCare, nameOf } from './care.ts';
import { compareStamps, isChanged, isMajority, nextStep, type Step } from './configuration.ts';
import type { Elected } from './election.ts';
import type { SetEvent } from './events.ts';
import { Leader } from './leader.ts';
import { Leftovers } from './leftovers.ts';
import type { MemberStream } from './member-stream.ts';
import { most } from './most.ts';
import { atAll } from './point.ts';
import type { Slots } from './slots.ts';

const roundMs = 250;
const lookMs = 2000;
/** How long writes may wait for a slow replica at a snapshot. */
const pointWaitMs = 500;
/** Of the time, for a rebuild while the application works. */
const politeShare = 0.25;

export interface LedSetOptions {
  readonly clock: Clock;
  readonly log: Log;
  readonly volume: string;
  readonly elected: Elected;
  readonly wanted: readonly Member[];
  readonly rebuildBytesPerSecond: number | undefined;
  readonly port: (member: Member) => ReplicaPort;
  readonly local: () => VolumeApi | undefined;
  /** What has a replica in this process, member of the set or not. */
  readonly here: () => Member | undefined;
  /** Rebuilds of this agent. */
  readonly slots: Slots;
  readonly onEvent: (event: SetEvent) => void;
}

export class LedSet {
  readonly leader: Leader;
  readonly #o: LedSetOptions;
  readonly #care = new Map<string, MemberCare>();
  readonly #careOptions: CareOptions;
  readonly #lost = new Set<string>();
  /** Missed a snapshot, resize or policy: its mark does not tell. */
  readonly #missed = new Set<string>();
  readonly #leftovers: Leftovers;
  #wanted: readonly Member[];
  #bytesPerSecond: number | undefined;
  #proposed: Configuration;
  #blocker: string | undefined;
  #points = 0;
  #leases = 0;
  #timer: Timer | undefined;
  #changing = false;
  #lookedMs = 0;
  #isOver = false;

  constructor(options: LedSetOptions) {
    this.#o = options;
    this.#wanted = options.wanted;
    this.#bytesPerSecond = options.rebuildBytesPerSecond;
    const { term, configuration, chosen, status } = options.elected;
    this.#proposed = configuration;
    this.leader = new Leader({
      ...options,
      term,
      configuration,
      sequence: chosen.sequence,
      sizeBytes: status.sizeBytes,
      blockBytes: status.blockBytes,
      onOut: (stream, problem) => this.#onOut(stream, problem),
      onFenced: (problem) => this.#tell('Fenced', undefined, problem.message),
      onReadElsewhere: (member, { message }) => this.#tell('ReadElsewhere', member, message),
    });
    const { quorum } = this.leader;
    this.#leftovers = new Leftovers({ ...options, set: options.elected.set, quorum });
    this.#careOptions = {
      ...options,
      leader: this.leader,
      lost: this.#lost,
      missed: this.#missed,
      points: () => this.#points,
      limits: () => this.#limits(),
      isSound: (agent) => this.#care.get(agent)?.status?.damage === '',
      newLease: () => this.#newLease(),
      onHeld: (port, leaseId) => this.#leftovers.hold(port, leaseId),
      tell: (kind, member, note) => this.#tell(kind, member, note),
    };
    for (const port of options.elected.former) {
      const { agent } = port.member;
      const isWanted = options.wanted.some((one) => one.agent === agent);
      if (!isWanted) this.#leftovers.leave(port);
    }
    for (const member of [...configuration.voters, ...configuration.learners]) this.#add(member);
    this.#care.get(status.member.agent)?.inStep(chosen.sequence, status);
    this.#tell('Leads', undefined, `${term.leader} leads volume ${options.volume} now`);
    this.#round();
  }

  get wanted(): readonly Member[] {
    return this.#wanted;
  }
  get blocker(): string | undefined {
    return this.#blocker;
  }
  get set(): string {
    return this.#o.elected.set;
  }
  get configuration(): Configuration {
    return this.leader.quorum.configuration;
  }

  /** Of the replica that the epoch began with. */
  get firstStatus(): ReplicaStatus {
    return this.#o.elected.status;
  }

  /** What the members said last, the one here as it is now. */
  statusOf(agent: string): ReplicaStatus | undefined {
    return this.#care.get(agent)?.status;
  }

  rebuildOf(agent: string): 'new' | 'difference' | undefined {
    return this.#care.get(agent)?.rebuilding;
  }

  /** The wish may change at any time; it is worked towards from where things are. */
  want(wanted: readonly Member[], bytesPerSecond: number | undefined): void {
    this.#wanted = wanted;
    this.#bytesPerSecond = bytesPerSecond;
    for (const care of this.#care.values()) care.hurry();
    this.#round();
  }

  /**
   * On all replicas in step at the same place between two writes. Resolves with what one of them
   * says; rejects when no majority could do it, and then none has done it for good.
   */
  async point(operation: PointOperation): Promise<ReplicaStatus> {
    const { quorum } = this.leader;
    // Most is settled before anybody has to wait.
    if (operation.kind === 'snapshot' || operation.kind === 'resize') await this.#settleAll();
    return this.leader.between(pointWaitMs, async (sequence) => {
      const { clock, elected } = this.#o;
      const nextPoint = () => elected.status.points + ++this.#points;
      this.#endRebuilds();
      const run = { clock, quorum, sequence, nextPoint, operation };
      const result = await atAll(run).finally(() => this.#endRebuilds());
      for (const [agent, status] of result.done) {
        const care = this.#care.get(agent);
        if (care !== undefined) care.status = status;
      }
      for (const stream of quorum.streams()) {
        const { agent } = stream.port.member;
        if (!result.done.has(agent)) this.#missed.add(agent);
      }
      if (operation.kind === 'resize') this.leader.sizeBytes = operation.sizeBytes;
      return result.status;
    });
  }

  /** What was sealed for them before is not what the others have now: they begin again. */
  #endRebuilds(): void {
    for (const stream of this.leader.quorum.streams()) {
      const why = 'a snapshot, resize or policy came meanwhile; the rebuild begins again';
      if (stream.standing === 'Joining') stream.leave(new TransshipError('Conflict', why));
    }
  }

  /**
   * The replica in this process, once it has everything that is acknowledged by now and a majority
   * said that nobody else leads: what is copied from it is what the volume holds. `NotAccessible`
   * while it is rebuilt, or when there is none here.
   */
  async replicaHere(): Promise<VolumeApi> {
    const { quorum } = this.leader;
    const { volume } = this.#o;
    await this.#confirm();
    const isHere = await quorum.reachedHere(await quorum.settled());
    const local = isHere ? this.#o.local() : undefined;
    if (local !== undefined) return local;
    const whole = quorum.inStep();
    const names = whole.map(({ port }) => nameOf(port.member)).join(', ');
    const where = names === '' ? 'no replica is whole now' : `whole replicas: ${names}`;
    throw new TransshipError('NotAccessible', `no whole replica of ${volume} here; ${where}`);
  }

  /** Who leads and was not told that another does would else answer with what was once. */
  async #confirm(): Promise<void> {
    const { quorum } = this.leader;
    const obeying = await most({
      clock: this.#o.clock,
      quorum,
      streams: quorum.inStep(),
      work: async ({ port }) => {
        const status = await port.state();
        if (status?.promised.term === quorum.term.term) return;
        throw new TransshipError('Fenced', `${port.member.agent} obeys another leader`);
      },
    });
    quorum.usable();
    if (!isMajority(this.configuration, obeying)) throw quorum.noQuorum();
  }

  /** Nobody may use it any more; what was acknowledged is where it is. */
  async yield(): Promise<void> {
    await this.leader.quorum.settled();
    await this.leader.flush();
    this.stop(new TransshipError('Stopping', `volume ${this.#o.volume} is not led here any more`));
  }

  stop(error: TransshipError): void {
    this.#isOver = true;
    this.#timer?.cancel();
    this.leader.quorum.stop(error);
  }

  /** Deletes every replica that can be reached. */
  async dropAll(): Promise<void> {
    const ports = this.leader.quorum.streams().map(({ port }) => port);
    const { term } = this.leader.quorum;
    this.stop(new TransshipError('NotFound', `volume ${this.#o.volume} was deleted`));
    const results = await Promise.allSettled(ports.map((port) => port.drop(term)));
    const failed = results.find((one) => one.status === 'rejected');
    if (failed !== undefined) throw asTransshipError(failed.reason);
  }

  #add(member: Member): void {
    const stream = this.leader.quorum.add(this.#o.port(member));
    this.#care.set(member.agent, new MemberCare(this.#careOptions, stream));
  }

  #round(): void {
    this.#timer?.cancel();
    const { quorum } = this.leader;
    if (this.#isOver || quorum.stopped !== undefined) return;
    const nowMs = this.#o.clock.monotonicMs();
    for (const care of this.#care.values()) care.round(nowMs);
    this.#look(nowMs);
    void this.#change();
    this.#leftovers.round();
    this.#timer = this.#o.clock.after(roundMs, () => this.#round());
  }

  #limits() {
    const bytesPerSecond = this.#bytesPerSecond;
    // Who names a rate means it.
    const share = bytesPerSecond === undefined && this.leader.isBusy ? politeShare : 1;
    return { bytesPerSecond, share };
  }

  /** False when one of the replicas in step obeys another leader: then it is over here. */
  async isStillLed(): Promise<boolean> {
    const { quorum } = this.leader;
    if (quorum.stopped === undefined) {
      await Promise.all([...this.#care.values()].map((care) => care.look()));
    }
    return quorum.stopped === undefined;
  }

  /** Not asked more often than people look. */
  #look(nowMs: number): void {
    if (nowMs - this.#lookedMs < lookMs) return;
    this.#lookedMs = nowMs;
    for (const care of this.#care.values()) void care.look();
    const here = this.#o.here();
    if (here !== undefined && this.#isStranger(here)) this.#leftovers.leave(this.#o.port(here));
  }

  /** Made for a leader before, who asked for it so late that the election did not see it. */
  #isStranger({ agent }: Member): boolean {
    if (this.leader.quorum.stream(agent) !== undefined) return false;
    return !this.#wanted.some((one) => one.agent === agent);
  }

  async #change(): Promise<void> {
    if (this.#changing) return;
    this.#changing = true;
    try {
      const isOpen = compareStamps(this.#proposed, this.configuration) > 0;
      if (isOpen) {
        await this.#propose(this.#proposed);
        return;
      }
      const step = this.#next();
      this.#blocker = step.kind === 'wait' ? step.blocker : undefined;
      if (step.kind === 'change') await this.#propose(step.to);
    } catch (error) {
      this.#blocker = asTransshipError(error).message;
    } finally {
      this.#changing = false;
    }
  }

  #next(): Step {
    const healthy = new Set<string>();
    for (const { standing, port } of this.leader.quorum.streams()) {
      if (standing === 'InStep') healthy.add(port.member.agent);
    }
    const { configuration } = this;
    return nextStep({ configuration, wanted: this.#wanted, healthy, lost: this.#lost });
  }

  async #propose(to: Configuration): Promise<void> {
    const { quorum } = this.leader;
    this.#proposed = to;
    const from = this.configuration;
    const { clock } = this.#o;
    const durable = await most({
      clock,
      quorum,
      streams: quorum.inStep(),
      work: async ({ port }) => {
        try {
          await port.configure(quorum.term, to, quorum.acked);
        } catch (error) {
          const { message } = asTransshipError(error);
          this.#blocker = `${port.member.agent} did not take the new members: ${message}`;
          throw error;
        }
      },
    });
    if (!isChanged(from, to, durable)) return;
    this.#apply(from, to);
  }

  #apply(from: Configuration, to: Configuration): void {
    const { quorum } = this.leader;
    quorum.configure(to);
    const all = [...to.voters, ...to.learners];
    for (const member of all) {
      if (quorum.stream(member.agent) !== undefined) continue;
      this.#add(member);
      // One that was a member before was not asked what is a point since.
      this.#missed.add(member.agent);
      this.#tell('ReplicaAdded', member, `replica ${nameOf(member)} is being made`);
    }
    for (const member of [...from.voters, ...from.learners]) {
      if (all.some(({ agent }) => agent === member.agent)) continue;
      const stream = quorum.stream(member.agent);
      quorum.remove(member.agent);
      this.#care.delete(member.agent);
      this.#lost.delete(member.agent);
      if (stream !== undefined) this.#leftovers.leave(stream.port);
      this.#tell('ReplicaRemoved', member, `replica ${nameOf(member)} was taken out`);
    }
    this.#round();
  }

  /** Unique over all leaders, because the term is. */
  #newLease(): string {
    const { term } = this.leader.quorum.term;
    return term.slice(0, 24) + (this.#leases++).toString(16).padStart(8, '0');
  }

  async #settleAll(): Promise<void> {
    const { quorum } = this.leader;
    const asked = quorum.inStep();
    const { clock } = this.#o;
    await most({
      clock,
      quorum,
      streams: asked,
      work: async ({ port }) => {
        const leaseId = this.#newLease();
        try {
          await port.seal(quorum.term, quorum.acked, leaseId);
        } finally {
          await port.releaseSeal(leaseId).catch(() => this.#leftovers.hold(port, leaseId));
        }
      },
    });
  }

  #onOut(stream: MemberStream, problem: TransshipError): void {
    const { member } = stream.port;
    const care = this.#care.get(member.agent);
    if (care === undefined) return;
    care.wait(roundMs);
    this.#tell('ReplicaOffline', member, `replica ${nameOf(member)}: ${problem.message}`);
  }

  #tell(kind: SetEvent['kind'], member: Member | undefined, note: string): void {
    this.#o.onEvent({ kind, member, note });
  }
}
