/**
 * Two clusters with all that Kubernetes does in them, machines on which pods are simulated
 * processes, and the controllers that move a namespace from one to the other.
 */
import type { SchemaLibrary } from '../../src/embedded/schema/api.ts';
import type { UserInfo } from '../../src/embedded/server/api.ts';
import { type Runtime, startRuntime } from '../../src/embedded/runtime/runtime.ts';
import { startControllers } from '../../src/controllers/manager.ts';
import { fail } from '../../src/base/errors.ts';
import type { Log } from '../../src/base/ports.ts';
import type { EventRecorder, KubeClient } from '../../src/kube/api.ts';
import { createKubeClient } from '../../src/kube/client.ts';
import type { KubeTransport } from '../../src/kube/transport.ts';
import { type Committed, SimApi } from './control-api.ts';
import { Life } from './control-life.ts';
import { fairWeather, simTransport } from './control-transport.ts';
import { silentMetrics } from './control-worker.ts';
import { MoveData } from './move-data.ts';
import { MoveEngine } from './move-engine.ts';
import { MoveNode } from './move-node.ts';
import { isStillOver, placeOf } from './move-place.ts';
import { registryDoor, SimRegistry } from './move-registry.ts';
import { type Trouble, Troublemaker } from './move-trouble.ts';
import { createRng, type Rng } from './rng.ts';
import { Scheduler, simRandom } from './scheduler.ts';

export const sides = ['east', 'west'] as const;
export type SideName = (typeof sides)[number];

const master: UserInfo = { name: 'admin', groups: ['system:masters', 'system:authenticated'] };
const silent: EventRecorder = { record: () => undefined, stop: async () => undefined };
const eventsMax = 400_000;

/** A door of the controllers that is broken on purpose. */
export interface MoveMutation {
  readonly transport?: (send: KubeTransport, cluster: SideName) => KubeTransport;
}

export interface MoveSide {
  readonly name: SideName;
  readonly api: SimApi;
  readonly admin: KubeClient;
  readonly node: MoveNode;
  /** `registry.` and the name of the side. */
  readonly registry: SimRegistry;
  runtime: Runtime | undefined;
}

export interface MoveWorldOptions {
  readonly seed: number;
  readonly library: SchemaLibrary;
  readonly trouble: Trouble;
  readonly mutation: MoveMutation;
  /** Both sides have agents, whose volumes people use. */
  readonly hasAgents: boolean;
  readonly onEvent?: ((label: string, nowMs: number) => void) | undefined;
}

export class MoveWorld {
  readonly rng: Rng;
  readonly scheduler: Scheduler;
  readonly data: MoveData;
  readonly east: MoveSide;
  readonly west: MoveSide;
  readonly trouble: Troublemaker;
  readonly messages: string[] = [];
  readonly endings: string[] = [];
  readonly #mutation: MoveMutation;
  readonly #servers = new Map<number, { readonly path: string; isUp: boolean }>();
  /** What a person does beside it. */
  onScale: (replicas: number) => void = () => undefined;
  /** Wherever a migration has come to. */
  onPlace: (place: string) => void = () => undefined;
  #place = '';
  violation: Error | undefined;
  lives = 0;
  readonly #controllers = new Map<string, Life>();
  /** Undefined: no side has agents. */
  readonly engine: MoveEngine | undefined;

  constructor(options: MoveWorldOptions) {
    const { seed, library, trouble, mutation, hasAgents, onEvent } = options;
    this.rng = createRng(seed).fork('move');
    this.#mutation = mutation;
    this.scheduler = new Scheduler({
      rng: this.rng.fork('scheduler'),
      eventsMax,
      ...(onEvent === undefined ? {} : { onEvent }),
    });
    this.data = new MoveData('east', (error) => this.fail(error));
    const { scheduler, data } = this;
    this.engine = hasAgents ? new MoveEngine({ scheduler, data, sides }) : undefined;
    this.trouble = new Troublemaker(trouble, {
      nowMs: () => this.scheduler.nowMs,
      kill: (afterMs, side) => this.#crash(afterMs, side as SideName),
      cut: () => sides.forEach((name) => this.side(name).api.cut()),
      scale: (replicas) => this.onScale(replicas),
      place: () => this.#place,
    });
    this.east = this.#side('east', library);
    this.west = this.#side('west', library);
  }

  side(name: SideName): MoveSide {
    return name === 'east' ? this.east : this.west;
  }

  fail(error: Error): void {
    this.violation ??= error;
  }

  #follow({ before, now }: Committed): void {
    const place = now && placeOf(now);
    if (place === undefined || place === this.#place || isStillOver(before, now!)) return;
    this.#place = place;
    this.onPlace(place);
  }

  say(message: string): void {
    this.messages.push(`${(this.scheduler.nowMs / 1000).toFixed(3)} ${message}`);
    if (this.messages.length > 4_000) this.messages.splice(0, 1_000);
  }

  #log(name: string): Log {
    return {
      log: (level, message, fields) => {
        if (level !== 'debug') this.say(`${name}: ${level} ${message} ${JSON.stringify(fields)}`);
      },
    };
  }

  #side(name: SideName, library: SchemaLibrary): MoveSide {
    const { scheduler, data } = this;
    const rng = this.rng.fork(name);
    const late: { side?: MoveSide } = {};
    const api = new SimApi({
      name,
      scheduler,
      library,
      rng: rng.fork('api'),
      historyMax: 5000,
      onCommit: (_, change) => this.#follow(change),
      onMessage: (message) => this.say(message),
      readLog: async (request) => {
        const { runtime } = late.side!;
        return runtime === undefined ? fail('NotFound', 'no node runs') : runtime.readLog(request);
      },
    });
    const node = new MoveNode({
      name,
      scheduler,
      rng: rng.fork('node'),
      api: () => api,
      data,
      servers: this.#servers,
      onLine: () => this.trouble.effect(),
    });
    const admin = this.#client(api, new Life(`user of ${name}`, scheduler), rng.fork('admin'));
    const registry = new SimRegistry();
    late.side = { name, api, admin, node, registry, runtime: undefined };
    return late.side;
  }

  #client(api: SimApi, life: Life, rng: Rng): KubeClient {
    return createKubeClient({
      cluster: api.name,
      transport: this.#transport(api, life, rng),
      clock: life.clock(() => 0),
      random: simRandom(rng.fork('random')),
      log: this.#log(life.name),
      fieldManager: life.name.startsWith('user') ? 'user' : 'kube-controller-manager',
    });
  }

  #transport(api: SimApi, life: Life, rng: Rng): KubeTransport {
    const { scheduler } = this;
    const weather = { ...fairWeather };
    return simTransport({ scheduler, rng, life, api, user: master, weather });
  }

  /** Kubernetes itself, which never fails here. */
  startMachinery(side: MoveSide): Promise<void> {
    const { name, api, node } = side;
    const rng = this.rng.fork(`machinery ${name}`);
    const client = this.#client(api, new Life(`machinery ${name}`, this.scheduler), rng);
    side.runtime = startRuntime({
      client,
      events: silent,
      log: this.#log(`machinery ${name}`),
      metrics: silentMetrics,
      processes: node.processes,
      files: node.files,
      probes: { httpGet: async () => 200, tcp: async () => undefined },
      volumes: this.engine?.mounts(name) ?? {
        mount: async () => fail('Unsupported', 'no agent runs here'),
        unmount: async () => undefined,
      },
      directories: node.directories,
      nodes: [
        {
          name,
          labels: { 'kubernetes.io/hostname': name },
          cpus: 8,
          memoryBytes: 2 ** 34,
          operatingSystem: 'linux',
          architecture: 'amd64',
          kernelVersion: '6',
          machineId: name,
          version: 'v1.33.0',
        },
      ],
      caBundle: 'none',
      apiServer: { host: '192.0.2.1', port: 443 },
      baseEnv: {},
    });
    return side.runtime.started;
  }

  /** Of the hub, which reconciles migrations, or of the other cluster with its own volumes. */
  startControllers(side: SideName = 'east'): void {
    this.lives += 1;
    const { scheduler, trouble } = this;
    const life = new Life(`controllers#${this.lives} of ${side}`, scheduler);
    this.#controllers.set(side, life);
    scheduler.note(`${life.name} start`);
    const rng = this.rng.fork(life.name);
    const clock = life.clock(() => 0);
    const log: Log = {
      log: (level, message, fields) => {
        if (!life.isAlive || level === 'debug') return;
        this.say(`${life.name}: ${level} ${message} ${JSON.stringify(fields)}`);
      },
    };
    const random = simRandom(rng.fork('random'));
    const transport = (name: SideName) => this.#disturbed(name, { side, life }, rng.fork(name));
    const client = createKubeClient({
      cluster: side,
      transport: transport(side),
      clock,
      random,
      log,
      fieldManager: 'transship-controller',
    });
    const asking = { rng: rng.fork('agent'), life, trouble, side };
    startControllers(
      {
        clock,
        random,
        log,
        client,
        events: { ...silent, record: ({ reason, note }) => this.say(`event ${reason}: ${note}`) },
        metrics: silentMetrics,
        openCluster: async (_name, { text }) => transport(text as SideName),
        openAgent: () =>
          this.engine?.door(asking) ?? fail('Unsupported', 'there are no agents here'),
        repositories: { probe: () => Promise.reject(new Error('there are none here')) },
        registries: registryDoor({
          scheduler,
          rng: rng.fork('registries'),
          life,
          trouble,
          find: (host) => this.side(host.replace('registry.', '') as SideName),
        }),
        movers: {
          image: 'transship',
          certificates: (name) => certificatesOf(name, clock.wallMs()),
        },
      },
      { identity: life.name, leaderElection: false },
    );
  }

  /** What one life of the controllers sends, and hears. */
  #disturbed(
    name: SideName,
    { side, life }: { readonly side: SideName; readonly life: Life },
    rng: Rng,
  ): KubeTransport {
    const plain = this.#transport(this.side(name).api, life, rng);
    const mutated = this.#mutation.transport?.(plain, name) ?? plain;
    const troubled = this.trouble.wrap(mutated, name, side);
    return (request) =>
      new Promise((resolve, reject) => {
        if (!life.isAlive) return;
        troubled(request).then(
          (response) => life.enter(() => resolve(response)),
          (error: Error) => life.enter(() => reject(error)),
        );
      });
  }

  #crash(afterMs: number, side: SideName): void {
    const life = this.#controllers.get(side);
    // What its movers did meanwhile kills nobody twice.
    if (life?.isAlive !== true) return;
    this.scheduler.note(`${life.name} is killed`);
    this.say(`${life.name} is killed`);
    life.end();
    this.scheduler.at(afterMs, 'controllers start again', () => this.startControllers(side));
  }

  /** Everybody ends, so that nothing that waits keeps this world in memory. */
  close(): void {
    for (const life of this.#controllers.values()) life.end();
    for (const name of sides) this.side(name).api.kill();
  }
}

function certificatesOf(name: string, nowMs: number) {
  const word = `${name} ${nowMs}`;
  const files = { 'ca.crt': word, 'tls.crt': word, 'tls.key': word };
  return { server: files, client: files };
}
