/** The agents of this host: where they live, starting and stopping their processes. */
import { spawn } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { fromWireError } from '../api/wire.ts';
import { fail } from '../base/errors.ts';
import { isName } from '../base/names.ts';
import type { ControlClient } from '../api/control-client.ts';
import type { Agents, StartAgent } from '../cli/ports.ts';
import { agentPaths } from './agent-paths.ts';
import { createControlClient } from './control-client.ts';

/** From spawning to readiness: replaying a full journal on a slow disk fits in. */
const startMs = 120_000;
/** How long an answer to "are you there?" may take. */
const aliveMs = 2_000;
const pollMs = 50;
/**
 * What an agent keeps long is in typed arrays outside the heap; left alone, V8 lets garbage of an
 * import grow to hundreds of megabytes and keeps them.
 */
const agentFlags = [
  '--disable-warning=ExperimentalWarning',
  '--max-semi-space-size=8',
  '--max-old-space-size=1024',
];

export interface AgentsOptions {
  readonly home: string;
  /** The program itself, to start agents with. */
  readonly mainPath: string;
}

export function createAgents(options: AgentsOptions): Agents {
  const { home } = options;
  const connect = (name: string) => createControlClient(name, agentPaths(home, name).controlSocket);
  return {
    home,
    known: () => knownNames(home),
    running: async () => {
      const names = knownNames(home);
      const alive = await Promise.all(names.map((name) => isAlive(connect(name))));
      return names.filter((_, index) => alive[index]);
    },
    connect,
    start: async (start) => {
      if (await isAlive(connect(start.name))) return false;
      await startProcess(options, start);
      return true;
    },
    stop: (name, timeoutMs) => stopProcess(connect(name), timeoutMs),
    logPath: (name) => agentPaths(home, name).log,
    repairPool: async (name, onLine) => {
      if (await isAlive(connect(name))) {
        fail('InUse', `cluster ${name} runs; stop it first: transship down ${name}`);
      }
      const { repairPool } = await import('./repair.ts');
      await repairPool(agentPaths(home, name), onLine);
    },
  };
}

function knownNames(home: string): readonly string[] {
  const directory = join(home, 'clusters');
  if (!fs.existsSync(directory)) return [];
  return fs
    .readdirSync(directory)
    .filter((name) => isName(name) && fs.existsSync(agentPaths(home, name).settings))
    .toSorted();
}

async function isAlive(client: ControlClient): Promise<boolean> {
  const answer = client.call('agent.status', {}).then(
    () => true,
    () => false,
  );
  const late = new Promise<boolean>((resolve) => {
    setTimeout(() => resolve(false), aliveMs).unref();
  });
  return Promise.race([answer, late]);
}

/** Resolves when the agent said that it is ready; rejects with what it said instead. */
async function startProcess(options: AgentsOptions, start: StartAgent): Promise<void> {
  const paths = agentPaths(options.home, start.name);
  fs.mkdirSync(paths.directory, { recursive: true, mode: 0o700 });
  const log = fs.openSync(paths.log, 'a', 0o600);
  const args = [...agentFlags, options.mainPath, 'agent', options.home, JSON.stringify(start)];
  // Its own session: Ctrl-C in this terminal is for us, we end the agent when it is time.
  const child = spawn(process.execPath, args, {
    detached: true,
    stdio: ['ignore', log, log, 'pipe'],
    cwd: paths.directory,
    // Freed memory of many threads goes back instead of staying with each.
    env: { ...process.env, MALLOC_ARENA_MAX: '2' },
  });
  fs.closeSync(log);
  const pipe = child.stdio[3];
  try {
    const said = await firstLine(pipe as unknown as NodeJS.ReadableStream);
    if (said === undefined) {
      const last = lastError(paths.log);
      fail('AgentUnreachable', `cluster ${start.name} did not start: ${last}\nlog: ${paths.log}`);
    }
    const answer = JSON.parse(said) as { readonly ready?: boolean; readonly error?: unknown };
    if (answer.ready !== true) throw fromWireError(answer.error);
  } finally {
    (pipe as unknown as { destroy(): void }).destroy();
    child.unref();
  }
}

/** What an agent that said nothing over the pipe left in its log. */
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

async function stopProcess(client: ControlClient, timeoutMs: number): Promise<boolean> {
  if (!(await isAlive(client))) return false;
  const { pid } = (await client.call('agent.status', {})).status;
  await client.call('agent.stop', {});
  const deadline = performance.now() + timeoutMs;
  while (pid !== undefined && exists(pid)) {
    if (performance.now() > deadline) {
      fail('TimedOut', `process ${pid} of cluster ${client.cluster} has not ended yet`);
    }
    await new Promise((resolve) => setTimeout(resolve, pollMs));
  }
  return true;
}

function exists(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !isZombie(pid);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** One whose parent never asked how it ended, as in containers without an init process. */
function isZombie(pid: number): boolean {
  try {
    return /\) Z /.test(fs.readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
