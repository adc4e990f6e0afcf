/** Runs other programs: to their end with their time, or beside us until they are told to end. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { connect } from 'node:net';

const outputMax = 4 * 1024 * 1024;
const readyMs = 10_000;

export interface Ended {
  readonly seconds: number;
  readonly output: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Exit codes that are no failure beside 0. */
  readonly accept?: readonly number[];
}

export class Programs {
  readonly #running = new Set<ChildProcess>();

  has(program: string): boolean {
    return spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
  }

  /** The first line that a program says about its version. */
  version(program: string, flag = '--version'): string {
    const { stdout, stderr } = spawnSync(program, [flag], { encoding: 'utf8' });
    return (stdout || stderr || '').split('\n')[0]?.trim() ?? '';
  }

  async run(program: string, args: readonly string[], options: RunOptions = {}): Promise<Ended> {
    const started = performance.now();
    const child = spawn(program, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
      env: { ...process.env, ...options.env },
    });
    this.#running.add(child);
    let output = '';
    let errors = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output = (output + text).slice(-outputMax);
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors = (errors + text).slice(-outputMax);
    });
    const code = await new Promise<number | null>((resolve, reject) => {
      child.once('error', reject);
      child.once('close', resolve);
    });
    const seconds = (performance.now() - started) / 1000;
    this.#running.delete(child);
    if (code !== 0 && options.accept?.includes(code ?? -1) !== true) {
      const said = (errors || output).trim().split('\n').slice(-3).join(' | ');
      throw new Error(`${program} ${args[0] ?? ''} ended with ${code}: ${said}`);
    }
    return { seconds, output };
  }

  /** A pipeline, as a shell runs it; every part must succeed. */
  shell(script: string, options: RunOptions = {}): Promise<Ended> {
    return this.run('bash', ['-o', 'pipefail', '-c', script], options);
  }

  /** Runs until `stop`; ready when `ready` (a socket path or a port) takes connections. */
  async serve(
    program: string,
    args: readonly string[],
    ready: { readonly path: string } | { readonly port: number },
  ): Promise<{ stop(): Promise<void> }> {
    const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'pipe'] });
    this.#running.add(child);
    let errors = '';
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      errors = (errors + text).slice(-outputMax);
    });
    const ended = new Promise<void>((resolve) => {
      child.once('error', () => resolve());
      child.once('close', () => resolve());
    });
    void ended.then(() => this.#running.delete(child));
    const deadline = performance.now() + readyMs;
    while (!(await answers(ready))) {
      if (child.exitCode !== null || performance.now() > deadline) {
        child.kill('SIGKILL');
        throw new Error(`${program} did not start: ${errors.trim()}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return {
      stop: async () => {
        child.kill('SIGTERM');
        await ended;
      },
    };
  }

  killAll(): void {
    for (const child of this.#running) child.kill('SIGKILL');
  }
}

function answers(at: { readonly path: string } | { readonly port: number }): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect('path' in at ? { path: at.path } : { port: at.port, host: '127.0.0.1' });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/** Makes files durable whose program does not; the caller counts the time. */
export function syncAll(path: string): void {
  if (fs.statSync(path).isDirectory()) {
    for (const name of fs.readdirSync(path)) syncAll(`${path}/${name}`);
  }
  const descriptor = fs.openSync(path, 'r');
  try {
    fs.fsyncSync(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}
