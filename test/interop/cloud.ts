// Real agents of one test: processes as `transship up` starts them, joined to one cloud, killed,
// started again, and cleaned away.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { resources } from '../../src/api/kinds/resources.ts';
import type { OperationName, RequestOf, ResponseOf } from '../../src/api/control.ts';
import type { JobObject, PoolObject, TeleportObject, VolumeObject } from '../../src/api/objects.ts';
import { asTransshipError, TransshipError } from '../../src/base/errors.ts';
import { isReason } from '../../src/base/reasons.ts';
import type { ControlClient } from '../../src/api/control-client.ts';
import { joinFellows } from '../../src/cli/api/joining.ts';
import { introduce } from '../../src/cli/api/peering.ts';
import type { Planes, StartAgent } from '../../src/cli/ports.ts';
import { type AgentPaths, agentPaths } from '../../src/host/agent-paths.ts';
import { createAgents } from '../../src/host/agents.ts';
import { createControlClient } from '../../src/host/control-client.ts';
import { createClock } from '../../src/host/clock.ts';
import { planePaths } from '../../src/host/control-plane/paths.ts';
import { createPlanes } from '../../src/host/control-planes.ts';
import { connectNbd, unixNbdUri } from '../../src/host/nbd-client.ts';
import type { NbdClient } from '../../src/nbd/client.ts';
import { type Relay, startRelay } from '../relay/relay.ts';
import { mountsBelow, type Ran, scratch } from './tools.ts';

const mainPath = join(import.meta.dirname, '../../src/main.ts');
const pollMs = 20;
/** For everything that is waited for: long, because tests run beside others on two cores. */
const patienceMs = 60_000;

export interface CloudOptions {
  /** Every way to an agent leads through a relay of its own. */
  readonly relays?: boolean;
  /** One way, of the relays. */
  readonly delayMs?: number;
  /** Control planes beside the agents, each introduced to each: for commands of objects. */
  readonly planes?: boolean;
  readonly settings?: Omit<StartAgent, 'name'>;
}

/** Agents started and joined, each with each. */
export async function startCloud(
  names: readonly string[],
  options: CloudOptions = {},
): Promise<Cloud> {
  const cloud = new Cloud(options);
  try {
    for (const name of names) await cloud.start(name);
    for (const [at, name] of names.entries()) {
      for (const other of names.slice(at + 1)) await cloud.join(name, other);
    }
    if (options.planes === true) await cloud.startPlanes(names);
    return cloud;
  } catch (error) {
    await cloud.close();
    throw error;
  }
}

export class Cloud implements AsyncDisposable {
  readonly home: string;
  readonly agents = new Map<string, Agent>();
  readonly #options: CloudOptions;
  readonly #scratch = scratch();
  readonly #upped = new Set<string>();
  readonly #agents;
  readonly planes: Planes;

  constructor(options: CloudOptions = {}) {
    this.#options = options;
    this.home = this.#scratch.path;
    this.#agents = createAgents({ home: this.home, mainPath });
    this.planes = createPlanes({ home: this.home, mainPath });
  }

  /** All at once, because most of a start is waiting. */
  async startPlanes(names: readonly string[]): Promise<void> {
    await Promise.all(names.map((name) => this.planes.start({ name })));
    const clock = createClock();
    for (const hubName of names) {
      const hub = await this.planes.open({ cluster: hubName });
      for (const clusterName of names.filter((name) => name !== hubName)) {
        const cluster = await this.planes.open({ cluster: clusterName });
        await introduce({ hub, hubName, cluster, clusterName, clock, migrations: true });
      }
    }
  }

  agent(name: string): Agent {
    const found = this.agents.get(name);
    if (found === undefined) throw new Error(`no agent ${name} in this test`);
    return found;
  }

  async start(name: string, settings: Omit<StartAgent, 'name'> = {}): Promise<Agent> {
    const known = this.agents.get(name);
    if (known !== undefined) {
      await known.start(settings);
      return known;
    }
    const agent = this.adopt(name);
    const way = this.#options.relays === true ? await agent.openRelay(this.#options.delayMs) : {};
    await agent.start({ ...this.#options.settings, ...way, ...settings });
    return agent;
  }

  /** An agent that somebody else started in this home: with `memberOf` a node of that cluster. */
  adopt(name: string, memberOf?: string): Agent {
    const paths = agentPaths(this.home, name, memberOf);
    const agent = new Agent({ name, memberOf }, paths, this.#agents);
    this.agents.set(name, agent);
    return agent;
  }

  /** Agents of one cluster that know each other as such, without a control plane. */
  async startNodes(cluster: string, count: number): Promise<readonly Agent[]> {
    for (let number = 1; number <= count; number++) {
      const name = number === 1 ? cluster : `${cluster}-${number}`;
      const memberOf = number === 1 ? {} : { memberOf: cluster };
      if (number > 1) this.adopt(name, cluster);
      await this.start(name, memberOf);
    }
    return this.joinNodes(cluster);
  }

  async joinNodes(cluster: string): Promise<readonly Agent[]> {
    await joinFellows(this.#agents, cluster);
    const nodes = this.#agents.agentsOf(cluster).map((name) => this.agent(name));
    for (const one of nodes) {
      for (const other of nodes) if (one !== other) await one.connected(other.name);
    }
    return nodes;
  }

  /** A cluster of several nodes with its control plane, as `transship up` starts it. */
  async upNodes(cluster: string, count: number): Promise<readonly Agent[]> {
    this.#upped.add(cluster);
    await this.must('up', cluster, '--nodes', String(count), '--detach');
    return this.#agents
      .agentsOf(cluster)
      .map((name) => this.adopt(name, name === cluster ? undefined : cluster));
  }

  async join(first: string, second: string): Promise<void> {
    const { token } = await this.agent(first).call('cluster.token', {});
    await this.agent(second).call('cluster.join', { token });
    await this.agent(first).connected(second);
    await this.agent(second).connected(first);
  }

  /** No agent hears of another any more, until `restore`. */
  cut(): void {
    for (const agent of this.agents.values()) agent.relay?.cut();
  }

  /** Cuts as soon as so many more bytes have passed between agents, however busy we are. */
  cutAfter(bytes: number): Promise<void> {
    const relays = [...this.agents.values()].flatMap(({ relay }) => relay ?? []);
    const passed = (): number => relays.reduce((sum, relay) => sum + relay.bytes(), 0);
    const limit = passed() + bytes;
    return new Promise((resolve) => {
      const look = (): void => {
        if (passed() < limit) return;
        for (const relay of relays) relay.onPassed(() => undefined);
        this.cut();
        resolve();
      };
      for (const relay of relays) relay.onPassed(look);
    });
  }

  restore(): void {
    for (const agent of this.agents.values()) agent.relay?.restore();
  }

  /** The command line as a process. */
  cli(...words: readonly string[]): Promise<Ran> {
    return runCli(this.home, words);
  }

  /** The command line; fails with its own words unless it succeeds. */
  async must(...words: readonly string[]): Promise<string> {
    const { code, stdout, stderr } = await this.cli(...words);
    if (code !== 0) throw new Error(`transship ${words.join(' ')}: exit ${code}\n${stderr}`);
    return stdout;
  }

  async close(): Promise<void> {
    // Their pods are processes that would outlive a killed control plane, as would their mounts.
    const hasPods = mountsBelow(this.home).length > 0;
    const upped = hasPods ? new Set(this.agents.keys()) : this.#upped;
    for (const cluster of upped) await this.cli('down', cluster);
    for (const name of this.agents.keys()) await this.#stopPlane(name);
    for (const agent of this.agents.values()) {
      await agent.kill();
      await agent.relay?.close();
    }
    this.#scratch[Symbol.dispose]();
  }

  /** Controllers make an object for each volume that an agent has. */
  async adopted(cluster: string, volume: string): Promise<void> {
    const { client } = await this.planes.open({ cluster });
    await until(`an object for volume ${volume} of ${cluster}`, async () => {
      return (await client.get(resources.volumes, { namespace: '', name: volume })) !== undefined;
    });
  }

  /** SIGKILL: no test waits for a control plane to say good-bye. */
  async #stopPlane(name: string): Promise<void> {
    const { pid: file } = planePaths(this.home, name);
    if (!existsSync(file)) return;
    const pid = Number(readFileSync(file, 'utf8').split(/\s/)[0]);
    if (signal(pid, 'SIGKILL')) await until(`process ${pid} to end`, () => !signal(pid, 0));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** `onStart` gets the process, to send it signals. */
export function runCli(
  home: string,
  words: readonly string[],
  onStart: (child: ChildProcess) => void = () => undefined,
): Promise<Ran> {
  const env = { ...process.env, TRANSSHIP_HOME: home };
  const args = ['--disable-warning=ExperimentalWarning', mainPath, ...words];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    onStart(child);
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? -1, stdout, stderr }));
  });
}

export class Agent {
  readonly name: string;
  readonly paths: AgentPaths;
  readonly client: ControlClient;
  relay: Relay | undefined;
  readonly #memberOf: string | undefined;
  readonly #agents;
  #port = 0;

  constructor(
    { name, memberOf }: { readonly name: string; readonly memberOf: string | undefined },
    paths: AgentPaths,
    agents: ReturnType<typeof createAgents>,
  ) {
    this.name = name;
    this.#memberOf = memberOf;
    this.paths = paths;
    this.#agents = agents;
    this.client = createControlClient(name, paths.controlSocket);
  }

  /** Where peers reach the agent itself, beside any relay. */
  get peerPort(): number {
    const settings = JSON.parse(readFileSync(this.paths.settings, 'utf8'));
    return settings.peerPort;
  }

  get pid(): number {
    return Number(readFileSync(this.paths.pid, 'utf8'));
  }

  /** Resident memory. */
  get memoryBytes(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
  }

  get log(): string {
    return readFileSync(this.paths.log, 'utf8');
  }

  async openRelay(delayMs = 0): Promise<{ listen: string; advertise: string }> {
    this.#port = await freePort();
    const relay = await startRelay({ host: '127.0.0.1', port: this.#port, delayMs });
    this.relay = relay;
    return { listen: `127.0.0.1:${this.#port}`, advertise: `127.0.0.1:${relay.port}` };
  }

  async start(settings: Omit<StartAgent, 'name'> = {}): Promise<void> {
    const own = this.#memberOf === undefined ? {} : { memberOf: this.#memberOf };
    await this.#agents.start({ name: this.name, ...own, ...settings });
  }

  async stop(): Promise<void> {
    await this.#agents.stop(this.name, patienceMs);
  }

  /** SIGKILL, and the process is gone when it resolves. */
  async kill(): Promise<void> {
    if (!existsSync(this.paths.pid)) return;
    const { pid } = this;
    if (signal(pid, 'SIGKILL')) await this.gone(pid);
  }

  async gone(pid: number): Promise<void> {
    await until(`process ${pid} to end`, () => !signal(pid, 0));
  }

  call<N extends OperationName>(name: N, request: RequestOf<N>): Promise<ResponseOf<N>> {
    return this.client.call(name, request);
  }

  /** A job, or anything else that streams, to its end; fails as the job does. */
  async job<N extends OperationName>(name: N, request: RequestOf<N>): Promise<ResponseOf<N>> {
    const done = await this.client.stream(name, request, { onEvent: () => undefined });
    const job = done as Partial<JobObject>;
    if (job.kind === 'Job' && job.status?.phase !== 'Succeeded') {
      const { reason = 'Internal', message = 'no reason given' } = job.status ?? {};
      throw new TransshipError(isReason(reason) ? reason : 'Internal', message);
    }
    return done;
  }

  async connected(peer: string, wanted = true): Promise<void> {
    await until(`${this.name} ${wanted ? 'to reach' : 'to miss'} ${peer}`, async () => {
      const { items } = await this.call('cluster.list', {});
      return items.find((item) => item.metadata.name === peer)?.status.connected === wanted;
    });
  }

  async create(name: string, sizeBytes: number, blockBytes?: number): Promise<void> {
    const blocks = blockBytes === undefined ? {} : { blockBytes };
    await this.call('volume.create', { name, sizeBytes, ...blocks });
  }

  volume(name: string): Promise<VolumeObject> {
    return this.call('volume.show', { name });
  }

  async volumeNames(): Promise<readonly string[]> {
    const { items } = await this.call('volume.list', {});
    return items.map((item) => item.metadata.name).toSorted();
  }

  pool(): Promise<PoolObject> {
    return this.call('pool.show', {});
  }

  teleport(name: string): Promise<TeleportObject> {
    return this.call('teleport.show', { name });
  }

  uri(volume: string): string {
    return unixNbdUri(volume, this.paths.nbdSocket);
  }

  async connect(volume: string): Promise<NbdClient & Disposable> {
    const client = await connectNbd({ exportName: volume, socketPath: this.paths.nbdSocket });
    return Object.assign(client, { [Symbol.dispose]: () => client.disconnect() });
  }

  async phase(teleport: string, wanted: string): Promise<TeleportObject> {
    let last: TeleportObject | undefined;
    await until(`teleport ${teleport} to be ${wanted}`, async () => {
      last = await this.teleport(teleport);
      if (last.status.phase === 'Failed') throw new Error(JSON.stringify(last.status));
      return last.status.phase === wanted;
    });
    return last!;
  }

  async metric(name: string): Promise<number> {
    const { text } = await this.call('agent.metrics', {});
    const lines = text.split('\n').filter((line) => line.startsWith(name));
    return lines.reduce((sum, line) => sum + Number(line.slice(line.lastIndexOf(' ') + 1)), 0);
  }
}

/** True when the process is there. */
export function signal(pid: number, name: NodeJS.Signals | 0): boolean {
  try {
    process.kill(pid, name);
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** Waits for something that will be so; says what did not come. */
export async function until(
  what: string,
  isSo: () => boolean | Promise<boolean>,
  waitMs = patienceMs,
): Promise<void> {
  const deadline = performance.now() + waitMs;
  while (!(await isSo())) {
    if (performance.now() > deadline) throw new Error(`waited in vain for ${what}`);
    await sleep(pollMs);
  }
}

/** The error of a call that must fail. */
export async function refusal(call: Promise<unknown>): Promise<TransshipError> {
  try {
    await call;
  } catch (error) {
    return asTransshipError(error);
  }
  throw new Error('it should have been refused');
}

export async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
