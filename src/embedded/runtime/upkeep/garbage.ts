/**
 * The garbage collector: what is owned goes with its owners (Kubernetes documentation, "Garbage
 * Collection", "Owners and dependents"). It watches the metadata of every kind there is.
 */
import { asTransshipError } from '../../../base/errors.ts';
import type { Timer } from '../../../base/ports.ts';
import type { Change, Informer, Outcome, WorkQueue } from '../../../kube/api.ts';
import {
  type KubeObject,
  type ObjectKey,
  type OwnerReference,
  type ResourceType,
  keyOf,
  keyText,
  parseKey,
} from '../../../kube/objects.ts';
import { createWorkQueue } from '../../../kube/queue.ts';
import { isDeleted } from '../controller.ts';
import { discover } from '../discovery.ts';
import { ownerIndex, typeKey, uidIndex } from '../informers.ts';
import type { ControllerHost } from '../run-controller.ts';
import {
  type OwnerState,
  foregroundFinalizer,
  orphanFinalizer,
  verdict,
} from './garbage-verdict.ts';

/** New kinds are noticed within this time. */
const discoverEveryMs = 10_000;
/** Objects worked on at once. */
const concurrency = 4;

/** Kinds that own nothing and are owned by nobody, and change all the time. */
const uninteresting: ReadonlySet<string> = new Set([
  '/events',
  'events.k8s.io/events',
  '/componentstatuses',
]);

export class GarbageCollector {
  readonly #host: ControllerHost;
  readonly #queue: WorkQueue;
  readonly #types = new Map<string, ResourceType>();
  readonly #subscriptions = new Map<string, () => void>();
  /** Types that are ours to stop watching. */
  readonly #watched = new Map<string, Informer<KubeObject>>();
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(host: ControllerHost) {
    this.#host = host;
    const { clock, random } = host.client.connection;
    this.#queue = createWorkQueue({
      clock,
      random,
      concurrency,
      run: (text) => this.#collect(text),
      onError: (key, error) => {
        const { reason, message } = asTransshipError(error);
        const level = reason === 'Conflict' ? 'debug' : 'warn';
        host.log.log(level, `garbage: ${message}`, { key, reason });
      },
    });
  }

  async start(): Promise<void> {
    await this.#discover();
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#timer?.cancel();
    for (const end of this.#subscriptions.values()) end();
    await this.#queue.stop();
  }

  async #discover(): Promise<void> {
    const { client, log } = this.#host;
    try {
      const found = await discover(client);
      const isComplete = ({ verbs }: { readonly verbs: ReadonlySet<string> }) =>
        ['list', 'watch', 'delete'].every((verb) => verbs.has(verb));
      const types = found.filter(isComplete).map(({ type }) => type);
      await this.#watch(types.filter((type) => !uninteresting.has(typeKey(type))));
    } catch (error) {
      const { reason, message } = asTransshipError(error);
      log.log('warn', `garbage: ${message}`, { reason });
    }
    if (this.#isStopped) return;
    this.#timer = client.connection.clock.after(discoverEveryMs, () => void this.#discover());
  }

  async #watch(types: readonly ResourceType[]): Promise<void> {
    if (this.#isStopped) return;
    const { informers } = this.#host;
    const now = new Set(types.map(typeKey));
    for (const [key, type] of this.#types) {
      if (now.has(key)) continue;
      this.#subscriptions.get(key)?.();
      this.#subscriptions.delete(key);
      this.#watched.delete(key);
      this.#types.delete(key);
      await informers.drop(type);
    }
    for (const type of types.filter((one) => !this.#types.has(typeKey(one)))) {
      const informer = informers.metadataOf(type);
      this.#types.set(typeKey(type), type);
      this.#watched.set(typeKey(type), informer);
      this.#subscriptions.set(
        typeKey(type),
        informer.onChange((change) => this.#changed(type, change)),
      );
      for (const object of informer.list()) {
        this.#changed(type, { key: keyOf(object), before: undefined, now: object });
      }
    }
  }

  #changed(type: ResourceType, { key, before, now }: Change<KubeObject>): void {
    if (now !== undefined) {
      if (concerns(now)) this.#queue.add(placeText(type, key));
      return;
    }
    for (const owner of before?.metadata.ownerReferences ?? []) {
      // An owner that waits for its dependents.
      const place = this.#find(owner.uid);
      if (place !== undefined) this.#queue.add(placeText(place.type, place.key));
    }
    this.#addDependents(before?.metadata.uid ?? '');
  }

  #addDependents(uid: string): void {
    for (const { type, object } of this.#dependents(uid)) {
      this.#queue.add(placeText(type, keyOf(object)));
    }
  }

  #dependents(uid: string): { readonly type: ResourceType; readonly object: KubeObject }[] {
    return [...this.#watched].flatMap(([key, informer]) => {
      const type = this.#types.get(key);
      if (type === undefined || uid === '') return [];
      return informer.byIndex(ownerIndex, uid).map((object) => ({ type, object }));
    });
  }

  /** Where an owner waits for its dependents, if it does. */
  #find(uid: string): { readonly type: ResourceType; readonly key: ObjectKey } | undefined {
    for (const [typeText, informer] of this.#watched) {
      const type = this.#types.get(typeText);
      const object = informer.byIndex(uidIndex, uid)[0];
      if (object !== undefined && type !== undefined) return { type, key: keyOf(object) };
    }
    return undefined;
  }

  async #collect(text: string): Promise<Outcome> {
    const place = this.#placeOf(text);
    if (place === undefined) return {};
    const { type, key } = place;
    const { client } = this.#host;
    const object = await client.get(type, key);
    if (object === undefined) return {};
    const owners = await Promise.all(
      (object.metadata.ownerReferences ?? []).map((owner) => this.#look(object, type, owner)),
    );
    const dependents = this.#dependents(object.metadata.uid ?? '').map((one) => one.object);
    const what = verdict(object, owners, dependents);
    switch (what.kind) {
      case 'keep':
        return what.isUncertain ? { againAfterMs: discoverEveryMs } : {};
      case 'disown':
        await this.#setOwners(type, object, what.owners);
        return {};
      case 'delete': {
        const { uid = '', resourceVersion } = object.metadata;
        const seen = resourceVersion === undefined ? { uid } : { uid, resourceVersion };
        await client.delete(type, key, { ...seen, propagation: what.propagation });
        return {};
      }
      case 'orphan':
        await this.#orphan(type, object);
        return {};
      case 'await':
        this.#addDependents(object.metadata.uid ?? '');
        return {};
      case 'finish':
        await this.#removeFinalizer(type, object, foregroundFinalizer);
        return {};
    }
  }

  #placeOf(text: string): { readonly type: ResourceType; readonly key: ObjectKey } | undefined {
    const at = text.indexOf(' ');
    const type = this.#types.get(text.slice(0, at));
    return type === undefined ? undefined : { type, key: parseKey(text.slice(at + 1)) };
  }

  /** An owner as the cache has it; one that is not there is asked for before it counts as gone. */
  async #look(
    object: KubeObject,
    type: ResourceType,
    reference: OwnerReference,
  ): Promise<OwnerState> {
    const group = reference.apiVersion.includes('/') ? reference.apiVersion.split('/')[0] : '';
    const ownerType = [...this.#types.values()].find(
      (one) => one.kind === reference.kind && one.group === group,
    );
    if (ownerType === undefined || (ownerType.namespaced && !type.namespaced)) {
      return { reference, state: 'unknown' };
    }
    // Owners live in the same namespace, or in none.
    const namespace = ownerType.namespaced ? (object.metadata.namespace ?? '') : '';
    const key = { namespace, name: reference.name };
    const cached = this.#watched.get(typeKey(ownerType))?.get(key);
    const owner =
      cached?.metadata.uid === reference.uid ? cached : await this.#host.client.get(ownerType, key);
    if (owner?.metadata.uid !== reference.uid) return { reference, state: 'absent' };
    const isWaiting =
      isDeleted(owner) && owner.metadata.finalizers?.includes(foregroundFinalizer) === true;
    return { reference, state: isWaiting ? 'waiting' : 'solid' };
  }

  async #orphan(type: ResourceType, object: KubeObject): Promise<void> {
    const { uid = '' } = object.metadata;
    for (const dependent of this.#dependents(uid)) {
      const fresh = await this.#host.client.get(dependent.type, keyOf(dependent.object));
      const owners = fresh?.metadata.ownerReferences ?? [];
      const left = owners.filter((owner) => owner.uid !== uid);
      if (fresh !== undefined && left.length < owners.length) {
        await this.#setOwners(dependent.type, fresh, left);
      }
    }
    await this.#removeFinalizer(type, object, orphanFinalizer);
  }

  async #setOwners(
    type: ResourceType,
    object: KubeObject,
    ownerReferences: readonly OwnerReference[],
  ): Promise<void> {
    const { resourceVersion } = object.metadata;
    await this.#host.client.patch(type, keyOf(object), {
      metadata: { ownerReferences, resourceVersion },
    });
  }

  async #removeFinalizer(type: ResourceType, object: KubeObject, name: string): Promise<void> {
    const { resourceVersion, finalizers = [] } = object.metadata;
    const left = finalizers.filter((one) => one !== name);
    await this.#host.client.patch(type, keyOf(object), {
      metadata: { finalizers: left, resourceVersion },
    });
  }
}

function concerns({ metadata }: KubeObject): boolean {
  if ((metadata.ownerReferences?.length ?? 0) > 0) return true;
  const { finalizers = [], deletionTimestamp } = metadata;
  const isOurs = finalizers.includes(orphanFinalizer) || finalizers.includes(foregroundFinalizer);
  return deletionTimestamp !== undefined && isOurs;
}

const placeText = (type: ResourceType, key: ObjectKey): string =>
  `${typeKey(type)} ${keyText(key)}`;
