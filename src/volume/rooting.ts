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
import { settleOldest } from './settle.ts';
import { applyChanges, type TreeIo, type TreeRoot } from './tree.ts';
import type { Name, Version } from './types.ts';
import type { Upstream } from './upstream.ts';

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
  readonly save: (tree: TreeRoot, journalFrom: number) => void;
  /** After a checkpoint: journal files may have become free. */
  readonly onRooted: () => void;
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

  async settleAll(): Promise<void> {
    const { upstream, head, io: tree } = this.#o;
    const io = { tree, block: (name: Name, block: number) => upstream.block(name, block) };
    if (head.frozen.length === 0) head.freeze();
    for (let layer = head.frozen.at(-1); layer !== undefined; layer = head.frozen.at(-1)) {
      const settled = await settleOldest(head, io);
      if (this.#history === undefined) continue;
      for (const { first, count } of layer.zeroes.ranges()) {
        this.#needsBase ||= count > historyZeroesMax;
        const listed = this.#needsBase ? 0 : count;
        for (let i = 0; i < listed; i++) this.#changed.set(first + i, zeroName);
      }
      for (const [block, name] of settled) this.#changed.set(block, name);
    }
  }

  /** The content at some moment during the call becomes the durable root. */
  async checkpoint(): Promise<void> {
    const { head, io, clock, save, onRooted } = this.#o;
    // What an earlier failure left frozen goes first; then everything up to now.
    if (head.frozen.length > 0) await this.settleAll();
    await this.settleAll();
    // Before the root moves on: after a crash nobody could tell these changes any more.
    await this.#recordChanges(clock.wallMs());
    if (head.isRooted) return;
    const from = head.active.isEmpty ? head.journal.nextSequence : head.active.fromSequence;
    const tree = await applyChanges(io, head.tree, head.names, head.zeroes);
    await head.store.segments.syncLater();
    save(tree, from);
    head.tree = tree;
    head.names = new Map();
    head.zeroes.clear();
    head.namesFrom = Number.POSITIVE_INFINITY;
    onRooted();
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
      await history.syncLater();
      this.#changed.clear();
      this.#needsBase = false;
    } else if (head.names.size > namesMax) await this.checkpoint();
  }

  async #recordChanges(atMs: number): Promise<void> {
    const history = this.#history;
    if (history === undefined || this.#needsBase || this.#changed.size === 0) return;
    await this.#o.head.store.segments.syncLater();
    history.append(atMs, this.#o.sizeBytes(), this.#changed);
    this.#changed.clear();
    await history.syncLater();
  }
}
