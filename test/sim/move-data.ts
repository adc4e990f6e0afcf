/**
 * What volumes hold and which processes run, as a person would find out who looked at the disks and
 * the machines. Controllers see nothing of it. Whatever must never happen is noticed here at once.
 */
import { Mismatch } from './model.ts';

/** What is in a volume: the number of the last write, or the middle of a copy. */
export type Content = number | 'torn';

/** A process of a workload, in words that are the same in both clusters. */
export interface Worker {
  readonly app: string;
  readonly cluster: string;
  readonly namespace: string;
}

export interface HookRan {
  readonly migration: string;
  readonly phase: string;
  readonly cluster: string;
}

const wordFor = ({ app, cluster, namespace }: Worker) => `${cluster}/${namespace}/${app}`;

export class MoveData {
  readonly #volumes = new Map<string, Content>();
  readonly #running = new Set<Worker>();
  /** Number of the last write that was made into each by its workload. */
  readonly #own = new Map<string, number>();
  readonly #fail: (error: Error) => void;
  readonly hooks: HookRan[] = [];
  /** How often a hook may run for a migration. */
  hookRunsMax: (migration: string) => number = () => 1;
  #writes = 0;
  /** Number of the last write of all. */
  #newest = 0;
  /** Namespaces in which nothing counts: those of rehearsals. */
  isSandbox: (namespace: string) => boolean = () => false;
  /** A way back without data was asked for: what the source had last is right there. */
  isSourceEnough = false;
  readonly source: string;

  /** What a process found in its volume as it began, the last time. */
  readonly #begun = new Map<string, Content | undefined>();

  constructor(source: string, fail: (error: Error) => void) {
    this.source = source;
    this.#fail = fail;
  }

  make(path: string): void {
    if (!this.#volumes.has(path)) this.#volumes.set(path, 0);
  }

  /** The last write must always be somewhere. */
  remove(path: string): void {
    const content = this.#volumes.get(path);
    this.#volumes.delete(path);
    if (content !== this.#newest || this.#newest === 0) return;
    if ([...this.#volumes.values()].includes(this.#newest)) return;
    if (!this.isSourceEnough) this.#fail(new Mismatch(`${path} had the only copy, and is erased`));
  }

  read(path: string): Content | undefined {
    return this.#volumes.get(path);
  }

  /** Volumes that do not have the newest write: nobody runs on them. */
  old(): ReadonlyMap<string, Content> {
    return new Map([...this.#volumes].filter(([, content]) => content !== this.#newest));
  }

  copy(path: string, content: Content): void {
    if (this.#volumes.has(path)) this.#volumes.set(path, content);
  }

  running(app: string, cluster: string): number {
    const all = [...this.#running].filter((one) => one.app === app && one.cluster === cluster);
    return all.filter(({ namespace }) => !this.isSandbox(namespace)).length;
  }

  /** Also of a namespace in which nothing counts. */
  runningIn(app: string, cluster: string, namespace: string): number {
    const own = wordFor({ app, cluster, namespace });
    return [...this.#running].filter((one) => wordFor(one) === own).length;
  }

  begunWith(app: string, cluster: string, namespace: string): Content | undefined {
    return this.#begun.get(wordFor({ app, cluster, namespace }));
  }

  /** The number of the last write that counts. */
  get newest(): number {
    return this.#newest;
  }

  /** A process begins; with a volume it must find there what was written last. */
  begin(worker: Worker, path: string | undefined): void {
    this.#running.add(worker);
    if (path !== undefined) this.#begun.set(wordFor(worker), this.read(path));
    const { app, cluster, namespace } = worker;
    if (this.isSandbox(namespace)) {
      if (path !== undefined && this.read(path) === 'torn') this.#tell(worker, path);
      return;
    }
    const other = [...this.#running].find((one) => {
      return one.app === app && one.cluster !== cluster && !this.isSandbox(one.namespace);
    });
    if (other !== undefined) {
      this.#fail(new Mismatch(`${app} starts at ${cluster} and still runs at ${other.cluster}`));
    }
    if (path !== undefined && !this.#isRight(cluster, path)) this.#tell(worker, path);
  }

  /** A volume of the source may also have what was written into it last, where that is enough. */
  #isRight(cluster: string, path: string): boolean {
    const content = this.read(path);
    if (content === this.#newest) return true;
    return cluster === this.source && this.isSourceEnough && content === this.#own.get(path);
  }

  #tell({ app, cluster, namespace }: Worker, path: string): void {
    const expected = this.isSandbox(namespace) ? 'a whole copy' : this.#newest;
    const found = `${String(this.read(path))} in ${path}`;
    this.#fail(new Mismatch(`${app} starts at ${cluster} on ${found} instead of ${expected}`));
  }

  /** A hook begins: once, at its side, and where the shop is as its phase says. */
  hook(ran: HookRan): void {
    const { migration, phase, cluster } = ran;
    this.hooks.push(ran);
    const times = this.hooks.filter((one) => {
      return one.migration === migration && one.phase === phase;
    }).length;
    const what = `hook ${phase} of ${migration} at ${cluster}`;
    if (times > this.hookRunsMax(migration)) this.#fail(new Mismatch(`${what} runs again`));
    const places = [...this.#running].map((one) => one.cluster);
    const isSource = cluster === this.source;
    const isEarly = phase === 'PreBackup' || phase === 'PostRestore';
    const isWrong = isEarly ? places.some((one) => one !== cluster) : places.length > 0;
    if (isWrong) this.#fail(new Mismatch(`${what} begins while the shop is open at ${places}`));
    if (isSource !== phase.endsWith('Backup')) this.#fail(new Mismatch(`${what}: the wrong side`));
  }

  end(worker: Worker): void {
    this.#running.delete(worker);
  }

  write({ namespace }: Worker, path: string): void {
    if (!this.#volumes.has(path)) return;
    this.#writes += 1;
    this.#volumes.set(path, this.#writes);
    if (this.isSandbox(namespace)) return;
    this.#newest = this.#writes;
    this.#own.set(path, this.#writes);
  }
}
