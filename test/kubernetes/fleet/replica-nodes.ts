/** A cluster of the fleet gets two more agents for the time of a case. */
import assert from 'node:assert/strict';
import { resources } from '../../../src/api/kinds/resources.ts';
import type { Volume } from '../../../src/api/kinds/volume.ts';
import type { KubeObject, ResourceType } from '../../../src/kube/objects.ts';
import type { Agent } from '../../interop/cloud.ts';
import type { FleetContext } from './context.ts';

const { clusters, pools, volumes } = resources;
const cluster = 'east';
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
  async settled(name: string, wanted: readonly string[]): Promise<Volume> {
    let last: Volume | undefined;
    return this.#t
      .until(`replicas of ${name} in ${wanted.join(', ')}`, async () => {
        last = await this.#client.get(volumes, { namespace: '', name });
        const { conditions = [], replicas = [], replicaSet } = last?.status ?? {};
        const isThere =
          wanted.toSorted().join() ===
          replicas
            .map(({ pool }) => pool)
            .toSorted()
            .join();
        const isHealthy = replicas.every(({ state }) => state === 'Healthy');
        const scaling = conditions.find(({ type }) => type === 'ScalingReplicas');
        const isSaid = replicaSet === undefined || scaling?.reason === 'Scaled';
        return isThere && isHealthy && isSaid ? last : undefined;
      })
      .catch((error: unknown) => {
        throw new Error(JSON.stringify(last?.status, null, 1), { cause: error });
      });
  }

  /** The agent that leads, once the API server says who does. */
  async leader(name: string, isSo: (agent: string) => boolean = () => true): Promise<Agent> {
    const found = await this.#t.until(`a leader of ${name}`, async () => {
      const { status } = (await this.#client.get(volumes, { namespace: '', name }))!;
      const ready = status?.conditions?.find(({ type }) => type === 'Ready')?.status;
      const leader = status?.replicaSet?.leader;
      return ready === 'True' && leader !== undefined && isSo(leader) ? leader : undefined;
    });
    return this.agent(found);
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
  try {
    for (const name of poolNames) {
      await t.condition(east, pools, name, { type: 'Ready', status: 'True' });
    }
    await work(new ReplicaNodes(t, agents));
  } finally {
    await east.client.patch(clusters, key, { spec: { agents: before } });
    for (const name of poolNames.slice(1)) await east.client.delete(pools, { namespace: '', name });
  }
}
