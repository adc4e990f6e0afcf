/** Builds one program from the pinned Go modules. */
import { spawn, spawnSync } from 'node:child_process';
import { constants, setPriority } from 'node:os';
import { join } from 'node:path';
import { moduleDirectory, packages, type Pins, type Platform, type Program } from './pins.ts';

const progressMs = 30_000;
/** How much of a failed build's output is told. */
const outputLinesMax = 15;

export function hasGo(env: NodeJS.ProcessEnv = process.env): boolean {
  return spawnSync('go', ['version'], { env, stdio: 'ignore' }).status === 0;
}

/** A program that does not know its version claims to be v0.0.0, which clients refuse. */
export function linkerFlags({ kubernetes }: Pins): string {
  const [major = '', minor = ''] = kubernetes.slice(1).split('.');
  const values = {
    gitVersion: kubernetes,
    gitMajor: major,
    gitMinor: minor,
    gitTreeState: 'clean',
  };
  const set = ['k8s.io/component-base/version', 'k8s.io/client-go/pkg/version'].flatMap((path) =>
    Object.entries(values).map(([name, value]) => `-X ${path}.${name}=${value}`),
  );
  return ['-s -w', ...set].join(' ');
}

export interface Compilation {
  readonly program: Program;
  readonly pins: Pins;
  readonly platform: Platform;
  /** Where the program goes. */
  readonly directory: string;
  readonly say: (line: string) => void;
}

/** Resolves with the reason if it failed. */
export async function compile(task: Compilation): Promise<string | undefined> {
  const { program, platform, say } = task;
  const out = join(task.directory, program);
  const flags = [
    '-mod=readonly',
    '-buildvcs=false',
    '-trimpath',
    '-ldflags',
    linkerFlags(task.pins),
  ];
  const started = performance.now();
  const seconds = (): string => `${Math.round((performance.now() - started) / 1000)} s`;
  say(`building ${program} ${program === 'etcd' ? task.pins.etcd : task.pins.kubernetes}`);
  const child = spawn('go', ['build', ...flags, '-o', out, packages[program]], {
    cwd: moduleDirectory,
    env: {
      ...process.env,
      CGO_ENABLED: '0',
      GOOS: platform.os,
      GOARCH: platform.arch,
      GOWORK: 'off',
    },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  // Minutes of all processors: whoever works at this machine goes first.
  if (child.pid !== undefined) setPriority(child.pid, constants.priority.PRIORITY_BELOW_NORMAL);
  const progress = setInterval(() => say(`building ${program}: ${seconds()} so far`), progressMs);
  const end = (): void => void child.kill('SIGTERM');
  process.once('exit', end);
  let output = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    output = (output + text).slice(-64 * 1024);
  });
  const { promise, resolve } = Promise.withResolvers<string | undefined>();
  child.on('error', (error) => resolve(error.message));
  child.on('close', (code, signal) => {
    const told = output.trim().split('\n').slice(-outputLinesMax).join('\n');
    resolve(code === 0 ? undefined : `go build ended with ${code ?? signal}: ${told}`);
  });
  const trouble = await promise;
  clearInterval(progress);
  process.off('exit', end);
  if (trouble === undefined) say(`built ${program} in ${seconds()}`);
  return trouble;
}
