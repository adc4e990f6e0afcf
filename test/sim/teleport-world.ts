/** Agents that teleport volumes to each other, and what must be true of every volume. */
import { TransshipError } from '../../src/base/errors.ts';
import type { Reason } from '../../src/base/reasons.ts';
import type { TeleportRecord } from '../../src/peer/teleport-record.ts';
import type { VolumeApi } from '../../src/volume/api.ts';
import { AgentWorld } from './agent-world.ts';
import { type Frozen, Mismatch, VolumeModel } from './model.ts';
import { Gone } from './mortal.ts';
import type { Range } from './range.ts';
import { createRng } from './rng.ts';
import { Node, type TeleportMutation } from './teleport-node.ts';

/** A volume of one agent. */
export interface Tracked {
  readonly name: string;
  readonly model: VolumeModel;
  readonly snapshots: Map<string, { readonly frozen: Frozen; sure: boolean }>;
  readonly busy: Set<Range>;
  /** Nothing else may happen to it while an operation on it as a whole runs. */
  whole: boolean;
  /** A crash came between: what is there now was not read yet. */
  unread: { powerLost: boolean } | undefined;
}

/** Volumes that come into being: after a crash they are there or not. */
export interface Expected {
  readonly name: string;
  readonly frozen: Frozen;
  /** Whose writes still count for the frozen content. */
  readonly source: VolumeModel | undefined;
  /** What it may also be, because the source crashed and was asked again. */
  readonly again: Frozen[];
}

export class TeleportWorld extends AgentWorld<Node> {
  readonly nodes: readonly Node[];
  readonly volumes = new Map<Node, Map<string, Tracked>>();
  readonly expected = new Map<Node, Map<string, Expected>>();
  readonly #phases = new Map<string, string>();
  /** Claims of `Available` that were not proven yet. */
  readonly claims: { readonly node: Node; readonly record: TeleportRecord }[] = [];
  /** Versions that teleports began with, by the root they claimed. */
  readonly begun: { readonly root: string; readonly frozen: Frozen }[] = [];

  constructor(options: {
    readonly seed: number;
    readonly mutation: TeleportMutation;
    readonly onEvent: ((label: string, nowMs: number) => void) | undefined;
  }) {
    const { seed, mutation, onEvent } = options;
    const rng = createRng(seed).fork('teleport');
    super({ rng, onEvent, delaysMs: [0.1, 5, 50], jittersMs: [0, 1, 40] });
    const names = this.rng.chance(0.5) ? ['a', 'b'] : ['a', 'b', 'c'];
    this.nodes = names.map((name) => {
      const { scheduler, network } = this;
      const node = new Node({
        name,
        scheduler,
        network,
        mutation,
        rng: this.rng.fork(`node ${name}`),
        onRecord: (at, record) => this.#noteRecord(at, record),
        onEnd: (at, powerLost) => this.#forget(at, powerLost),
      });
      this.volumes.set(node, new Map());
      this.expected.set(node, new Map());
      return node;
    });
    for (const node of this.nodes) node.meet(names);
  }

  up(): Node[] {
    return this.nodes.filter((node) => node.running !== undefined);
  }

  volumesOf(node: Node): Map<string, Tracked> {
    return this.volumes.get(node)!;
  }

  /** Volumes that can be read and written now, as far as their data can be reached. */
  usable(node: Node): Tracked[] {
    return [...this.volumesOf(node).values()].filter(
      (one) => !one.whole && one.unread === undefined,
    );
  }

  device(node: Node, name: string): VolumeApi {
    if (node.running === undefined) throw new Gone();
    return node.running.pool.volume(name);
  }

  track(node: Node, name: string, model: VolumeModel): Tracked {
    const volume: Tracked = {
      name,
      model,
      whole: false,
      unread: undefined,
      snapshots: new Map(),
      busy: new Set(),
    };
    this.volumesOf(node).set(name, volume);
    return volume;
  }

  expect(node: Node, wanted: Omit<Expected, 'again'>): void {
    this.expected.get(node)!.set(wanted.name, { ...wanted, again: [] });
  }

  /** The source was read after a crash: whoever asks it again gets what it holds from now on. */
  freezeAgain(source: VolumeModel): void {
    for (const wanted of [...this.expected.values()].flatMap((all) => [...all.values()])) {
      if (wanted.source === source) wanted.again.push(source.freeze(wanted.frozen.what));
    }
  }

  /** It is there (or not): its content can change from now on. */
  settle(node: Node, name: string, isThere: boolean): Tracked | undefined {
    const wanted = this.expected.get(node)!.get(name);
    if (wanted === undefined) return undefined;
    this.expected.get(node)!.delete(name);
    endFreezes(wanted);
    if (!isThere) return undefined;
    const unread = this.#isUnread(wanted.source) ? [wanted.source.anyOf(name)] : [];
    for (const frozen of [...wanted.again, ...unread]) {
      for (const [sector, contents] of frozen.sectors().entries()) {
        wanted.frozen.mayAlsoBe(sector, contents);
      }
    }
    return this.track(node, name, new VolumeModel(name, wanted.frozen, wanted.frozen));
  }

  #isUnread(model: VolumeModel | undefined): model is VolumeModel {
    const all = [...this.volumes.values()].flatMap((volumes) => [...volumes.values()]);
    return all.some((one) => one.model === model && one.unread !== undefined);
  }

  /** The volume's data may be where nobody answers now. */
  excuses(error: unknown, isArriving: boolean): boolean {
    if (!(error instanceof TransshipError)) return false;
    const far: readonly Reason[] = ['SourceUnreachable', 'DataMissing', 'Stopping'];
    return isArriving && far.includes(error.reason);
  }

  /** Told to end, it may refuse. */
  protected override expects(node: Node, error: unknown): boolean {
    return node.isClosing && isStopping(error);
  }

  /** Whatever the process had promised has to be read once more. */
  #forget(node: Node, powerLost: boolean): void {
    for (const volume of this.volumesOf(node).values()) {
      volume.busy.clear();
      volume.whole = false;
      volume.unread = { powerLost: powerLost || volume.unread?.powerLost === true };
    }
    for (const wanted of this.expected.get(node)!.values()) endFreezes(wanted);
    this.noteEnd(node);
  }

  /** Phases go one way, and the last of them has to be proven. */
  #noteRecord(node: Node, record: TeleportRecord): void {
    const key = `${node.name}/${record.name}`;
    const before = this.#phases.get(key);
    if (before === record.phase) return;
    this.#phases.set(key, record.phase);
    this.scheduler.note(`${key} is ${record.phase}`);
    // Cancelled in the very moment it became whole, it is cancelled.
    const isLate = before === 'Available' && record.phase === 'Canceled';
    const isOver = before === 'Available' || before === 'Canceled';
    if (isOver && !isLate) this.fail(new Mismatch(`${key} was ${before} and is ${record.phase}`));
    if (record.phase === 'Available') this.claims.push({ node, record });
  }
}

function endFreezes({ source, frozen, again }: Expected): void {
  for (const one of [frozen, ...again]) source?.endFreeze(one);
}

function isStopping(error: unknown): boolean {
  return error instanceof TransshipError && ['Stopping', 'Canceled'].includes(error.reason);
}
