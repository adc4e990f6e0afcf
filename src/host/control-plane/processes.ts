/**
 * Containers as processes of this machine (`src/embedded/runtime/ports.ts`). Every attempt has a
 * directory with who it is, its log and, when it ended, its exit code. Processes are leaders of
 * their own session: they outlive us, and are found again by process id and start time. This is no
 * isolation: they run as the user who started the cluster.
 */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { fail } from '../../base/errors.ts';
import type {
  Attempt,
  AttemptState,
  ExecResult,
  Mount,
  PodFiles,
  ProcessSpec,
  Processes,
} from '../../embedded/runtime/ports.ts';
import { createPodFiles } from './processes-files.ts';
import { noteGrowth, readLogFile } from './processes-logs.ts';
import { canBind, makeTarget, releaseTargets } from './processes-mounts.ts';
import { notStartedCode, scriptOf } from './processes-script.ts';
import {
  type ProcessIdentity,
  isAlive,
  kill,
  parseStat,
  processesWith,
} from './processes-table.ts';

export interface ProcessesOptions {
  /** Ours alone: pods' directories are in it. */
  readonly root: string;
  /** Mounts below these paths belong to volumes: containers must not keep them busy. */
  readonly foreignMounts: readonly string[];
  /** The register of places where pods have mounts: one for all clusters of the machine. */
  readonly mountPoints: string;
  /** Taken for granted by tests; else tried. */
  readonly mounting?: 'bind' | 'link';
}

export interface HostProcesses extends Processes {
  readonly files: PodFiles;
  /** No more looking; what runs goes on. */
  close(): void;
}

/** Between looks at processes that are not our children, and at logs. */
const lookEveryMs = 500;
const startTimeMs = 10_000;
const killTimeMs = 10_000;
const outputBytesMax = 10 * 1024;
/** In every process's environment: finds what left its process group. */
const marker = 'TRANSSHIP_CONTAINER';
const killedCode = 137;

export function createProcesses(options: ProcessesOptions): HostProcesses {
  fs.mkdirSync(path.join(options.root, 'pods'), { recursive: true, mode: 0o700 });
  return new ProcessHost(options, options.mounting ?? (canBind(options.root) ? 'bind' : 'link'));
}

class ProcessHost implements HostProcesses {
  readonly mounting: 'bind' | 'link';
  readonly files: PodFiles;
  readonly #options: ProcessesOptions;
  readonly #listeners = new Set<(pod: string) => void>();
  readonly #watched = new Map<string, Attempt>();
  readonly #starting = new Set<string>();
  readonly #timer: NodeJS.Timeout;

  constructor(options: ProcessesOptions, mounting: 'bind' | 'link') {
    this.#options = options;
    this.mounting = mounting;
    this.files = createPodFiles(options.root);
    this.#timer = setInterval(() => this.#lookAround(), lookEveryMs).unref();
  }

  close(): void {
    clearInterval(this.#timer);
    this.#listeners.clear();
  }

  async start(attempt: Attempt, spec: ProcessSpec): Promise<void> {
    const directory = this.#directory(attempt);
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
    const isBound = this.mounting === 'bind' && spec.mounts.length > 0;
    const workingDirectory = spec.workingDirectory ?? (isBound ? '/' : this.#home(attempt, spec));
    if (isBound) for (const mount of spec.mounts) this.#makeTarget(attempt, mount);
    if (this.mounting === 'link') this.#link(attempt, spec.mounts);
    const script = path.join(directory, 'run.sh');
    const text = scriptOf({
      directory,
      argv: spec.argv,
      workingDirectory,
      mounts: isBound ? spec.mounts : [],
      foreignMounts: this.#options.foreignMounts,
      user: spec.user,
      group: spec.group,
    });
    this.#starting.add(markOf(attempt));
    try {
      fs.writeFileSync(script, text, { mode: 0o600 });
      await this.#spawn(attempt, isBound, { ...spec.env, ...placesOf(spec.mounts, isBound) });
    } finally {
      this.#starting.delete(markOf(attempt));
    }
  }

  async #spawn(attempt: Attempt, isBound: boolean, env: ProcessSpec['env']): Promise<void> {
    const directory = this.#directory(attempt);
    const log = fs.openSync(path.join(directory, 'log'), 'a', 0o600);
    const shell = ['sh', path.join(directory, 'run.sh')];
    const own = ['unshare', '--mount', '--propagation', 'private', '--'];
    const [program = 'sh', ...parameters] = isBound ? [...own, ...shell] : shell;
    const child = spawn(program, parameters, {
      cwd: '/',
      env: { ...env, [marker]: markOf(attempt) },
      stdio: ['ignore', log, log],
      detached: true,
    });
    fs.closeSync(log);
    child.unref();
    child.once('exit', () => this.#ended(attempt));
    await new Promise<void>((resolve, reject) => {
      child.once('error', reject);
      child.once('spawn', resolve);
    });
    this.#watch(attempt);
    // It has said who it is, or it is gone: only then a crash of ours cannot lose it.
    const untilMs = performance.now() + startTimeMs;
    while (child.exitCode === null && !fs.existsSync(path.join(directory, 'claimed'))) {
      if (performance.now() > untilMs) {
        fail('TimedOut', `container ${attempt.container} did not start`);
      }
      await pause(2);
    }
  }

  look(attempt: Attempt): AttemptState {
    const directory = this.#directory(attempt);
    if (this.#starting.has(markOf(attempt))) return { state: 'running', startedMs: Date.now() };
    const began = fs.statSync(path.join(directory, 'pid'), { throwIfNoEntry: false });
    if (began === undefined) return this.#lookUnbegun(directory);
    const startedMs = began.mtimeMs;
    const exit = readExit(directory);
    if (exit !== undefined) {
      return { state: 'exited', exitCode: exit.code, startedMs, finishedMs: exit.atMs };
    }
    const identity = this.#identity(attempt);
    if (identity !== undefined && isAlive(identity)) {
      if (fs.existsSync(path.join(directory, 'claimed'))) this.#watch(attempt);
      return { state: 'running', startedMs };
    }
    // It may have written its exit code since we looked for it.
    const late = readExit(directory);
    if (late === undefined) this.#writeExit(attempt, killedCode);
    const end = late ?? { code: killedCode, atMs: Date.now() };
    return { state: 'exited', exitCode: end.code, startedMs, finishedMs: end.atMs };
  }

  /** Prepared by a control plane that ended before the process said who it is. */
  #lookUnbegun(directory: string): AttemptState {
    if (!fs.existsSync(path.join(directory, 'run.sh'))) return { state: 'none' };
    try {
      // From now on the process will give up, should it still come.
      fs.mkdirSync(path.join(directory, 'claimed'));
    } catch {
      const began = fs.existsSync(path.join(directory, 'pid'));
      if (began) return { state: 'running', startedMs: Date.now() };
    }
    const nowMs = Date.now();
    fs.writeFileSync(path.join(directory, 'pid'), '0\n');
    fs.writeFileSync(path.join(directory, 'exit'), `${notStartedCode}\n`);
    return { state: 'exited', exitCode: notStartedCode, startedMs: nowMs, finishedMs: nowMs };
  }

  attempts(pod: string): ReadonlyMap<string, number> {
    const highest = new Map<string, number>();
    const root = path.join(this.#pod(pod), 'containers');
    if (!fs.existsSync(root)) return highest;
    for (const container of fs.readdirSync(root)) {
      const numbers = fs.readdirSync(path.join(root, container)).map(Number);
      if (numbers.length > 0) highest.set(container, Math.max(...numbers));
    }
    return highest;
  }

  onExit(listener: (pod: string) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  signal(attempt: Attempt, signal: 'SIGTERM' | 'SIGKILL'): void {
    const identity = this.#identity(attempt);
    if (identity === undefined) return;
    if (isAlive(identity)) kill(-identity.pid, signal);
    if (signal === 'SIGKILL') this.#sweep(attempt);
  }

  async exec(
    attempt: Attempt,
    argv: readonly string[],
    {
      env,
      timeoutMs,
    }: { readonly env: Readonly<Record<string, string>>; readonly timeoutMs: number },
  ): Promise<ExecResult> {
    const identity = this.#identity(attempt);
    if (identity === undefined || !isAlive(identity)) {
      fail('NotFound', `container ${attempt.container} does not run`);
    }
    const enter =
      this.mounting === 'bind'
        ? ['nsenter', '--target', String(identity.pid), '--mount', '--', ...argv]
        : [...argv];
    const [program = '', ...parameters] = enter;
    const child = spawn(program, parameters, {
      cwd: '/',
      env: { ...env, [marker]: markOf(attempt) },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    let output = '';
    const take = (piece: Buffer) => {
      if (output.length < outputBytesMax) output += piece.toString('utf8');
    };
    child.stdout.on('data', take);
    child.stderr.on('data', take);
    const ended = Promise.withResolvers<number>();
    child.once('error', ended.reject);
    child.once('close', (code) => ended.resolve(code ?? killedCode));
    const timer = setTimeout(() => {
      if (child.pid !== undefined) kill(-child.pid, 'SIGKILL');
      ended.reject(new Error(`timed out after ${timeoutMs} ms`));
    }, timeoutMs);
    try {
      return { exitCode: await ended.promise, output: output.slice(0, outputBytesMax) };
    } finally {
      clearTimeout(timer);
    }
  }

  readLog(attempt: Attempt, options: Parameters<Processes['readLog']>[1]) {
    const log = path.join(this.#directory(attempt), 'log');
    noteGrowth(log, Date.now());
    return readLogFile(log, options, () => this.look(attempt).state !== 'running');
  }

  forgetBefore(attempt: Attempt): void {
    const root = path.join(this.#pod(attempt.pod), 'containers', attempt.container);
    if (!fs.existsSync(root)) return;
    for (const name of fs.readdirSync(root)) {
      if (Number(name) >= attempt.number) continue;
      fs.rmSync(path.join(root, name), { recursive: true, force: true });
    }
  }

  pods(): readonly string[] {
    return fs.readdirSync(path.join(this.#options.root, 'pods'));
  }

  settle(pod: string): void {
    releaseTargets(this.#options.mountPoints, pod);
  }

  async remove(pod: string): Promise<void> {
    for (const [container, number] of this.attempts(pod)) {
      const attempt = { pod, container, number };
      if (this.look(attempt).state === 'running') await this.#end(attempt);
      this.#watched.delete(markOf(attempt));
    }
    this.settle(pod);
    fs.rmSync(this.#pod(pod), { recursive: true, force: true });
  }

  async #end(attempt: Attempt): Promise<void> {
    const untilMs = performance.now() + killTimeMs;
    while (this.look(attempt).state === 'running') {
      this.signal(attempt, 'SIGKILL');
      if (performance.now() > untilMs)
        fail('TimedOut', `container ${attempt.container} does not end`);
      await pause(5);
    }
    this.#sweep(attempt);
  }

  #makeTarget(attempt: Attempt, { source, target }: Mount): void {
    const isDirectory = fs.statSync(source).isDirectory();
    makeTarget(this.#options.mountPoints, attempt.pod, target, !isDirectory);
  }

  #home(attempt: Attempt, spec: ProcessSpec): string {
    return this.mounting === 'link' && spec.mounts.length > 0 ? this.#links(attempt) : '/';
  }

  #links(attempt: Attempt): string {
    return path.join(this.#pod(attempt.pod), 'mounts', attempt.container);
  }

  /** Without mounts of its own, a container finds them below its own directory. */
  #link(attempt: Attempt, mounts: readonly Mount[]): void {
    for (const { source, target } of mounts) {
      const link = path.join(this.#links(attempt), target);
      fs.mkdirSync(path.dirname(link), { recursive: true });
      fs.rmSync(link, { force: true });
      fs.symlinkSync(source, link);
    }
  }

  #pod(pod: string): string {
    if (!/^[\w-]{1,64}$/.test(pod)) fail('Invalid', `${pod} is no uid`);
    return path.join(this.#options.root, 'pods', pod);
  }

  #directory({ pod, container, number }: Attempt): string {
    return path.join(this.#pod(pod), 'containers', container, String(number));
  }

  #identity(attempt: Attempt): ProcessIdentity | undefined {
    try {
      return parseStat(fs.readFileSync(path.join(this.#directory(attempt), 'pid'), 'latin1'));
    } catch {
      return undefined;
    }
  }

  #watch(attempt: Attempt): void {
    const key = markOf(attempt);
    if (!this.#watched.has(key)) this.#watched.set(key, attempt);
  }

  /** Ends what the container left behind, in its group or out of it. */
  #sweep(attempt: Attempt): void {
    const identity = this.#identity(attempt);
    for (const pid of processesWith(`${marker}=${markOf(attempt)}`)) {
      if (pid !== process.pid && pid !== identity?.pid) kill(pid, 'SIGKILL');
    }
  }

  #ended(attempt: Attempt): void {
    if (!this.#watched.has(markOf(attempt)) || this.look(attempt).state === 'running') return;
    this.#watched.delete(markOf(attempt));
    this.#sweep(attempt);
    noteGrowth(path.join(this.#directory(attempt), 'log'), Date.now());
    for (const listener of this.#listeners) listener(attempt.pod);
  }

  #writeExit(attempt: Attempt, code: number): void {
    fs.writeFileSync(path.join(this.#directory(attempt), 'exit'), `${code}\n`);
  }

  #lookAround(): void {
    for (const attempt of this.#watched.values()) {
      const log = path.join(this.#directory(attempt), 'log');
      noteGrowth(log, Date.now());
      this.#ended(attempt);
    }
  }
}

/** In a mount namespace of its own a process must not write where the host has it: it is hidden. */
function placesOf(mounts: readonly Mount[], isBound: boolean): Record<string, string> {
  const places: Record<string, string> = {};
  for (const { variable, source, target } of mounts) {
    if (variable !== undefined) places[variable] = isBound ? target : source;
  }
  return places;
}

function markOf({ pod, container, number }: Attempt): string {
  return `${pod}/${container}/${number}`;
}

function readExit(directory: string): { readonly code: number; readonly atMs: number } | undefined {
  try {
    const file = path.join(directory, 'exit');
    const text = fs.readFileSync(file, 'utf8');
    // Made, and not yet written.
    if (!text.endsWith('\n')) return undefined;
    return { code: Number(text), atMs: fs.statSync(file).mtimeMs };
  } catch {
    return undefined;
  }
}
