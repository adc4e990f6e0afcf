// The command line against API servers in memory, with agents and controllers that do what a test
// tells them: everything a command says and changes, without a process.
import type { KindObject } from '../../src/api/kinds/kind.ts';
import { kinds } from '../../src/api/kinds/all.ts';
import { crdOf } from '../../src/api/kinds/crd.ts';
import { resources } from '../../src/api/kinds/resources.ts';
import {
  createFakeTerminal,
  createFakeWorld,
  type FakeAnswers,
  type FakeCall,
  type FakeTerminal,
} from '../../src/cli/fake-ports.ts';
import type { ArchiveFile, CliPorts, OpenApi } from '../../src/cli/ports.ts';
import { runCli } from '../../src/cli/program.ts';
import { TransshipError } from '../../src/base/errors.ts';
import { applyObjects } from '../../src/controllers/install.ts';
import { installationObjects } from '../../src/controllers/installation.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import { createApiServer } from '../../src/embedded/server/server.ts';
import { admin, countingRandom, MemoryPersistence } from '../../src/embedded/server/testing.ts';
import { createClock } from '../../src/host/clock.ts';
import type { KubeClient } from '../../src/kube/api.ts';
import { createKubeClient } from '../../src/kube/client.ts';
import { createInformer } from '../../src/kube/informer.ts';
import { keyOf, type KubeObject, type ResourceType } from '../../src/kube/objects.ts';

const library = createSchemaLibrary();
const silent = { log: () => undefined };

export interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

export interface RunOptions {
  readonly terminal?: FakeTerminal;
  readonly environment?: Readonly<Record<string, string>>;
  readonly ports?: Partial<CliPorts>;
}

interface Status {
  readonly conditions?: readonly object[];
  readonly [field: string]: unknown;
}

type Reaction<T> = (object: T) => Status | 'release' | undefined;

/** A cluster per name; each knows the others. */
export async function startWorld(
  names: readonly string[] = ['east'],
  answers: FakeAnswers = {},
): Promise<World> {
  const world = new World(names, answers);
  for (const name of names) await world.open(name);
  return world;
}

export class World implements AsyncDisposable {
  readonly calls: FakeCall[] = [];
  readonly archives: { readonly path: string; readonly files: readonly ArchiveFile[] }[] = [];
  /** Control planes that do not run. */
  readonly down = new Set<string>();
  readonly #names: readonly string[];
  readonly #answers: FakeAnswers;
  readonly #apis = new Map<string, OpenApi>();
  readonly #ends: (() => Promise<void>)[] = [];

  constructor(names: readonly string[], answers: FakeAnswers) {
    this.#names = names;
    this.#answers = answers;
  }

  /** `bare`: Kubernetes alone. */
  async open(name: string, bare = false): Promise<void> {
    const clock = createClock();
    const persistence = new MemoryPersistence();
    const random = countingRandom();
    const server = createApiServer({ clock, random, log: silent, library, persistence });
    this.#ends.unshift(() => server.close());
    const client = createKubeClient({
      cluster: name,
      transport: (request) => server.handle(request, admin),
      clock,
      random,
      log: silent,
      fieldManager: 'transship',
    });
    const endpoint = { server: `https://${name}.example.net:6443`, authorityPem: 'authority' };
    this.#apis.set(name, { client, endpoint });
    if (bare) return;
    await applyObjects(client, kinds.map(crdOf) as unknown as readonly KubeObject[]);
    await applyObjects(client, installationObjects({ defaultClass: true, migrations: true }));
    for (const other of this.#names) {
      const spec = other === name ? { local: true } : {};
      await client.create(resources.clusters, { metadata: { name: other }, spec });
    }
  }

  client(name: string): KubeClient {
    return this.#api(name).client;
  }

  #api(name: string): OpenApi {
    const api = this.#apis.get(name);
    if (api !== undefined && !this.down.has(name)) return api;
    throw new TransshipError('ApiUnreachable', `no API server of ${name}: transship up ${name}`);
  }

  /** A controller of few words: the status of an object, whenever that changes; or its release. */
  async control<T extends KubeObject>(
    name: string,
    type: ResourceType<T>,
    react: Reaction<T>,
  ): Promise<void> {
    const client = this.client(name);
    const informer = createInformer(client, type);
    const act = async (object: T): Promise<void> => {
      const status = react(object);
      const known = JSON.stringify((object as Partial<KindObject<string, object, object>>).status);
      if (status === 'release') {
        await client.patch(type, keyOf(object), { metadata: { finalizers: null } });
      } else if (status !== undefined && JSON.stringify(status) !== known) {
        await client.patchStatus(type, keyOf(object), { status });
      }
    };
    let acting = Promise.resolve();
    informer.onChange(({ now }) => {
      // An object may be gone, or changed, before it is reacted to.
      if (now !== undefined) acting = acting.then(() => act(now)).catch(() => undefined);
    });
    this.#ends.unshift(async () => {
      await informer.stop();
      await acting;
    });
    await informer.synced;
  }

  async run(line: string | readonly string[], options: RunOptions = {}): Promise<Ran> {
    const { terminal = createFakeTerminal(), environment = {} } = options;
    const fake = createFakeWorld(this.#answers, { clusters: this.#names, terminal, environment });
    const args = typeof line === 'string' ? line.split(' ') : line;
    const code = await runCli(args, {
      ...fake.ports,
      clock: createClock(),
      planes: {
        ...fake.ports.planes,
        isRunning: (name) => !this.down.has(name),
        open: async (place) => {
          if ('inCluster' in place) throw new Error('commands run in no pod');
          return this.#api('cluster' in place ? place.cluster : place.context!);
        },
      },
      writeArchive: async (path, files) => void this.archives.push({ path, files }),
      ...options.ports,
    });
    this.calls.push(...fake.calls);
    return { code, out: terminal.written.out, err: terminal.written.err };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const end of this.#ends) await end();
  }
}

export function condition(type: string, status: string, reason: string, message = 'so it is') {
  return { type, status, reason, message, lastTransitionTime: '2026-01-01T00:00:00Z' };
}

/** A clock whose waits are over at once. */
export function impatient(): Pick<CliPorts, 'clock'> {
  const clock = createClock();
  const after = (_ms: number, run: () => void) => clock.after(50, run);
  return { clock: { ...clock, wallMs: clock.wallMs, monotonicMs: clock.monotonicMs, after } };
}
