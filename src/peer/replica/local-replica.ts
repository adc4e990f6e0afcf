/**
 * One replica that a pool of this agent keeps: obeys one leader at a time, puts its writes in
 * order, and takes over the content of another replica when it is told to. Every check of the term
 * is in the step in which something changes, because a promise may come while anything waits.
 */
import { fail, TransshipError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { Clock } from '../../base/ports.ts';
import type { PoolApi, VolumeApi, VolumeOrigin } from '../../volume/api.ts';
import { nameHex, nameOfHex } from '../../volume/name.ts';
import type { Configuration, Mark, Member, Term } from '../../volume/replica-types.ts';
import type { ChunkSource } from '../../volume/types.ts';
import type {
  CreateReplica,
  Point,
  ReadRequest,
  RebuildLimits,
  ReplicaPort,
  ReplicaStatus,
  SealedVersion,
  WriteBatch,
} from './api.ts';
import { compareStamps } from './configuration.ts';
import { compareMarks } from './decide.ts';
import type { FillRun, StartFill } from './fill-run.ts';
import { forgetDamage, pointAt, statusOf } from './local-status.ts';
import { WriteOrder } from './write-order.ts';

export interface LocalReplicaOptions {
  readonly clock: Clock;
  readonly volume: string;
  readonly member: Member;
  readonly pool: PoolApi;
  /** `AlreadyExists` when another pool of this agent has a volume of the name. */
  readonly checkFree: (name: string) => void;
  readonly sourceFor: (agent: string, leaseId: string) => ChunkSource & { close(): void };
  readonly startFill: StartFill;
  /** It is another phase now, or has another leader. */
  readonly onChange: () => void;
}

export class LocalReplica implements ReplicaPort {
  readonly member: Member;
  readonly isLocal = true;
  readonly #o: LocalReplicaOptions;
  readonly #order: WriteOrder;
  #fill: FillRun | undefined;

  constructor(options: LocalReplicaOptions) {
    this.#o = options;
    this.member = options.member;
    this.#order = new WriteOrder(options.clock, {
      check: (term) => this.#check(term),
      replica: () => this.#volume().replica,
    });
  }

  get volume(): VolumeApi | undefined {
    return this.#o.pool.volumes().find(({ name }) => name === this.#o.volume);
  }

  async state(): Promise<ReplicaStatus | undefined> {
    const { volume } = this;
    return volume === undefined ? undefined : this.#status(volume);
  }

  async promise(term: Term): Promise<ReplicaStatus> {
    const volume = this.#volume();
    const { promised } = this.#document(volume);
    if (!isSame(promised, term)) {
      if (promised.epoch >= term.epoch) fenced(volume.name, promised);
      volume.replica.note({ promised: term });
      this.#order.end(fencedBy(volume.name, term));
      await this.#releaseSeals();
      this.#o.onChange();
    }
    return this.#status(volume);
  }

  async create(term: Term, request: CreateReplica): Promise<ReplicaStatus> {
    const { pool, volume: name, checkFree } = this.#o;
    const found = this.volume;
    if (found !== undefined) {
      if (found.replica.document?.set !== request.set) this.#o.checkFree(name);
      this.#check(term);
      return this.#status(found);
    }
    checkFree(name);
    const { set, configuration, phase, sizeBytes, blockBytes, policy } = request;
    const mark = { epoch: 0, sequence: 0 };
    const replica = { set, promised: term, configuration, mark, phase };
    const version = { root: new Uint8Array(32), sizeBytes, blockBytes, allocatedBlocks: 0 };
    await pool.createFromVersion({ name, version, policy, replica });
    this.#o.onChange();
    return this.#status(this.#volume());
  }

  write(term: Term, batch: WriteBatch): undefined | Promise<void> {
    if (batch.joins && !this.#order.isOpen) this.#requireJoinable();
    return this.#order.write(term, batch);
  }

  async flush(term: Term, sequence: number): Promise<void> {
    await this.#order.reached(term, sequence);
    this.#check(term);
    await this.#volume().replica.flush();
    this.#check(term);
  }

  read(term: Term, { into, offset, sequence }: ReadRequest): undefined | Promise<void> {
    if (!this.#order.has(sequence)) {
      const wait = this.#order.reached(term, sequence);
      return wait.then(() => this.read(term, { into, offset, sequence }));
    }
    const volume = this.#healthy(term);
    return volume.read(into, offset);
  }

  async adopt(term: Term, mark: Mark, configuration: Configuration): Promise<ReplicaStatus> {
    const volume = this.#healthy(term);
    const { replica } = volume;
    const next = { epoch: term.epoch, sequence: mark.sequence };
    // Asked again after the answer was lost: it is in this epoch already.
    if (replica.mark.epoch !== term.epoch) {
      if (compareMarks(replica.mark, mark) !== 0) {
        fail('Conflict', `${this.#o.volume} is at another write than the one it should adopt`);
      }
      await replica.adopt({ mark: next, configuration }, () => this.#check(term));
    } else if (replica.mark.sequence < mark.sequence) {
      fail('Conflict', `${this.#o.volume} is behind the write it should adopt`);
    }
    this.#order.begin(term, replica.mark.sequence);
    this.#o.onChange();
    return this.#status(volume);
  }

  async revert(term: Term): Promise<ReplicaStatus> {
    this.#check(term);
    this.#stopFill();
    const volume = this.#volume();
    await volume.replica.revert(() => this.#check(term));
    this.#o.onChange();
    return this.#status(volume);
  }

  async receive(term: Term): Promise<ReplicaStatus> {
    this.#check(term);
    this.#stopFill();
    this.#order.end(new TransshipError('Conflict', 'a rebuild of this replica begins'));
    const volume = this.#volume();
    await volume.replica.receive(() => this.#check(term));
    forgetDamage(volume);
    this.#o.onChange();
    return this.#status(volume);
  }

  async seal(term: Term, sequence: number, leaseId: string): Promise<SealedVersion> {
    await this.#order.reached(term, sequence);
    const volume = this.#healthy(term);
    const { pool, volume: name, member } = this.#o;
    const holder = holderOf(term.leader, name);
    const lifeMs = limits.leaseMs;
    const grant = await pool.grantLease({ volume: name, holder, lifeMs, leaseId });
    try {
      this.#check(term);
      const { mark, points = 0 } = this.#document(volume);
      if (mark.epoch !== term.epoch || mark.sequence < sequence) {
        fail('Conflict', `${name} has lost writes since it was chosen; it must be chosen again`);
      }
      const { root, sizeBytes, blockBytes, allocatedBlocks } = grant.version;
      return {
        source: member,
        leaseId,
        mark,
        points,
        root: nameHex(root),
        sizeBytes,
        blockBytes,
        allocatedBlocks,
        snapshots: volume.listSnapshots().map(({ hasTrace: _trace, ...rest }) => rest),
        policy: volume.status().policy,
        recentUse: grant.recentUse,
      };
    } catch (error) {
      await pool.releaseLease(leaseId);
      throw error;
    }
  }

  async releaseSeal(leaseId: string): Promise<void> {
    await this.#o.pool.releaseLease(leaseId);
  }

  async rebase(term: Term, version: SealedVersion, rebuild: RebuildLimits): Promise<ReplicaStatus> {
    this.#check(term);
    this.#stopFill();
    const volume = this.#volume();
    const { source: at, leaseId, policy, points, snapshots, recentUse } = version;
    const source = this.#o.sourceFor(at.agent, leaseId);
    const origin = originOf(version, this.#o.volume);
    try {
      const to = { origin, policy, points, snapshots };
      await volume.replica.rebase(to, source, () => this.#check(term));
    } catch (error) {
      source.close();
      throw error;
    }
    const { pool, clock } = this.#o;
    const roots = [...new Set([version.root, ...snapshots.map(({ root }) => root)])];
    const sizes = new Map(snapshots.map(({ root, sizeBytes }) => [root, sizeBytes]));
    this.#fill = this.#o.startFill({
      clock,
      pool,
      source,
      limits: rebuild,
      recentUse,
      fromNothing: (this.#document(volume).former ?? []).every(isEmptyRoot),
      trees: roots
        .filter((root) => nameOfHex(root) !== undefined && !isEmptyRoot({ root }))
        .map((root) => ({ ...origin, root, sizeBytes: sizes.get(root) ?? origin.sizeBytes })),
      allocatedBytes: version.allocatedBlocks * version.blockBytes,
      onChange: () => this.#o.onChange(),
    });
    this.#o.onChange();
    return this.#status(volume);
  }

  async finish(term: Term, sequence: number): Promise<ReplicaStatus> {
    this.#check(term);
    const volume = this.#volume();
    if (this.#document(volume).phase === 'Healthy') return this.#status(volume);
    if (this.#fill?.status().complete !== true) {
      fail('Conflict', `${this.#o.volume} still lacks chunks here`);
    }
    // Nothing was written since it receives: it begins here.
    if (!this.#order.isOpen) this.#order.begin(term, sequence);
    await this.#order.reached(term, sequence);
    const mark = { epoch: term.epoch, sequence: this.#order.position };
    await volume.replica.finish(mark, () => this.#check(term));
    this.#stopFill();
    this.#o.onChange();
    return this.#status(volume);
  }

  async configure(
    term: Term,
    configuration: Configuration,
    sequence: number,
  ): Promise<ReplicaStatus> {
    const volume = this.#volume();
    // Whoever counts from now on must not lose what was acknowledged before.
    if (this.#document(volume).phase === 'Healthy') await this.flush(term, sequence);
    this.#check(term);
    // One that was on its way for long must not undo a later one.
    if (compareStamps(configuration, this.#document(volume).configuration) > 0) {
      volume.replica.note({ configuration });
      this.#o.onChange();
    }
    return this.#status(volume);
  }

  async point(term: Term, { sequence, points, operation }: Point): Promise<ReplicaStatus> {
    await this.#order.reached(term, sequence);
    const volume = this.#healthy(term);
    if (this.#order.position !== sequence) {
      fail('Conflict', `${this.#o.volume} is past the write at which this should happen`);
    }
    await pointAt(volume, operation);
    this.#check(term);
    // Behind what it counts: who has the number has that.
    volume.replica.note({ points });
    return this.#status(volume);
  }

  async limit(term: Term, rebuild: RebuildLimits): Promise<void> {
    this.#check(term);
    this.#fill?.limit(rebuild);
  }

  async drop(term: Term): Promise<void> {
    if (this.volume === undefined) return;
    this.#check(term);
    await this.dropAnyway();
  }

  /** By hand: the leader is not asked. */
  async dropAnyway(): Promise<void> {
    this.#stopFill();
    this.#order.end(new TransshipError('NotFound', `volume ${this.#o.volume} was deleted`));
    await this.#o.pool.deleteVolume(this.#o.volume, { force: true });
    // Nobody may come any more who would.
    await this.#releaseSeals();
    this.#o.onChange();
  }

  /** What an older leader sealed and may never release: its rebuilds begin again anyway. */
  async #releaseSeals(): Promise<void> {
    const { pool, volume } = this.#o;
    for (const { leaseId, holder } of pool.leases()) {
      const [leader = ''] = holder.split('/');
      if (holder === holderOf(leader, volume)) await pool.releaseLease(leaseId);
    }
  }

  /** The process ends. */
  stop(): void {
    this.#stopFill();
    this.#order.end(new TransshipError('Stopping', 'the agent is stopping'));
  }

  #stopFill(): void {
    this.#fill?.stop();
    this.#fill = undefined;
  }

  #volume(): VolumeApi {
    const { volume } = this;
    if (volume !== undefined) return volume;
    return fail('NotFound', `${this.member.agent} has no replica of volume ${this.#o.volume}`);
  }

  #document(volume: VolumeApi) {
    const { document } = volume.replica;
    return document ?? fail('Conflict', `volume ${volume.name} is not replicated`);
  }

  #check(term: Term): void {
    const { promised } = this.#document(this.#volume());
    if (isSame(promised, term)) return;
    if (promised.epoch < term.epoch) {
      fail('Conflict', `${this.member.agent} has not promised epoch ${term.epoch} yet`);
    }
    fenced(this.#o.volume, promised);
  }

  #healthy(term: Term): VolumeApi {
    this.#check(term);
    const volume = this.#volume();
    const { phase } = this.#document(volume);
    if (phase === 'Healthy') return volume;
    return fail('Conflict', `the replica of ${volume.name} on ${this.member.agent} is ${phase}`);
  }

  #requireJoinable(): void {
    const { phase } = this.#document(this.#volume());
    if (phase !== 'Healthy' && phase !== 'Lost') return;
    fail('Conflict', `the replica is ${phase}: live writes cannot begin at any place`);
  }

  #status(volume: VolumeApi): ReplicaStatus {
    return statusOf({ member: this.member, pool: this.#o.pool, volume, fill: this.#fill });
  }
}

function holderOf(leader: string, volume: string): string {
  return `${leader}/replica-of-${volume}`.slice(0, 2 * limits.nameLengthMax);
}

function isSame(a: Term, b: Term): boolean {
  return a.epoch === b.epoch && a.term === b.term;
}

function fencedBy(volume: string, { leader, epoch }: Term): TransshipError {
  const message = `volume ${volume} is led by ${leader} now, in epoch ${epoch}`;
  return new TransshipError('Fenced', message);
}

function fenced(volume: string, by: Term): never {
  throw fencedBy(volume, by);
}

function isEmptyRoot({ root }: { readonly root: string }): boolean {
  return /^0+$/.test(root);
}

function originOf(version: SealedVersion, volume: string): VolumeOrigin {
  const { source, leaseId, root, sizeBytes, blockBytes, allocatedBlocks } = version;
  const shape = { root, sizeBytes, blockBytes, allocatedBlocks };
  return { cluster: source.agent, volume, leaseId, ...shape, thin: true, teleport: 'replica' };
}
