/** One program of a control plane: started, watched, killed and started again. */
import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Watchdog } from './watchdog.ts';

/** A program that has not ended this long after SIGTERM gets SIGKILL. */
const gracefulMs = 10_000;
const pollMs = 25;
const logLinesShown = 20;

export interface ComponentOptions {
  readonly name: string;
  readonly program: string;
  readonly args: readonly string[];
  readonly directory: string;
  readonly logPath: string;
  readonly watchdog: Watchdog;
  /** Resolves with true when it works; called again and again until then. */
  readonly isReady: () => Promise<boolean>;
}

export interface Component {
  readonly name: string;
  /** Undefined while it does not run. */
  readonly pid: number | undefined;
  /** Resolves when it is ready; rejects with the end of its log. */
  start(readyWithinMs: number): Promise<void>;
  /** Resolves when it has ended, also if it did not run. */
  end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void>;
  /** Holds it, alive and silent, as a machine that hangs would. */
  pause(): void;
  resume(): void;
}

export function createComponent(options: ComponentOptions): Component {
  const { name, watchdog } = options;
  let running: { readonly child: ChildProcess; readonly ended: Promise<void> } | undefined;

  const launch = (): void => {
    const log = openSync(options.logPath, 'a', 0o600);
    const child = spawn(options.program, [...options.args], {
      cwd: options.directory,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    const { pid } = child;
    if (pid !== undefined) watchdog.watch(pid);
    const ended = new Promise<void>((resolve) => {
      const over = (): void => {
        if (pid !== undefined) watchdog.forget(pid);
        running = undefined;
        resolve();
      };
      child.once('exit', over);
      child.once('error', over);
    });
    running = { child, ended };
  };

  const end = async (signal: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
    if (running === undefined) return;
    const { child, ended } = running;
    child.kill(signal);
    // A paused process takes SIGTERM only once it goes on.
    child.kill('SIGCONT');
    const late = setTimeout(() => child.kill('SIGKILL'), gracefulMs);
    await ended;
    clearTimeout(late);
  };

  const start = async (readyWithinMs: number): Promise<void> => {
    if (running !== undefined) throw new Error(`${name} runs already`);
    launch();
    const deadline = performance.now() + readyWithinMs;
    while (!(await options.isReady())) {
      if (running === undefined) throw new Error(`${name} ended:\n${endOfLog(options.logPath)}`);
      if (performance.now() > deadline) {
        const log = endOfLog(options.logPath);
        throw new Error(`${name} was not ready after ${readyWithinMs} ms:\n${log}`);
      }
      await sleep(pollMs);
    }
  };

  return {
    name,
    get pid() {
      return running?.child.pid;
    },
    start,
    end,
    pause: () => void running?.child.kill('SIGSTOP'),
    resume: () => void running?.child.kill('SIGCONT'),
  };
}

function endOfLog(path: string): string {
  return readFileSync(path, 'utf8').trim().split('\n').slice(-logLinesShown).join('\n');
}
