/**
 * How what a head holds becomes durable content: settling into chunks, checkpoints into a root,
 * points into the history. The volume's lane runs one of these at a time.
 */
import { fail } from '../base/errors.ts';
import type { Clock, Disk } from '../base/ports.ts';
import type { HistoryInfo, HistoryPolicy } from './api.ts';
import type { Head } from './head.ts';
import { History, tickMs } from './history.ts';
import { zeroName } from './name.ts';
import type { Mark } from './replica-types.ts';
import { isOutOfReach, settleOldest } from './settle.ts';
import { applyChanges, type TreeIo, type TreeRoot } from './tree.ts';
import type { Name, Version } from './types.ts';
import type { Upstream } from './upstream.ts';
import { type PendingDocument, pendingOf } from './volume-document.ts';

/** Zeroed blocks that a history point still lists one by one; more make a base. */
const historyZeroesMax = 4096;
/** Names waiting for a tree update: bounds memory during imports. */
export const namesMax = 32 * 1024;

export interface RootingOptions {
  readonly id: string;
  readonly disk: Disk;
  readonly clock: Clock;
  readonly head: Head;
  readonly upstream: Upstream;
  readonly io: TreeIo;
  readonly sizeBytes: () => number;
  /** Makes a new root durable in the volume's document. */
  readonly save: (tree: TreeRoot, journalFrom: number, mark: Mark | undefined) => void;
  /** Makes durable what waits for the tree, beside the root. */
  readonly savePending: (
    pending: PendingDocument,
    journalFrom: number,
    mark: Mark | undefined,
  ) => void;
  /** After a checkpoint: journal files may have become free. */
  readonly onRooted: () => void;
  /** A sync failed: nothing more may be acknowledged. */
  readonly onFailure: (error: unknown) => void;
}

export class Rooting {
  readonly #o: RootingOptions;
  #history: History | undefined;
  #lastTickMs = 0;
  /** Changes since the last history point. */
  #changed = new Map<number, Name>();
  /** The log may not fit the content (just opened, restored, resized): the next point is a base. */
  #needsBase = true;

  constructor(options: RootingOptions, policy: HistoryPolicy) {
    this.#o = options;
    this.setHistory(policy);
  }

  /** Starts keeping history, or forgets all of it. */
  setHistory(policy: HistoryPolicy): void {
    const { id, disk, head, io } = this.#o;
    if (tickMs(policy) === undefined) {
      this.removeHistory();
      return;
    }
    this.#history ??= new History({
      disk,
      path: `history/${id}.log`,
      blockBytes: head.blockBytes,
      io,
      syncChunks: () => head.store.segments.syncLater(),
    });
  }

  removeHistory(): void {
    this.#history?.remove();
    this.#history = undefined;
  }

  close(): void {
    this.#history?.close();
    this.#history = undefined;
  }

  /** The root is about to be replaced by one that the log does not lead to. */
  breakHistory(): void {
    this.#needsBase = true;
  }

  info(policy: HistoryPolicy): HistoryInfo {
    const none = { policy, oldestMs: undefined, newestMs: undefined, points: 0 };
    return this.#history?.info(policy) ?? none;
  }

  *historyHeld(): Generator<{ name: Name; sizeBytes: number; root: boolean }> {
    for (const { name, sizeBytes, base } of this.#history?.held() ?? []) {
      yield { name, sizeBytes, root: base };
    }
  }

  isTickDue(policy: HistoryPolicy): boolean {
    const period = tickMs(policy);
    if (period === undefined) return false;
    const nowMs = this.#o.clock.wallMs();
    return Math.floor(nowMs / period) !== Math.floor(this.#lastTickMs / period);
  }

  async versionAt(atMs: number, volume: string): Promise<Version> {
    await this.tick();
    if (this.#history === undefined) {
      fail('NotFound', `volume ${volume} keeps no history; give it a history policy first`);
    }
    const version = await this.#history.versionAt(atMs);
    await this.#o.head.store.segments.syncLater();
    return version;
  }

  async prune(policy: HistoryPolicy): Promise<void> {
    await this.#history?.prune(policy, this.#o.clock.wallMs());
  }

  /** Resolves with how many blocks had to stay behind; none unless `carry`. */
  async settleAll(carry = false): Promise<number> {
    const { upstream, head, io: tree } = this.#o;
    const io = { tree, block: (name: Name, block: number) => upstream.block(name, block) };
    let carried = 0;
    if (head.frozen.length === 0) head.freeze();
    for (let layer = head.frozen.at(-1); layer !== undefined; layer = head.frozen.at(-1)) {
      const settled = await settleOldest(head, io, { carry });
      carried += settled.carried;
      // A point without some of its blocks would be none.
      this.#needsBase ||= settled.carried > 0;
      if (this.#history === undefined) continue;
      for (const { first, count } of layer.zeroes.ranges()) {
        this.#needsBase ||= count > historyZeroesMax;
        const listed = this.#needsBase ? 0 : count;
        for (let i = 0; i < listed; i++) this.#changed.set(first + i, zeroName);
      }
      for (const [block, name] of settled.names) this.#changed.set(block, name);
    }
    return carried;
  }

  /**
   * The content at some moment during the call becomes the durable root; with `carry`, without the
   * blocks that have to stay in the journal.
   */
  async checkpoint(carry = false): Promise<void> {
    const { head, clock, save, savePending, onRooted } = this.#o;
    // What an earlier failure left frozen goes first; then everything up to now.
    let carried = head.frozen.length > 0 ? await this.settleAll(carry) : 0;
    // What was carried a moment ago would only be carried again.
    if (carried === 0) carried = await this.settleAll(carry);
    // The first copies in the journal may go only when the second are durable.
    if (carried > 0) await head.journal.flush();
    // Before the root moves on: after a crash nobody could tell these changes any more.
    await this.#recordChanges(clock.wallMs());
    if (head.isRooted) {
      if (carried > 0) onRooted();
      return;
    }
    const from = head.active.isEmpty ? head.journal.nextSequence : head.active.fromSequence;
    // Of this moment: writes go on while the tree is made.
    const mark = head.settledMark;
    const tree = await this.#newTree(carry);
    await head.store.segments.syncLater();
    if (tree === undefined) {
      savePending(pendingOf(head.names, head.zeroes), from, mark);
      head.namesFrom = Number.POSITIVE_INFINITY;
      onRooted();
      return;
    }
    save(tree, from, mark);
    head.tree = tree;
    head.names = new Map();
    head.zeroes.clear();
    head.namesFrom = Number.POSITIVE_INFINITY;
    onRooted();
  }

  /** Undefined when pages are out of reach and the changes may stay beside the tree for now. */
  async #newTree(carry: boolean): Promise<TreeRoot | undefined> {
    const { head, io } = this.#o;
    try {
      return await applyChanges(io, head.tree, head.names, head.zeroes);
    } catch (error) {
      if (carry && isOutOfReach(error)) return undefined;
      throw error;
    }
  }

  /** A history point: the changes since the last one, without a new tree. */
  async tick(): Promise<void> {
    const history = this.#history;
    if (history === undefined) return;
    const { head, clock, sizeBytes } = this.#o;
    const atMs = clock.wallMs();
    this.#lastTickMs = atMs;
    await this.settleAll();
    await this.#recordChanges(atMs);
    if (this.#needsBase || history.wantsBase) {
      // The content may have moved on meanwhile; the base says so with a later time.
      await this.checkpoint();
      history.appendBase(clock.wallMs(), sizeBytes(), head.tree);
      await this.#syncHistory(history);
      this.#changed.clear();
      this.#needsBase = false;
    } else if (head.names.size > namesMax) await this.checkpoint();
  }

  async #syncHistory(history: History): Promise<void> {
    try {
      await history.syncLater();
    } catch (error) {
      this.#o.onFailure(error);
      throw error;
    }
  }

  async #recordChanges(atMs: number): Promise<void> {
    const history = this.#history;
    if (history === undefined || this.#needsBase || this.#changed.size === 0) return;
    await this.#o.head.store.segments.syncLater();
    history.append(atMs, this.#o.sizeBytes(), this.#changed);
    this.#changed.clear();
    await this.#syncHistory(history);
  }
}
