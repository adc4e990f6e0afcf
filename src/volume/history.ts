/**
 * History of a volume: its content at every second, minute, hour or day inside a policy (design.md
 * 4.2). A point costs one entry per changed block; a root for it is made only when somebody asks.
 */
import { fail } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Disk } from '../base/ports.ts';
import { formatMoment } from './moment.ts';
import type { HistoryInfo, HistoryPolicy } from './api.ts';
import { encodeBase, encodeChanges, HistoryLog, type HistoryPoint } from './history-log.ts';
import { IntervalSet } from './intervals.ts';
import { applyChanges, treeDepth, type TreeIo, type TreeRoot } from './tree.ts';
import type { Name, Version } from './types.ts';

const second = 1000;
const minute = 60 * second;
const hour = 60 * minute;
const day = 24 * hour;

/** A base this often bounds the changes that one restore applies. */
const changesPerBase = 64 * 1024;

export function policyProblem(policy: HistoryPolicy): string | undefined {
  const rows = [
    ['seconds', policy.secondsMs, limits.historySecondsMaxMs],
    ['minutes', policy.minutesMs, limits.historyMinutesMaxMs],
    ['hours', policy.hoursMs, limits.historyHoursMaxMs],
    ['days', policy.daysMs, limits.historyDaysMaxMs],
  ] as const;
  for (const [name, ms, max] of rows) {
    if (!Number.isFinite(ms) || ms < 0) return `${name} retention must be zero or more`;
    if (ms > max) return `${name} retention is at most ${max / hour} hours`;
  }
  return undefined;
}

/** How often points are made; undefined when none are. */
export function tickMs(policy: HistoryPolicy): number | undefined {
  if (policy.secondsMs > 0) return second;
  if (policy.minutesMs > 0) return minute;
  if (policy.hoursMs > 0) return hour;
  return policy.daysMs > 0 ? day : undefined;
}

/** The period whose last point is kept for a point of this age; undefined when it is dropped. */
function keepPeriod(policy: HistoryPolicy, ageMs: number): number | undefined {
  if (ageMs <= policy.secondsMs) return second;
  if (ageMs <= policy.minutesMs) return minute;
  if (ageMs <= policy.hoursMs) return hour;
  return ageMs <= policy.daysMs ? day : undefined;
}

export interface HistoryOptions {
  readonly disk: Disk;
  readonly path: string;
  readonly blockBytes: number;
  readonly io: TreeIo;
  /** Makes the chunks stored so far durable. */
  readonly syncChunks: () => Promise<void>;
}

export class History {
  readonly #log: HistoryLog;
  readonly #options: HistoryOptions;
  #sinceBase = 0;

  constructor(options: HistoryOptions) {
    this.#options = options;
    this.#log = new HistoryLog(options.disk, options.path);
    for (const point of this.#log.points) {
      this.#sinceBase = point.count === undefined ? 0 : this.#sinceBase + point.count;
    }
  }

  get lastMs(): number {
    return this.#log.points.at(-1)?.atMs ?? 0;
  }

  get wantsBase(): boolean {
    return this.#log.points.length === 0 || this.#sinceBase > changesPerBase;
  }

  info(policy: HistoryPolicy): HistoryInfo {
    const { points } = this.#log;
    const moments = new Set(points.map((point) => point.atMs));
    return {
      policy,
      oldestMs: points[0]?.atMs,
      newestMs: points.at(-1)?.atMs,
      points: moments.size,
    };
  }

  /** Chunks must be durable before. Time never goes back in the log, whatever the clock does. */
  append(wallMs: number, sizeBytes: number, changes: ReadonlyMap<number, Name>): void {
    const atMs = Math.max(wallMs, this.lastMs);
    const frame = encodeChanges(atMs, sizeBytes, changes);
    this.#log.append(frame, { atMs, sizeBytes, count: changes.size });
    this.#sinceBase += changes.size;
  }

  appendBase(wallMs: number, sizeBytes: number, tree: TreeRoot): void {
    const atMs = Math.max(wallMs, this.lastMs);
    this.#log.append(encodeBase(atMs, sizeBytes, tree), { atMs, sizeBytes, count: undefined });
    this.#sinceBase = 0;
  }

  syncLater(): Promise<void> {
    return this.#log.syncLater();
  }

  /** The content at the newest point that is not after `atMs`. */
  async versionAt(atMs: number): Promise<Version> {
    const { points } = this.#log;
    const index = points.findLastIndex((point) => point.atMs <= atMs);
    const point = points[index];
    if (point === undefined) {
      const oldest = points[0];
      const from = oldest === undefined ? 'it keeps no history' : formatMoment(oldest.atMs);
      fail('NotFound', `nothing is kept of ${formatMoment(atMs)}; oldest available: ${from}`);
    }
    const tree = await this.#treeAt(index);
    const { blockBytes } = this.#options;
    const { root, allocatedBlocks } = tree;
    return { root, sizeBytes: point.sizeBytes, blockBytes, allocatedBlocks };
  }

  /** Every base root and every name of the log, for the collector. */
  *held(): Generator<{ readonly name: Name; readonly sizeBytes: number; readonly base: boolean }> {
    for (const point of this.#log.points) {
      const { sizeBytes } = point;
      const base = this.#log.baseOf(point);
      if (base !== undefined) yield { name: base.root, sizeBytes, base: true };
      for (const name of this.#log.changesOf(point).values()) {
        yield { name, sizeBytes, base: false };
      }
    }
  }

  /** Drops what the policy no longer keeps, when that is worth a rewrite. */
  async prune(policy: HistoryPolicy, nowMs: number): Promise<boolean> {
    const { points } = this.#log;
    const keep = points.map((point, i) => this.#keeps(policy, nowMs, point, points[i + 1]));
    const kept = keep.filter(Boolean).length;
    if (points.length < 16 || kept * 2 > points.length) return false;
    await this.#rewrite(keep);
    return true;
  }

  remove(): void {
    this.#log.remove();
  }

  close(): void {
    this.#log.close();
  }

  #keeps(
    policy: HistoryPolicy,
    nowMs: number,
    point: HistoryPoint,
    next: HistoryPoint | undefined,
  ): boolean {
    if (next === undefined) return true;
    const period = keepPeriod(policy, nowMs - point.atMs);
    // The newest point before the window is the content at its beginning.
    if (period === undefined) return keepPeriod(policy, nowMs - next.atMs) !== undefined;
    return Math.floor(point.atMs / period) !== Math.floor(next.atMs / period);
  }

  /** The tree at a point: the last base before it with the changes since. */
  async #treeAt(index: number): Promise<TreeRoot> {
    const { points } = this.#log;
    let from = index;
    while (from > 0 && points[from]?.count !== undefined) from--;
    const basePoint = points[from];
    const base = basePoint === undefined ? undefined : this.#log.baseOf(basePoint);
    if (basePoint === undefined || base === undefined) {
      fail('DataCorrupt', 'the history log has no base');
    }
    const changes = new Map<number, Name>();
    for (const point of points.slice(from + 1, index + 1)) {
      for (const [block, name] of this.#log.changesOf(point)) changes.set(block, name);
    }
    const depth = treeDepth(basePoint.sizeBytes, this.#options.blockBytes);
    const tree = { ...base, depth };
    return applyChanges(this.#options.io, tree, changes, new IntervalSet());
  }

  async #rewrite(keep: readonly boolean[]): Promise<void> {
    const points = [...this.#log.points];
    const frames: Uint8Array[] = [];
    const first = keep.indexOf(true);
    const start = points[first];
    if (start === undefined) return;
    const base = await this.#treeAt(first);
    await this.#options.syncChunks();
    frames.push(encodeBase(start.atMs, start.sizeBytes, base));
    let changes = new Map<number, Name>();
    for (let i = first + 1; i < points.length; i++) {
      const point = points[i];
      if (point === undefined) continue;
      const own = this.#log.baseOf(point);
      if (own !== undefined) {
        frames.push(encodeBase(point.atMs, point.sizeBytes, own));
        changes = new Map();
        continue;
      }
      for (const [block, name] of this.#log.changesOf(point)) changes.set(block, name);
      if (keep[i] !== true) continue;
      frames.push(encodeChanges(point.atMs, point.sizeBytes, changes));
      changes = new Map();
    }
    this.#log.rewrite(frames);
    this.#sinceBase = 0;
  }
}
