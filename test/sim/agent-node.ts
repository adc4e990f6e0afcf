/**
 * An agent of a simulation: its pool is on a simulated disk, its links are of a simulated network,
 * and its home loses nothing. Its process can end at any moment and start again; others go on
 * meanwhile. What runs in a process is for the simulations themselves.
 */
import type { Clock } from '../../src/base/ports.ts';
import { type Cloud, type CloudOptions, openCloud } from '../../src/peer/cloud.ts';
import { openPool, type Pool, type PoolOptions } from '../../src/volume/pool.ts';
import { createMemoryDisk } from '../../src/volume/testing.ts';
import { addressOf, selfOf, trust } from './agent-identity.ts';
import { dialerWhile, laterWhile } from './mortal.ts';
import type { Rng } from './rng.ts';
import { type Scheduler, simRandom, wallStartMs } from './scheduler.ts';
import { SimDisk, type SimDiskOptions } from './sim-disk.ts';
import type { SimNetwork } from './sim-network.ts';
import { createSimPacker } from './sim-packer.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const links = 2;
export const capacityBytes = 512 * MiB;

export interface AgentNodeOptions {
  readonly name: string;
  readonly scheduler: Scheduler;
  readonly rng: Rng;
  readonly network: SimNetwork;
  /** What is wrong with its disk. */
  readonly faults: Partial<SimDiskOptions>;
  /** Of which it is one agent among others. */
  readonly cluster?: string;
  /** The process has ended, by itself or by us. */
  readonly onEnd: (powerLost: boolean) => void;
}

/** One process, as long as it lives. */
export interface AgentProcess {
  readonly isAlive: () => boolean;
  readonly ports: Pick<CloudOptions, 'clock' | 'random' | 'log' | 'metrics'>;
}

export abstract class AgentNode<Running> {
  readonly name: string;
  readonly simDisk: SimDisk;
  /** Added to the wall clock: clocks of machines differ, and jump. */
  skewMs = 0;
  /** Rises when a process ends; what belonged to an earlier one counts no more. */
  life = 0;
  running: Running | undefined;
  /** Some disk call will be the last of this process. */
  willCrash = false;
  readonly messages: string[] = [];
  readonly #o: AgentNodeOptions;
  readonly #home = createMemoryDisk();
  #unlisten: () => void = () => undefined;

  constructor(options: AgentNodeOptions) {
    this.#o = options;
    this.name = options.name;
    const disk = { capacityBytes, ...options.faults };
    this.simDisk = new SimDisk(options.scheduler, options.rng.fork('disk'), disk);
  }

  /** Starts a process; it ends by itself in the middle of a disk call when told to. */
  abstract start(crashAfterCalls?: number): Promise<void>;

  get address(): string {
    return addressOf(this.name);
  }

  meet(names: readonly string[]): void {
    const { cluster } = this.#o;
    trust(this.#home, this.name, {
      names,
      ...(cluster === undefined ? {} : { memberOf: cluster }),
    });
  }

  kill(): void {
    this.simDisk.killProcess();
    this.#ended(this.life, false);
  }

  powerOff(): void {
    this.simDisk.powerOff();
    this.#ended(this.life, true);
  }

  protected begin(): AgentProcess {
    this.life += 1;
    const { life } = this;
    const isAlive = () => this.life === life;
    return {
      isAlive,
      ports: {
        clock: this.#clock(isAlive),
        random: simRandom(this.#o.rng.fork('random')),
        log: { log: (level, text) => void this.messages.push(`${level} ${text}`) },
        metrics: { add: () => undefined, set: () => undefined, observe: () => undefined },
      },
    };
  }

  protected openPool(
    { isAlive, ports }: AgentProcess,
    crashAfterCalls: number | undefined,
    asks: Pick<PoolOptions, 'heal' | 'onDemand'>,
  ): Promise<Pool> {
    const { scheduler, rng } = this.#o;
    const { life } = this;
    this.willCrash = crashAfterCalls !== undefined;
    const disk = this.simDisk.mount({
      ...(crashAfterCalls === undefined ? {} : { afterCalls: crashAfterCalls }),
      onCrash: () => this.#ended(life, true),
    });
    const later = { later: laterWhile(scheduler, isAlive) };
    return openPool({
      ...ports,
      ...asks,
      disk,
      cacheBytes: MiB,
      reserveBytes: MiB,
      packer: createSimPacker(later, rng.fork('packer'), true),
      journalFileBytes: 256 * KiB,
      journalBytesMax: 16 * MiB,
      segmentBytesMax: rng.pick([256 * KiB, MiB]),
    });
  }

  /** Takes part in the network from now on. */
  protected join(
    { isAlive, ports }: AgentProcess,
    serves: Pick<CloudOptions, 'store' | 'replicas'>,
  ): Cloud {
    const { network, cluster } = this.#o;
    const self = selfOf(this.name);
    const cloud = openCloud({
      ...ports,
      ...serves,
      self: cluster === undefined ? self : { ...self, memberOf: cluster },
      disk: this.#home,
      dialer: dialerWhile(network.dialer(self), isAlive),
      links,
    });
    this.#unlisten = network.listen(self.address, self.fingerprint, (link) => cloud.accept(link));
    return cloud;
  }

  #ended(life: number, powerLost: boolean): void {
    if (this.life !== life) return;
    this.life += 1;
    this.running = undefined;
    this.#unlisten();
    this.#unlisten = () => undefined;
    this.#o.scheduler.note(`${this.name} ended`);
    this.#o.network.drop(this.address);
    this.#o.onEnd(powerLost);
  }

  #clock(isAlive: () => boolean): Clock {
    const { scheduler } = this.#o;
    return {
      wallMs: () => wallStartMs + scheduler.nowMs + this.skewMs,
      monotonicMs: () => scheduler.nowMs,
      after: (ms, run) =>
        scheduler.at(ms, `timer of ${this.name}`, () => {
          if (isAlive()) run();
        }),
    };
  }
}
