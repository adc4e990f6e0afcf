/**
 * One agent of the simulation of replicated volumes: engine, peers and replicas over a simulated
 * disk and network. Its process can end at any moment and start again; others go on meanwhile.
 */
import type { Clock } from '../../src/base/ports.ts';
import { openCloud } from '../../src/peer/cloud.ts';
import { openRegistry } from '../../src/peer/registry.ts';
import type { SetEvent } from '../../src/peer/replica/events.ts';
import type { LocalReplica } from '../../src/peer/replica/local-replica.ts';
import { Replicas } from '../../src/peer/replica/replicas.ts';
import type { PoolApi } from '../../src/volume/api.ts';
import { openPool } from '../../src/volume/pool.ts';
import { createMemoryDisk } from '../../src/volume/testing.ts';
import { overlay } from './mutants.ts';
import type { Rng } from './rng.ts';
import { type Scheduler, simRandom } from './scheduler.ts';
import { SimDisk, type SimDiskOptions } from './sim-disk.ts';
import type { SimNetwork } from './sim-network.ts';
import { createSimPacker } from './sim-packer.ts';
import {
  addressOf,
  dialerWhile,
  fingerprintOf,
  idOf,
  laterWhile,
  selfOf,
} from './teleport-node.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const wallStartMs = Date.UTC(2026, 0, 1);
const links = 2;
/** Replicas are of agents of one cluster. */
const cluster = 'home';
export const capacityBytes = 512 * MiB;
export const poolName = 'main';

/** Breaks one promise of an agent on purpose. */
export interface ReplicaMutation {
  readonly pool?: (pool: PoolApi) => Partial<PoolApi>;
  readonly replica?: (replica: LocalReplica) => Partial<LocalReplica>;
  readonly disk?: Partial<SimDiskOptions>;
}

export interface ReplicaNodeOptions {
  readonly name: string;
  readonly scheduler: Scheduler;
  readonly rng: Rng;
  readonly network: SimNetwork;
  readonly mutation: ReplicaMutation;
  /** What is wrong with its disk. */
  readonly faults: Partial<SimDiskOptions>;
  readonly onEvent: (node: ReplicaNode, event: SetEvent) => void;
  /** The process has ended, by itself or by us. */
  readonly onEnd: (node: ReplicaNode, powerLost: boolean) => void;
}

export interface RunningReplicas {
  readonly pool: PoolApi;
  readonly replicas: Replicas;
}

export class ReplicaNode {
  readonly name: string;
  readonly simDisk: SimDisk;
  /** Rises when a process ends; what belonged to an earlier one counts no more. */
  life = 0;
  running: RunningReplicas | undefined;
  /** Some disk call will be the last of this process. */
  willCrash = false;
  readonly messages: string[] = [];
  readonly #o: ReplicaNodeOptions;
  readonly #home = createMemoryDisk();
  #unlisten: () => void = () => undefined;

  constructor(options: ReplicaNodeOptions) {
    this.#o = options;
    this.name = options.name;
    this.simDisk = new SimDisk(options.scheduler, options.rng.fork('disk'), {
      capacityBytes,
      ...options.faults,
      ...options.mutation.disk,
    });
  }

  get address(): string {
    return addressOf(this.name);
  }

  /** Trust in the other agents of the cluster, as joining makes it. */
  meet(names: readonly string[]): void {
    const registry = openRegistry(this.#home, { id: idOf(this.name), name: this.name });
    for (const name of names) {
      if (name === this.name) continue;
      const fingerprint = fingerprintOf(name);
      const addresses = [addressOf(name)];
      const record = { name, id: idOf(name), addresses, fingerprint, addedMs: wallStartMs };
      registry.put({ ...record, memberOf: cluster });
    }
  }

  /** Starts a process; it ends by itself in the middle of a disk call when told to. */
  async start(crashAfterCalls?: number): Promise<void> {
    const { rng, network, mutation, onEvent } = this.#o;
    this.willCrash = crashAfterCalls !== undefined;
    this.life += 1;
    const { life } = this;
    const isAlive = () => this.life === life;
    const ports = {
      clock: this.#clock(isAlive),
      random: simRandom(rng.fork('random')),
      log: { log: (level: string, text: string) => void this.messages.push(`${level} ${text}`) },
    };
    const late: { replicas?: Replicas } = {};
    const pool = await this.#openPool(ports, isAlive, late, crashAfterCalls);
    const known: { cloud?: ReturnType<typeof openCloud> } = {};
    const replicas = createReplicas(mutation, {
      ...ports,
      self: this.name,
      pools: () => [{ name: poolName, api: pool }],
      peer: (name) => known.cloud?.peer(name) ?? neverAsked(),
      onEvent: (_volume, event) => {
        if (isAlive()) onEvent(this, event);
      },
      onLed: () => undefined,
      whileStill: (_volume, work) => work(),
    });
    late.replicas = replicas;
    const cloud = openCloud({
      ...ports,
      metrics: { add: () => undefined, set: () => undefined, observe: () => undefined },
      self: { ...selfOf(this.name), memberOf: cluster },
      disk: this.#home,
      store: pool,
      dialer: dialerWhile(network.dialer(selfOf(this.name)), isAlive),
      links,
      replicas,
    });
    known.cloud = cloud;
    const { address, fingerprint } = selfOf(this.name);
    this.#unlisten = network.listen(address, fingerprint, (link) => cloud.accept(link));
    this.running = { pool, replicas };
  }

  kill(): void {
    this.simDisk.killProcess();
    this.#ended(this.life, false);
  }

  powerOff(): void {
    this.simDisk.powerOff();
    this.#ended(this.life, true);
  }

  async #openPool(
    ports: Pick<Parameters<typeof openPool>[0], 'clock' | 'random' | 'log'>,
    isAlive: () => boolean,
    late: { readonly replicas?: Replicas },
    afterCalls: number | undefined,
  ): Promise<PoolApi> {
    const { scheduler, rng, mutation } = this.#o;
    const { life } = this;
    const disk = this.simDisk.mount({
      ...(afterCalls === undefined ? {} : { afterCalls }),
      onCrash: () => this.#ended(life, true),
    });
    const later = { later: laterWhile(scheduler, isAlive) };
    const opened: PoolApi = await openPool({
      ...ports,
      disk,
      cacheBytes: MiB,
      reserveBytes: MiB,
      packer: createSimPacker(later, rng.fork('packer'), true),
      journalFileBytes: 256 * KiB,
      journalBytesMax: 16 * MiB,
      segmentBytesMax: rng.pick([256 * KiB, MiB]),
      heal: async (names) => (await late.replicas?.heal(names)) ?? [],
    });
    return mutation.pool === undefined ? opened : overlay(opened, mutation.pool(opened));
  }

  #ended(life: number, powerLost: boolean): void {
    if (this.life !== life) return;
    this.life += 1;
    this.running = undefined;
    this.#unlisten();
    this.#unlisten = () => undefined;
    this.#o.scheduler.note(`${this.name} ended`);
    this.#o.network.drop(this.address);
    this.#o.onEnd(this, powerLost);
  }

  #clock(isAlive: () => boolean): Clock {
    const { scheduler } = this.#o;
    return {
      wallMs: () => wallStartMs + scheduler.nowMs,
      monotonicMs: () => scheduler.nowMs,
      after: (ms, run) =>
        scheduler.at(ms, `timer of ${this.name}`, () => {
          if (isAlive()) run();
        }),
    };
  }
}

function neverAsked(): never {
  throw new Error('a peer was asked for before there was a cloud');
}

function createReplicas(
  mutation: ReplicaMutation,
  options: ConstructorParameters<typeof Replicas>[0],
): Replicas {
  const { replica } = mutation;
  if (replica === undefined) return new Replicas(options);
  const broken = new WeakMap<LocalReplica, LocalReplica>();
  const wrap = (one: LocalReplica): LocalReplica => {
    const known = broken.get(one) ?? overlay(one, replica(one));
    broken.set(one, known);
    return known;
  };
  return new (class extends Replicas {
    override find(volume: string): LocalReplica {
      return wrap(super.find(volume));
    }
    override place(volume: string, pool: string): LocalReplica {
      return wrap(super.place(volume, pool));
    }
  })(options);
}
