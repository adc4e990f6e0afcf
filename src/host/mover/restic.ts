/** Runs restic for a mover: secrets in files and in its environment, never among its words. */
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { TransshipError } from '../../base/errors.ts';
import { exitCodeOf, reasons } from '../../base/reasons.ts';
import { delayAfter } from '../../files/attempts.ts';
import {
  type BackupConfig,
  type RestoreConfig,
  resticAttemptsMax,
} from '../../files/restic-config.ts';
import {
  commonWords,
  environmentOf,
  judgeRestic,
  type ResticEnd,
} from '../../files/restic-words.ts';
import type { Failure, Outcome } from '../../files/rsync-exits.ts';
import { say } from './messages.ts';
import { needProgram } from './programs.ts';

type Config = BackupConfig | RestoreConfig;

const stderrCharactersMax = 64 * 1024;
/** One line of its progress names the files that it reads. */
const lineCharactersMax = 64 * 1024;

export interface ResticRun {
  /** Undefined: a signal ended it. */
  readonly code: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ResticOptions {
  readonly words: readonly string[];
  readonly directory?: string;
  /** What it reads from stdin. */
  readonly input?: string;
  /** Where what it prints is written to. */
  readonly output?: string;
  readonly onLine?: (line: string) => void;
  /** Looks now and then at the process. */
  readonly onLook?: (pid: number) => void;
}

const lookMs = 1000;

export class Restic {
  readonly #config: Config;
  readonly #signal: AbortSignal;
  readonly #common: readonly string[];

  /** `ToolMissing`. Writes the files that it is told of. */
  constructor(config: Config, signal: AbortSignal) {
    const { state, repository, password, bytesPerSecond } = config;
    this.#config = config;
    this.#signal = signal;
    needProgram('restic');
    fs.mkdirSync(state, { recursive: true, mode: 0o700 });
    const at = (name: string): string => join(state, name);
    const files = { password: at('password'), cache: at('cache'), caBundle: at('ca.crt') };
    writePrivate(files.password, password);
    if ('caBundle' in repository && repository.caBundle !== undefined) {
      writePrivate(files.caBundle, repository.caBundle);
    }
    this.#common = commonWords(repository, files, bytesPerSecond);
  }

  /** `Canceled`. */
  async run(options: ResticOptions): Promise<ResticRun> {
    this.#signal.throwIfAborted();
    const input = options.input === undefined ? 'ignore' : fs.openSync(options.input, 'r');
    const output = options.output === undefined ? 'pipe' : fs.openSync(options.output, 'w', 0o600);
    const child = spawn(needProgram('restic'), [...this.#common, ...options.words], {
      cwd: options.directory ?? this.#config.state,
      stdio: [input, output, 'pipe'],
      // The rest of a pod is read-only.
      env: {
        ...process.env,
        LC_ALL: 'C',
        TMPDIR: this.#config.state,
        ...environmentOf(this.#config.repository),
      },
    });
    for (const file of [input, output]) if (typeof file === 'number') fs.closeSync(file);
    const end = () => child.kill('SIGINT');
    this.#signal.addEventListener('abort', end);
    const timer = setInterval(() => options.onLook?.(child.pid ?? 0), lookMs);
    const said = { stdout: '', stderr: '' };
    const lines = lineTaker((line) => options.onLine?.(line));
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      if (options.onLine === undefined) said.stdout += text;
      lines(text);
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said.stderr = (said.stderr + text).slice(-stderrCharactersMax);
    });
    try {
      const code = await new Promise<number | undefined>((resolve, reject) => {
        child.on('error', reject);
        child.on('close', (exit) => resolve(exit ?? undefined));
      });
      this.#signal.throwIfAborted();
      return { code, ...said };
    } finally {
      clearInterval(timer);
      this.#signal.removeEventListener('abort', end);
    }
  }

  /** The same; how it ended is judged. */
  async judged(
    options: ResticOptions,
    writesTo: ResticEnd['writesTo'],
  ): Promise<{ readonly run: ResticRun; readonly outcome: Outcome }> {
    const run = await this.run(options);
    if (run.stderr !== '') process.stderr.write(run.stderr);
    return { run, outcome: judgeRestic({ ...run, pass: this.#config.pass, writesTo }) };
  }
}

function lineTaker(take: (line: string) => void): (text: string) => void {
  let rest = '';
  return (text) => {
    const lines = (rest + text).split('\n');
    rest = (lines.pop() ?? '').slice(-lineCharactersMax);
    for (const line of lines) take(line);
  };
}

function writePrivate(path: string, text: string): void {
  fs.rmSync(path, { force: true });
  fs.writeFileSync(path, text, { mode: 0o600 });
}

/** What one attempt of a half resolves with: its result, or why there is none. */
export type Tried<T> =
  | { readonly kind: 'Complete'; readonly result: T }
  | Exclude<Outcome, { kind: 'Complete' }>;

/** Attempts until one is complete; how they failed otherwise has been said when it resolves. */
export async function attempted<T>(
  config: Config,
  signal: AbortSignal,
  once: (attempt: number) => Promise<Tried<T>>,
): Promise<{ readonly attempts: number; readonly result: T } | Failed> {
  const { attemptsMax = resticAttemptsMax } = config;
  for (let attempt = 1; ; attempt += 1) {
    say({ type: 'Attempt', attempt, attemptsMax });
    const tried = await once(attempt);
    if (tried.kind === 'Complete') return { attempts: attempt, result: tried.result };
    if (tried.kind === 'Failed' || attempt >= attemptsMax) return saidFailed(tried, attempt);
    const { reason, message } = tried;
    const waitMs = delayAfter(attempt, Math.random());
    say({ type: 'AttemptFailed', attempt, reason, message, retryInSeconds: waitMs / 1000 });
    await delay(waitMs, undefined, { signal }).catch(() => signal.throwIfAborted());
  }
}

export interface Failed {
  readonly exitCode: number;
}

export function saidFailed(failure: Failure, attempts: number): Failed {
  const { reason, message, remedy = reasons[reason].remedy } = failure;
  say({ type: 'Failed', reason, message, remedy, attempts });
  return { exitCode: exitCodeOf(reason) };
}

/** Aborts when the pod is told to stop. */
export function untilStopped(): AbortSignal {
  const stop = new AbortController();
  const canceled = new TransshipError('Canceled', 'the mover was told to stop');
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => stop.abort(canceled));
  }
  return stop.signal;
}
