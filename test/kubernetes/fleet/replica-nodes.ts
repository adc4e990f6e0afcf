/** A cluster of the fleet gets two more agents for the time of a case. */
import assert from 'node:assert/strict';
import { resources } from '../../../src/api/kinds/resources.ts';
import type { Pool } from '../../../src/api/kinds/pool.ts';
import type { Volume } from '../../../src/api/kinds/volume.ts';
import type { KubeObject, ResourceType } from '../../../src/kube/objects.ts';
import { type Agent, until } from '../../interop/cloud.ts';
import type { FleetContext } from './context.ts';

const { clusters, pools, volumes } = resources;
const cluster = 'east';
const patienceMs = 150_000;
/** In the order of their agents. */
export const poolNames = ['main', 'east-2-main', 'east-3-main'] as const;

const events: ResourceType<
  KubeObject & {
    readonly reason?: string;
    readonly note?: string;
    readonly type?: string;
    readonly regarding?: { readonly name?: string };
  }
> = { group: 'events.k8s.io', version: 'v1', plural: 'events', kind: 'Event', namespaced: true };

export class ReplicaNodes {
  readonly #t: FleetContext;
  readonly agents: readonly Agent[];
  readonly #made = new Set<string>();

  constructor(t: FleetContext, agents: readonly Agent[]) {
    this.#t = t;
    this.agents = agents;
  }

  get #client() {
    return this.#t.east.client;
  }

  agent(name: string): Agent {
    const found = this.agents.find((one) => one.name === name);
    assert.ok(found !== undefined, `no agent ${name}`);
    return found;
  }

  async make(name: string, wanted: readonly string[], more: object = {}): Promise<void> {
    this.#made.add(name);
    const replicas = wanted.map((pool) => ({ pool }));
    const spec = { size: '24Mi', replicas, ...more };
    await this.#client.create<Volume>(volumes, { metadata: { name }, spec });
    await this.settled(name, wanted);
  }

  async edit(name: string, wanted: readonly string[]): Promise<void> {
    const spec = { replicas: wanted.map((pool) => ({ pool })) };
    await this.#client.patch(volumes, { namespace: '', name }, { spec });
  }

  /** Exactly these, all Healthy, and said so. A volume with one may be a plain one. */
  async settled(name: string, wanted: readonly string[]): Promise<void> {
    await this.#wait(`replicas of ${name} in ${wanted.join(', ')}`, name, ({ status }) => {
      const { conditions = [], replicas = [], replicaSet } = status ?? {};
      const there = replicas.map(({ pool }) => pool).toSorted();
      const isHealthy = replicas.every(({ state }) => state === 'Healthy');
      const scaling = conditions.find(({ type }) => type === 'ScalingReplicas');
      const isSaid = replicaSet === undefined || scaling?.reason === 'Scaled';
      return there.join() === wanted.toSorted().join() && isHealthy && isSaid;
    });
  }

  /** The agent that leads, once the API server says who does. */
  async leader(name: string, isSo: (agent: string) => boolean = () => true): Promise<Agent> {
    const volume = await this.#wait(`a leader of ${name}`, name, ({ status }) => {
      const ready = status?.conditions?.find(({ type }) => type === 'Ready')?.status;
      const leader = status?.replicaSet?.leader;
      return ready === 'True' && leader !== undefined && isSo(leader);
    });
    return this.agent(volume.status?.replicaSet?.leader ?? '');
  }

  /** Until no replica is left in a pool. */
  async drained(name: string): Promise<void> {
    let last: Pool | undefined;
    const isSo = async (): Promise<boolean> => {
      last = await this.#client.get(pools, { namespace: '', name });
      const drained = last?.status?.conditions?.find(({ type }) => type === 'Drained');
      return drained?.status === 'True';
    };
    await until(`pool ${name} to be drained`, isSo, patienceMs).catch((error: unknown) => {
      throw new Error(JSON.stringify(last?.status, null, 1), { cause: error });
    });
  }

  /** Longer than other cases: agents rebuild, and controllers win a lease first. */
  async #wait(what: string, name: string, isSo: (volume: Volume) => boolean): Promise<Volume> {
    let last: Volume | undefined;
    const look = async (): Promise<boolean> => {
      last = await this.#client.get(volumes, { namespace: '', name }).catch(() => undefined);
      return last !== undefined && isSo(last);
    };
    await until(what, look, patienceMs).catch((error: unknown) => {
      throw new Error(`${what}: ${JSON.stringify(last?.status, null, 1)}`, { cause: error });
    });
    return last!;
  }

  /** What was told of a volume by this reason. */
  async told(name: string, reason: string): Promise<readonly string[]> {
    const notes: string[] = [];
    for await (const one of this.#client.list(events)) {
      if (one.regarding?.name === name && one.reason === reason)
        notes.push(`${one.type} ${one.note}`);
    }
    return notes.toSorted();
  }

  async isTold(name: string, reason: string, note: string): Promise<void> {
    await this.#t.until(`event ${note}`, async () => {
      return (await this.told(name, reason)).includes(note) ? true : undefined;
    });
  }

  async delete(name: string): Promise<void> {
    await this.#client.delete(volumes, { namespace: '', name });
    await this.#t.gone(this.#t.east, volumes, name);
    this.#made.delete(name);
  }

  /** What a case that failed left: later ones are not to fail by it. */
  async clear(): Promise<void> {
    for (const name of this.#made) {
      const annotations = { 'transship.dev/force-delete': 'true' };
      const key = { namespace: '', name };
      await this.#client.patch(volumes, key, { metadata: { annotations } }).catch(() => undefined);
      await this.delete(name).catch(() => undefined);
    }
  }
}

/** Started and joined once for the fleet; the Cluster names them only while a case runs. */
export async function withNodes(
  t: FleetContext,
  work: (nodes: ReplicaNodes) => Promise<void>,
): Promise<void> {
  const { cloud, east } = t.fleet;
  const names = [cluster, `${cluster}-2`, `${cluster}-3`];
  for (const name of names.slice(1)) {
    const agent = cloud.agents.get(name) ?? cloud.adopt(name, cluster);
    await agent.kill();
    await agent.start();
  }
  const agents = await cloud.joinNodes(cluster);
  const object = (await east.client.get(clusters, { namespace: '', name: cluster }))!;
  const before = object.spec.agents;
  const all = agents.map(({ name, paths }) => ({ name, address: `unix://${paths.controlSocket}` }));
  const key = { namespace: '', name: cluster };
  await east.client.patch(clusters, key, { spec: { agents: all } });
  const nodes = new ReplicaNodes(t, agents);
  try {
    for (const name of poolNames) {
      await t.condition(east, pools, name, { type: 'Ready', status: 'True' });
    }
    await work(nodes);
  } finally {
    await nodes.clear();
    await east.client.patch(clusters, key, { spec: { agents: before } });
    for (const name of poolNames.slice(1)) await east.client.delete(pools, { namespace: '', name });
  }
}
