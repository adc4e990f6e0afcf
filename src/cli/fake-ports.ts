/** Fakes of the command line's ports, for tests only. */
import type { OperationName } from '../api/control.ts';
import {
  type ApiObject,
  apiVersion,
  type JobObject,
  type TeleportObject,
  type VolumeObject,
} from '../api/objects.ts';
import { fail, TransshipError } from '../base/errors.ts';
import type { Timer } from '../base/ports.ts';
import type { ControlClient } from '../api/control-client.ts';
import type { Agents, CliPorts, Terminal } from './ports.ts';

export const fakeNowMs = Date.UTC(2026, 0, 31, 12);

export interface FakeTerminal extends Terminal {
  readonly written: { out: string; err: string };
  answer: string;
  interrupt(): void;
}

export function createFakeTerminal(isTerminal = false, columns = 80): FakeTerminal {
  const written = { out: '', err: '' };
  let onInterrupt: (() => void) | undefined;
  return {
    written,
    answer: '',
    columns,
    outIsTerminal: isTerminal,
    errIsTerminal: isTerminal,
    inIsTerminal: isTerminal,
    out: (text) => void (written.out += text),
    err: (text) => void (written.err += text),
    async ask() {
      return this.answer;
    },
    onInterrupt: (run) => {
      onInterrupt = run;
      return () => (onInterrupt = undefined);
    },
    interrupt: () => onInterrupt?.(),
  };
}

export type FakeAnswers = Partial<
  Record<OperationName, (request: unknown, onEvent: (event: unknown) => void) => unknown>
>;

export interface FakeCall {
  readonly cluster: string;
  readonly name: OperationName;
  readonly request: unknown;
}

/** An agent that answers from a table and remembers what it was asked. */
export function createFakeClient(
  cluster: string,
  answers: FakeAnswers,
  calls: FakeCall[],
): ControlClient {
  const answer = async (
    name: OperationName,
    request: unknown,
    onEvent: (event: unknown) => void = ignore,
  ) => {
    calls.push({ cluster, name, request });
    const run = answers[name];
    if (run === undefined) throw new TransshipError('NotFound', `no answer for ${name}`);
    return run(request, onEvent);
  };
  return {
    cluster,
    call: (async (name: OperationName, request: unknown) =>
      answer(name, request)) as ControlClient['call'],
    stream: (async (
      name: OperationName,
      request: unknown,
      watch: { onEvent: (event: unknown) => void; signal?: AbortSignal },
    ) => {
      const stopped = new Promise<never>((_, reject) => {
        watch.signal?.addEventListener('abort', () => reject(new Error('aborted')));
      });
      return Promise.race([answer(name, request, watch.onEvent), stopped]);
    }) as ControlClient['stream'],
  };
}

function ignore(): void {
  // For operations that stream nothing.
}

export interface FakeWorld {
  readonly ports: CliPorts;
  readonly terminal: FakeTerminal;
  readonly calls: FakeCall[];
}

export function createFakeWorld(
  answers: FakeAnswers,
  options: {
    readonly clusters?: readonly string[];
    readonly terminal?: FakeTerminal;
    readonly environment?: Readonly<Record<string, string>>;
  } = {},
): FakeWorld {
  const calls: FakeCall[] = [];
  const clusters = options.clusters ?? ['east'];
  const terminal = options.terminal ?? createFakeTerminal();
  const agents: Agents = {
    home: '/home/user/.transship',
    known: () => clusters,
    running: async () => clusters,
    agentsOf: (cluster) => [cluster],
    clusterOf: () => undefined,
    connect: (name) => createFakeClient(name, answers, calls),
    start: async () => true,
    stop: async () => true,
    logPath: (name) => `/home/user/.transship/clusters/${name}/agent.log`,
    repairPool: async () => undefined,
  };
  const ports: CliPorts = {
    terminal,
    agents,
    planes: fakePlanes,
    readEnd: async () => fail('NotFound', 'there are no files here'),
    writeArchive: async () => undefined,
    writeText: async () => undefined,
    openEditor: async () => fail('ToolMissing', 'there is no editor here'),
    readInput: async () => fail('BadArgument', 'there are no files here'),
    clock: { wallMs: () => fakeNowMs, monotonicMs: () => 0, after: afterNow },
    environment: options.environment ?? {},
    workingDirectory: '/work',
    version: '0.0.0',
    hostFindings: async () => [],
    runController: async () => 0,
    runNodeAgent: async () => 0,
    runNodeDevices: async () => 0,
    runCsi: async () => 0,
    runMover: async () => 0,
    runBlockMover: async () => 0,
    runDemo: async () => 0,
  };
  return { ports, terminal, calls };
}

/** Clusters without an API server; tests of commands that need one bring it. */
const fakePlanes: CliPorts['planes'] = {
  isRunning: () => false,
  kubeconfig: (name) => `/home/user/.transship/clusters/${name}/kubeconfig`,
  start: async () => true,
  stop: async () => false,
  writeShared: async () => '/home/user/.transship/kubeconfig',
  logPath: (name) => `/home/user/.transship/clusters/${name}/control-plane.log`,
  metricsUrl: () => undefined,
  open: async () => fail('ApiUnreachable', 'no API server here'),
};

/** Timers of the fake clock never fire; tests of time-outs bring their own. */
function afterNow(): Timer {
  return { cancel: () => undefined };
}

export function metadata(name: string): ApiObject['metadata'] {
  return {
    name,
    cluster: 'east',
    creationTimestamp: new Date(fakeNowMs - 300_000).toISOString(),
  };
}

const GiB = 2 ** 30;

export function volumeObject(name: string): VolumeObject {
  return {
    kind: 'Volume',
    apiVersion,
    metadata: metadata(name),
    spec: { size: '100Gi', blockSize: '64Ki', pool: 'main', historyPolicy: 'one-hour' },
    status: {
      phase: 'Accessible',
      sizeBytes: 100 * GiB,
      allocatedBytes: 63.4 * GiB,
      missingBytes: 20 * GiB,
      unsettledBytes: 0,
      root: 'abcdef0123456789'.repeat(4),
      snapshots: 2,
      doors: [],
      leasedBy: ['west/db'],
      source: 'east/db',
      conditions: [
        {
          type: 'SourceConnected',
          status: 'False',
          reason: 'SourceUnreachable',
          message: 'no link to east',
          lastTransitionTime: '2026-01-31T11:59:00Z',
        },
      ],
    },
  };
}

export function teleportObject(name: string): TeleportObject {
  return {
    kind: 'Teleport',
    apiVersion,
    metadata: metadata(name),
    spec: {
      source: { cluster: 'east', volume: 'orders' },
      destination: { cluster: 'west', volume: 'orders' },
      thin: false,
      historyPolicy: 'none',
    },
    status: {
      phase: 'Accessible',
      progress: {
        totalBytes: 10 * GiB,
        presentBytes: 1 * GiB,
        demandBytes: 0.5 * GiB,
        backgroundBytes: 4 * GiB,
        missingBytes: 4.5 * GiB,
        wireBytes: 2 * GiB,
        bytesPerSecond: 105 * 2 ** 20,
        etaMs: 44_000,
      },
      conditions: [],
    },
  };
}

export function jobObject(name: string): JobObject {
  return {
    kind: 'Job',
    apiVersion,
    metadata: metadata(name),
    spec: { type: 'Import', target: 'db' },
    status: { phase: 'Running', doneBytes: 2 ** 20, totalBytes: 2 * 2 ** 20 },
  };
}
