/** One agent of the teleport simulation: engine, peers and teleports in a process that can end. */
import type { TeleportRecord } from '../../src/peer/teleport-record.ts';
import { TeleportManager } from '../../src/peer/teleports.ts';
import type { PoolApi } from '../../src/volume/api.ts';
import { AgentNode, type AgentNodeOptions } from './agent-node.ts';

/** Breaks one promise of an agent on purpose. */
export interface TeleportMutation {
  readonly pool?: (pool: PoolApi) => PoolApi;
  readonly disk?: { readonly lyingSync: string };
}

export interface NodeOptions
  extends Pick<AgentNodeOptions, 'name' | 'scheduler' | 'rng' | 'network'> {
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

export class Node extends AgentNode<Running> {
  /** Told to end: what is asked of it now may be refused. */
  isClosing = false;
  readonly #o: NodeOptions;
  #records: readonly TeleportRecord[] = [];

  constructor(options: NodeOptions) {
    super({
      ...options,
      faults: options.mutation.disk ?? {},
      onEnd: (powerLost) => options.onEnd(this, powerLost),
    });
    this.#o = options;
  }

  get records(): readonly TeleportRecord[] {
    return this.running?.manager.list() ?? this.#records;
  }

  async start(crashAfterCalls?: number): Promise<void> {
    const { mutation, onRecord } = this.#o;
    this.isClosing = false;
    const process = this.begin();
    const { ports, isAlive } = process;
    const late: { manager?: TeleportManager } = {};
    const opened = await this.openPool(process, crashAfterCalls, {
      onDemand: (volume, fetch) => late.manager?.noteDemand(volume, fetch),
    });
    const pool = mutation.pool?.(opened) ?? opened;
    const cloud = this.join(process, { store: pool });
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
        if (isAlive()) onRecord(this, record);
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
}
