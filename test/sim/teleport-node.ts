/**
 * One agent of the teleport simulation: engine, peers and teleports over a simulated disk and
 * network. Its process can end at any moment and start again; other agents go on meanwhile.
 */
import { createHash } from 'node:crypto';
import type { Clock } from '../../src/base/ports.ts';
import { openCloud } from '../../src/peer/cloud.ts';
import type { Dialer } from '../../src/peer/link.ts';
import { openRegistry } from '../../src/peer/registry.ts';
import type { TeleportRecord } from '../../src/peer/teleport-record.ts';
import { TeleportManager } from '../../src/peer/teleports.ts';
import type { PoolApi } from '../../src/volume/api.ts';
import { openPool } from '../../src/volume/pool.ts';
import { createMemoryDisk } from '../../src/volume/testing.ts';
import type { Rng } from './rng.ts';
import { type Scheduler, simRandom } from './scheduler.ts';
import { SimDisk } from './sim-disk.ts';
import type { SimNetwork } from './sim-network.ts';
import { createSimPacker } from './sim-packer.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const wallStartMs = Date.UTC(2026, 0, 1);
const links = 2;

/** Breaks one promise of an agent on purpose. */
export interface TeleportMutation {
  readonly pool?: (pool: PoolApi) => PoolApi;
  readonly disk?: { readonly lyingSync: string };
}

export interface NodeOptions {
  readonly name: string;
  readonly scheduler: Scheduler;
  readonly rng: Rng;
  readonly network: SimNetwork;
  readonly mutation: TeleportMutation;
  readonly onRecord: (node: Node, record: TeleportRecord) => void;
  /** The process has ended, by itself or by us. */
  readonly onEnd: (node: Node, powerLost: boolean) => void;
}

/** What lives as long as a process. */
export interface Running {
  readonly pool: PoolApi;
  readonly manager: TeleportManager;
  readonly close: () => Promise<void>;
}

export class Node {
  readonly name: string;
  readonly simDisk: SimDisk;
  /** Added to the wall clock: clocks of machines differ, and jump. */
  skewMs = 0;
  /** Rises when a process ends; what belonged to an earlier one counts no more. */
  life = 0;
  running: Running | undefined;
  /** Told to end: what is asked of it now may be refused. */
  isClosing = false;
  /** Some disk call will be the last of this process. */
  willCrash = false;
  readonly messages: string[] = [];
  readonly #o: NodeOptions;
  readonly #home = createMemoryDisk();
  #records: readonly TeleportRecord[] = [];
  #unlisten: () => void = () => undefined;

  constructor(options: NodeOptions) {
    this.#o = options;
    this.name = options.name;
    const faults = options.mutation.disk ?? {};
    this.simDisk = new SimDisk(options.scheduler, options.rng.fork('disk'), {
      capacityBytes: 512 * MiB,
      ...faults,
    });
  }

  get records(): readonly TeleportRecord[] {
    return this.running?.manager.list() ?? this.#records;
  }

  /** Trust in others, as joining makes it. */
  meet(names: readonly string[]): void {
    const registry = openRegistry(this.#home, { id: idOf(this.name), name: this.name });
    for (const name of names) {
      if (name === this.name) continue;
      const fingerprint = fingerprintOf(name);
      const addresses = [addressOf(name)];
      registry.put({ name, id: idOf(name), addresses, fingerprint, addedMs: wallStartMs });
    }
  }

  /** Starts a process; it ends by itself in the middle of a disk call when told to. */
  async start(crashAfterCalls?: number): Promise<void> {
    const { scheduler, rng, network, mutation } = this.#o;
    this.willCrash = crashAfterCalls !== undefined;
    this.life += 1;
    const { life } = this;
    const isAlive = () => this.life === life;
    const clock = this.#clock(isAlive);
    const random = simRandom(rng.fork('random'));
    const log = {
      log: (level: string, message: string) => void this.messages.push(`${level} ${message}`),
    };
    const noMetrics = { add: () => undefined, set: () => undefined, observe: () => undefined };
    const disk = this.simDisk.mount({
      ...(crashAfterCalls === undefined ? {} : { afterCalls: crashAfterCalls }),
      onCrash: () => this.#ended(life, true),
    });
    const later = { later: laterWhile(scheduler, isAlive) };
    const late: { manager?: TeleportManager } = {};
    const opened = await openPool({
      disk,
      clock,
      random,
      log,
      cacheBytes: MiB,
      reserveBytes: MiB,
      packer: createSimPacker(later, rng.fork('packer'), true),
      journalFileBytes: 256 * KiB,
      journalBytesMax: 16 * MiB,
      segmentBytesMax: rng.pick([256 * KiB, MiB]),
      onDemand: (volume, fetch) => late.manager?.noteDemand(volume, fetch),
    });
    const pool = mutation.pool?.(opened) ?? opened;
    const ports = { clock, random, log, metrics: noMetrics };
    const dialer = dialerWhile(network.dialer(selfOf(this.name)), isAlive);
    const cloud = openCloud({
      ...ports,
      self: selfOf(this.name),
      disk: this.#home,
      store: pool,
      dialer,
      links,
    });
    const { address, fingerprint } = selfOf(this.name);
    this.#unlisten = network.listen(address, fingerprint, (link) => cloud.accept(link));
    const manager = new TeleportManager({
      ...ports,
      cluster: this.name,
      pools: () => [{ name: 'main', api: pool }],
      peer: (name) => cloud.peer(name),
      load: () => this.#records,
      save: (records) => {
        if (isAlive()) this.#records = structuredClone(records);
      },
      onChange: (record) => {
        if (isAlive()) this.#o.onRecord(this, record);
      },
    });
    late.manager = manager;
    await manager.resume();
    const close = async () => {
      this.isClosing = true;
      await manager.close();
      cloud.close();
      await pool.close();
    };
    this.running = { pool, manager, close };
  }

  kill(): void {
    this.simDisk.killProcess();
    this.#ended(this.life, false);
  }

  powerOff(): void {
    this.simDisk.powerOff();
    this.#ended(this.life, true);
  }

  #ended(life: number, powerLost: boolean): void {
    if (this.life !== life) return;
    this.life += 1;
    this.running = undefined;
    this.isClosing = false;
    this.#unlisten();
    this.#unlisten = () => undefined;
    this.#o.scheduler.note(`${this.name} ended`);
    this.#o.network.drop(addressOf(this.name));
    this.#o.onEnd(this, powerLost);
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

/** Answers to a process that is gone never come. */
export function laterWhile(scheduler: Scheduler, isAlive: () => boolean): Scheduler['later'] {
  return (label, value) =>
    new Promise((resolve, reject) => {
      scheduler
        .later(label, () => (isAlive() ? { value: value() } : undefined))
        .then((answer) => {
          if (answer !== undefined) resolve(answer.value);
        }, reject);
    });
}

export function dialerWhile(dialer: Dialer, isAlive: () => boolean): Dialer {
  return {
    connect: async (target) => {
      if (!isAlive()) return never();
      const link = await dialer.connect(target);
      if (isAlive()) return link;
      link.start({ onBytes: () => undefined, onDrain: () => undefined, onClose: () => undefined });
      link.close();
      return never();
    },
  };
}

function never<T>(): Promise<T> {
  return new Promise(() => undefined);
}

export const fingerprintOf = (name: string) => createHash('sha256').update(name).digest('hex');
export const idOf = (name: string) => fingerprintOf(name).slice(0, 32);
export const addressOf = (name: string) => `${name}:7441`;

export function selfOf(name: string) {
  return {
    id: idOf(name),
    name,
    fingerprint: fingerprintOf(name),
    address: addressOf(name),
    agentVersion: '0.1.0',
    capabilities: [],
    addresses: () => [addressOf(name)],
  };
}
