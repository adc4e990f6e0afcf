/** What a case of the controllers gets: a fleet, own names, short ways to ask and to wait. */
import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Teleport } from '../../../src/api/kinds/teleport.ts';
import type { Volume } from '../../../src/api/kinds/volume.ts';
import { resources } from '../../../src/api/kinds/resources.ts';
import type { KubeObject, ObjectKey, ResourceType } from '../../../src/kube/objects.ts';
import {
  namespaces,
  type PersistentVolumeClaim,
  persistentVolumeClaims,
  persistentVolumes,
} from '../../../src/kube/resources.ts';
import { digestOf, writeNoise } from '../../interop/content.ts';
import type { Fleet } from './fleet.ts';
import type { Member } from './member.ts';

const patienceMs = 60_000;
const pollMs = 50;
export const MiB = 2 ** 20;

export interface TeleportWish {
  readonly name: string;
  readonly from?: Member;
  readonly to?: Member;
  readonly claim?: string;
  readonly volume?: string;
  readonly destination?: Partial<Teleport['spec']['destination']>;
  readonly thin?: boolean;
  readonly bandwidth?: string;
}

type Conditioned = KubeObject & {
  readonly status?: {
    readonly conditions?: readonly {
      readonly type: string;
      readonly status: string;
      readonly reason: string;
      readonly message: string;
    }[];
  };
};

export class FleetContext {
  readonly fleet: Fleet;
  readonly namespace: string;

  constructor(fleet: Fleet, namespace: string) {
    this.fleet = fleet;
    this.namespace = namespace;
  }

  get east(): Member {
    return this.fleet.east;
  }

  get west(): Member {
    return this.fleet.west;
  }

  key(name: string): ObjectKey {
    return { namespace: this.namespace, name };
  }

  async makeNamespaces(): Promise<void> {
    for (const { client } of this.fleet.members) {
      await client.create(namespaces, { metadata: { name: this.namespace } });
    }
  }

  /** Asks until there is an answer; says what did not come, and what was seen last. */
  async until<R>(what: string, ask: () => Promise<R | undefined>): Promise<R> {
    const deadline = performance.now() + patienceMs;
    let trouble: unknown;
    for (;;) {
      try {
        const answer = await ask();
        if (answer !== undefined) return answer;
        trouble = undefined;
      } catch (error) {
        if (error instanceof assert.AssertionError) throw error;
        trouble = error;
      }
      if (performance.now() > deadline) {
        throw new Error(`waited in vain for ${what}`, { cause: trouble });
      }
      await sleep(pollMs);
    }
  }

  async object<T extends KubeObject>(at: Member, type: ResourceType<T>, name: string): Promise<T> {
    const namespace = type.namespaced ? this.namespace : '';
    const found = await at.client.get(type, { namespace, name });
    assert.ok(found !== undefined, `${at.name} has no ${type.kind} ${name}`);
    return found;
  }

  async gone(at: Member, type: ResourceType, name: string): Promise<void> {
    const namespace = type.namespaced ? this.namespace : '';
    await this.until(`${type.kind} ${name} to be gone`, async () => {
      return (await at.client.get(type, { namespace, name })) === undefined ? true : undefined;
    });
  }

  /** Waits for a condition; the last object is in the error when it does not come. */
  async condition<T extends Conditioned>(
    at: Member,
    type: ResourceType<T>,
    name: string,
    wanted: { readonly type: string; readonly status: string; readonly reason?: string },
  ): Promise<T> {
    let last: T | undefined;
    try {
      return await this.until(`${type.kind} ${name}: ${JSON.stringify(wanted)}`, async () => {
        const namespace = type.namespaced ? this.namespace : '';
        last = await at.client.get(type, { namespace, name });
        const found = last?.status?.conditions?.find((one) => one.type === wanted.type);
        const fits =
          found?.status === wanted.status &&
          (wanted.reason === undefined || found.reason === wanted.reason);
        return fits ? last : undefined;
      });
    } catch (error) {
      const seen = JSON.stringify(last?.status, null, 1);
      throw new Error(`${(error as Error).message}; last seen: ${seen}`, { cause: error });
    }
  }

  async makeClaim(
    at: Member,
    name: string,
    extra: {
      readonly annotations?: Readonly<Record<string, string>>;
      readonly size?: string;
      readonly storageClass?: string;
      readonly attributesClass?: string;
    } = {},
  ): Promise<void> {
    const { annotations = {}, size = '16Mi', storageClass = 'transship' } = extra;
    const { attributesClass } = extra;
    await at.client.create<PersistentVolumeClaim>(persistentVolumeClaims, {
      metadata: { name, namespace: this.namespace, annotations },
      spec: {
        storageClassName: storageClass,
        ...(attributesClass === undefined ? {} : { volumeAttributesClassName: attributesClass }),
        accessModes: ['ReadWriteOnce'],
        resources: { requests: { storage: size } },
      },
    });
  }

  /** Name of the volume of a claim, once it is bound. */
  async bound(at: Member, claim: string): Promise<string> {
    return this.until(`claim ${claim} to be bound`, async () => {
      const object = await at.client.get(persistentVolumeClaims, this.key(claim));
      if (object?.status?.phase !== 'Bound') return undefined;
      return object.spec?.volumeName;
    });
  }

  /** A bound claim with content of its own. */
  async filledClaim(at: Member, name: string, bytes = 8 * MiB): Promise<string> {
    await this.makeClaim(at, name);
    const volume = await this.bound(at, name);
    await this.fill(at, volume, bytes);
    return volume;
  }

  async fill(at: Member, volume: string, bytes: number, seed = Date.now() % 1e6): Promise<void> {
    using client = await at.agent.connect(volume);
    await writeNoise(client, seed, { offset: 0, lengthBytes: bytes });
  }

  async digest(at: Member, volume: string): Promise<string> {
    using client = await at.agent.connect(volume);
    const digest = await digestOf(client);
    return digest;
  }

  async teleport(wish: TeleportWish, hub: Member = this.east): Promise<void> {
    const { name, from = this.east, to = this.west, claim, volume, thin, bandwidth } = wish;
    const side = claim === undefined ? { volume: volume ?? name } : { claim };
    await hub.client.create<Teleport>(resources.teleports, {
      metadata: { name, namespace: this.namespace },
      spec: {
        source: { cluster: from.name, ...side },
        destination: { cluster: to.name, ...wish.destination },
        ...(thin === undefined ? {} : { thin }),
        ...(bandwidth === undefined ? {} : { bandwidth }),
      },
    });
  }

  succeeded(name: string, hub: Member = this.east): Promise<Teleport> {
    const wanted = { type: 'Succeeded', status: 'True' };
    return this.condition(hub, resources.teleports, name, wanted);
  }

  ready(name: string, hub: Member = this.east): Promise<Teleport> {
    return this.condition(hub, resources.teleports, name, { type: 'Ready', status: 'True' });
  }

  failed(name: string, reason: string, hub: Member = this.east): Promise<Teleport> {
    const wanted = { type: 'Succeeded', status: 'False', reason };
    return this.condition(hub, resources.teleports, name, wanted);
  }

  async makeVolume(at: Member, name: string, spec: Volume['spec']): Promise<void> {
    await at.client.create<Volume>(resources.volumes, { metadata: { name }, spec });
    await this.condition(at, resources.volumes, name, { type: 'Ready', status: 'True' });
  }

  /** Nothing of this case is left anywhere: objects, volumes of agents, leases. */
  async nothingLeft(volumesOf: (name: string) => boolean = () => false): Promise<void> {
    for (const member of this.fleet.members) {
      await this.until(`nothing to be left at ${member.name}`, async () => {
        const left = await this.#leftAt(member, volumesOf);
        return left.length === 0 ? true : undefined;
      }).catch(async (error: unknown) => {
        const left = await this.#leftAt(member, volumesOf);
        throw new Error(`left at ${member.name}: ${left.join(', ')}`, { cause: error });
      });
    }
  }

  async #leftAt(member: Member, volumesOf: (name: string) => boolean): Promise<readonly string[]> {
    const left: string[] = [];
    const { client, agent } = member;
    for await (const { metadata } of client.list(persistentVolumeClaims, {
      namespace: this.namespace,
    })) {
      left.push(`claim ${metadata.name}`);
    }
    for await (const { metadata, spec } of client.list(persistentVolumes)) {
      if (spec?.claimRef?.namespace === this.namespace) left.push(`pv ${metadata.name}`);
    }
    for await (const { metadata } of client.list(resources.volumes)) {
      const isOurs =
        metadata.annotations?.['transship.dev/made-for']?.startsWith(`${this.namespace}/`) === true;
      if (isOurs || volumesOf(metadata.name ?? '')) left.push(`volume ${metadata.name}`);
    }
    const { items } = await agent.call('volume.list', {});
    for (const { metadata } of items) {
      if (volumesOf(metadata.name)) left.push(`volume ${metadata.name} of the agent`);
    }
    return left;
  }
}
