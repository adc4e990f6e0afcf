/** Agents that keep one replicated volume together, its writer, and what must be true of it. */
import { TransshipError } from '../../src/base/errors.ts';
import type { Reason } from '../../src/base/reasons.ts';
import type { Led } from '../../src/peer/replica/replicas.ts';
import type { Member } from '../../src/volume/replica-types.ts';
import { ContentSource } from './content.ts';
import { type Frozen, Mismatch, VolumeModel } from './model.ts';
import type { ReplicaProfile } from './replica-profile.ts';
import { poolName, type ReplicaMutation, ReplicaNode } from './replica-node.ts';
import { createRng, type Rng } from './rng.ts';
import { Crashed, Scheduler } from './scheduler.ts';
import { SimNetwork } from './sim-network.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

export const volumeName = 'data';

/** The process that an operation belonged to is gone: its answer never came. */
export class Gone extends Error {}

export interface Range {
  readonly offset: number;
  readonly length: number;
}

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

export class ReplicaWorld {
  readonly rng: Rng;
  readonly profile: ReplicaProfile;
  readonly scheduler: Scheduler;
  readonly network: SimNetwork;
  readonly content: ContentSource;
  readonly nodes: readonly ReplicaNode[];
  readonly model: VolumeModel;
  readonly blockBytes: number;
  readonly busy = new Set<Range>();
  readonly snapshots = new Map<string, { readonly frozen: Frozen; sure: boolean }>();
  readonly running = new Map<ReplicaNode, Map<Promise<void>, string>>();
  /** Whose acknowledgements an epoch has seen. */
  readonly #acknowledged = new Map<number, Session>();
  readonly #onEnd = new Map<ReplicaNode, () => void>();
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
  violation: Error | undefined;
  #counter = 0;

  constructor(options: {
    readonly seed: number;
    readonly profile: (rng: Rng) => ReplicaProfile;
    readonly mutation: ReplicaMutation;
    readonly onEvent: ((label: string, nowMs: number) => void) | undefined;
  }) {
    const { seed, mutation, onEvent } = options;
    this.rng = createRng(seed).fork('replica');
    this.profile = options.profile(this.rng.fork('profile'));
    this.scheduler = new Scheduler({
      rng: this.rng.fork('scheduler'),
      eventsMax: 3_000_000,
      ...(onEvent === undefined ? {} : { onEvent }),
    });
    this.content = new ContentSource(this.rng.fork('content'));
    this.network = new SimNetwork(this.scheduler, this.rng.fork('network'), {
      delayMs: this.rng.pick([0.1, 2, 20]),
      jitterMs: this.rng.pick([0, 1, 20]),
      bufferBytes: this.rng.pick([16, 256]) * KiB,
      connectTimeoutMs: 10_000,
    });
    const { names, faulty, faults } = this.profile;
    this.nodes = names.map((name) => {
      const node = new ReplicaNode({
        name,
        mutation,
        scheduler: this.scheduler,
        network: this.network,
        faults: name === faulty ? faults : {},
        rng: this.rng.fork(`node ${name}`),
        onEvent: (at, { kind, note }) => this.scheduler.note(`${at.name} ${kind} ${note}`),
        onEnd: (at, powerLost) => this.#noteEnd(at, powerLost),
      });
      this.running.set(node, new Map());
      return node;
    });
    for (const node of this.nodes) node.meet(names);
    this.blockBytes = this.rng.pick([4 * KiB, 16 * KiB, 64 * KiB]);
    const sizeBytes = this.rng.pick([MiB, MiB + 512 * 7, 2 * MiB]);
    this.model = new VolumeModel(volumeName, { sizeBytes, blockBytes: this.blockBytes });
    this.wanted = names.slice(0, this.profile.replicas).map(memberOf);
  }

  unique(prefix: string): string {
    this.#counter += 1;
    return `${prefix}${this.#counter}`;
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

  /** Runs an operation beside others. What it throws that is not expected is a violation. */
  spawn(node: ReplicaNode, label: string, operation: () => Promise<void>): void {
    const { life } = node;
    this.scheduler.note(`start ${node.name} ${label}`);
    const running = this.running.get(node)!;
    const work = operation()
      .catch((error: unknown) => {
        if (node.life !== life || error instanceof Gone || error instanceof Crashed) return;
        this.violation ??= new Error(`${node.name} ${label}: ${String(error)}`, { cause: error });
      })
      .finally(() => {
        if (node.life !== life) return;
        this.scheduler.note(`end ${node.name} ${label}`);
        running.delete(work);
      });
    if (node.life === life) running.set(work, label);
  }

  unfinished(): string[] {
    return this.nodes.flatMap((node) => {
      return [...this.running.get(node)!.values()].map((label) => `${node.name}: ${label}`);
    });
  }

  /** An answer of an agent; throws `Gone` when its process has ended meanwhile. */
  async answer<T>(node: ReplicaNode, call: () => T | Promise<T>): Promise<T> {
    const { life } = node;
    try {
      const result = await call();
      if (node.life !== life) throw new Gone();
      return result;
    } catch (error) {
      throw node.life !== life || error instanceof Crashed ? new Gone() : error;
    }
  }

  /** Lets things happen until the work ends or the node's process does (`Gone`). */
  async drive<T>(node: ReplicaNode, work: Promise<T>): Promise<T> {
    const { life } = node;
    const end = new Promise<'ended'>((resolve) => {
      this.#onEnd.set(node, () => resolve('ended'));
    });
    work.catch(() => undefined);
    try {
      const result = await this.scheduler.drive(Promise.race([work, end]));
      if (result === 'ended' || node.life !== life) throw new Gone();
      return result;
    } catch (error) {
      throw node.life !== life || error instanceof Crashed ? new Gone() : error;
    }
  }

  /** Right answers while things go wrong; at the end of a schedule nothing is excused. */
  excuses(error: unknown): boolean {
    return error instanceof TransshipError && excused.has(error.reason);
  }

  #noteEnd(node: ReplicaNode, powerLost: boolean): void {
    this.running.get(node)!.clear();
    this.powerLost ||= powerLost;
    if (this.reading?.node === node) this.reading = undefined;
    this.#onEnd.get(node)?.();
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
