/**
 * Clusters whose users, controllers, API servers and agents all fail independently, and what must
 * be true of every volume and object at any moment.
 */
import { TransshipError } from '../../src/base/errors.ts';
import type { SchemaLibrary } from '../../src/embedded/schema/api.ts';
import { createKubeClient } from '../../src/kube/client.ts';
import type { KubeClient } from '../../src/kube/api.ts';
import { ContentSource } from './content.ts';
import { SimAgent } from './control-agent.ts';
import { SimApi } from './control-api.ts';
import { Watchman } from './control-commits.ts';
import { Versions } from './control-ledger.ts';
import { Life } from './control-life.ts';
import type { LineWeather } from './control-line.ts';
import { ControllerProcess } from './control-process.ts';
import { RuntimeProcess } from './control-runtime.ts';
import { fairWeather, simTransport } from './control-transport.ts';
import type { ControlMutation } from './control-mutation.ts';
import { Observer } from './control-observer.ts';
import { mayDelete, Intents } from './control-intents.ts';
import { Gone } from './mortal.ts';
import { createRng, type Rng } from './rng.ts';
import { Crashed, Scheduler, simRandom } from './scheduler.ts';
import { SimNetwork } from './sim-network.ts';

const KiB = 1024;

export interface SimCluster {
  readonly name: string;
  readonly api: SimApi;
  /** Undefined: it is only a hub. */
  readonly agent: SimAgent | undefined;
  readonly line: LineWeather;
  readonly controllers: readonly ControllerProcess[];
  readonly runtime: RuntimeProcess;
  readonly observer: Observer;
  /** As its administrator: no fault is in the way but a server that is down. */
  readonly admin: KubeClient;
  readonly intents: Intents;
}

export interface ControlWorldOptions {
  readonly seed: number;
  readonly mutation: ControlMutation;
  readonly library: SchemaLibrary;
  readonly onEvent: ((label: string, nowMs: number) => void) | undefined;
}

export class ControlWorld {
  readonly rng: Rng;
  readonly scheduler: Scheduler;
  readonly network: SimNetwork;
  readonly content: ContentSource;
  readonly clusters: readonly SimCluster[];
  readonly messages: string[] = [];
  readonly mutation: ControlMutation;
  readonly watchman: Watchman;
  /** Faults are over. */
  isCalm = false;
  violation: Error | undefined;
  readonly #running = new Map<Promise<void>, string>();
  #counter = 0;

  constructor({ seed, mutation, library, onEvent }: ControlWorldOptions) {
    this.rng = createRng(seed).fork('control');
    this.mutation = mutation;
    this.scheduler = new Scheduler({
      rng: this.rng.fork('scheduler'),
      eventsMax: 600_000,
      ...(onEvent === undefined ? {} : { onEvent }),
    });
    this.content = new ContentSource(this.rng.fork('content'));
    this.network = new SimNetwork(this.scheduler, this.rng.fork('network'), {
      delayMs: this.rng.pick([0.1, 5, 50]),
      jitterMs: this.rng.pick([0, 1, 40]),
      bufferBytes: 256 * KiB,
      connectTimeoutMs: 10_000,
    });
    this.watchman = new Watchman((error) => this.fail(error));
    const names = this.rng.chance(0.25) ? ['east', 'west', 'hub'] : ['east', 'west'];
    const versions = new Versions();
    this.clusters = names.map((name) => this.#cluster(name, versions, library));
    for (const { agent } of this.clusters) agent?.meet(names.filter((name) => name !== 'hub'));
  }

  #cluster(name: string, versions: Versions, library: SchemaLibrary): SimCluster {
    const { scheduler, network, mutation } = this;
    const rng = this.rng.fork(name);
    const intents = new Intents();
    const say = (message: string) => this.say(message);
    const api = new SimApi({
      name,
      scheduler,
      library,
      rng: rng.fork('api'),
      historyMax: rng.pick([20, 200, 5000]),
      onCommit: (at, change) => {
        this.watchman.see(this, at, change);
        intents.see(change);
      },
      onMessage: say,
    });
    const late: { cluster?: SimCluster } = {};
    const belonging = { world: this, cluster: () => late.cluster! };
    const agent =
      name === 'hub'
        ? undefined
        : new SimAgent({
            name,
            scheduler,
            network,
            versions,
            rng: rng.fork('agent'),
            mutatePool: mutation.pool,
            onDelete: (volume, force) => mayDelete(late.cluster!, volume, force),
            onFailure: (error) => this.fail(error),
            onMessage: say,
          });
    const line = { lostBefore: 0, lostAfter: 0, delayMs: 1 };
    const isAlone = rng.chance(0.5) && mutation.faults?.includes('clockJump') !== true;
    const identities = isAlone ? ['one'] : ['one', 'two'];
    const controllers = identities.map((identity) => {
      const own = rng.fork(`controller ${identity}`);
      return new ControllerProcess({ ...belonging, identity, rng: own });
    });
    const admin = this.#admin(api, rng.fork('admin'));
    const cluster: SimCluster = {
      name,
      api,
      agent,
      line,
      controllers,
      admin,
      intents,
      runtime: new RuntimeProcess({ ...belonging, rng: rng.fork('runtime') }),
      observer: new Observer({ ...belonging, rng: rng.fork('observer') }),
    };
    late.cluster = cluster;
    return cluster;
  }

  #admin(api: SimApi, rng: Rng): KubeClient {
    const { scheduler } = this;
    const life = new Life(`user of ${api.name}`, scheduler);
    const user = { name: 'admin', groups: ['system:masters', 'system:authenticated'] };
    const weather = { ...fairWeather };
    return createKubeClient({
      cluster: api.name,
      transport: simTransport({ scheduler, rng, life, api, user, weather }),
      clock: life.clock(() => 0),
      random: simRandom(rng.fork('random')),
      log: { log: () => undefined },
      fieldManager: 'user',
    });
  }

  unique(prefix: string): string {
    this.#counter += 1;
    return `${prefix}${this.#counter}`;
  }

  find(name: string): SimCluster | undefined {
    return this.clusters.find((cluster) => cluster.name === name);
  }

  /** Clusters that have volumes. */
  get stores(): readonly SimCluster[] {
    return this.clusters.filter(({ agent }) => agent !== undefined);
  }

  say(message: string): void {
    this.messages.push(`${(this.scheduler.nowMs / 1000).toFixed(3)} ${message}`);
    if (this.messages.length > 4_000) this.messages.splice(0, 1_000);
  }

  fail(error: Error): void {
    this.violation ??= error;
  }

  /** Runs beside others. What it throws that is not expected is a violation. */
  spawn(label: string, operation: () => Promise<void>): void {
    this.scheduler.note(`start ${label}`);
    const work = operation()
      .catch((error: unknown) => {
        if (error instanceof Gone || error instanceof Crashed) return;
        this.fail(new Error(`${label}: ${String(error)}`, { cause: error }));
      })
      .finally(() => void this.#running.delete(work));
    this.#running.set(work, label);
  }

  unfinished(): string[] {
    return [...this.#running.values()];
  }

  /** What users do that a server refuses, or that nobody answers, is no violation. */
  async asUser(label: string, work: () => Promise<unknown>): Promise<boolean> {
    try {
      await work();
      return true;
    } catch (error) {
      if (!(error instanceof TransshipError)) throw error;
      this.scheduler.note(`${label}: ${error.reason}`);
      if (!refusals.has(error.reason)) throw error;
      return false;
    }
  }
}

const refusals: ReadonlySet<string> = new Set([
  'ApiUnreachable',
  'ApiFailed',
  'AlreadyExists',
  'Conflict',
  'Invalid',
  'NotFound',
  'Forbidden',
  'TooManyRequests',
]);
