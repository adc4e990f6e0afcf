/** Volumes and their snapshots, as the calls of the controller service need them. */
import { historyPolicies } from '../api/kinds/history-policy.ts';
import { type Pool, pools } from '../api/kinds/pool.ts';
import { type Volume, volumes } from '../api/kinds/volume.ts';
import type { SnapshotObject, VolumeObject } from '../api/objects.ts';
import { asTransshipError, fail, unlessThere } from '../base/errors.ts';
import { annotations, labels } from '../controllers/labels.ts';
import { conditionOf, isTrue } from '../controllers/status.ts';
import { sleep } from '../base/sleep.ts';
import type { AgentDoor, ControllerPorts } from './ports.ts';

/** Below the ten seconds after which sidecars ask again, by default fifteen. */
const waitMs = 12_000;
const lookMs = 100;

const keyOf = (name: string) => ({ namespace: '', name });

export class VolumeStore {
  readonly #ports: ControllerPorts;

  constructor(ports: ControllerPorts) {
    this.#ports = ports;
  }

  find(name: string): Promise<Volume | undefined> {
    return this.#ports.client.get(volumes, keyOf(name));
  }

  async get(name: string): Promise<Volume> {
    const found = await this.find(name);
    return found ?? fail('NotFound', `there is no volume ${name}`);
  }

  /** By name, so that pages of a list fit together. */
  async list(): Promise<readonly Volume[]> {
    const all: Volume[] = [];
    for await (const one of this.#ports.client.list(volumes)) all.push(one);
    return all.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
  }

  async pools(): Promise<readonly Pool[]> {
    const all: Pool[] = [];
    for await (const one of this.#ports.client.list(pools)) all.push(one);
    return all;
  }

  async hasPolicy(name: string): Promise<boolean> {
    return (await this.#ports.client.get(historyPolicies, keyOf(name))) !== undefined;
  }

  agents(): Promise<readonly AgentDoor[]> {
    return this.#ports.agents();
  }

  /** Makes it unless it is there; whoever made it. */
  async ensure(name: string, spec: Volume['spec']): Promise<Volume> {
    const found = await this.find(name);
    if (found !== undefined) return found;
    const making = this.#ports.client.create<Volume>(volumes, { metadata: { name }, spec });
    return (await unlessThere(making)) ?? this.get(name);
  }

  patch(name: string, patch: Readonly<Record<string, unknown>>): Promise<Volume> {
    return this.#ports.client.patch(volumes, keyOf(name), patch);
  }

  /** Resolves with the volume once `holds` does; `NotAccessible` with what its conditions say. */
  async waitFor(name: string, holds: (volume: Volume) => boolean): Promise<Volume> {
    const { clock } = this.#ports;
    const end = clock.monotonicMs() + waitMs;
    for (;;) {
      const volume = await this.get(name);
      if (holds(volume)) return volume;
      if (clock.monotonicMs() >= end) {
        const { reason = 'Unknown', message = '' } = conditionOf(volume, 'Ready') ?? {};
        fail('NotAccessible', `volume ${name} is not ready yet: ${reason} ${message}`.trim());
      }
      await sleep(clock, lookMs);
    }
  }

  waitReady(name: string): Promise<Volume> {
    return this.waitFor(name, (volume) => isTrue(volume, 'Ready'));
  }

  /** Resolves when the object and its data are gone. */
  async delete(name: string): Promise<void> {
    const { client, clock } = this.#ports;
    await client.delete(volumes, keyOf(name));
    const end = clock.monotonicMs() + waitMs;
    for (;;) {
      const volume = await this.find(name);
      if (volume === undefined) return;
      if (clock.monotonicMs() >= end) {
        const { reason = '', message = 'it is being deleted' } = conditionOf(volume, 'Ready') ?? {};
        fail('InUse', `volume ${name} is not gone yet: ${reason} ${message}`);
      }
      await sleep(clock, lookMs);
    }
  }

  /** The agent that has the volume: by the pool of its first copy, else by asking all. */
  async agentOf(volume: Volume): Promise<AgentDoor> {
    const agents = await this.agents();
    const chosen = volume.metadata.annotations?.[annotations.agent];
    const byName = agents.find(({ name }) => name === chosen);
    if (byName !== undefined) return byName;
    const pool = volume.status?.replicas?.[0]?.pool;
    const found = (await this.pools()).find(({ metadata }) => metadata.name === pool);
    const owner = found?.metadata.labels?.[labels.agent];
    const byPool = agents.find(({ name }) => name === owner);
    if (byPool !== undefined) return byPool;
    return fail('AgentUnreachable', `no agent of this cluster has volume ${nameOf(volume)}`);
  }

  /** Undefined while the agent has nothing of this name: it was not made yet, or is gone. */
  async seenByAgent(volume: Volume): Promise<VolumeObject | undefined> {
    if (volume.status?.replicas === undefined) return undefined;
    const agent = await this.agentOf(volume);
    try {
      return await agent.control.call('volume.show', { name: nameOf(volume) });
    } catch (error) {
      if (asTransshipError(error).reason === 'NotFound') return undefined;
      throw error;
    }
  }

  async snapshotsOf(volume: Volume): Promise<readonly SnapshotObject[]> {
    const agent = await this.agentOf(volume);
    const history = await agent.control.call('volume.history', { volume: nameOf(volume) });
    return history.status.snapshots;
  }
}

export function nameOf(object: { readonly metadata: { readonly name?: string } }): string {
  return object.metadata.name ?? '';
}
