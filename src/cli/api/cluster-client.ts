/** One client for a cluster of several agents: each operation goes to the agent it is about. */
import type { EventOf, OperationName, RequestOf, ResponseOf } from '../../api/control.ts';
import type { ControlClient } from '../../api/control-client.ts';
import type { ApiObject } from '../../api/objects.ts';
import { asTransshipError, fail, type TransshipError } from '../../base/errors.ts';
import { printable } from '../../base/names.ts';

interface Watch<N extends OperationName> {
  readonly onEvent: (event: EventOf<N>) => void;
  readonly signal?: AbortSignal;
}

/** Lists of which each agent has a part. */
const merged: ReadonlySet<OperationName> = new Set([
  'pool.list',
  'volume.list',
  'teleport.list',
  'job.list',
  'replica.list',
]);
/** Their field `name` is that of a volume. */
const namingVolumes: ReadonlySet<OperationName> = new Set([
  'volume.show',
  'volume.resize',
  'volume.delete',
  'volume.set-policy',
  'volume.import',
]);

/**
 * `agents` in their order: what is about none in particular goes to the first that answers. Errors
 * are those of the agent that was asked; `AgentUnreachable` when the right one may be one that does
 * not answer, `BadArgument` for a pool that has to be named.
 */
export function createClusterClient(
  cluster: string,
  agents: readonly ControlClient[],
): ControlClient {
  const router = new Router(cluster, agents);
  return {
    cluster,
    call: async <N extends OperationName>(name: N, request: RequestOf<N>) => {
      if (merged.has(name)) return router.mergedList(name, request);
      const { agent, asked } = await router.find(name, request);
      return agent.call(name, asked);
    },
    stream: async <N extends OperationName>(name: N, request: RequestOf<N>, watch: Watch<N>) => {
      if (name === 'agent.events') return router.allStreams(name, request, watch);
      const { agent, asked } = await router.find(name, request);
      return agent.stream(name, asked, watch);
    },
  };
}

interface Way<N extends OperationName> {
  readonly agent: ControlClient;
  readonly asked: RequestOf<N>;
}

interface Answers<T> {
  readonly given: readonly { readonly agent: ControlClient; readonly answer: T }[];
  /** Of those that did not answer. */
  readonly silent: readonly { readonly agent: ControlClient; readonly error: TransshipError }[];
}

class Router {
  readonly #cluster: string;
  readonly #agents: readonly ControlClient[];

  constructor(cluster: string, agents: readonly ControlClient[]) {
    this.#cluster = cluster;
    this.#agents = agents;
  }

  async find<N extends OperationName>(name: N, request: RequestOf<N>): Promise<Way<N>> {
    const fields: Readonly<Record<string, unknown>> = request;
    const named = typeof fields['name'] === 'string' ? fields['name'] : '';
    if (name.startsWith('pool.')) return this.#poolWay(fields['pool'], request);
    const volume = namingVolumes.has(name) ? named : fields['volume'];
    const isOfVolume = name.startsWith('volume.') || name.startsWith('replica.');
    if (isOfVolume && typeof volume === 'string') {
      return { agent: await this.#holder(volume), asked: request };
    }
    if (name.startsWith('teleport.') && name !== 'teleport.start') {
      const holder = await this.#knowing('teleport.show', { name: named });
      return { agent: holder ?? (await this.#first()), asked: request };
    }
    if (name.startsWith('job.')) return { agent: await this.#jobHolder(named), asked: request };
    return { agent: await this.#first(), asked: request };
  }

  /** Of all that answer; a volume that several keep is listed once, by its leader where one is. */
  async mergedList<N extends OperationName>(
    name: N,
    request: RequestOf<N>,
  ): Promise<ResponseOf<N>> {
    const { given, silent } = await this.#askAll(name, request);
    if (given.length === 0) throw silent[0]!.error;
    const lists = given.map(({ answer }) => answer as unknown as { items: readonly ApiObject[] });
    const items = lists.flatMap((list) => list.items);
    const isOnce = name === 'volume.list' || name === 'replica.list';
    const shown = isOnce ? onceEach(items) : items;
    return { ...lists[0], items: shown } as unknown as ResponseOf<N>;
  }

  async allStreams<N extends OperationName>(
    name: N,
    request: RequestOf<N>,
    watch: Watch<N>,
  ): Promise<ResponseOf<N>> {
    const ends = this.#agents.map((agent) => agent.stream(name, request, watch));
    const results = await Promise.allSettled(ends);
    const good = results.find((one) => one.status === 'fulfilled');
    if (good === undefined) throw asTransshipError((results[0] as PromiseRejectedResult).reason);
    return good.value;
  }

  /** `POOL` of the agent that the object's name, or `AGENT/POOL`, says. */
  async #poolWay<N extends OperationName>(pool: unknown, request: RequestOf<N>): Promise<Way<N>> {
    const { given } = await this.#askAll('pool.list', {});
    const known = given.flatMap(({ agent, answer }, at) =>
      answer.items.map(({ metadata }) => ({ agent, at, pool: metadata.name })),
    );
    const found = known.find(({ agent, at, pool: own }) => {
      const full = `${agent.cluster}/${own}`;
      return pool === full || pool === full.replace('/', '-') || (at === 0 && pool === own);
    });
    if (found !== undefined) {
      return { agent: found.agent, asked: { ...request, pool: found.pool } };
    }
    const names = known.map(({ agent, pool: own }) => `${agent.cluster}/${own}`).join(', ');
    if (pool === undefined) fail('BadArgument', `several pools are here; name one of ${names}`);
    return fail('NotFound', `there is no pool '${printable(String(pool))}' (there are ${names})`);
  }

  /** The agent that leads it, where several keep it. */
  async #holder(volume: string): Promise<ControlClient> {
    const { given, silent } = await this.#askAll('volume.show', { name: volume });
    if (given.length === 1) return given[0]!.agent;
    if (given.length === 0) {
      if (silent.length > 0) throw silent[0]!.error;
      return this.#first();
    }
    const sets = await this.#askAll('replica.show', { volume });
    const leader = sets.given.find(({ answer }) => answer.role === 'Leader');
    return leader?.agent ?? given[0]!.agent;
  }

  async #jobHolder(name: string): Promise<ControlClient> {
    const { given } = await this.#askAll('job.list', {});
    const has = given.find(({ answer }) => answer.items.some((job) => job.metadata.name === name));
    return has?.agent ?? this.#first();
  }

  async #knowing<N extends OperationName>(
    name: N,
    request: RequestOf<N>,
  ): Promise<ControlClient | undefined> {
    return (await this.#askAll(name, request)).given[0]?.agent;
  }

  async #first(): Promise<ControlClient> {
    const { given, silent } = await this.#askAll('agent.status', {});
    const found = given[0]?.agent;
    if (found !== undefined) return found;
    return fail('AgentUnreachable', `no agent of ${this.#cluster}: ${silent[0]!.error.message}`);
  }

  /** What an agent refuses it has not got. */
  async #askAll<N extends OperationName>(
    name: N,
    request: RequestOf<N>,
  ): Promise<Answers<ResponseOf<N>>> {
    const given: { agent: ControlClient; answer: ResponseOf<N> }[] = [];
    const silent: { agent: ControlClient; error: TransshipError }[] = [];
    const asked = this.#agents.map((agent) => agent.call(name, request));
    const answers = await Promise.allSettled(asked);
    for (const [at, one] of answers.entries()) {
      const agent = this.#agents[at]!;
      if (one.status === 'fulfilled') {
        given.push({ agent, answer: one.value });
        continue;
      }
      const error = asTransshipError(one.reason);
      if (error.reason === 'AgentUnreachable') silent.push({ agent, error });
    }
    return { given, silent };
  }
}

function onceEach(items: readonly ApiObject[]): readonly ApiObject[] {
  const found = new Map<string, ApiObject>();
  for (const item of items) {
    const key = item.metadata.name;
    if (!found.has(key) || isLeader(item)) found.set(key, item);
  }
  return [...found.values()];
}

function isLeader(item: ApiObject): boolean {
  return 'role' in item && item.role === 'Leader';
}
