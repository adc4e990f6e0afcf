// Two clusters with API servers in memory, agents without bytes, and their controllers.
import { clusters } from '../../src/api/kinds/cluster.ts';
import { kinds } from '../../src/api/kinds/all.ts';
import { crdOf } from '../../src/api/kinds/crd.ts';
import type { SchemaLibrary } from '../../src/embedded/schema/api.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import type { StoredChange } from '../../src/embedded/server/api.ts';
import { createApiServer } from '../../src/embedded/server/server.ts';
import { admin, countingRandom, MemoryPersistence } from '../../src/embedded/server/testing.ts';
import { createKubeClient } from '../../src/kube/client.ts';
import type { EventDraft, KubeClient } from '../../src/kube/api.ts';
import type { KubeObject, ResourceType } from '../../src/kube/objects.ts';
import {
  customResourceDefinitions,
  namespaces,
  secrets,
  storageClasses,
} from '../../src/kube/resources.ts';
import type { KubeRequest, KubeResponse, KubeTransport } from '../../src/kube/transport.ts';
import { bindClaims } from './binder.ts';
import { TestClock } from './clock.ts';
import { FakeCloud } from './fake-agents.ts';
import { TestNodes } from './nodes.ts';
import { Fuse, Process } from './process.ts';

export const names = ['east', 'west'] as const;
export type Name = (typeof names)[number];

/** Of what agents fetch in a step of the clock, when nothing shall wait for it. */
export const soonBytes = 4 * 1024 * 1024;

const silent = { log: () => undefined };

/** All that outlives processes; runs that begin with a copy of one begin alike. */
export interface Saved {
  readonly agents: ReturnType<FakeCloud['save']>;
  readonly stores: ReadonlyMap<Name, { version: number; entries: readonly StoredChange[] }>;
}

interface ClusterSide {
  readonly transport: KubeTransport;
  readonly admin: KubeClient;
  readonly persistence: MemoryPersistence;
}

export class World {
  readonly clock = new TestClock();
  readonly cloud = new FakeCloud(names);
  readonly nodes = new TestNodes();
  readonly events: EventDraft[] = [];
  readonly messages: string[] = [];
  readonly processes = new Map<Name, Process>();
  readonly #sides = new Map<Name, ClusterSide>();
  /** Of controllers, watches aside. */
  requests = 0;
  /** HTTP statuses with which a cluster answers the other one's controllers. */
  readonly refusals = new Map<Name, number>();
  stepMs = 500;
  /** Bytes that arrive in a step of the clock. */
  fetchBytes = 0;
  /** Seen at the end of every step. */
  onStep: () => Promise<void> = async () => undefined;
  /** Before a request of controllers is answered. */
  onRequest: (to: Name, request: KubeRequest) => Promise<void> = async () => undefined;

  constructor(library: SchemaLibrary, saved?: Saved) {
    if (saved !== undefined) this.cloud.load(saved.agents);
    for (const name of names) this.#sides.set(name, this.#open(name, library, saved));
  }

  #open(name: Name, library: SchemaLibrary, saved: Saved | undefined): ClusterSide {
    const { clock } = this;
    const persistence = new MemoryPersistence();
    const store = saved?.stores.get(name);
    for (const entry of store?.entries ?? []) persistence.entries.set(entry.key, entry);
    persistence.version = store?.version ?? 0;
    // No uid comes twice: not in the two clusters, and not in what was there before.
    const seed = countingRandom();
    seed.bytes((name === 'west' ? 1_000 : 0) + (saved === undefined ? 0 : 100_000));
    const server = createApiServer({
      clock,
      random: seed,
      log: silent,
      library,
      persistence,
      readLog: async (request) => this.nodes.log(name, request),
    });
    const transport: KubeTransport = (request) => server.handle(request, admin);
    const client = createKubeClient({
      cluster: name,
      transport,
      clock,
      random: countingRandom(),
      log: silent,
      fieldManager: 'admin',
    });
    return { transport, admin: client, persistence };
  }

  save(): Saved {
    const stores = names.map((name) => {
      const { version, entries } = this.#sides.get(name)!.persistence;
      return [name, { version, entries: [...entries.values()] }] as const;
    });
    return { agents: this.cloud.save(), stores: new Map(stores) };
  }

  admin(name: Name): KubeClient {
    return this.#sides.get(name)!.admin;
  }

  async find<T extends KubeObject>(
    cluster: Name,
    type: ResourceType<T>,
    key: { readonly namespace?: string; readonly name: string },
  ): Promise<T | undefined> {
    return this.admin(cluster).get(type, { namespace: '', ...key });
  }

  async list<T extends KubeObject>(cluster: Name, type: ResourceType<T>): Promise<T[]> {
    const all: T[] = [];
    for await (const one of this.admin(cluster).list(type)) all.push(one);
    return all;
  }

  /** Kinds, classes, namespaces, and the clusters' objects in both hubs. */
  async prepare(): Promise<void> {
    for (const name of names) {
      const client = this.admin(name);
      for (const kind of kinds) {
        const { metadata, spec } = crdOf(kind);
        await client.create(customResourceDefinitions, { metadata, spec } as never);
      }
      for (const namespace of ['shop', 'transship-system']) {
        await client.create(namespaces, { metadata: { name: namespace } });
      }
      await client.create(storageClasses, {
        metadata: { name: 'transship' },
        provisioner: 'transship.dev',
        reclaimPolicy: 'Delete',
        allowVolumeExpansion: true,
        volumeBindingMode: 'Immediate',
      });
      for (const other of names) await this.#introduce(client, name, other);
    }
  }

  async #introduce(client: KubeClient, name: Name, other: Name): Promise<void> {
    if (other === name) {
      const agents = [{ name, address: `unix:///${name}/control.sock` }];
      await client.create(clusters, { metadata: { name }, spec: { local: true, agents } } as never);
      return;
    }
    const metadata = { namespace: 'transship-system', name: other };
    await client.create(secrets, { metadata, stringData: { kubeconfig: other } });
    const place = { ...metadata, key: 'kubeconfig' };
    const spec = { kubeconfigSecretRef: place };
    await client.create(clusters, { metadata: { name: other }, spec } as never);
  }

  start(name: Name, fuse = new Fuse()): Process {
    const process = new Process({
      cluster: name,
      clock: this.clock,
      random: countingRandom(),
      fuse,
      transport: (other) => (request) => this.#ask(name, other as Name, request),
      agent: this.cloud.find(name).client,
      onEvent: (event) => void this.events.push(event),
      onLog: (message) => void this.messages.push(message),
    });
    this.processes.set(name, process);
    return process;
  }

  async #ask(from: Name, to: Name, request: KubeRequest): Promise<KubeResponse> {
    if (!request.path.includes('watch=true')) this.requests++;
    await this.onRequest(to, request);
    const code = from === to ? undefined : this.refusals.get(to);
    if (code === undefined) return this.#sides.get(to)!.transport(request);
    const status = {
      kind: 'Status',
      apiVersion: 'v1',
      status: 'Failure',
      code,
      message: 'refused',
    };
    const body = new Response(JSON.stringify(status)).body! as AsyncIterable<Uint8Array>;
    return { status: code, headers: { 'content-type': 'application/json' }, body };
  }

  startAll(): void {
    for (const name of names) this.start(name);
  }

  async step(): Promise<void> {
    await this.clock.advance(this.stepMs);
    for (const name of names) {
      await bindClaims(this.admin(name));
      await this.nodes.act(name, this.admin(name));
    }
    if (this.fetchBytes > 0) this.cloud.fetch(this.fetchBytes);
    await this.onStep();
  }

  /** Until it holds; fails with what was logged when it does not within the time. */
  async until(what: string, holds: () => Promise<boolean>, withinMs = 120_000): Promise<void> {
    const endMs = this.clock.monotonicMs() + withinMs;
    while (!(await holds())) {
      if (this.clock.monotonicMs() >= endMs) {
        throw new Error(
          `${what}: not within ${withinMs} ms\n${this.messages.slice(-20).join('\n')}`,
        );
      }
      await this.step();
    }
  }

  async run(ms: number): Promise<void> {
    const endMs = this.clock.monotonicMs() + ms;
    while (this.clock.monotonicMs() < endMs) await this.step();
  }

  async stop(): Promise<void> {
    for (const process of this.processes.values()) if (process.isAlive) process.kill();
  }
}

/** A prepared world in which this was done, to begin from. */
export async function saveWorld(
  library: SchemaLibrary,
  work: (world: World) => Promise<void>,
): Promise<Saved> {
  const world = new World(library);
  await world.prepare();
  world.startAll();
  await work(world);
  await world.stop();
  return world.save();
}

/** Goes on from there, with controllers that know what there is. */
export async function openWorld(library: SchemaLibrary, saved: Saved): Promise<World> {
  const world = new World(library, saved);
  world.startAll();
  await world.run(2_000);
  return world;
}

/** Worlds that all go on from where `work` left the first one, with agents that fetch soon. */
export function worldsAfter(work: (world: World) => Promise<void>): () => Promise<World> {
  const library = createSchemaLibrary();
  let saved: Promise<Saved> | undefined;
  return async () => {
    saved ??= saveWorld(library, work);
    const world = await openWorld(library, await saved);
    world.fetchBytes = soonBytes;
    return world;
  };
}
