/** One agent of the simulation of replicated volumes: engine, peers and replicas in a process. */
import type { Cloud } from '../../src/peer/cloud.ts';
import type { SetEvent } from '../../src/peer/replica/events.ts';
import type { LocalReplica } from '../../src/peer/replica/local-replica.ts';
import { Replicas } from '../../src/peer/replica/replicas.ts';
import type { PoolApi } from '../../src/volume/api.ts';
import { AgentNode, type AgentNodeOptions } from './agent-node.ts';
import { overlay } from './mutants.ts';
import type { SimDiskOptions } from './sim-disk.ts';

/** Replicas are of agents of one cluster. */
const cluster = 'home';
export const poolName = 'main';

/** Breaks one promise of an agent on purpose. */
export interface ReplicaMutation {
  readonly pool?: (pool: PoolApi) => Partial<PoolApi>;
  readonly replica?: (replica: LocalReplica) => Partial<LocalReplica>;
  readonly disk?: Partial<SimDiskOptions>;
}

export interface ReplicaNodeOptions
  extends Pick<AgentNodeOptions, 'name' | 'scheduler' | 'rng' | 'network' | 'faults'> {
  readonly mutation: ReplicaMutation;
  readonly onEvent: (node: ReplicaNode, event: SetEvent) => void;
  /** The process has ended, by itself or by us. */
  readonly onEnd: (node: ReplicaNode, powerLost: boolean) => void;
}

export interface RunningReplicas {
  readonly pool: PoolApi;
  readonly replicas: Replicas;
}

export class ReplicaNode extends AgentNode<RunningReplicas> {
  readonly #o: ReplicaNodeOptions;

  constructor(options: ReplicaNodeOptions) {
    super({
      ...options,
      cluster,
      faults: { ...options.faults, ...options.mutation.disk },
      onEnd: (powerLost) => options.onEnd(this, powerLost),
    });
    this.#o = options;
  }

  async start(crashAfterCalls?: number): Promise<void> {
    const { mutation, onEvent } = this.#o;
    const process = this.begin();
    const { clock, random, log } = process.ports;
    const late: { replicas?: Replicas; cloud?: Cloud } = {};
    const opened: PoolApi = await this.openPool(process, crashAfterCalls, {
      heal: async (names) => (await late.replicas?.heal(names)) ?? [],
    });
    const pool = mutation.pool === undefined ? opened : overlay(opened, mutation.pool(opened));
    const replicas = createReplicas(mutation, {
      clock,
      random,
      log,
      self: this.name,
      pools: () => [{ name: poolName, api: pool }],
      peer: (name) => late.cloud?.peer(name) ?? neverAsked(),
      onEvent: (_volume, event) => {
        if (process.isAlive()) onEvent(this, event);
      },
      onLed: () => undefined,
      whileStill: (_volume, work) => work(),
    });
    late.replicas = replicas;
    late.cloud = this.join(process, { store: pool, replicas });
    this.running = { pool, replicas };
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
