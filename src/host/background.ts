/** Our processes in the background: started until they say that they serve, ended by their id. */
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { fromWireError } from '../api/wire.ts';
import { fail } from '../base/errors.ts';
import { statOf } from './control-plane/processes-table.ts';

/** From spawning to readiness: replaying a full journal on a slow disk fits in. */
const startMs = 120_000;
const pollMs = 50;

export interface BackgroundStart {
  /** For messages: `cluster east`. */
  readonly what: string;
  /** Of Node: flags, program, its arguments. */
  readonly args: readonly string[];
  readonly directory: string;
  readonly log: string;
}

/** Resolves when it said over descriptor 3 that it is ready; rejects with what it said instead. */
export async function startBackground(start: BackgroundStart): Promise<void> {
  fs.mkdirSync(start.directory, { recursive: true, mode: 0o700 });
  const log = fs.openSync(start.log, 'a', 0o600);
  // Its own session: Ctrl-C in this terminal is for us, we end it when it is time.
  const child = spawn(process.execPath, start.args, {
    detached: true,
    stdio: ['ignore', log, log, 'pipe'],
    cwd: start.directory,
    // Freed memory of many threads goes back instead of staying with each.
    env: { ...process.env, MALLOC_ARENA_MAX: '2' },
  });
  fs.closeSync(log);
  const pipe = child.stdio[3];
  try {
    const said = await firstLine(pipe as unknown as NodeJS.ReadableStream);
    if (said === undefined) {
      const last = lastError(start.log);
      fail('AgentUnreachable', `${start.what} did not start: ${last}\nlog: ${start.log}`);
    }
    const answer = JSON.parse(said) as { readonly ready?: boolean; readonly error?: unknown };
    if (answer.ready !== true) throw fromWireError(answer.error);
  } finally {
    (pipe as unknown as { destroy(): void }).destroy();
    child.unref();
  }
}

/** What a process that said nothing over the pipe left in its log. */
function lastError(log: string): string {
  const lines = fs.readFileSync(log, 'utf8').slice(-8192).split('\n');
  return lines.findLast((line) => /error/i.test(line))?.trim() ?? 'no reason known';
}

function firstLine(stream: NodeJS.ReadableStream): Promise<string | undefined> {
  return new Promise((resolve) => {
    let text = '';
    const timer = setTimeout(() => resolve(undefined), startMs);
    const done = (line: string | undefined) => {
      clearTimeout(timer);
      resolve(line);
    };
    stream.on('data', (part: Buffer) => {
      text += part.toString();
      if (text.includes('\n')) done(text.slice(0, text.indexOf('\n')));
    });
    stream.on('error', () => done(undefined));
    stream.on('end', () => done(undefined));
  });
}

/** `TimedOut` when it has not ended by then. */
export async function waitForEnd(pid: number, what: string, timeoutMs: number): Promise<void> {
  const deadline = performance.now() + timeoutMs;
  while (isRunning(pid)) {
    if (performance.now() > deadline) {
      fail('TimedOut', `process ${pid} of ${what} has not ended yet`);
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
}

export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    const stat = statOf(pid);
    // One whose parent never asked how it ended, as in containers without an init process.
    return stat === undefined || stat.state !== 'Z';
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/**
 * The process that wrote itself into a file, if it still is the same one: ids are used again. Where
 * there is no /proc, the id alone has to do.
 */
export function recordedProcess(file: string): number | undefined {
  let text: string;
  try {
    text = fs.readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
  const [pid, started] = text.trim().split(' ');
  const id = Number(pid);
  if (!Number.isSafeInteger(id) || id <= 1 || !isRunning(id)) return undefined;
  return started === undefined || started === startedTicks(id) ? id : undefined;
}

export function recordProcess(file: string): void {
  fs.writeFileSync(file, `${process.pid} ${startedTicks(process.pid)}\n`, { mode: 0o600 });
}

/** Empty where there is no /proc. */
function startedTicks(pid: number): string {
  return statOf(pid)?.startedTicks ?? '';
}
