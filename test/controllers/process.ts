// One process with the controllers of a cluster, which can be killed at any of its effects: from
// then on nothing of it runs, nothing of what it asked is answered.
import type { ControlClient } from '../../src/api/control-client.ts';
import type { Clock, Random } from '../../src/base/ports.ts';
import { startControllers } from '../../src/controllers/manager.ts';
import type { ControllerPorts, RegistryDoor } from '../../src/controllers/ports.ts';
import { fail } from '../../src/base/errors.ts';
import { createKubeClient } from '../../src/kube/client.ts';
import type { EventDraft, KubeClient } from '../../src/kube/api.ts';
import type { KubeTransport } from '../../src/kube/transport.ts';

/** What happens when an effect is done that the fuse was set to. */
export type Mishap = 'death' | 'lost answer';

/** Counts the effects of all processes, and says after which of them something happens. */
export class Fuse {
  effects = 0;
  readonly log: string[] = [];
  readonly #blowsAt: number;
  readonly #mishap: Mishap;
  onDeath: () => void = () => undefined;

  constructor(blowsAt = Number.POSITIVE_INFINITY, mishap: Mishap = 'death') {
    this.#blowsAt = blowsAt;
    this.#mishap = mishap;
  }

  /** True when nobody is to hear of it. */
  effect(what: string): boolean {
    this.log.push(what);
    this.effects++;
    if (this.effects !== this.#blowsAt) return false;
    if (this.#mishap === 'death') this.onDeath();
    return this.#mishap === 'lost answer';
  }
}

export interface ProcessOptions {
  readonly cluster: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly fuse: Fuse;
  /** To the API server of a cluster. */
  readonly transport: (cluster: string) => KubeTransport;
  /** The only agent, or each by its name. */
  readonly agent: ControlClient | ((name: string) => ControlClient);
  readonly registries?: RegistryDoor;
  readonly onEvent: (event: EventDraft) => void;
  readonly onLog: (message: string) => void;
}

export class Process {
  readonly #o: ProcessOptions;
  readonly #ending = new AbortController();
  readonly client: KubeClient;
  readonly ready: Promise<void>;
  readonly #stop: () => Promise<void>;

  constructor(options: ProcessOptions) {
    this.#o = options;
    const { cluster, random, fuse, onEvent, onLog } = options;
    const clock = this.#clock();
    const log = {
      log: (level: string, message: string, fields?: unknown) => {
        if (level !== 'debug') onLog(`${cluster}: ${message} ${JSON.stringify(fields ?? {})}`);
      },
    };
    const transport = this.#transport(cluster);
    this.client = createKubeClient({
      cluster,
      transport,
      clock,
      random,
      log,
      fieldManager: 'transship-controller',
    });
    fuse.onDeath = () => this.kill();
    const ports: ControllerPorts = {
      clock,
      random,
      log,
      metrics: { add: () => undefined, set: () => undefined, observe: () => undefined },
      client: this.client,
      events: { record: (event) => onEvent(event), stop: async () => undefined },
      openCluster: async (_name, { text }) => this.#transport(text),
      openAgent: ({ name }) => this.#agent(name),
      repositories: {
        probe: async (place) => {
          const isThere = !('directory' in place) || !place.directory.startsWith('/nowhere');
          return isThere ? { bytes: 0, objects: 0 } : fail('NotFound', 'there is no such place');
        },
      },
      registries: options.registries ?? {
        open: () => fail('Unsupported', 'there are no registries here'),
      },
      movers: {
        image: 'transship',
        certificates: (name) => certificatesOf(`${name} ${clock.wallMs()}`),
      },
    };
    const controllers = startControllers(ports, { identity: cluster, leaderElection: false });
    this.ready = controllers.ready;
    this.#stop = () => controllers.stop();
  }

  get isAlive(): boolean {
    return !this.#ending.signal.aborted;
  }

  kill(): void {
    this.#ending.abort(new Error('killed'));
  }

  async stop(): Promise<void> {
    await this.#stop();
  }

  /** As this process hears of it: not at all once it is dead. */
  #hear<T>(answer: Promise<T>): Promise<T> {
    return new Promise((resolve, reject) => {
      answer.then(
        (value) => void (this.isAlive && resolve(value)),
        (error: Error) => void (this.isAlive && reject(error)),
      );
    });
  }

  #clock(): Clock {
    const { clock } = this.#o;
    return {
      wallMs: () => clock.wallMs(),
      monotonicMs: () => clock.monotonicMs(),
      after: (ms, run) => clock.after(ms, () => void (this.isAlive && run())),
    };
  }

  #transport(cluster: string): KubeTransport {
    const send = this.#o.transport(cluster);
    return (request) => {
      if (!this.isAlive) return new Promise(() => undefined);
      const signal = AbortSignal.any([
        this.#ending.signal,
        ...(request.signal ? [request.signal] : []),
      ]);
      const answer = send({ ...request, signal });
      if (request.method === 'GET') return this.#hear(answer);
      const what = `${request.method} ${cluster}${request.path.replace(/\?.*$/, '')}`;
      return this.#hear(
        answer.then((response) => {
          const isLost = this.isAlive && this.#o.fuse.effect(`${what} ${response.status}`);
          if (isLost) fail('ApiUnreachable', 'the answer was lost');
          return response;
        }),
      );
    };
  }

  #agent(place: string): ControlClient {
    const { agent: given, cluster, fuse } = this.#o;
    const agent = typeof given === 'function' ? given(place) : given;
    return {
      cluster,
      call: (name, request) => {
        if (!this.isAlive) return new Promise(() => undefined);
        const answer = agent.call(name, request);
        if (/\.(list|show|status|check)$/.test(name)) return this.#hear(answer);
        const heard = answer.finally(() => {
          const isLost = this.isAlive && fuse.effect(`${name} ${cluster}`);
          if (isLost) fail('AgentUnreachable', 'the answer was lost');
        });
        return this.#hear(heard);
      },
      stream: (name, request, { onEvent, signal }) => {
        if (!this.isAlive) return new Promise(() => undefined);
        const both = AbortSignal.any([this.#ending.signal, ...(signal ? [signal] : [])]);
        const heard = (event: Parameters<typeof onEvent>[0]) =>
          void (this.isAlive && onEvent(event));
        return this.#hear(agent.stream(name, request, { onEvent: heard, signal: both }));
      },
    };
  }
}

/** Words in their place: nobody here connects to anybody. */
function certificatesOf(word: string) {
  const files = { 'ca.crt': word, 'tls.crt': word, 'tls.key': word };
  return { server: files, client: files };
}
