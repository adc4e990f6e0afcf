/**
 * The machine of a simulated cluster: its processes are what the pods of a shop and the pods of
 * movers would do, in virtual time and on volumes that hold one number each.
 */
import { fail } from '../../src/base/errors.ts';
import type {
  Attempt,
  AttemptState,
  DirectoryVolumes,
  Mount,
  PodFile,
  PodFiles,
  Processes,
  ProcessSpec,
} from '../../src/embedded/runtime/ports.ts';
import type { Pod } from '../../src/kube/workloads.ts';
import type { SimApi } from './control-api.ts';
import type { MoveData, Worker } from './move-data.ts';
import type { Rng } from './rng.ts';
import { type Scheduler, wallStartMs } from './scheduler.ts';

const writeEveryMs = 1_700;
const looks = 4;
const lookMs = 700;
const fileBytes = 1200;

interface Ran {
  readonly attempt: Attempt;
  readonly startedMs: number;
  readonly lines: string[];
  /** Ends what it does by itself. */
  readonly stop: () => void;
  exit: { readonly code: number; readonly atMs: number } | undefined;
}

export interface MoveNodeOptions {
  readonly name: string;
  readonly scheduler: Scheduler;
  readonly rng: Rng;
  readonly api: () => SimApi;
  readonly data: MoveData;
  /** Addresses of servers, of all nodes: where a client finds the volume that is written. */
  readonly servers: Map<number, { readonly path: string; isUp: boolean }>;
  /** Whenever a mover has printed something. */
  readonly onLine: () => void;
}

export class MoveNode {
  readonly #o: MoveNodeOptions;
  /** By pod and container: all attempts, in order. */
  readonly #ran = new Map<string, Ran[]>();
  readonly #files = new Map<string, readonly PodFile[]>();
  readonly #notes = new Map<string, string>();
  readonly #volumes = new Set<string>();
  readonly #listeners = new Set<(pod: string) => void>();
  readonly processes: Processes;
  readonly files: PodFiles;
  readonly directories: DirectoryVolumes;

  constructor(options: MoveNodeOptions) {
    this.#o = options;
    this.processes = this.#processes();
    this.files = this.#podFiles();
    this.directories = this.#directories();
  }

  #of({ pod, container, number }: Attempt): Ran | undefined {
    return this.#ran.get(`${pod}/${container}`)?.find(({ attempt }) => attempt.number === number);
  }

  #processes(): Processes {
    return {
      mounting: 'bind',
      start: async (attempt, spec) => this.#start(attempt, spec),
      look: (attempt) => this.#look(attempt),
      attempts: (pod) => {
        const own = [...this.#ran].filter(([key]) => key.startsWith(`${pod}/`));
        return new Map(
          own.map(([, all]) => [all.at(-1)!.attempt.container, all.at(-1)!.attempt.number]),
        );
      },
      onExit: (listener) => {
        this.#listeners.add(listener);
        return () => void this.#listeners.delete(listener);
      },
      signal: (attempt, signal) => this.#signal(attempt, signal),
      exec: async () => ({ exitCode: 0, output: '' }),
      readLog: (attempt) => this.#log(attempt),
      forgetBefore: () => undefined,
      pods: () => [...new Set([...this.#ran.keys()].map((key) => key.split('/')[0] ?? ''))],
      settle: () => undefined,
      remove: async (pod) => {
        for (const [key, all] of this.#ran) {
          if (!key.startsWith(`${pod}/`)) continue;
          for (const one of all) this.#exit(one, 137);
          this.#ran.delete(key);
        }
      },
    };
  }

  async *#log(attempt: Attempt): AsyncGenerator<Uint8Array> {
    const { lines = [] } = this.#of(attempt) ?? {};
    yield Buffer.from(lines.map((line) => `${line}\n`).join(''));
  }

  #look(attempt: Attempt): AttemptState {
    const ran = this.#of(attempt);
    if (ran === undefined) return { state: 'none' };
    const startedMs = wallStartMs + ran.startedMs;
    if (ran.exit === undefined) return { state: 'running', startedMs };
    const { code, atMs } = ran.exit;
    return { state: 'exited', exitCode: code, startedMs, finishedMs: wallStartMs + atMs };
  }

  #start(attempt: Attempt, spec: ProcessSpec): void {
    const { scheduler } = this.#o;
    const ran: Ran = {
      attempt,
      startedMs: scheduler.nowMs,
      lines: [],
      stop: this.#begin(attempt, spec, () => ran),
      exit: undefined,
    };
    const key = `${attempt.pod}/${attempt.container}`;
    this.#ran.set(key, [...(this.#ran.get(key) ?? []), ran]);
  }

  #begin(attempt: Attempt, { argv, mounts, env }: ProcessSpec, ran: () => Ran): () => void {
    const [program, , side] = argv;
    const volume = mounts.find(({ source }) => /^\/(volumes|engine)\//.test(source))?.source;
    if (program === 'transship' && side === 'server') return this.#serve(volume ?? '', ran);
    if (program === 'hook') return this.#hook(env, ran);
    if (program === 'transship') return this.#copy(volume ?? '', mounts, ran);
    return this.#work(attempt, volume, program === 'once' ? ran : undefined);
  }

  /** Again and again until it is ended; `once`: for a while. */
  #repeat(label: string, everyMs: number, act: () => boolean): () => void {
    let isOver = false;
    const next = () => {
      this.#o.scheduler.at(everyMs, `${label} at ${this.#o.name}`, () => {
        if (!isOver && act()) next();
      });
    };
    next();
    return () => {
      isOver = true;
    };
  }

  #podOf({ pod }: Attempt): Pod | undefined {
    const all = this.#o.api().list<Pod>('Pod');
    return all.find(({ metadata }) => metadata.uid === pod);
  }

  #work(attempt: Attempt, volume: string | undefined, once: (() => Ran) | undefined): () => void {
    const { data, name } = this.#o;
    const pod = this.#podOf(attempt);
    const { namespace = '', labels = {} } = pod?.metadata ?? {};
    const worker: Worker = { app: labels['app'] ?? '', cluster: name, namespace };
    data.begin(worker, volume);
    const stop = this.#repeat(worker.app, writeEveryMs, () => {
      if (volume !== undefined) data.write(worker, volume);
      if (once !== undefined) this.#exit(once(), 0);
      return once === undefined;
    });
    return () => {
      stop();
      // What was on its way to the disk is there at the very end.
      if (volume !== undefined && this.#o.rng.chance(0.5)) data.write(worker, volume);
      data.end(worker);
    };
  }

  #hook(env: Readonly<Record<string, string>>, ran: () => Ran): () => void {
    const { data, name: cluster } = this.#o;
    const phase = env['TRANSSHIP_PHASE'] ?? '';
    data.hook({ migration: env['TRANSSHIP_MIGRATION'] ?? '', phase, cluster });
    return this.#repeat(`hook ${phase}`, writeEveryMs, () => {
      ran().lines.push(`${phase} is noted`);
      this.#exit(ran(), 0);
      return false;
    });
  }

  #serve(path: string, ran: () => Ran): () => void {
    const { servers } = this.#o;
    const port = 20_000 + servers.size;
    const entry = { path, isUp: true };
    servers.set(port, entry);
    const stop = this.#repeat('mover server', lookMs, () => {
      this.#say(ran(), { type: 'Listening', port });
      return false;
    });
    return () => {
      stop();
      entry.isUp = false;
    };
  }

  #copy(source: string, mounts: readonly Mount[], ran: () => Ran): () => void {
    const { data, servers } = this.#o;
    const config = this.#config(mounts);
    // Worst of all: it has of each file what it found at first.
    const content = data.read(source) ?? 'torn';
    let at = 0;
    return this.#repeat('mover client', lookMs, () => {
      const server = servers.get(config.port);
      if (server?.isUp !== true) {
        const message = 'no connection: Connection refused (rsync code 10)';
        const failed = { reason: 'SourceUnreachable', message, retryInSeconds: 1 };
        this.#say(ran(), { type: 'AttemptFailed', attempt: 1, ...failed });
        return true;
      }
      at += 1;
      data.copy(server.path, at < looks ? 'torn' : content);
      this.#progress(ran(), at, config.pass === 'Final');
      if (at === looks) this.#exit(ran(), 0);
      return at < looks;
    });
  }

  #config(mounts: readonly Mount[]): { readonly port: number; readonly pass: string } {
    for (const { source } of mounts) {
      const file = this.#files.get(source)?.find(({ path }) => path === 'config.json');
      if (file !== undefined) {
        const text = Buffer.from(file.content).toString('utf8');
        return JSON.parse(text) as { readonly port: number; readonly pass: string };
      }
    }
    return fail('BadArgument', 'a mover without configuration');
  }

  #progress(ran: Ran, at: number, isFinal: boolean): void {
    const bytes = (fileBytes * at) / looks;
    const more = { bytesPerSecond: 1, elapsedSeconds: 1, files: 1, listing: false };
    const percent = Math.floor((100 * at) / looks);
    this.#say(ran, { type: 'Progress', attempt: 1, percent, bytes, ...more });
    if (at < looks) return;
    const stats = { files: 1, totalBytes: fileBytes, sentBytes: fileBytes };
    const audit = { entries: 1, bytes: fileBytes, digest: 'd', contentCompared: false };
    const end = { type: 'Done', attempts: 1, stats, notes: [] };
    this.#say(ran, isFinal ? { ...end, audit } : end);
  }

  #say(ran: Ran, message: object): void {
    ran.lines.push(JSON.stringify(message));
    this.#o.onLine();
  }

  #signal(attempt: Attempt, signal: 'SIGTERM' | 'SIGKILL'): void {
    const ran = this.#of(attempt);
    if (ran === undefined) return;
    if (signal === 'SIGKILL') return this.#exit(ran, 137);
    const { scheduler, rng, name } = this.#o;
    const ms = rng.pick([5, 300, 2_500]);
    scheduler.at(ms, `process ends at ${name}`, () => this.#exit(ran, 143));
  }

  #exit(ran: Ran, code: number): void {
    if (ran.exit !== undefined) return;
    ran.exit = { code, atMs: this.#o.scheduler.nowMs };
    ran.stop();
    for (const tell of this.#listeners) tell(ran.attempt.pod);
  }

  #podFiles(): PodFiles {
    const place = (pod: string, volume: string) => `/pods/${pod}/${volume}`;
    return {
      makeDirectory: place,
      writeFiles: (pod, volume, files) => {
        this.#files.set(place(pod, volume), files);
        return place(pod, volume);
      },
      checkHostPath: () => undefined,
      subPath: (directory, subPath) => `${directory}/${subPath}`,
      note: (pod, name, text) => {
        if (text === undefined) this.#notes.delete(`${pod}/${name}`);
        else this.#notes.set(`${pod}/${name}`, text);
      },
      readNote: (pod, name) => this.#notes.get(`${pod}/${name}`),
    };
  }

  #directories(): DirectoryVolumes {
    const { data, name: cluster } = this.#o;
    const place = (name: string) => `/volumes/${cluster}/${name}`;
    return {
      make: async ({ name }) => {
        this.#volumes.add(name);
        data.make(place(name));
        return place(name);
      },
      path: async ({ name }) => place(name),
      remove: async (name) => {
        this.#volumes.delete(name);
        data.remove(place(name));
      },
      removeUnused: async (name) => {
        if (data.read(place(name)) !== 0) return false;
        this.#volumes.delete(name);
        data.remove(place(name));
        return true;
      },
      names: async () => [...this.#volumes],
    };
  }
}
