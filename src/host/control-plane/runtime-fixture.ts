/** A whole embedded cluster in this process, with real host processes: for tests of the runtime. */
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { Log, Metrics } from '../../base/ports.ts';
import type { MountedVolume, VolumeMounts } from '../../embedded/runtime/ports.ts';
import { type Runtime, startRuntime } from '../../embedded/runtime/runtime.ts';
import { createSchemaLibrary } from '../../embedded/schema/library.ts';
import type { ApiServer, ApiServerOptions } from '../../embedded/server/api.ts';
import { createApiServer } from '../../embedded/server/server.ts';
import { MemoryPersistence } from '../../embedded/server/testing.ts';
import type { KubeClient } from '../../kube/api.ts';
import { createKubeClient } from '../../kube/client.ts';
import { createEventRecorder } from '../../kube/events.ts';
import type { KubeObject, ObjectKey, ResourceType } from '../../kube/objects.ts';
import { createClock } from '../clock.ts';
import { createRandom } from '../random.ts';
import { createDirectoryVolumes } from './directory-volumes.ts';
import { type HostProcesses, createProcesses } from './processes.ts';
import { createProbes } from './processes-probes.ts';

const machinery = { name: 'system:embedded', groups: ['system:masters'] };
const noMetrics: Metrics = { add: () => undefined, set: () => undefined, observe: () => undefined };

/** Engine volumes as plain directories, with who has them. */
class EngineVolumes implements VolumeMounts {
  readonly mounted = new Set<string>();
  readonly #root: string;

  constructor(root: string) {
    this.#root = root;
  }

  mount(volume: string): Promise<MountedVolume> {
    const directory = path.join(this.#root, volume);
    fs.mkdirSync(directory, { recursive: true });
    this.mounted.add(volume);
    return Promise.resolve({ path: directory, nbdUri: `nbd+unix:///${volume}` });
  }

  unmount(volume: string, isInUse: () => boolean): Promise<void> {
    if (!isInUse()) this.mounted.delete(volume);
    return Promise.resolve();
  }
}

export class TestCluster {
  readonly root = fs.mkdtempSync(path.join(os.tmpdir(), 'transship-runtime-'));
  readonly persistence = new MemoryPersistence();
  readonly volumes = new EngineVolumes(path.join(this.root, 'volumes'));
  readonly said: string[] = [];
  readonly directories = createDirectoryVolumes(path.join(this.root, 'directories'), {
    log: () => undefined,
  });
  #running:
    | {
        readonly server: ApiServer;
        readonly client: KubeClient;
        readonly processes: HostProcesses;
        readonly runtime: Runtime;
      }
    | undefined;

  get client(): KubeClient {
    return this.#now().client;
  }

  get processes(): HostProcesses {
    return this.#now().processes;
  }

  get runtime(): Runtime {
    return this.#now().runtime;
  }

  #now() {
    if (this.#running === undefined) throw new Error('the cluster is stopped');
    return this.#running;
  }

  async start(): Promise<void> {
    const clock = createClock();
    const random = createRandom();
    const log: Log = {
      log: (level, message, fields) => {
        this.said.push(`${level} ${message} ${JSON.stringify(fields)}`);
      },
    };
    const { persistence } = this;
    const library = createSchemaLibrary();
    const readLog: ApiServerOptions['readLog'] = (request) => this.runtime.readLog(request);
    const server = createApiServer({ clock, random, log, persistence, library, readLog });
    const client = createKubeClient({
      cluster: 'test',
      transport: (request) => server.handle(request, machinery),
      clock,
      random,
      log,
      fieldManager: 'embedded',
    });
    const root = path.join(this.root, 'runtime');
    const processes = createProcesses({ root, foreignMounts: [], mountPoints: `${root}/points` });
    const events = createEventRecorder({ client, reporter: 'embedded', instance: 'test' });
    const machine = { operatingSystem: 'linux', architecture: 'amd64', kernelVersion: '6' };
    const runtime = startRuntime({
      client,
      events,
      log,
      metrics: noMetrics,
      processes,
      files: processes.files,
      probes: createProbes(),
      volumes: this.volumes,
      directories: this.directories,
      nodes: [
        {
          name: 'node-1',
          labels: {},
          cpus: 2,
          memoryBytes: 2 ** 30,
          ...machine,
          machineId: 'test',
          version: 'v1.36.3',
        },
      ],
      caBundle: 'certificates',
      apiServer: { host: '127.0.0.1', port: 6443 },
      baseEnv: { PATH: process.env['PATH'] ?? '/usr/bin:/bin' },
    });
    this.#running = { server, client, processes, runtime };
    await runtime.started;
  }

  /** `crash` leaves the pods' processes running, as kill -9 would. */
  async stop(how: 'down' | 'crash'): Promise<void> {
    const { server, processes, runtime } = this.#now();
    await runtime.stop({ endPods: how === 'down' });
    await server.close();
    processes.close();
    this.#running = undefined;
  }

  async end(): Promise<void> {
    if (this.#running === undefined) await this.start();
    const { processes } = this.#now();
    await this.stop('down');
    for (const pod of processes.pods()) await processes.remove(pod);
    fs.rmSync(this.root, { recursive: true });
  }

  async get<T extends KubeObject>(type: ResourceType<T>, name: string, namespace = 'default') {
    const key: ObjectKey = { namespace: type.namespaced ? namespace : '', name };
    return this.client.get(type, key);
  }

  async list<T extends KubeObject>(type: ResourceType<T>, namespace = 'default'): Promise<T[]> {
    const all: T[] = [];
    const selectors = type.namespaced ? { namespace } : {};
    for await (const object of this.client.list(type, selectors)) all.push(object);
    return all;
  }
}

/** Looks until it is so; the test's own time limit ends it. */
export async function eventually<T>(look: () => Promise<T | undefined | false>): Promise<T> {
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    await pause(10);
  }
}
