/** Real agents for the run: started as `transship up` starts them, joined, killed, cleaned away. */
import * as fs from 'node:fs';
import type { JobObject, TeleportObject } from '../src/api/objects.ts';
import type { ControlClient } from '../src/api/control-client.ts';
import { joinFellows } from '../src/cli/api/joining.ts';
import type { StartAgent } from '../src/cli/ports.ts';
import { agentPaths } from '../src/host/agent-paths.ts';
import { createAgents } from '../src/host/agents.ts';
import { decodeToken, encodeToken } from '../src/peer/token.ts';
import { type Relay, startRelay } from '../test/relay/relay.ts';

const stopMs = 60_000;
const pollMs = 5;
/** Asking costs the agent about half a millisecond. */
const watchMs = 20;

export interface BenchAgent {
  readonly name: string;
  readonly client: ControlClient;
  /** As libnbd and fio take it. */
  uri(volume: string): string;
  pid(): Promise<number>;
  /** Resident memory in MiB: all, and what is not a mapped file or shared. */
  memory(): Promise<{ readonly all: number; readonly own: number }>;
  /** When nothing waits to be hashed and stored any more; seconds that took. */
  settled(volume: string): Promise<number>;
  import(volume: string, path: string, blockBytes?: number): Promise<JobObject>;
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Ends the process and removes everything it stored. */
  remove(): Promise<void>;
}

export class Fleet {
  readonly #agents;
  readonly #home: string;
  readonly #mine = new Map<string, BenchAgent>();
  readonly #relays: Relay[] = [];

  constructor(home: string, mainPath: string) {
    this.#home = home;
    this.#agents = createAgents({ home, mainPath });
  }

  get home(): string {
    return this.#home;
  }

  async start(name: string, options: Omit<StartAgent, 'name'> = {}): Promise<BenchAgent> {
    await this.#agents.start({ name, ...options });
    const agent = this.#agent(name);
    this.#mine.set(name, agent);
    return agent;
  }

  /** Agents of one cluster that know each other as such, as `up --nodes` starts them. */
  async startNodes(cluster: string, count: number): Promise<readonly BenchAgent[]> {
    const agents: BenchAgent[] = [await this.start(cluster)];
    for (let number = 2; number <= count; number++) {
      const name = `${cluster}-${number}`;
      await this.#agents.start({ name, memberOf: cluster });
      const agent = this.#agent(name, cluster);
      this.#mine.set(name, agent);
      agents.push(agent);
    }
    await joinFellows(this.#agents, cluster);
    for (const one of agents) {
      for (const other of agents) if (one !== other) await this.#connected(one, other.name);
    }
    return agents;
  }

  /** `to` trusts `from` and reaches it through a relay when that is asked for. */
  async join(
    from: BenchAgent,
    to: BenchAgent,
    options: { readonly roundTripMs?: number } = {},
  ): Promise<Relay | undefined> {
    const { token } = await from.client.call('cluster.token', {});
    if (options.roundTripMs === undefined) {
      await to.client.call('cluster.join', { token });
      await this.#connected(to, from.name);
      return undefined;
    }
    const said = decodeToken(token);
    const address = said.addresses[0] ?? '';
    const relay = await startRelay({
      host: '127.0.0.1',
      port: Number(address.slice(address.lastIndexOf(':') + 1)),
      delayMs: options.roundTripMs / 2,
    });
    this.#relays.push(relay);
    const addresses = [`127.0.0.1:${relay.port}`];
    await to.client.call('cluster.join', { token: encodeToken({ ...said, addresses }) });
    await this.#connected(to, from.name);
    return relay;
  }

  /** Seconds from the request until nothing is missing. */
  async teleport(
    to: BenchAgent,
    request: { readonly cluster: string; readonly volume: string; readonly name?: string },
  ): Promise<{ readonly seconds: number; readonly teleport: TeleportObject }> {
    const started = performance.now();
    const { metadata } = await to.client.call('teleport.start', request);
    for (;;) {
      const teleport = await to.client.call('teleport.show', { name: metadata.name });
      const { phase, conditions } = teleport.status;
      if (phase === 'Available') {
        return { seconds: (performance.now() - started) / 1000, teleport };
      }
      if (phase === 'Failed') throw new Error(`teleport failed: ${conditions[0]?.message ?? ''}`);
      await pause(watchMs);
    }
  }

  async removeAll(): Promise<void> {
    // Nodes are below the directory of their cluster's first agent, so they go before it.
    for (const agent of [...this.#mine.values()].toReversed()) await agent.remove();
    for (const relay of this.#relays.splice(0)) await relay.close();
  }

  async #connected(agent: BenchAgent, peer: string): Promise<void> {
    for (;;) {
      const { items } = await agent.client.call('cluster.list', {});
      const found = items.find(({ metadata }) => metadata.name === peer);
      if (found?.status.connected === true && found.status.roundTripMs !== undefined) return;
      await pause(pollMs);
    }
  }

  #agent(name: string, memberOf?: string): BenchAgent {
    const client = this.#agents.connect(name);
    const paths = agentPaths(this.#home, name, memberOf);
    const pid = async () => (await client.call('agent.status', {})).status.pid!;
    return {
      name,
      client,
      uri: (volume) => `nbd+unix:///${volume}?socket=${paths.nbdSocket}`,
      pid,
      memory: async () => memoryOf(await pid()),
      settled: (volume) => untilSettled(client, volume),
      import: async (volume, path, blockBytes) => {
        const request = { name: volume, path, ...(blockBytes === undefined ? {} : { blockBytes }) };
        const job = await client.stream('volume.import', request, { onEvent: () => undefined });
        if (job.status.phase !== 'Succeeded') throw new Error(`import: ${job.status.message}`);
        return job;
      },
      kill: async () => {
        const id = await pid();
        process.kill(id, 'SIGKILL');
        while (isAlive(id)) await pause(pollMs);
      },
      start: async () => {
        await this.#agents.start({ name, ...(memberOf === undefined ? {} : { memberOf }) });
      },
      remove: async () => {
        await this.#agents.stop(name, stopMs).catch(async () => {
          process.kill(await pid(), 'SIGKILL');
        });
        this.#mine.delete(name);
        fs.rmSync(paths.directory, { recursive: true, force: true });
      },
    };
  }
}

async function untilSettled(client: ControlClient, volume: string): Promise<number> {
  const started = performance.now();
  for (;;) {
    const { status } = await client.call('volume.show', { name: volume });
    if (status.unsettledBytes === 0) return (performance.now() - started) / 1000;
    await pause(50);
  }
}

function memoryOf(pid: number): { all: number; own: number } {
  const text = fs.readFileSync(`/proc/${pid}/status`, 'utf8');
  const field = (name: string) => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(text)?.[1] ?? 0);
  return { all: field('VmRSS') / 1024, own: field('RssAnon') / 1024 };
}

function isAlive(pid: number): boolean {
  try {
    const stat = fs.readFileSync(`/proc/${pid}/stat`, 'utf8');
    return !/\) Z /.test(stat);
  } catch {
    return false;
  }
}

export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
