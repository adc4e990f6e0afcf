/**
 * Work that outlives its watcher: imports, exports, scrubs. A job belongs to this process; what an
 * agent that died left half done is undone at the next start (`imports.ts`).
 */
import { apiVersion, type JobObject, type JobType } from '../api/objects.ts';
import { asTransshipError, fail } from '../base/errors.ts';
import { printable } from '../base/names.ts';
import type { Clock } from '../base/ports.ts';
import { formatMoment } from '../base/units.ts';

export type JobResult = NonNullable<JobObject['status']['result']>;

export interface JobControl {
  /** Aborted when somebody cancels the job or the agent stops. */
  readonly signal: AbortSignal;
  progress(doneBytes: number, totalBytes: number): void;
}

interface Job {
  view: JobObject;
  readonly abort: AbortController;
  readonly ended: Promise<void>;
  readonly listeners: Set<(view: JobObject) => void>;
  sentMs: number;
}

/** Finished jobs kept for `job list`. */
const jobsMax = 100;
/** Watchers see at most this many updates a second: enough for an eye. */
const updateEveryMs = 100;

export class Jobs {
  readonly #clock: Clock;
  readonly #cluster: string;
  readonly #jobs = new Map<string, Job>();
  #next = 1;

  constructor(clock: Clock, cluster: string) {
    this.#clock = clock;
    this.#cluster = cluster;
  }

  /** Starts `run` and returns at once. `InUse` when such a job runs for the same target. */
  start(
    spec: { readonly type: JobType; readonly target: string },
    run: (control: JobControl) => Promise<JobResult>,
  ): JobObject {
    const twin = this.#running().find(
      ({ view }) => view.spec.type === spec.type && view.spec.target === spec.target,
    );
    if (twin !== undefined) {
      fail(
        'InUse',
        `${spec.type} of ${spec.target} runs already as job ${twin.view.metadata.name}`,
      );
    }
    const view = this.describe(spec);
    const { name } = view.metadata;
    const abort = new AbortController();
    const ended = this.#run(name, run, abort.signal);
    this.#jobs.set(name, { view, abort, ended, listeners: new Set(), sentMs: 0 });
    this.#forgetOld();
    return view;
  }

  /** The object of a job that just begins; `start` also remembers it. */
  describe(spec: JobObject['spec']): JobObject {
    return {
      kind: 'Job',
      apiVersion,
      metadata: {
        name: `${spec.type.toLowerCase()}-${this.#next++}`,
        cluster: this.#cluster,
        creationTimestamp: formatMoment(this.#clock.wallMs()),
      },
      spec,
      status: { phase: 'Running', doneBytes: 0, totalBytes: 0 },
    };
  }

  list(): readonly JobObject[] {
    return [...this.#jobs.values()].map(({ view }) => view);
  }

  /** Every change until the job ends; resolves with its last state. */
  async watch(
    name: string,
    onEvent: (view: JobObject) => void,
    signal: AbortSignal,
  ): Promise<JobObject> {
    const job = this.#find(name);
    onEvent(job.view);
    job.listeners.add(onEvent);
    const left = new Promise<void>((resolve) => {
      signal.addEventListener('abort', () => resolve(), { once: true });
    });
    await Promise.race([job.ended, left]);
    job.listeners.delete(onEvent);
    return job.view;
  }

  async cancel(name: string): Promise<JobObject> {
    const job = this.#find(name);
    job.abort.abort();
    await job.ended;
    return job.view;
  }

  /** Cancels what works on this target; resolves when it has ended. */
  async cancelFor(target: string): Promise<void> {
    for (const job of this.#running()) {
      if (job.view.spec.target === target) await this.cancel(job.view.metadata.name);
    }
  }

  async cancelAll(): Promise<void> {
    await Promise.all(this.#running().map((job) => this.cancel(job.view.metadata.name)));
  }

  async #run(
    name: string,
    run: (control: JobControl) => Promise<JobResult>,
    signal: AbortSignal,
  ): Promise<void> {
    // The job is in the map only after this function first waits.
    await Promise.resolve();
    const progress = (doneBytes: number, totalBytes: number) => {
      this.#update(name, { doneBytes, totalBytes });
    };
    try {
      const result = await run({ signal, progress });
      this.#update(name, { phase: 'Succeeded', result }, true);
    } catch (error) {
      const { reason, message } = asTransshipError(error);
      const phase = signal.aborted ? 'Canceled' : 'Failed';
      this.#update(name, { phase, reason: signal.aborted ? 'Canceled' : reason, message }, true);
    }
  }

  #update(name: string, change: Partial<JobObject['status']>, always = false): void {
    const job = this.#jobs.get(name);
    if (job === undefined) return;
    job.view = { ...job.view, status: { ...job.view.status, ...change } };
    const nowMs = this.#clock.monotonicMs();
    if (!always && nowMs - job.sentMs < updateEveryMs) return;
    job.sentMs = nowMs;
    for (const listener of job.listeners) listener(job.view);
  }

  #find(name: string): Job {
    const job = this.#jobs.get(name);
    if (job === undefined) fail('NotFound', `no job '${printable(name)}'`);
    return job;
  }

  #running(): readonly Job[] {
    return [...this.#jobs.values()].filter(({ view }) => view.status.phase === 'Running');
  }

  #forgetOld(): void {
    for (const [name, { view }] of this.#jobs) {
      if (this.#jobs.size <= jobsMax) return;
      if (view.status.phase !== 'Running') this.#jobs.delete(name);
    }
  }
}
