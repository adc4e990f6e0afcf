/** A volume: its device, and everything that changes it as a whole. */
import { fail } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { checkName } from '../base/names.ts';
import type { Clock, Disk, Extent } from '../base/ports.ts';
import type {
  Condition,
  HistoryInfo,
  HistoryPolicy,
  Moment,
  SnapshotInfo,
  SnapshotOptions,
  VolumeApi,
  VolumeOrigin,
  VolumeStatus,
} from './api.ts';
import { Conditions } from './conditions.ts';
import { Device } from './device.ts';
import { replaceDocument } from './document.ts';
import { type Gate, Lane } from './gate.ts';
import { Doors } from './doors.ts';
import type { Head } from './head.ts';
import { policyProblem } from './history.ts';
import { nameHex } from './name.ts';
import { Replica } from './replica.ts';
import type { ReplicaPhase } from './replica-types.ts';
import { namesMax, Rooting } from './rooting.ts';
import { checkSize } from './shape.ts';
import { pageBytes } from './store.ts';
import { blockCount, resizeTree, type TreeIo, treeDepth } from './tree.ts';
import type { BlockRange, ChunkSource, Name, Version } from './types.ts';
import type { Upstream } from './upstream.ts';
import { RecentUse } from './use.ts';
import {
  documentPath,
  treeOf,
  type VolumeDocument,
  withMark,
  withTree,
} from './volume-document.ts';

export interface VolumeOptions {
  readonly document: VolumeDocument;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly head: Head;
  readonly upstream: Upstream;
  readonly gate: Gate;
  readonly checkAlive: () => void;
  readonly admit: () => undefined | Promise<void>;
  /** After a checkpoint: journal files may have become free. */
  readonly onRooted: () => void;
  /** The pool's format must allow replicas from now on. */
  readonly allowReplicas: () => void;
  /** Keeps a version from the collector until its taker has made it durable. */
  readonly pin: (version: Version) => void;
  /** A sync failed: nothing more may be acknowledged. */
  readonly onFailure: (error: unknown) => void;
}

export class Volume implements VolumeApi {
  readonly id: string;
  readonly #o: VolumeOptions;
  readonly #head: Head;
  readonly #device: Device;
  readonly #lane = new Lane();
  readonly #io: TreeIo;
  readonly #use: RecentUse;
  readonly #doors = new Doors();
  readonly #conditions: Conditions;
  #document: VolumeDocument;
  readonly #rooting: Rooting;
  readonly replica: Replica;
  isDeleted = false;

  constructor(options: VolumeOptions) {
    this.#o = options;
    this.#head = options.head;
    this.#document = options.document;
    this.id = options.document.id;
    this.#use = new RecentUse(options.head.blockBytes);
    this.#conditions = new Conditions(options.clock);
    this.#device = new Device({
      head: options.head,
      upstream: options.upstream,
      use: this.#use,
      sizeBytes: () => this.#document.sizeBytes,
      checkAlive: () => this.#checkAlive(),
      admit: () => this.#admit(),
    });
    const { store } = options.head;
    this.#io = {
      page: (name, level, number, block) => options.upstream.page(name, level, number, block),
      pageHere: (name) => store.page(name),
      putPages: (pages) => store.put(pages, pageBytes, 'page'),
    };
    this.#rooting = new Rooting(
      {
        ...options,
        id: this.id,
        io: this.#io,
        sizeBytes: () => this.#document.sizeBytes,
        save: (tree, from, mark) => this.#save(withTree(this.#document, tree, from, mark)),
        savePending: (pending, journalFrom, mark) => {
          this.#save({ ...withMark(this.#document, mark), pending, journalFrom });
        },
      },
      this.#document.policy,
    );
    this.replica = new Replica({
      ...options,
      rooting: this.#rooting,
      use: this.#use,
      document: () => this.#document,
      save: (document) => this.#save(document),
      exclusive: (work) => this.#exclusive(work),
      checkAlive: () => this.#checkAlive(),
      admit: () => this.#admit(),
    });
  }

  get name(): string {
    return this.#document.name;
  }
  get sizeBytes(): number {
    return this.#document.sizeBytes;
  }
  get blockSizeBytes(): number {
    return this.#document.blockBytes;
  }
  get readOnly(): boolean {
    return false;
  }
  get document(): VolumeDocument {
    return this.#document;
  }
  get head(): Head {
    return this.#head;
  }
  get upstream(): Upstream {
    return this.#o.upstream;
  }
  get phase(): VolumeStatus['phase'] {
    return this.#document.origin === undefined ? 'Available' : 'Accessible';
  }

  read(into: Uint8Array, offset: number): undefined | Promise<void> {
    return this.#device.read(into, offset);
  }
  write(from: Uint8Array, offset: number): undefined | Promise<void> {
    return this.#device.write(from, offset);
  }
  writeZeroes(offset: number, lengthBytes: number): undefined | Promise<void> {
    return this.#device.writeZeroes(offset, lengthBytes);
  }
  flush(): Promise<void> {
    return this.#device.flush();
  }
  prefetch(offset: number, lengthBytes: number): Promise<void> {
    return this.#device.prefetch(offset, lengthBytes);
  }
  extents(offset: number, lengthBytes: number): Promise<readonly Extent[]> {
    return this.#device.extents(offset, lengthBytes);
  }
  cork(): void {
    this.#device.cork();
  }
  uncork(): void {
    this.#device.uncork();
  }

  status(): VolumeStatus {
    const document = this.#document;
    return {
      id: this.id,
      name: document.name,
      phase: this.phase,
      sizeBytes: document.sizeBytes,
      blockBytes: document.blockBytes,
      allocatedBytes: document.allocatedBlocks * document.blockBytes,
      root: document.root,
      policy: document.policy,
      snapshots: document.snapshots.length,
      createdMs: document.createdMs,
      unsettledBytes: this.#head.unsettledSectors * limits.sectorBytes,
      conditions: this.#conditions.list(),
      origin: document.origin,
    };
  }

  setCondition(condition: Omit<Condition, 'sinceMs'>): void {
    this.#conditions.set(condition);
  }

  clearCondition(type: string): void {
    this.#conditions.clear(type);
  }

  openDoor(holder: string): () => void {
    this.#checkAlive();
    return this.#doors.open(holder);
  }

  doors(): readonly string[] {
    return this.#doors.holders;
  }

  seal(): Promise<Version> {
    return this.#exclusive(async () => {
      this.#checkWhole();
      await this.#rooting.checkpoint();
      const version = this.#version();
      this.#o.pin(version);
      return version;
    });
  }

  snapshot(name: string, options: SnapshotOptions = {}): Promise<SnapshotInfo> {
    checkName(name, 'snapshot');
    return this.#exclusive(async () => {
      this.#checkWhole();
      if (this.#document.snapshots.some((one) => one.name === name)) {
        fail('AlreadyExists', `volume ${this.name} has a snapshot ${name} already`);
      }
      await this.#rooting.checkpoint();
      const { root, sizeBytes, allocatedBlocks } = this.#document;
      const atMs = options.atMs ?? this.#o.clock.wallMs();
      const trace = options.trace === true ? { trace: this.#use.ranges() } : {};
      const snapshot = { name, root, sizeBytes, allocatedBlocks, atMs, ...trace };
      this.#save({ ...this.#document, snapshots: [...this.#document.snapshots, snapshot] });
      return { name, root, sizeBytes, allocatedBlocks, atMs, hasTrace: options.trace === true };
    });
  }

  listSnapshots(): readonly SnapshotInfo[] {
    return this.#document.snapshots.map(({ trace, ...rest }) => {
      return { ...rest, hasTrace: trace !== undefined };
    });
  }

  deleteSnapshot(name: string): Promise<void> {
    return this.#exclusive(async () => {
      const rest = this.#document.snapshots.filter((one) => one.name !== name);
      if (rest.length === this.#document.snapshots.length) this.#noSnapshot(name);
      this.#save({ ...this.#document, snapshots: rest });
    });
  }

  resize(sizeBytes: number, options: { readonly force?: boolean } = {}): Promise<void> {
    checkSize(sizeBytes);
    return this.#exclusive(async () => {
      this.#checkWhole();
      const shrink = sizeBytes < this.sizeBytes;
      if (shrink) this.#checkShrink(sizeBytes, options.force === true);
      const { blockBytes } = this.#document;
      const last = Math.ceil(sizeBytes / blockBytes) * blockBytes;
      const tail = Math.min(last, this.sizeBytes) - sizeBytes;
      if (shrink && tail > 0) await this.#device.writeZeroes(sizeBytes, tail);
      await this.#rooting.checkpoint();
      const depth = treeDepth(sizeBytes, blockBytes);
      const blocks = blockCount(sizeBytes, blockBytes);
      const tree = await resizeTree(this.#io, this.#head.tree, blocks, depth);
      await this.#head.store.segments.syncLater();
      this.#rooting.breakHistory();
      this.#save(withTree({ ...this.#document, sizeBytes }, tree, this.#document.journalFrom));
      this.#head.tree = tree;
      await this.#rooting.tick();
    });
  }

  setPolicy(policy: HistoryPolicy): Promise<void> {
    const problem = policyProblem(policy);
    if (problem !== undefined) fail('BadPolicy', problem);
    return this.#exclusive(async () => {
      await this.#rooting.checkpoint();
      this.#save({ ...this.#document, policy });
      this.#rooting.setHistory(policy);
      await this.#rooting.tick();
    });
  }

  history(): HistoryInfo {
    return this.#rooting.info(this.#document.policy);
  }

  versionAt(moment: Moment): Promise<Version> {
    const { atMs, snapshot } = moment;
    if (snapshot !== undefined) {
      this.#checkWhole();
      return Promise.resolve(this.#snapshotVersion(snapshot));
    }
    if (atMs === undefined) return this.seal();
    return this.#exclusive(async () => {
      this.#checkWhole();
      const version = await this.#rooting.versionAt(atMs, this.name);
      this.#o.pin(version);
      return version;
    });
  }

  treePage(name: Name, level: number, number: number): Promise<Uint8Array> {
    this.#checkAlive();
    return this.#o.upstream.page(name, level, number);
  }

  async restore(moment: Moment): Promise<void> {
    this.#checkNoDoors('restored');
    const version = await this.versionAt(moment);
    await this.#exclusive(async () => {
      this.#checkNoDoors('restored');
      // What is there now stays reachable through history, so a mistaken restore can be undone.
      await this.#rooting.checkpoint();
      this.#rooting.breakHistory();
      const { sizeBytes, allocatedBlocks } = version;
      const tree = treeOf({ ...version, root: nameHex(version.root) }, version.blockBytes);
      const from = this.#head.journal.nextSequence;
      this.#save(withTree({ ...this.#document, sizeBytes, allocatedBlocks }, tree, from));
      this.#head.reset(tree);
      this.#o.onRooted();
      await this.#rooting.tick();
    });
  }

  recentUse(snapshot?: string): readonly BlockRange[] {
    const trace = this.#document.snapshots.find((one) => one.name === snapshot)?.trace;
    return trace ?? this.#use.ranges();
  }

  setOrigin(origin: VolumeOrigin | undefined, source: ChunkSource | undefined): Promise<void> {
    const { upstream } = this.#o;
    return this.#exclusive(async () => {
      const { origin: _old, ...rest } = this.#document;
      if (origin === undefined) {
        await this.#head.store.segments.syncLater();
        this.#save(rest);
      } else if (_old === undefined || JSON.stringify(_old) !== JSON.stringify(origin)) {
        this.#save({ ...rest, origin });
      }
      upstream.origin = origin;
      upstream.source = source;
    });
  }

  putNames(firstBlock: number, names: readonly Name[]): void {
    names.forEach((name, i) => this.#head.names.set(firstBlock + i, new Uint8Array(name)));
  }

  /** Import: settles what is older, then runs `store`, which ends in `putNames`. */
  ingest(store: () => Promise<void>): Promise<void> {
    return this.#exclusive(async () => {
      if (!this.#head.active.isEmpty || this.#head.frozen.length > 0)
        await this.#rooting.settleAll();
      await store();
      if (this.#head.names.size > namesMax) await this.#rooting.checkpoint();
    });
  }

  /** Housekeeping: makes a history point and a checkpoint when they are due. */
  async keep(due: {
    readonly checkpoint: boolean;
    /** The journal fills: blocks that cannot be settled may stay behind. */
    readonly carry: boolean;
    readonly prune: boolean;
  }): Promise<void> {
    if (this.#replicaPhase === 'Receiving') {
      // Its live writes lie over a tree that is not theirs and must not get into it.
      if (due.carry && !this.#lane.isBusy) await this.#exclusive(() => this.replica.shed());
      return;
    }
    const whole = this.#replicaPhase !== 'Filling';
    const tickDue = whole && this.#rooting.isTickDue(this.#document.policy);
    if (!tickDue && !due.checkpoint) return;
    if (this.#lane.isBusy) return;
    await this.#exclusive(async () => {
      if (tickDue && !due.carry) await this.#rooting.tick();
      if (due.checkpoint) await this.#rooting.checkpoint(due.carry);
      if (due.prune) await this.#rooting.prune(this.#document.policy);
    });
  }

  /** Everything that the collector must keep for this volume. */
  *held(): Generator<{ readonly name: Name; readonly sizeBytes: number; readonly root: boolean }> {
    const { sizeBytes, origin, snapshots } = this.#document;
    yield { name: this.#head.tree.root, sizeBytes, root: true };
    for (const name of this.#head.names.values()) yield { name, sizeBytes, root: false };
    for (const one of snapshots) {
      yield { name: treeOf(one, this.blockSizeBytes).root, sizeBytes: one.sizeBytes, root: true };
    }
    if (origin !== undefined) {
      yield {
        name: treeOf(origin, origin.blockBytes).root,
        sizeBytes: origin.sizeBytes,
        root: true,
      };
    }
    yield* this.replica.held();
    yield* this.#rooting.historyHeld();
  }

  /** Waits for what runs, then nothing runs any more. */
  async stop(options: { readonly checkpoint: boolean }): Promise<void> {
    await this.#lane.run(async () => {
      try {
        const settles = !this.isDeleted && this.#replicaPhase !== 'Receiving';
        if (options.checkpoint && settles)
          await this.#o.gate.shared(() => this.#rooting.checkpoint());
      } finally {
        this.#rooting.close();
      }
    });
  }

  /** The volume is being deleted: nothing it does is saved any more. */
  erase(): Promise<void> {
    this.isDeleted = true;
    this.upstream.isDeleted = true;
    return this.#lane.run(async () => {
      this.#rooting.removeHistory();
    });
  }

  #exclusive<T>(work: () => Promise<T>): Promise<T> {
    return this.#lane.run(() => {
      this.#checkAlive();
      return this.#o.gate.shared(work);
    });
  }

  #save(document: VolumeDocument): void {
    this.#checkAlive();
    try {
      replaceDocument(this.#o.disk, documentPath(this.id), document);
    } catch (error) {
      // Old or new: nobody can tell which one a crash would find.
      this.#o.onFailure(error);
      throw error;
    }
    this.#document = document;
  }

  #version(): Version {
    const { sizeBytes, blockBytes } = this.#document;
    const { root, allocatedBlocks } = this.#head.tree;
    return { root, sizeBytes, blockBytes, allocatedBlocks };
  }

  #snapshotVersion(name: string): Version {
    const found = this.#document.snapshots.find((one) => one.name === name);
    if (found === undefined) this.#noSnapshot(name);
    const { root, allocatedBlocks } = treeOf(found, this.blockSizeBytes);
    return { root, sizeBytes: found.sizeBytes, blockBytes: this.blockSizeBytes, allocatedBlocks };
  }

  #noSnapshot(name: string): never {
    const names = this.#document.snapshots.map((one) => one.name).join(', ');
    fail('NotFound', `volume ${this.name} has no snapshot ${name} (it has: ${names || 'none'})`);
  }

  #admit(): undefined | Promise<void> {
    this.#checkAlive();
    return this.#o.admit();
  }

  #checkAlive(): void {
    if (this.isDeleted) fail('NotFound', `volume ${this.name} was deleted`);
    this.#o.checkAlive();
  }

  get #replicaPhase(): ReplicaPhase | undefined {
    return this.#document.replica?.phase;
  }

  #checkWhole(): void {
    const phase = this.#replicaPhase;
    if (phase === undefined || phase === 'Healthy') return;
    fail('NotAccessible', `the replica of volume ${this.name} in this pool is being rebuilt`);
  }

  #checkShrink(sizeBytes: number, force: boolean): void {
    this.#checkNoDoors('shrunk');
    if (!force) {
      fail('BadArgument', `${sizeBytes} is less than ${this.sizeBytes}: data would be cut off`);
    }
  }

  #checkNoDoors(what: string): void {
    const { holders } = this.#doors;
    if (holders.length === 0) return;
    fail('InUse', `volume ${this.name} cannot be ${what}: ${holders.join(', ')} uses it`);
  }
}
