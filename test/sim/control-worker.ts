/** A process that works on one cluster's API: it can be started, stopped, killed and paused. */
import type { Clock, Log, Random } from '../../src/base/ports.ts';
import type { UserInfo } from '../../src/embedded/server/api.ts';
import type { KubeClient } from '../../src/kube/api.ts';
import { createKubeClient } from '../../src/kube/client.ts';
import type { KubeRequest, KubeTransport } from '../../src/kube/transport.ts';
import { Life } from './control-life.ts';
import { simTransport } from './control-transport.ts';
import type { ControlWorld, SimCluster } from './control-world.ts';
import type { Rng } from './rng.ts';
import { simRandom } from './scheduler.ts';

export interface WorkerOptions {
  readonly world: ControlWorld;
  /** The cluster that it belongs to, once the world is made. */
  readonly cluster: () => SimCluster;
  readonly rng: Rng;
}

/** What one run of such a process has of the world. */
export interface WorkerPorts {
  readonly life: Life;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
  transport(cluster: SimCluster, user: UserInfo): KubeTransport;
}

export interface Running {
  readonly life: Life;
  /** Resolves when it has ended by itself, cleanly. */
  stop(): Promise<void>;
}

export abstract class Worker {
  readonly o: WorkerOptions;
  skewMs = 0;
  starts = 0;
  running: Running | undefined;

  constructor(options: WorkerOptions) {
    this.o = options;
  }

  abstract get name(): string;

  /** Begins the work; called once per run. */
  protected abstract begin(ports: WorkerPorts): () => Promise<void>;

  /** Called with every request that leaves. */
  protected onSend(_life: Life, _cluster: SimCluster, _request: KubeRequest): void {
    // Nothing to judge.
  }

  /** Of the API of its own cluster. */
  protected clientAs(
    user: UserInfo,
    fieldManager: string,
    { transport, clock, random, log }: WorkerPorts,
  ): KubeClient {
    const cluster = this.o.cluster();
    return createKubeClient({
      cluster: cluster.name,
      transport: transport(cluster, user),
      clock,
      random,
      log,
      fieldManager,
    });
  }

  get isPaused(): boolean {
    return this.running?.life.isPaused === true;
  }

  start(): void {
    const { world, rng } = this.o;
    const { scheduler, mutation } = world;
    this.starts += 1;
    scheduler.note(`${this.name} starts`);
    const own = rng.fork(`start ${this.starts}`);
    const life = new Life(`${this.name}#${this.starts}`, scheduler);
    const clock = life.clock(() => this.skewMs);
    const stop = this.begin({
      life,
      clock: mutation.clock?.(clock) ?? clock,
      random: simRandom(own.fork('random')),
      log: {
        log: (level, message, fields) => {
          if (life.isAlive) world.say(`${life.name}: ${level} ${message} ${shown(fields)}`);
        },
      },
      transport: (cluster, user) => {
        const { api } = cluster;
        const onSend = (request: KubeRequest) => this.onSend(life, cluster, request);
        const way = { scheduler, life, api, user, weather: api.weather, onSend };
        const transport = simTransport({ ...way, rng: own.fork(`to ${cluster.name}`) });
        return mutation.transport?.(transport, cluster.name) ?? transport;
      },
    });
    this.running = { life, stop };
  }

  kill(): void {
    this.o.world.scheduler.note(`${this.name} is killed`);
    this.running?.life.end();
    this.running = undefined;
  }

  async stop(): Promise<void> {
    const { running } = this;
    if (running === undefined) return;
    this.o.world.scheduler.note(`${this.name} stops`);
    await Promise.race([
      running.stop(),
      new Promise<void>((resolve) => running.life.onEnd(resolve)),
    ]);
    running.life.end();
    if (this.running === running) this.running = undefined;
  }
}

function shown(fields: Readonly<Record<string, unknown>> | undefined): string {
  return fields === undefined ? '' : JSON.stringify(fields);
}

export const silentMetrics = {
  add: () => undefined,
  set: () => undefined,
  observe: () => undefined,
};
