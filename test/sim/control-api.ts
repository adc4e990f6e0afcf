/**
 * One cluster's API server in the simulation: the embedded server over a store that keeps exactly
 * what was committed. It can be stopped, killed between any two events, or in the very commit of a
 * change whose answer then never comes. Every commit is shown to the checkers.
 */
import type { StoredChange } from '../../src/embedded/server/api.ts';
import type { ApiServer, ApiServerOptions, Persistence } from '../../src/embedded/server/api.ts';
import type { SchemaLibrary } from '../../src/embedded/schema/api.ts';
import { createApiServer } from '../../src/embedded/server/server.ts';
import type { KubeObject } from '../../src/kube/objects.ts';
import { Life } from './control-life.ts';
import type { Connection, Weather } from './control-transport.ts';
import { fairWeather } from './control-transport.ts';
import type { Rng } from './rng.ts';
import { Crashed, type Scheduler, simRandom } from './scheduler.ts';

/** One object's change as it became durable. */
export interface Committed {
  readonly key: string;
  readonly before: KubeObject | undefined;
  readonly now: KubeObject | undefined;
}

export interface SimApiOptions {
  readonly name: string;
  readonly scheduler: Scheduler;
  readonly rng: Rng;
  readonly library: SchemaLibrary;
  readonly historyMax: number;
  readonly onCommit: (api: SimApi, change: Committed) => void;
  readonly onMessage: (message: string) => void;
  /** Of pods that run beside it; absent: none do. */
  readonly readLog?: ApiServerOptions['readLog'];
}

export class SimApi {
  readonly name: string;
  readonly weather: Weather = { ...fairWeather };
  readonly connections = new Set<Connection>();
  /** All there is, by the server's key. */
  readonly objects = new Map<string, KubeObject>();
  server: ApiServer | undefined;
  skewMs = 0;
  starts = 0;
  /** Commits until the server dies in one; undefined: it does not. */
  diesAfterCommits: number | undefined;
  readonly #o: SimApiOptions;
  readonly #entries = new Map<string, StoredChange>();
  #version = 0;
  #life: Life | undefined;

  constructor(options: SimApiOptions) {
    this.#o = options;
    this.name = options.name;
  }

  start(): void {
    const { name, scheduler, rng, library, historyMax, onMessage, readLog } = this.#o;
    this.starts += 1;
    const life = new Life(`api ${name}`, scheduler);
    this.#life = life;
    this.server = createApiServer({
      clock: life.clock(() => this.skewMs),
      random: simRandom(rng.fork(`start ${this.starts}`)),
      log: {
        log: (level, message, fields) => {
          if (level === 'error') onMessage(`api ${name}: ${message} ${JSON.stringify(fields)}`);
        },
      },
      library,
      persistence: this.#persistence(life),
      historyMax,
      authenticate: () => undefined,
      ...(readLog === undefined ? {} : { readLog }),
    });
  }

  /** Like SIGKILL: nothing that it has not committed is there afterwards. */
  kill(): void {
    if (this.server === undefined) return;
    this.#o.scheduler.note(`api ${this.name} is killed`);
    this.#life?.end();
    this.server = undefined;
    this.diesAfterCommits = undefined;
    this.cut();
  }

  /** Like SIGTERM: watches are ended, later requests refused. */
  async stop(): Promise<void> {
    const { server } = this;
    if (server === undefined) return;
    this.#o.scheduler.note(`api ${this.name} stops`);
    await server.close();
    this.kill();
  }

  /** Breaks every connection in its middle. */
  cut(): void {
    for (const connection of this.connections) {
      connection.break(new Error('read ECONNRESET'));
    }
  }

  list<T extends KubeObject>(kind: string): T[] {
    return [...this.objects.values()].filter((object) => object.kind === kind) as T[];
  }

  find<T extends KubeObject>(kind: string, name: string, namespace = ''): T | undefined {
    return this.list<T>(kind).find(({ metadata }) => {
      return metadata.name === name && (metadata.namespace ?? '') === namespace;
    });
  }

  #persistence(life: Life): Persistence {
    return {
      load: () => ({ version: this.#version, changes: [...this.#entries.values()] }),
      commit: (changes) => {
        if (!life.isAlive) throw new Crashed();
        const committed = changes.map((change) => this.#store(change));
        for (const change of committed) this.#o.onCommit(this, change);
        if (this.diesAfterCommits === undefined || --this.diesAfterCommits >= 0) return;
        this.kill();
        throw new Crashed();
      },
      close: () => undefined,
    };
  }

  #store(change: StoredChange): Committed {
    const { key, body, version } = change;
    this.#version = version;
    const before = this.objects.get(key);
    if (body === undefined) {
      this.#entries.delete(key);
      this.objects.delete(key);
      return { key, before, now: undefined };
    }
    this.#entries.set(key, change);
    const stored = JSON.parse(body) as KubeObject;
    const metadata = { ...stored.metadata, resourceVersion: String(version) };
    const now: KubeObject = { ...stored, metadata };
    this.objects.set(key, now);
    return { key, before, now };
  }
}
