/**
 * Makes one replica whole while writes go on (docs/ARCHITECTURE.md, "Replicas"): it takes live
 * writes, then the tree of a healthy one under them, then what is missing of that tree. A stop
 * anywhere means to begin again; nothing that came is fetched again.
 */
import { fail, TransshipError } from '../../base/errors.ts';
import type { Clock } from '../../base/ports.ts';
import { sleep } from '../../base/sleep.ts';
import type {
  CreateReplica,
  RebuildLimits,
  ReplicaPort,
  ReplicaStatus,
  SealedVersion,
} from './api.ts';
import type { MemberStream } from './member-stream.ts';
import type { Quorum } from './quorum.ts';

const lookMs = 200;

export interface RebuildOptions {
  readonly clock: Clock;
  readonly quorum: Quorum;
  readonly stream: MemberStream;
  /** Set when there is nothing at the place yet. */
  readonly create: (() => CreateReplica) | undefined;
  readonly limits: () => RebuildLimits;
  /** Changes with every snapshot, resize or policy: what was sealed before lacks it. */
  readonly points: () => number;
  readonly onStatus: (status: ReplicaStatus) => void;
  /** The id of one more lease: 32 hex digits that nobody else has. */
  readonly newLease: () => string;
  /** The sealed version could not be let go yet. */
  readonly onHeld: (port: ReplicaPort, leaseId: string) => void;
}

/** Resolves when the replica is in step. Rejects with why it is not; then it is out of step. */
export async function rebuild(options: RebuildOptions): Promise<void> {
  const { stream } = options;
  try {
    await new Rebuild(options).run();
  } catch (error) {
    stream.leave(new TransshipError('Conflict', 'its rebuild did not come to its end'));
    throw error;
  }
}

class Rebuild {
  readonly #o: RebuildOptions;

  constructor(options: RebuildOptions) {
    this.#o = options;
  }

  async run(): Promise<void> {
    const { quorum, stream, create, points, onStatus } = this.#o;
    const { term } = quorum;
    const { port } = stream;
    onStatus(create === undefined ? await port.receive(term) : await port.create(term, create()));
    quorum.join(stream);
    const pointsBefore = points();
    const source = this.#source();
    const leaseId = this.#o.newLease();
    try {
      const version = await source.port.seal(term, stream.joinedAt, leaseId);
      this.#check(version, pointsBefore);
      onStatus(await port.rebase(term, version, this.#o.limits()));
      await this.#whileFilling(version, pointsBefore);
      const at = stream.isFresh ? stream.joinedAt : version.mark.sequence;
      onStatus(await port.finish(term, at));
      onStatus(await port.configure(term, quorum.configuration, at));
      this.#check(version, pointsBefore);
      stream.confirm();
    } finally {
      // Also when the answer was lost: the lease may be there.
      await source.port.releaseSeal(leaseId).catch(() => this.#o.onHeld(source.port, leaseId));
    }
  }

  /** Near before far: it costs the fewest copies. */
  #source(): MemberStream {
    const whole = this.#o.quorum.inStep();
    const found = whole.find(({ port }) => port.isLocal) ?? whole[0];
    return found ?? fail('QuorumLost', 'no healthy replica is there to rebuild from');
  }

  async #whileFilling(version: SealedVersion, pointsBefore: number): Promise<void> {
    const { clock, quorum, stream, limits, onStatus } = this.#o;
    let last = '';
    for (;;) {
      const status = await stream.port.state();
      if (status === undefined) fail('NotFound', `${stream.port.member.agent} lost its replica`);
      onStatus(status);
      this.#check(version, pointsBefore);
      const isThere = stream.isFresh || stream.applied >= version.mark.sequence;
      if (status.fill?.complete === true && isThere) return;
      if (status.phase !== 'Filling') fail('Conflict', `its rebuild ended as ${status.phase}`);
      // Its agent started again and fetches nothing by itself.
      if (status.fill === undefined) fail('Conflict', 'its rebuild was forgotten by its agent');
      const now = limits();
      if (JSON.stringify(now) !== last) await stream.port.limit(quorum.term, now);
      last = JSON.stringify(now);
      await sleep(clock, lookMs);
    }
  }

  #check(version: SealedVersion, pointsBefore: number): void {
    const { quorum, stream, points } = this.#o;
    quorum.usable();
    if (stream.standing !== 'Joining') throw stream.problem ?? fallenBehind;
    if (points() === pointsBefore && version.blockBytes > 0) return;
    fail('Conflict', 'a snapshot, resize or policy came meanwhile; the rebuild begins again');
  }
}

const fallenBehind = new TransshipError('TimedOut', 'it fell behind while it was rebuilt');
