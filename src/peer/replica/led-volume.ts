/** A led set as a volume: what doors and people see of it where it is led. */
import { fail } from '../../base/errors.ts';
import type {
  Condition,
  HistoryInfo,
  HistoryPolicy,
  Moment,
  SnapshotInfo,
  SnapshotOptions,
  VolumeApi,
  VolumeReplica,
  VolumeStatus,
} from '../../volume/api.ts';
import { checkName } from '../../base/names.ts';
import { Doors } from '../../volume/doors.ts';
import { policyProblem } from '../../volume/history.ts';
import { checkSize } from '../../volume/shape.ts';
import type { BlockRange, Name, Version } from '../../volume/types.ts';
import type { ReplicaStatus } from './api.ts';
import type { LedSet } from './led-set.ts';

export interface LedVolumeOptions {
  readonly name: string;
  readonly led: LedSet;
  /** The replica here, when there is one; it may come and go. */
  readonly local: () => VolumeApi | undefined;
  readonly wallMs: () => number;
}

export class LedVolume implements VolumeApi {
  readonly name: string;
  readonly #o: LedVolumeOptions;
  readonly #doors = new Doors();
  #last: ReplicaStatus | undefined;

  constructor(options: LedVolumeOptions) {
    this.#o = options;
    this.name = options.name;
  }

  get id(): string {
    return this.#o.local()?.id ?? this.#o.led.set.slice(0, 16);
  }
  get sizeBytes(): number {
    return this.#o.led.leader.sizeBytes;
  }
  get blockSizeBytes(): number {
    return this.#o.led.leader.blockSizeBytes;
  }
  get readOnly(): boolean {
    return false;
  }
  get replica(): VolumeReplica {
    return this.#here().replica;
  }

  read(into: Uint8Array, offset: number): undefined | Promise<void> {
    return this.#o.led.leader.read(into, offset);
  }
  write(from: Uint8Array, offset: number): undefined | Promise<void> {
    return this.#o.led.leader.write(from, offset);
  }
  writeZeroes(offset: number, lengthBytes: number): undefined | Promise<void> {
    return this.#o.led.leader.writeZeroes(offset, lengthBytes);
  }
  flush(): Promise<void> {
    return this.#o.led.leader.flush();
  }
  prefetch(offset: number, lengthBytes: number): Promise<void> {
    return this.#o.led.leader.prefetch(offset, lengthBytes);
  }
  extents(offset: number, lengthBytes: number) {
    return this.#o.led.leader.extents(offset, lengthBytes);
  }
  cork(): void {
    this.#o.led.leader.cork();
  }
  uncork(): void {
    this.#o.led.leader.uncork();
  }

  status(): VolumeStatus {
    const local = this.#o.local();
    const { name, sizeBytes, blockSizeBytes: blockBytes } = this;
    const known = this.#known();
    const phase = 'Available' as const;
    if (local !== undefined && this.#isWholeHere()) {
      return { ...local.status(), sizeBytes, phase, origin: undefined };
    }
    return {
      id: this.id,
      name,
      phase,
      sizeBytes,
      blockBytes,
      allocatedBytes: known.allocatedBlocks * blockBytes,
      root: known.root,
      policy: known.policy,
      snapshots: known.snapshots.length,
      createdMs: local?.status().createdMs ?? 0,
      unsettledBytes: 0,
      conditions: local?.status().conditions ?? [],
      origin: undefined,
    };
  }

  async seal(): Promise<Version> {
    const here = await this.#o.led.replicaHere();
    return here.seal();
  }

  async snapshot(name: string, options: SnapshotOptions = {}): Promise<SnapshotInfo> {
    checkName(name, 'snapshot');
    if (this.listSnapshots().some((one) => one.name === name)) {
      fail('AlreadyExists', `volume ${this.name} has a snapshot ${name} already`);
    }
    if (options.trace === true) {
      fail('Unsupported', 'a replicated volume keeps no trace with its snapshots; leave it out');
    }
    const atMs = options.atMs ?? this.#o.wallMs();
    const { snapshots } = await this.#o.led.point({ kind: 'snapshot', name, atMs });
    const made = snapshots.find((one) => one.name === name);
    return made ?? fail('Internal', `snapshot ${name} was made and is not there`);
  }

  listSnapshots(): readonly SnapshotInfo[] {
    const local = this.#isWholeHere() ? this.#o.local() : undefined;
    return local?.listSnapshots() ?? this.#known().snapshots;
  }

  async deleteSnapshot(name: string): Promise<void> {
    if (!this.listSnapshots().some((one) => one.name === name)) {
      fail('NotFound', `volume ${this.name} has no snapshot ${name}`);
    }
    await this.#o.led.point({ kind: 'deleteSnapshot', name });
  }

  async resize(sizeBytes: number, options: { readonly force?: boolean } = {}): Promise<void> {
    checkSize(sizeBytes);
    if (sizeBytes < this.sizeBytes) {
      const doors = this.doors();
      if (doors.length > 0) fail('InUse', `it cannot be shrunk: ${doors.join(', ')} uses it`);
      if (options.force !== true) {
        fail('BadArgument', `${sizeBytes} is less than ${this.sizeBytes}: data would be cut off`);
      }
    }
    await this.#o.led.point({ kind: 'resize', sizeBytes });
  }

  async setPolicy(policy: HistoryPolicy): Promise<void> {
    const problem = policyProblem(policy);
    if (problem !== undefined) fail('BadPolicy', problem);
    await this.#o.led.point({ kind: 'policy', policy });
  }

  history(): HistoryInfo {
    const local = this.#o.local();
    const none = { oldestMs: undefined, newestMs: undefined, points: 0 };
    return local?.history() ?? { policy: this.#known().policy, ...none };
  }

  async versionAt(moment: Moment): Promise<Version> {
    const here = await this.#o.led.replicaHere();
    return here.versionAt(moment);
  }

  async treePage(name: Name, level: number, number: number): Promise<Uint8Array> {
    const here = await this.#o.led.replicaHere();
    return here.treePage(name, level, number);
  }

  async restore(_moment: Moment): Promise<void> {
    fail('Unsupported', 'a replicated volume is not restored in place; clone the moment instead');
  }

  recentUse(snapshot?: string): readonly BlockRange[] {
    return this.#o.local()?.recentUse(snapshot) ?? [];
  }

  openDoor(holder: string): () => void {
    this.#o.led.leader.quorum.usable();
    return this.#doors.open(holder);
  }

  /** Also those that were opened before it was replicated. */
  doors(): readonly string[] {
    return [...this.#doors.holders, ...(this.#o.local()?.doors() ?? [])];
  }

  async setOrigin(): Promise<void> {
    fail('Unsupported', 'a replicated volume comes from nowhere else');
  }

  setCondition(condition: Omit<Condition, 'sinceMs'>): void {
    this.#o.local()?.setCondition(condition);
  }

  putNames(): void {
    fail('Unsupported', 'an import fills a volume before it is replicated');
  }

  /** Not of one that is out of step: what it has was true once. */
  #known(): ReplicaStatus {
    const { led } = this.#o;
    const inStep = led.leader.quorum.inStep();
    const [known] = inStep.flatMap(({ port }) => led.statusOf(port.member.agent) ?? []);
    this.#last = known ?? this.#last;
    return this.#last ?? led.firstStatus;
  }

  #isWholeHere(): boolean {
    return this.#o.led.leader.quorum.inStepHere() !== undefined;
  }

  #here(): VolumeApi {
    const members = this.#o.led.configuration.voters.map(({ agent }) => agent).join(', ');
    const text = `volume ${this.name} has no replica here; ask ${members}`;
    return this.#o.local() ?? fail('NotAccessible', text);
  }
}
