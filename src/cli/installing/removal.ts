/**
 * Takes an installation out of a cluster again: first what needs the controllers, because they
 * undo what they did elsewhere; then the controllers and agents; then what nobody looks after any
 * more. Data in the pools of nodes stays where it is.
 */
import type { Migration } from '../../api/kinds/migration.ts';
import type { Replication } from '../../api/kinds/replication.ts';
import { resources } from '../../api/kinds/resources.ts';
import type { Teleport } from '../../api/kinds/teleport.ts';
import { asTransshipError, fail } from '../../base/errors.ts';
import { isOurVolume } from '../../controllers/claim/made.ts';
import { installedTypes } from '../../controllers/install.ts';
import { partOf, systemNamespace } from '../../controllers/installation/names.ts';
import type { KubeClient } from '../../kube/api.ts';
import { keyOf, type KubeObject, type ResourceType } from '../../kube/objects.ts';
import {
  customResourceDefinitions,
  namespaces,
  persistentVolumeClaims,
  persistentVolumes,
} from '../../kube/resources.ts';
import { sleep } from '../../base/sleep.ts';
import { daemonSets, deployments, pods } from '../../kube/workloads.ts';
import type { Cli } from '../context.ts';

const pollMs = 250;
const namesShown = 5;
const ourFinalizer = 'transship.dev/';

/** In this order: each may hold what comes after it. */
const heldByControllers: readonly ResourceType[] = [
  resources.replications,
  resources.migrations,
  resources.plans,
  resources.hooks,
  resources.volumeTransfers,
  resources.imageTransfers,
  resources.teleports,
  resources.savedVersions,
];
/** What controllers make again while they run, or nothing depends on. */
const rest: readonly ResourceType[] = [
  resources.volumeReplicas,
  resources.repositories,
  resources.historyPolicies,
  resources.clusters,
  resources.pools,
];

export interface RemovalOptions {
  /** Deletes volumes, and the claims they are for, with their data. */
  readonly deleteVolumes: boolean;
  /** Waits for no controllers: takes their finalizers away. */
  readonly force: boolean;
  /** Also the kinds, last. */
  readonly crds: boolean;
  readonly timeoutMs: number;
}

/** What an uninstallation would take from somebody: one sentence each. */
export async function inTheWay(client: KubeClient): Promise<readonly string[]> {
  const found: string[] = [];
  const tell = (what: string, names: readonly string[]): void => {
    if (names.length === 0) return;
    const shown = names.slice(0, namesShown).join(', ');
    const more = names.length > namesShown ? ` and ${names.length - namesShown} more` : '';
    found.push(`${what}: ${shown}${more}`);
  };
  const claims: string[] = [];
  for await (const volume of listOf(client, persistentVolumes)) {
    const claim = volume.spec?.claimRef;
    if (isOurVolume(volume) && claim !== undefined) claims.push(`${claim.namespace}/${claim.name}`);
  }
  tell('claims have volumes of Transship', claims);
  tell('volumes', await namesOf(client, resources.volumes, () => true));
  const runs = ({ status }: Teleport | Migration | Replication) =>
    status?.conditions?.find(({ type }) => type === 'Succeeded')?.status === 'Unknown';
  tell('teleports run', await namesOf(client, resources.teleports, runs));
  tell('migrations run', await namesOf(client, resources.migrations, runs));
  tell('replications run', await namesOf(client, resources.replications, runs));
  return found;
}

async function namesOf<T extends KubeObject>(
  client: KubeClient,
  type: ResourceType<T>,
  isMeant: (object: T) => boolean,
): Promise<readonly string[]> {
  const names: string[] = [];
  for await (const one of listOf(client, type)) if (isMeant(one)) names.push(textOf(one));
  return names;
}

/** Nothing, where the kind is not there (any more). */
async function* listOf<T extends KubeObject>(
  client: KubeClient,
  type: ResourceType<T>,
  selectors: { readonly labels?: string; readonly namespace?: string } = {},
): AsyncGenerator<T> {
  try {
    yield* client.list(type, selectors);
  } catch (error) {
    if (asTransshipError(error).reason !== 'NotFound') throw error;
  }
}

function textOf({ metadata }: KubeObject): string {
  const { namespace, name = '' } = metadata;
  return namespace === undefined ? name : `${namespace}/${name}`;
}

export class Removal {
  readonly #cli: Cli;
  readonly #client: KubeClient;
  readonly #o: RemovalOptions;
  readonly #deadline: number;
  readonly #onGone: (kind: string, name: string) => void;

  constructor(
    cli: Cli,
    client: KubeClient,
    options: RemovalOptions,
    onGone: (kind: string, name: string) => void,
  ) {
    this.#cli = cli;
    this.#client = client;
    this.#o = options;
    this.#deadline = cli.ports.clock.monotonicMs() + options.timeoutMs;
    this.#onGone = onGone;
  }

  /** Can be repeated after it was cut anywhere. `TimedOut` names what is still there, and why. */
  async run(): Promise<void> {
    for (const type of heldByControllers) await this.#removeAll(type);
    if (this.#o.deleteVolumes) await this.#removeVolumes();
    await this.#removeWorkloads();
    for (const type of rest) await this.#removeAll(type, true);
    await this.#removeNamespace();
    await this.#removeLabelled();
    if (this.#o.crds) await this.#removeKinds();
  }

  async #removeVolumes(): Promise<void> {
    const ours: { namespace: string; name: string }[] = [];
    for await (const volume of listOf(this.#client, persistentVolumes)) {
      const { namespace = '', name = '' } = volume.spec?.claimRef ?? {};
      if (isOurVolume(volume) && name !== '') ours.push({ namespace, name });
    }
    for (const key of ours) {
      await this.#client.delete(persistentVolumeClaims, key);
      await this.#gone(persistentVolumeClaims, key, false);
    }
    const isOurs = (object: KubeObject) => isOurVolume(object);
    await this.#removeAll(persistentVolumes, this.#o.force, isOurs);
    await this.#removeAll(resources.volumes);
  }

  /** Controllers first: what is removed then stays removed. Devices last: nobody uses them now. */
  async #removeWorkloads(): Promise<void> {
    const at = (name: string) => ({ namespace: systemNamespace, name });
    const all = [
      [deployments, 'transship-controller'],
      [daemonSets, 'transship-agent'],
      [daemonSets, 'transship-devices'],
    ] as const;
    for (const [type, name] of all) {
      await this.#client.delete(type, at(name), { propagation: 'Background' });
      await this.#gone(type, at(name), false);
    }
    const labels = `app.kubernetes.io/name=${partOf['app.kubernetes.io/name']}`;
    const selectors = { namespace: systemNamespace, labels };
    for await (const pod of listOf(this.#client, pods, selectors)) {
      await this.#gone(pods, keyOf(pod), false);
    }
  }

  async #removeNamespace(): Promise<void> {
    const key = { namespace: '', name: systemNamespace };
    if (await this.#client.delete(namespaces, key)) await this.#gone(namespaces, key, false);
  }

  /** Rights, classes and drivers, also the accounts of hubs that came here. */
  async #removeLabelled(): Promise<void> {
    const labels = `app.kubernetes.io/part-of=${partOf['app.kubernetes.io/part-of']}`;
    const kept = [customResourceDefinitions.kind, namespaces.kind];
    const types = installedTypes.filter(
      ({ namespaced, kind }) => !namespaced && !kept.includes(kind),
    );
    for (const type of types.toReversed()) {
      for await (const one of listOf(this.#client, type, { labels })) await this.#remove(type, one);
    }
  }

  async #removeKinds(): Promise<void> {
    for await (const kind of this.#client.list(customResourceDefinitions)) {
      if (kind.spec.group !== 'transship.dev') continue;
      await this.#remove(customResourceDefinitions, kind);
    }
  }

  /** `isOrphaned`: no controller comes any more, so its finalizers are taken away. */
  async #removeAll<T extends KubeObject>(
    type: ResourceType<T>,
    isOrphaned = this.#o.force,
    isMeant: (object: T) => boolean = () => true,
  ): Promise<void> {
    const all: T[] = [];
    for await (const one of listOf(this.#client, type)) if (isMeant(one)) all.push(one);
    for (const one of all) await this.#client.delete(type, keyOf(one));
    for (const one of all) {
      await this.#gone(type, keyOf(one), isOrphaned);
      this.#onGone(type.kind, textOf(one));
    }
  }

  async #remove(type: ResourceType, object: KubeObject): Promise<void> {
    await this.#client.delete(type, keyOf(object));
    await this.#gone(type, keyOf(object), false);
    this.#onGone(type.kind, textOf(object));
  }

  async #gone(
    type: ResourceType,
    key: { readonly namespace: string; readonly name: string },
    isOrphaned: boolean,
  ): Promise<void> {
    const { clock } = this.#cli.ports;
    for (;;) {
      const there = await this.#client.get(type, key);
      if (there === undefined) return;
      if (isOrphaned) await this.#release(type, there);
      if (clock.monotonicMs() > this.#deadline) {
        const finalizers = there.metadata.finalizers?.join(', ') ?? 'nothing it says';
        const remedy = 'go on with the same command; without controllers add --force';
        fail('TimedOut', `${type.kind} ${textOf(there)} waits for ${finalizers}: ${remedy}`);
      }
      await sleep(clock, pollMs);
    }
  }

  async #release(type: ResourceType, { metadata }: KubeObject): Promise<void> {
    const { finalizers = [], resourceVersion } = metadata;
    const others = finalizers.filter((one) => !one.startsWith(ourFinalizer));
    if (others.length === finalizers.length) return;
    const change = { metadata: { finalizers: others, resourceVersion } };
    try {
      await this.#client.patch(type, keyOf({ metadata } as KubeObject), change);
    } catch (error) {
      // Somebody was quicker: it is looked at again.
      if (!['Conflict', 'NotFound'].includes(asTransshipError(error).reason)) throw error;
    }
  }
}
