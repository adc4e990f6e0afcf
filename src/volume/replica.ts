/**
 * A volume as one replica of a set (docs/formats/pool.md, "Replicas"): what it promised, which
 * writes it contains, and how it takes over the content of another replica. Who leads, and when
 * what is done, is decided elsewhere (`src/peer/replica`).
 */
import { fail } from '../base/errors.ts';
import type { Rebase, VolumeReplica } from './api.ts';
import type { Head } from './head.ts';
import type { Fallback, FormerRoot, Mark, ReplicaDocument, SectorRecord } from './replica-types.ts';
import type { Rooting } from './rooting.ts';
import { isOutOfReach } from './settle.ts';
import type { ChunkSource, Name } from './types.ts';
import type { Upstream } from './upstream.ts';
import type { RecentUse } from './use.ts';
import { treeOf, type VolumeDocument, withTree } from './volume-document.ts';

/** Roots of earlier attempts whose chunks are kept; older ones have little that is new. */
const formerMax = 3;
const settleRounds = 3;

export interface ReplicaOptions {
  readonly head: Head;
  readonly upstream: Upstream;
  readonly rooting: Rooting;
  readonly use: RecentUse;
  readonly document: () => VolumeDocument;
  readonly save: (document: VolumeDocument) => void;
  readonly exclusive: <T>(work: () => Promise<T>) => Promise<T>;
  readonly admit: () => undefined | Promise<void>;
  readonly checkAlive: () => void;
  readonly onRooted: () => void;
  /** Marks are about to be in the journal: the pool's format must allow them. */
  readonly allowReplicas: () => void;
}

export class Replica implements VolumeReplica {
  readonly #o: ReplicaOptions;
  #durable: Mark = { epoch: 0, sequence: 0 };

  constructor(options: ReplicaOptions) {
    this.#o = options;
    this.#durable = this.mark;
  }

  get document(): ReplicaDocument | undefined {
    return this.#o.document().replica;
  }
  get mark(): Mark {
    return this.#o.head.mark ?? { epoch: 0, sequence: 0 };
  }
  get durable(): Mark {
    return this.#durable;
  }

  /** A replay found the mark; all that it found is durable. */
  replayed(damaged: boolean): void {
    this.#durable = this.mark;
    if (!damaged || this.document?.phase !== 'Healthy') return;
    this.#keep({ phase: 'Lost' });
  }

  note(changes: Partial<Pick<ReplicaDocument, 'promised' | 'configuration' | 'points'>>): void {
    this.#keep(changes);
  }

  admit(): undefined | Promise<void> {
    return this.#o.admit();
  }

  apply(records: readonly SectorRecord[], mark: Mark): void {
    this.#o.checkAlive();
    const { head, use } = this.#o;
    const sectorBytes = head.blockBytes / head.sectorsPerBlock;
    for (const { firstSector } of records) use.touch(firstSector * sectorBytes);
    head.apply(records, mark);
  }

  async flush(): Promise<void> {
    this.#o.checkAlive();
    const { mark } = this;
    await this.#o.head.journal.flush();
    if (isNewer(mark, this.#durable)) this.#durable = mark;
  }

  begin(first: Omit<ReplicaDocument, 'mark' | 'phase'>): Promise<void> {
    const { head, document } = this.#o;
    return this.#o.exclusive(async () => {
      if (document().replica !== undefined) fail('AlreadyExists', 'it is replicated already');
      this.#o.allowReplicas();
      const mark = { epoch: 0, sequence: 0 };
      // From here on every write is marked; before, there was none. The document comes last.
      head.setMark(mark);
      await head.journal.flush();
      this.#o.save({ ...document(), replica: { ...first, mark, phase: 'Healthy' } });
    });
  }

  adopt(
    changes: Pick<ReplicaDocument, 'mark' | 'configuration'>,
    still: () => void,
  ): Promise<void> {
    const { head } = this.#o;
    return this.#o.exclusive(async () => {
      this.#require('Healthy');
      still();
      head.setMark(changes.mark);
      await this.flush();
      still();
      const mark = head.isSettled ? changes.mark : this.#present().mark;
      this.#keep({ configuration: changes.configuration, mark });
    });
  }

  receive(still: () => void): Promise<void> {
    const { head, rooting, document, upstream } = this.#o;
    return this.#o.exclusive(async () => {
      const { phase } = this.#present();
      const kept = phase === 'Healthy' ? await this.#makeFallback() : this.#present().fallback;
      still();
      const { pending: _dropped, ...rest } = document();
      const { fallback: _old, ...replica } = this.#present();
      this.#o.save({
        ...rest,
        journalFrom: head.journal.nextSequence,
        replica: {
          ...replica,
          phase: 'Receiving',
          former: this.#formerRoots(),
          ...(kept === undefined ? {} : { fallback: kept }),
        },
      });
      head.reset(head.tree);
      upstream.source = undefined;
      rooting.breakHistory();
      this.#o.onRooted();
    });
  }

  rebase(to: Rebase, source: ChunkSource, still: () => void): Promise<void> {
    const { head, rooting, document, upstream } = this.#o;
    return this.#o.exclusive(async () => {
      this.#require('Receiving');
      const { origin, policy, snapshots, points } = to;
      if (origin.blockBytes !== head.blockBytes) {
        fail('Conflict', `blocks of ${origin.blockBytes} bytes cannot replace ${head.blockBytes}`);
      }
      still();
      const tree = treeOf(origin, origin.blockBytes);
      const before = { ...document(), sizeBytes: origin.sizeBytes, origin, policy, snapshots };
      const next = withTree(before, tree, before.journalFrom);
      const replica = { ...this.#present(), points, phase: 'Filling' as const };
      this.#o.save({ ...next, replica });
      head.tree = tree;
      upstream.origin = origin;
      upstream.source = source;
      rooting.setHistory(policy);
      rooting.breakHistory();
    });
  }

  finish(mark: Mark, still: () => void): Promise<void> {
    const { head, document, upstream } = this.#o;
    return this.#o.exclusive(async () => {
      this.#require('Filling');
      // Without a write since it received, nothing has told it the mark.
      if (head.isSettled) head.mark = mark;
      await head.store.segments.syncLater();
      await this.flush();
      still();
      const { origin: _whole, ...rest } = document();
      const { fallback: _gone, former: _unneeded, ...replica } = this.#present();
      const settled = head.isSettled ? { mark: this.mark } : {};
      this.#o.save({ ...rest, replica: { ...replica, ...settled, phase: 'Healthy' } });
      upstream.origin = undefined;
      upstream.source = undefined;
    });
  }

  revert(still: () => void): Promise<void> {
    const { head, rooting, document, upstream } = this.#o;
    return this.#o.exclusive(async () => {
      const { fallback, former: _unneeded, ...replica } = this.#present();
      if (fallback === undefined) fail('Conflict', 'there is nothing it could go back to');
      await head.store.segments.syncLater();
      still();
      const { mark, points = 0, sizeBytes, snapshots } = fallback;
      const tree = treeOf(fallback, head.blockBytes);
      const { origin: _left, ...rest } = document();
      const next = withTree({ ...rest, sizeBytes, snapshots }, tree, head.journal.nextSequence);
      this.#o.save({ ...next, replica: { ...replica, mark, points, phase: 'Healthy' } });
      head.reset(tree);
      head.mark = mark;
      this.#durable = mark;
      upstream.origin = undefined;
      upstream.source = undefined;
      rooting.breakHistory();
      this.#o.onRooted();
    });
  }

  /** The journal fills with live writes that cannot settle: they are let go, the stream breaks. */
  async shed(): Promise<void> {
    if (this.document?.phase !== 'Receiving') return;
    const { head, document } = this.#o;
    this.#o.save({ ...document(), journalFrom: head.journal.nextSequence });
    head.reset(head.tree);
    head.mark = { epoch: 0, sequence: 0 };
    this.#o.onRooted();
  }

  /** What the collector must keep beside the volume's own. */
  *held(): Generator<{ readonly name: Name; readonly sizeBytes: number; readonly root: boolean }> {
    const { fallback, former = [] } = this.document ?? {};
    const snapshots = fallback?.snapshots ?? [];
    for (const one of [...(fallback === undefined ? [] : [fallback]), ...snapshots, ...former]) {
      const { root: name } = treeOf(one, this.#o.head.blockBytes);
      yield { name, sizeBytes: one.sizeBytes, root: true };
    }
  }

  /** Undefined when its own content cannot be had whole: then it can answer for nothing. */
  async #makeFallback(): Promise<Fallback | undefined> {
    const { head, rooting, document } = this.#o;
    try {
      for (let i = 0; i < settleRounds && !head.isSettled; i++) await rooting.checkpoint();
    } catch (error) {
      if (isOutOfReach(error)) return undefined;
      throw error;
    }
    if (!head.isSettled) fail('Conflict', 'it still takes writes of another leader');
    const { root, sizeBytes, allocatedBlocks, snapshots } = document();
    const { mark, points = 0 } = this.#present();
    return { mark, points, root, sizeBytes, allocatedBlocks, snapshots };
  }

  #formerRoots(): readonly FormerRoot[] {
    const { root, sizeBytes, allocatedBlocks } = this.#o.document();
    const before = (this.#present().former ?? []).filter((one) => one.root !== root);
    return [{ root, sizeBytes, allocatedBlocks }, ...before].slice(0, formerMax);
  }

  #present(): ReplicaDocument {
    return this.document ?? fail('NotFound', 'the volume is not replicated');
  }

  #require(phase: ReplicaDocument['phase']): void {
    const now = this.#present().phase;
    if (now !== phase) fail('Conflict', `the replica is ${now}, not ${phase}`);
  }

  #keep(changes: Partial<ReplicaDocument>): void {
    this.#o.save({ ...this.#o.document(), replica: { ...this.#present(), ...changes } });
  }
}

/** Whether `a` contains a write that `b` does not. */
export function isNewer(a: Mark, b: Mark): boolean {
  return a.epoch === b.epoch ? a.sequence > b.sequence : a.epoch > b.epoch;
}
