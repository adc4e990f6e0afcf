/** Agents that work together in a simulation, and what is asked of them beside each other. */
import type { AgentNode } from './agent-node.ts';
import { ContentSource } from './content.ts';
import type { RunResult } from './engine-run.ts';
import { Mismatch } from './model.ts';
import { answerOf, Endings, Gone } from './mortal.ts';
import { ifFree, type Range } from './range.ts';
import type { Rng } from './rng.ts';
import { Crashed, Scheduler } from './scheduler.ts';
import { SimNetwork } from './sim-network.ts';

const KiB = 1024;
const minuteMs = 60_000;
/** Of virtual time: retries, time-outs and pauses fit in many times. */
const patienceMs = 40 * minuteMs;

export interface AgentWorldOptions {
  readonly rng: Rng;
  /** Links have one of these. */
  readonly delaysMs: readonly number[];
  readonly jittersMs: readonly number[];
  readonly onEvent: ((label: string, nowMs: number) => void) | undefined;
}

export abstract class AgentWorld<N extends AgentNode<unknown>> {
  readonly rng: Rng;
  readonly scheduler: Scheduler;
  readonly network: SimNetwork;
  readonly content: ContentSource;
  abstract readonly nodes: readonly N[];
  violation: Error | undefined;
  readonly #running = new Map<N, Map<Promise<void>, string>>();
  readonly #endings: Endings<N>;
  #counter = 0;

  constructor({ rng, delaysMs, jittersMs, onEvent }: AgentWorldOptions) {
    this.rng = rng;
    this.scheduler = new Scheduler({
      rng: rng.fork('scheduler'),
      eventsMax: 3_000_000,
      ...(onEvent === undefined ? {} : { onEvent }),
    });
    this.content = new ContentSource(rng.fork('content'));
    this.network = new SimNetwork(this.scheduler, rng.fork('network'), {
      delayMs: rng.pick(delaysMs),
      jitterMs: rng.pick(jittersMs),
      bufferBytes: rng.pick([16, 256]) * KiB,
      connectTimeoutMs: 10_000,
    });
    this.#endings = new Endings(this.scheduler);
  }

  unique(prefix: string): string {
    this.#counter += 1;
    return `${prefix}${this.#counter}`;
  }

  /** A range that no unanswered request touches, or undefined; requests gather in few places. */
  freeRange(sizeBytes: number, busy: Iterable<Range>): Range | undefined {
    const { rng } = this;
    const unit = rng.pick([4 * KiB, 4 * KiB, 512, 1]);
    const hot = rng.chance(0.5) ? Math.min(sizeBytes, 256 * KiB) : sizeBytes;
    const offset = Math.floor(rng.below(hot) / unit) * unit;
    const most = rng.pick([1, 4, 32]) * 4 * KiB;
    const length = Math.min(sizeBytes - offset, Math.max(unit, rng.between(1, most)));
    return ifFree({ offset, length }, busy);
  }

  /** Runs an operation beside others. What it throws that is not expected is a violation. */
  spawn(node: N, label: string, operation: () => Promise<void>): void {
    const { life } = node;
    this.scheduler.note(`start ${node.name} ${label}`);
    const running = this.#of(node);
    const work = operation()
      .catch((error: unknown) => {
        if (node.life !== life || error instanceof Gone || error instanceof Crashed) return;
        if (this.expects(node, error)) return;
        this.fail(new Error(`${node.name} ${label}: ${String(error)}`, { cause: error }));
      })
      .finally(() => {
        if (node.life !== life) return;
        this.scheduler.note(`end ${node.name} ${label}`);
        running.delete(work);
      });
    // A disk call right at its beginning may have ended the process.
    if (node.life === life) running.set(work, label);
  }

  unfinished(): string[] {
    return this.nodes.flatMap((node) => {
      return [...this.#of(node).values()].map((label) => `${node.name}: ${label}`);
    });
  }

  /** An answer of an agent; throws `Gone` when its process has ended meanwhile. */
  answer<T>(node: N, call: () => T | Promise<T>): Promise<T> {
    return answerOf(node, call);
  }

  /** Lets things happen until the work ends or the node's process does (`Gone`). */
  drive<T>(node: N, work: Promise<T>): Promise<T> {
    return this.#endings.drive(node, work);
  }

  fail(error: Error): void {
    this.violation ??= error;
  }

  /** Waits until nothing is left of what must go away; `look` is done every virtual second. */
  async becomes(what: string, left: () => string[], look?: () => Promise<void>): Promise<void> {
    const { scheduler } = this;
    const deadline = scheduler.nowMs + patienceMs;
    for (let rest = left(); rest.length > 0; rest = left()) {
      if (scheduler.nowMs > deadline) throw new Mismatch(`not so: ${what}: ${rest.join('; ')}`);
      await scheduler.idle(1000);
      await look?.();
      if (this.violation !== undefined) throw this.violation;
    }
  }

  /** The verdict about a whole schedule. */
  async judge(seed: number, live: () => Promise<void>): Promise<RunResult> {
    let violation: Error | undefined;
    try {
      await live();
    } catch (error) {
      violation = error instanceof Error ? error : new Error(String(error));
    }
    const { traceHash, events } = this.scheduler;
    const lives = this.nodes.reduce((sum, node) => sum + node.life, 0);
    const messages = this.nodes.flatMap((node) =>
      node.messages.map((message) => `${node.name}: ${message}`),
    );
    return { seed, traceHash, events, lives, violation, messages };
  }

  /** True for what a node may answer now, whatever was asked. */
  protected expects(_node: N, _error: unknown): boolean {
    return false;
  }

  protected noteEnd(node: N): void {
    this.#of(node).clear();
    this.#endings.ended(node);
  }

  #of(node: N): Map<Promise<void>, string> {
    const known = this.#running.get(node) ?? new Map<Promise<void>, string>();
    this.#running.set(node, known);
    return known;
  }
}
