/** One informer per type, shared by all controllers, with the indexes they need. */
import type { Informer, KubeClient, Selectors } from '../../kube/api.ts';
import { createInformer } from '../../kube/informer.ts';
import { type KubeObject, type ResourceType, apiVersionOf } from '../../kube/objects.ts';

export const namespaceIndex = 'namespace';
/** By the uid of each owner. */
export const ownerIndex = 'owner';

export const uidIndex = 'uid';

export class InformerPool {
  readonly #client: KubeClient;
  readonly #informers = new Map<string, Informer<KubeObject>>();

  constructor(client: KubeClient) {
    this.#client = client;
  }

  of<T extends KubeObject>(type: ResourceType<T>): Informer<T> {
    const found = this.find(type) ?? this.#begin(type, undefined);
    return found as unknown as Informer<T>;
  }

  /** Of a type of which only the metadata matters; the whole objects where somebody has them. */
  metadataOf(type: ResourceType): Informer<KubeObject> {
    return this.find(type) ?? this.#begin(type, metadataOnly);
  }

  find(type: ResourceType): Informer<KubeObject> | undefined {
    return this.#informers.get(typeKey(type));
  }

  all(): Iterable<Informer<KubeObject>> {
    return this.#informers.values();
  }

  async drop(type: ResourceType): Promise<void> {
    const informer = this.find(type);
    this.#informers.delete(typeKey(type));
    await informer?.stop();
  }

  async stop(): Promise<void> {
    await Promise.all([...this.#informers.values()].map((informer) => informer.stop()));
  }

  #begin(
    type: ResourceType,
    trim: ((object: KubeObject) => KubeObject) | undefined,
  ): Informer<KubeObject> {
    const informer = createInformer<KubeObject>(this.#client, type, {
      indexes: {
        [namespaceIndex]: ({ metadata }) => [metadata.namespace ?? ''],
        [uidIndex]: ({ metadata }) => [metadata.uid ?? ''],
        [ownerIndex]: ({ metadata }) => metadata.ownerReferences?.map((owner) => owner.uid) ?? [],
      },
      ...(trim === undefined ? {} : { trim }),
    });
    // A stopped informer says so to whoever waits; nobody has to.
    informer.synced.catch(() => undefined);
    this.#informers.set(typeKey(type), informer);
    return informer;
  }
}

/** Versions of one resource are one informer. */
export function typeKey(type: Pick<ResourceType, 'group' | 'plural'>): string {
  return `${type.group}/${type.plural}`;
}

function metadataOnly({ apiVersion, kind, metadata }: KubeObject): KubeObject {
  const { managedFields: _fields, annotations: _notes, labels: _labels, ...kept } = metadata;
  return { apiVersion, kind, metadata: kept };
}

/** For messages: `apps/v1 Deployment`. */
export function typeText(type: ResourceType): string {
  return `${apiVersionOf(type)} ${type.kind}`;
}

/** All objects of a type that the server has now. */
export async function listAll<T extends KubeObject>(
  client: KubeClient,
  type: ResourceType<T>,
  selectors: Selectors = {},
): Promise<readonly T[]> {
  const all: T[] = [];
  for await (const object of client.list(type, selectors)) all.push(object);
  return all;
}
