/**
 * One cluster's agent in the simulation: the whole agent over a simulated pool disk, home disk and
 * network, and the way that controllers have to it. Its process can end at any moment.
 */
import { startAgent, type Agent } from '../../src/agent/agent.ts';
import type { AgentPorts } from '../../src/agent/ports.ts';
import { openCloud } from '../../src/peer/cloud.ts';
import { createMemoryObjectStore } from '../../src/peer/repository/memory-store.ts';
import type { PoolApi } from '../../src/volume/api.ts';
import { openPool } from '../../src/volume/pool.ts';
import { addressOf, selfOf, trust } from './agent-identity.ts';
import { Ledger, type LedgerOptions } from './control-ledger.ts';
import { Life } from './control-life.ts';
import { dialerWhile, laterWhile } from './mortal.ts';
import type { Rng } from './rng.ts';
import { type Scheduler, simRandom, wallStartMs } from './scheduler.ts';
import { SimDisk } from './sim-disk.ts';
import type { SimNetwork } from './sim-network.ts';
import { createSimPacker } from './sim-packer.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const links = 2;

export interface SimAgentOptions extends LedgerOptions {
  readonly name: string;
  readonly scheduler: Scheduler;
  readonly rng: Rng;
  readonly network: SimNetwork;
  readonly mutatePool: ((pool: PoolApi) => PoolApi) | undefined;
  readonly onMessage: (message: string) => void;
}

export interface RunningAgent {
  readonly life: Life;
  readonly pool: PoolApi;
  readonly agent: Agent;
}

export class SimAgent {
  readonly name: string;
  readonly ledger: Ledger;
  readonly poolDisk: SimDisk;
  readonly homeDisk: SimDisk;
  skewMs = 0;
  starts = 0;
  running: RunningAgent | undefined;
  readonly #o: SimAgentOptions;
  #life: Life | undefined;
  #unlisten: () => void = () => undefined;

  constructor(options: SimAgentOptions) {
    this.#o = options;
    this.name = options.name;
    this.ledger = new Ledger(options);
    const { scheduler, rng } = options;
    this.poolDisk = new SimDisk(scheduler, rng.fork('pool'), { capacityBytes: 512 * MiB });
    this.homeDisk = new SimDisk(scheduler, rng.fork('home'), { capacityBytes: 16 * MiB });
  }

  /** Trust in others, as joining makes it. */
  meet(names: readonly string[]): void {
    trust(this.homeDisk.mount(), this.name, { names });
    this.homeDisk.killProcess();
  }

  async start(): Promise<void> {
    const { name, scheduler, rng, network, mutatePool, onMessage } = this.#o;
    this.starts += 1;
    const life = new Life(`agent ${name}`, scheduler);
    this.#life = life;
    const clock = life.clock(() => this.skewMs);
    const random = simRandom(rng.fork('random'));
    const log = {
      log: (level: string, message: string) => onMessage(`agent ${name}: ${level} ${message}`),
    };
    const isAlive = () => life.isAlive;
    const onCrash = () => this.powerOff();
    const late: { agent?: Agent } = {};
    const opened = await openPool({
      disk: this.poolDisk.mount({ onCrash }),
      clock,
      random,
      log,
      cacheBytes: MiB,
      reserveBytes: MiB,
      packer: createSimPacker({ later: laterWhile(scheduler, isAlive) }, rng.fork('packer'), true),
      journalFileBytes: 256 * KiB,
      journalBytesMax: 16 * MiB,
      segmentBytesMax: rng.pick([256 * KiB, MiB]),
      onDemand: (volume, fetch) => late.agent?.noteDemand(volume, fetch),
    });
    const pool = this.ledger.watch(mutatePool?.(opened) ?? opened, isAlive);
    this.ledger.reopened(opened);
    const self = selfOf(name);
    const home = this.homeDisk.mount({ onCrash });
    const openObjectStore = () => createMemoryObjectStore(clock);
    const ports = { ...agentPorts(name), clock, random, log, home, openObjectStore };
    const agent = await startAgent({
      info: infoOf(name),
      ports,
      pools: [{ name: 'main', path: `/${name}/pool`, api: pool }],
      self,
      openCloud: (store) => {
        const dialer = dialerWhile(network.dialer(self), isAlive);
        const cloud = openCloud({ ...ports, self, disk: home, store, dialer, links });
        this.#unlisten = network.listen(self.address, self.fingerprint, (link) => {
          cloud.accept(link);
        });
        return cloud;
      },
    });
    late.agent = agent;
    this.running = { life, pool: opened, agent };
  }

  kill(): void {
    this.poolDisk.killProcess();
    this.homeDisk.killProcess();
    this.#ended(false);
  }

  powerOff(): void {
    if (this.#life === undefined) return;
    this.#ended(true);
    this.poolDisk.powerOff();
    this.homeDisk.powerOff();
  }

  #ended(powerLost: boolean): void {
    this.#o.scheduler.note(`agent ${this.name} ended`);
    this.#life?.end();
    this.#life = undefined;
    this.running = undefined;
    this.#unlisten();
    this.#unlisten = () => undefined;
    this.#o.network.drop(addressOf(this.name));
    this.ledger.ended(powerLost);
  }
}

function agentPorts(
  name: string,
): Pick<AgentPorts, 'metrics' | 'images' | 'attacher' | 'requestStop'> {
  const none = () => Promise.reject(new Error(`agent ${name} has no images here`));
  return {
    metrics: {
      add: () => undefined,
      set: () => undefined,
      observe: () => undefined,
      text: async () => '',
      forget: async () => undefined,
    },
    images: { open: none, create: none },
    attacher: { attach: none, detach: async () => undefined, list: async () => [] },
    requestStop: () => undefined,
  };
}

function infoOf(name: string) {
  return {
    cluster: name,
    version: '0.0.0',
    node: 'v24',
    pid: 1,
    startedMs: wallStartMs,
    homePath: `/${name}`,
    controlSocket: `/${name}/control.sock`,
    nbdSocket: `/${name}/nbd.sock`,
    metricsUrl: 'http://127.0.0.1:1/metrics',
  };
}
