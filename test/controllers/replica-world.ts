// One cluster with an API server in memory, four agents that keep replicas without bytes, and its
// controllers, which can be killed and started again.
import { clusters } from '../../src/api/kinds/cluster.ts';
import { kinds } from '../../src/api/kinds/all.ts';
import { crdOf } from '../../src/api/kinds/crd.ts';
import type { Volume } from '../../src/api/kinds/volume.ts';
import { volumes } from '../../src/api/kinds/volume.ts';
import { conditionOf } from '../../src/controllers/status.ts';
import type { SchemaLibrary } from '../../src/embedded/schema/api.ts';
import type { StoredChange } from '../../src/embedded/server/api.ts';
import { createApiServer } from '../../src/embedded/server/server.ts';
import { admin, countingRandom, MemoryPersistence } from '../../src/embedded/server/testing.ts';
import { createKubeClient } from '../../src/kube/client.ts';
import type { EventDraft, KubeClient } from '../../src/kube/api.ts';
import type { KubeObject, ResourceType } from '../../src/kube/objects.ts';
import { customResourceDefinitions, namespaces } from '../../src/kube/resources.ts';
import type { KubeTransport } from '../../src/kube/transport.ts';
import { TestClock } from './clock.ts';
import { Fuse, Process } from './process.ts';
import { FakeNodes } from './replica-agents.ts';

const silent = { log: () => undefined };
export const agentNames = ['n1', 'n2', 'n3', 'n4'] as const;

export interface SavedNodes {
  readonly nodes: FakeNodes['state'];
  readonly version: number;
  readonly entries: readonly StoredChange[];
}

export class ReplicaWorld {
  readonly clock = new TestClock();
  readonly nodes = new FakeNodes(agentNames);
  readonly events: EventDraft[] = [];
  readonly messages: string[] = [];
  readonly client: KubeClient;
  /** Bytes that a rebuild brings in a step of the clock. */
  rebuildBytes = 1024 * 1024;
  stepMs = 500;
  onStep: () => Promise<void> = async () => undefined;
  readonly #transport: KubeTransport;
  readonly #persistence = new MemoryPersistence();
  #process: Process | undefined;

  constructor(library: SchemaLibrary, saved?: SavedNodes) {
    if (saved !== undefined) {
      this.nodes.state = structuredClone(saved.nodes);
      for (const entry of saved.entries) this.#persistence.entries.set(entry.key, entry);
      this.#persistence.version = saved.version;
    }
    const { clock } = this;
    const random = countingRandom();
    // No uid comes twice.
    random.bytes(saved === undefined ? 0 : 100_000);
    const persistence = this.#persistence;
    const server = createApiServer({ clock, random, log: silent, library, persistence });
    this.#transport = (request) => server.handle(request, admin);
    const transport = this.#transport;
    const more = { clock, random: countingRandom(), log: silent, fieldManager: 'admin' };
    this.client = createKubeClient({ cluster: 'east', transport, ...more });
  }

  save(): SavedNodes {
    const { version, entries } = this.#persistence;
    return { nodes: structuredClone(this.nodes.state), version, entries: [...entries.values()] };
  }

  async prepare(): Promise<void> {
    for (const kind of kinds) {
      const { metadata, spec } = crdOf(kind);
      await this.client.create(customResourceDefinitions, { metadata, spec } as never);
    }
    await this.client.create(namespaces, { metadata: { name: 'transship-system' } });
    const agents = agentNames.map((name) => ({ name, address: `unix:///${name}` }));
    const spec = { local: true, agents };
    await this.client.create(clusters, { metadata: { name: 'east' }, spec } as never);
  }

  start(fuse = new Fuse()): Process {
    this.#process = new Process({
      cluster: 'east',
      clock: this.clock,
      random: countingRandom(),
      fuse,
      transport: () => this.#transport,
      agent: (name) => this.nodes.client(name),
      onEvent: (event) => void this.events.push(event),
      onLog: (message) => void this.messages.push(message),
    });
    return this.#process;
  }

  kill(): void {
    this.#process?.kill();
  }

  async step(): Promise<void> {
    await this.clock.advance(this.stepMs);
    this.nodes.work(this.rebuildBytes);
    await this.onStep();
  }

  async run(ms: number): Promise<void> {
    const endMs = this.clock.monotonicMs() + ms;
    while (this.clock.monotonicMs() < endMs) await this.step();
  }

  async until(what: string, holds: () => Promise<boolean>, withinMs = 180_000): Promise<void> {
    const endMs = this.clock.monotonicMs() + withinMs;
    while (!(await holds())) {
      if (this.clock.monotonicMs() >= endMs) {
        const last = this.messages.slice(-10).join('\n');
        throw new Error(`${what}: not within ${withinMs} ms\n${last}\n${await this.story()}`);
      }
      await this.step();
    }
  }

  async find<T extends KubeObject>(type: ResourceType<T>, name: string): Promise<T | undefined> {
    return this.client.get(type, { namespace: '', name });
  }

  async list<T extends KubeObject>(type: ResourceType<T>): Promise<T[]> {
    const all: T[] = [];
    for await (const one of this.client.list(type)) all.push(one);
    return all;
  }

  async makeVolume(name: string, pools: readonly string[], size = '64Mi'): Promise<void> {
    const replicas = pools.map((pool) => ({ pool }));
    const spec = { size, ...(pools.length === 0 ? {} : { replicas }) };
    await this.client.create<Volume>(volumes, { metadata: { name }, spec } as never);
  }

  async edit(name: string, pools: readonly string[]): Promise<void> {
    const spec = { replicas: pools.map((pool) => ({ pool })) };
    await this.client.patch(volumes, { namespace: '', name }, { spec });
  }

  /** Exactly these pools have it, all Healthy, and the status says so. */
  async isSettled(name: string, pools: readonly string[]): Promise<boolean> {
    const volume = await this.find(volumes, name);
    const { replicaSet, replicas = [] } = volume?.status ?? {};
    const healthy = replicas.filter(({ state, voter }) => state === 'Healthy' && voter === true);
    const scaling = conditionOf(volume, 'ScalingReplicas');
    return (
      scaling?.reason === 'Scaled' &&
      healthy.length === replicas.length &&
      pools.toSorted().join() ===
        replicas
          .map(({ pool }) => pool)
          .toSorted()
          .join() &&
      pools.toSorted().join() === (replicaSet?.pools ?? []).toSorted().join()
    );
  }

  /** What was told of it, without who is regarded. */
  told(reason?: string): readonly string[] {
    return this.events
      .filter((one) => reason === undefined || one.reason === reason)
      .map(({ type, note }) => `${type} ${note}`);
  }

  async story(): Promise<string> {
    const all = await this.list(volumes);
    return JSON.stringify(
      all.map(({ metadata, spec, status }) => [metadata, spec, status]),
      undefined,
      1,
    );
  }
}

export async function saveNodes(
  library: SchemaLibrary,
  work: (world: ReplicaWorld) => Promise<void>,
): Promise<SavedNodes> {
  const world = new ReplicaWorld(library);
  await world.prepare();
  world.start();
  await work(world);
  world.kill();
  return world.save();
}

export async function openNodes(library: SchemaLibrary, saved: SavedNodes): Promise<ReplicaWorld> {
  const world = new ReplicaWorld(library, saved);
  world.start();
  await world.run(2_000);
  return world;
}
