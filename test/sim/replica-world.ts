/** Agents that keep one replicated volume together, its writer, and what must be true of it. */
import { TransshipError } from '../../src/base/errors.ts';
import type { Reason } from '../../src/base/reasons.ts';
import type { Led } from '../../src/peer/replica/replicas.ts';
import type { Member } from '../../src/volume/replica-types.ts';
import { AgentWorld } from './agent-world.ts';
import { type Frozen, Mismatch, VolumeModel } from './model.ts';
import type { Range } from './range.ts';
import type { ReplicaProfile } from './replica-profile.ts';
import { poolName, type ReplicaMutation, ReplicaNode } from './replica-node.ts';
import { createRng, type Rng } from './rng.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

export const volumeName = 'data';

/** A leader as its clients see it, from its election until it is known to be none any more. */
export interface Session {
  readonly node: ReplicaNode;
  readonly life: number;
  readonly led: Led;
  readonly epoch: number;
  /** Rises when another leader was read: what is under way then is not written down any more. */
  readonly era: number;
}

/** What a leader's first reader found; whatever an older one acknowledges later must be in it. */
interface Era {
  readonly number: number;
  readonly content: Uint8Array | undefined;
}

export class ReplicaWorld extends AgentWorld<ReplicaNode> {
  readonly profile: ReplicaProfile;
  readonly nodes: readonly ReplicaNode[];
  readonly model: VolumeModel;
  readonly blockBytes: number;
  readonly busy = new Set<Range>();
  readonly snapshots = new Map<string, { readonly frozen: Frozen; sure: boolean }>();
  /** Whose acknowledgements an epoch has seen. */
  readonly #acknowledged = new Map<number, Session>();
  wanted: readonly Member[];
  /** The newest leader; older ones may still think that they are. */
  session: Session | undefined;
  readonly former: Session[] = [];
  /** Nobody has read what the newest leader holds yet. */
  isUnread = false;
  /** Whose first reading is under way. */
  reading: Session | undefined;
  powerLost = false;
  era: Era = { number: 0, content: undefined };
  isCreated = false;
  isMaking = false;

  constructor(options: {
    readonly seed: number;
    readonly profile: (rng: Rng) => ReplicaProfile;
    readonly mutation: ReplicaMutation;
    readonly onEvent: ((label: string, nowMs: number) => void) | undefined;
  }) {
    const { seed, mutation, onEvent } = options;
    const rng = createRng(seed).fork('replica');
    const profile = options.profile(rng.fork('profile'));
    super({ rng, onEvent, delaysMs: [0.1, 2, 20], jittersMs: [0, 1, 20] });
    this.profile = profile;
    const { names, faulty, faults } = this.profile;
    this.nodes = names.map((name) => {
      return new ReplicaNode({
        name,
        mutation,
        scheduler: this.scheduler,
        network: this.network,
        faults: name === faulty ? faults : {},
        rng: this.rng.fork(`node ${name}`),
        onEvent: (at, { kind, note }) => this.scheduler.note(`${at.name} ${kind} ${note}`),
        onEnd: (at, powerLost) => this.#forget(at, powerLost),
      });
    });
    for (const node of this.nodes) node.meet(names);
    this.blockBytes = this.rng.pick([4 * KiB, 16 * KiB, 64 * KiB]);
    const sizeBytes = this.rng.pick([MiB, MiB + 512 * 7, 2 * MiB]);
    this.model = new VolumeModel(volumeName, { sizeBytes, blockBytes: this.blockBytes });
    this.wanted = names.slice(0, this.profile.replicas).map(memberOf);
  }

  node(name: string): ReplicaNode {
    return this.nodes.find((one) => one.name === name)!;
  }

  isLive({ node, life, led }: Session): boolean {
    return node.life === life && led.set.leader.quorum.stopped === undefined;
  }

  /** The newest leader, if somebody has read what it holds. */
  serving(): Session | undefined {
    const { session } = this;
    return session !== undefined && !this.isUnread && this.isLive(session) ? session : undefined;
  }

  /** Another leader was elected: what it holds has to be read before anything is written. */
  tookOver(node: ReplicaNode, led: Led): Session {
    if (this.session !== undefined) this.former.push(this.session);
    const { epoch } = led.set.leader.quorum.term;
    const session = { node, life: node.life, led, epoch, era: this.era.number + 1 };
    this.session = session;
    this.isUnread = true;
    return session;
  }

  /** All of it was read from the newest leader: that is the content from now on. */
  readAll(session: Session, bytes: Uint8Array): void {
    if (this.session !== session) return;
    this.model.reopened(bytes, this.powerLost || this.profile.loses);
    this.era = { number: session.era, content: bytes };
    this.busy.clear();
    this.isUnread = false;
    this.powerLost = false;
  }

  /** A leader acknowledged a write of the era in which it began. */
  acknowledged(session: Session, range: Range, bytes: Uint8Array, era: number): void {
    const known = this.#acknowledged.get(session.epoch);
    if (known !== undefined && known !== session) {
      throw new Mismatch(`two leaders acknowledge in epoch ${session.epoch}`);
    }
    this.#acknowledged.set(session.epoch, session);
    if (era === this.era.number) {
      this.model.end(range.offset, range.length);
      return;
    }
    // Another leads since, and was read: it must have had this write.
    const { offset, length } = range;
    const then = this.era.content?.subarray(offset, offset + length);
    if (this.era.number > era + 1 || then === undefined) return;
    if (Buffer.compare(then, bytes) !== 0) {
      throw new Mismatch(
        `${session.node.name} acknowledged a write at ${offset} that the next leader does not have`,
      );
    }
  }

  /** Right answers while things go wrong; at the end of a schedule nothing is excused. */
  excuses(error: unknown): boolean {
    return error instanceof TransshipError && excused.has(error.reason);
  }

  #forget(node: ReplicaNode, powerLost: boolean): void {
    this.powerLost ||= powerLost;
    if (this.reading?.node === node) this.reading = undefined;
    this.noteEnd(node);
  }
}

const excused: ReadonlySet<Reason> = new Set([
  'QuorumLost',
  'Fenced',
  'Conflict',
  'SourceUnreachable',
  'TimedOut',
  'Stopping',
  'ReadOnly',
  'PoolFull',
  'DiskFailed',
  'DataMissing',
  'DataCorrupt',
  'NotFound',
  'NotAccessible',
]);

export function memberOf(agent: string): Member {
  return { agent, pool: poolName };
}
