/**
 * Joins informers, a queue and the code that makes things as they should be. A change of any source
 * becomes keys; each key is reconciled after all sources have been listed, and again when it fails.
 */
import { AssertionFailure, asTransshipError } from '../base/errors.ts';
import type { Log, Metrics } from '../base/ports.ts';
import type { Change, Informer, KubeClient, Outcome } from './api.ts';
import { keyText, type KubeObject } from './objects.ts';
import { createWorkQueue, type QueueRetry, queueBackoffDefault } from './queue.ts';
import type { BackoffLimits } from './waiting.ts';

/** After an error that no retry helps: something outside the API may have changed. */
export const terminalAgainMs = 600_000;

/** Where keys come from. */
export interface Source {
  readonly synced: Promise<void>;
  /** Calls `add` for the keys that a change concerns. Returns what ends it. */
  subscribe(add: (key: string) => void): () => void;
}

/** The keys of `reconcile` that a change of another object concerns; its own key when absent. */
export function watching<T extends KubeObject>(
  informer: Informer<T>,
  keysOf: (change: Change<T>) => Iterable<string> = ownKey,
): Source {
  return {
    synced: informer.synced,
    subscribe: (add) => {
      const end = informer.onChange((change) => {
        for (const key of keysOf(change)) add(key);
      });
      // What was there before anybody listened.
      for (const now of informer.list()) {
        const { namespace = '', name = '' } = now.metadata;
        for (const key of keysOf({ key: { namespace, name }, before: undefined, now })) add(key);
      }
      return end;
    },
  };
}

export function ownKey(change: Change<KubeObject>): string[] {
  return [keyText(change.key)];
}

/** The controlling owners of one kind, before and after; owners live in the same namespace. */
export function controllerKey(kind: string, apiGroup: string) {
  return ({ key, before, now }: Change<KubeObject>): string[] => {
    const owners = [before, now].flatMap((object) => object?.metadata.ownerReferences ?? []);
    const names = owners
      .filter((owner) => owner.controller === true && owner.kind === kind)
      .filter(
        ({ apiVersion }) => (apiVersion.includes('/') ? apiVersion.split('/')[0] : '') === apiGroup,
      )
      .map(({ name }) => keyText({ namespace: key.namespace, name }));
    return [...new Set(names)];
  };
}

export interface ReconcilerOptions {
  /** The kind, for metrics and logs. */
  readonly name: string;
  readonly client: Pick<KubeClient, 'connection'>;
  readonly sources: readonly Source[];
  readonly concurrency?: number;
  readonly backoff?: BackoffLimits;
  readonly metrics: Metrics;
  readonly log: Log;
  reconcile(key: string): Promise<Outcome>;
}

export interface Reconciler {
  /** For what no informer sees. */
  add(key: string): void;
  addAfter(key: string, ms: number): void;
  readonly size: number;
  /** Resolves when the sources are listed and the first keys are at work. */
  readonly started: Promise<void>;
  stop(): Promise<void>;
}

/** Begins when all sources have been listed. The informers stay the caller's to stop. */
export function createReconciler(options: ReconcilerOptions): Reconciler {
  return new SourcedReconciler(options);
}

class SourcedReconciler implements Reconciler {
  readonly started: Promise<void>;
  readonly #options: ReconcilerOptions;
  readonly #queue;
  readonly #subscriptions: (() => void)[] = [];
  /** What was last said about a failing key, so that retries do not say it again. */
  readonly #said = new Map<string, string>();
  #isStopped = false;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
    const { clock, random } = options.client.connection;
    this.#queue = createWorkQueue({
      clock,
      random,
      concurrency: options.concurrency ?? 1,
      backoff: options.backoff ?? queueBackoffDefault,
      run: (key) => this.#reconcile(key),
      onError: (key, error, retry) => this.#failed(key, error, retry),
      onSize: () => this.#measureDepth(),
    });
    this.started = this.#start();
    // A source that stops before it was listed says so to whoever waits; nobody has to.
    this.started.catch(() => undefined);
  }

  get size(): number {
    return this.#queue.size;
  }

  add(key: string): void {
    this.#queue.add(key);
  }

  addAfter(key: string, ms: number): void {
    this.#queue.addAfter(key, ms);
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    for (const end of this.#subscriptions.splice(0)) end();
    await this.#queue.stop();
  }

  async #start(): Promise<void> {
    await Promise.all(this.#options.sources.map(({ synced }) => synced));
    if (this.#isStopped) return;
    const changed = (key: string): void => {
      this.#said.delete(key);
      this.#queue.add(key);
    };
    for (const source of this.#options.sources) this.#subscriptions.push(source.subscribe(changed));
  }

  async #reconcile(key: string): Promise<Outcome> {
    const { client, metrics, name } = this.#options;
    const { clock, random } = client.connection;
    const startMs = clock.monotonicMs();
    let result = 'error';
    try {
      const outcome = await this.#options.reconcile(key);
      result = 'ok';
      this.#said.delete(key);
      return outcome;
    } catch (error) {
      if (error instanceof AssertionFailure || isWorthRepeating(error)) throw error;
      result = 'terminal';
      const againAfterMs = terminalAgainMs * (0.9 + 0.2 * random.fraction());
      this.#say(key, error, againAfterMs);
      return { againAfterMs };
    } finally {
      metrics.add('transship_reconcile_total', 1, { kind: name, result });
      const seconds = (clock.monotonicMs() - startMs) / 1000;
      metrics.observe('transship_reconcile_seconds', seconds, { kind: name });
    }
  }

  #failed(key: string, error: unknown, retry: QueueRetry): void {
    this.#say(key, error, retry.againAfterMs);
  }

  #say(key: string, error: unknown, againAfterMs: number): void {
    const { log, name } = this.#options;
    const { reason, message, cause } = asTransshipError(error);
    const text = `${reason}: ${message}`;
    if (this.#isStopped || this.#said.get(key) === text) return;
    this.#said.set(key, text);
    // Somebody else was quicker: ordinary, and the next look has the news.
    const level = reason === 'Conflict' ? 'debug' : reason === 'Internal' ? 'error' : 'warn';
    const stack = reason === 'Internal' && cause instanceof Error ? { stack: cause.stack } : {};
    const fields = { kind: name, key, reason, againAfterMs: Math.round(againAfterMs), ...stack };
    log.log(level, `reconcile: ${message}`, fields);
  }

  #measureDepth(): void {
    const { metrics, name } = this.#options;
    metrics.set('transship_reconcile_queue_depth', this.#queue.size, { kind: name });
  }
}

/** A defect of ours may have been chance; what the catalogue calls final is not. */
function isWorthRepeating(error: unknown): boolean {
  const { reason, retryable } = asTransshipError(error);
  return retryable || reason === 'Internal';
}
