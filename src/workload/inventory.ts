/**
 * Everything in some namespaces, by API discovery: which objects can be copied, and why the others
 * are left out. Objects are looked at page by page and let go; what stays is small and bounded.
 */
import { fail, TransshipError } from '../base/errors.ts';
import type { KubeClient } from '../kube/api.ts';
import type { ServedResource } from '../kube/discovery.ts';
import type { KubeObject, OwnerReference, ResourceType } from '../kube/objects.ts';
import { isExpired } from '../kube/status-errors.ts';
import { selectsPods, whyExcluded, whyKindExcluded } from './exclusions.ts';
import { type ImageUse, imagesOf } from './images.ts';
import { compareNames, groupOf, nameOf, nameText, type ObjectName } from './names.ts';
import { type Reference, referencesOf } from './references.ts';
import { createChooser, type Chooser, type Selection } from './selection.ts';
import { type ReadableType, readableTypes } from './versions.ts';

/** Of all kinds together; a namespace with more is split over several plans. */
export const objectsMaxDefault = 50_000;
/** A list whose version grew too old on the way begins again, so many times. */
const relistsMax = 5;

/** What is remembered of an object that can be copied. */
export interface Item {
  /** In the version in which it is read and written. */
  readonly type: ResourceType;
  readonly name: ObjectName;
  readonly uid: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly references: readonly Reference[];
  readonly images: readonly ImageUse[];
  /** Who owns it and stays behind: the bond is lost with the copy. */
  readonly owners: readonly OwnerReference[];
  /** The destination cannot take it: why. */
  readonly unserved?: { readonly message: string; readonly remedy: string };
}

export type LeftOutBecause = 'Derived' | 'Child' | 'NotSelected';

export interface LeftOut {
  readonly name: ObjectName;
  readonly because: LeftOutBecause;
  /** `it is made by Deployment shop/web`. */
  readonly why: string;
}

/** A kind that could not be listed: nobody knows what is in it, and the rest is not everything. */
export interface Unreadable {
  readonly group: string;
  readonly plural: string;
  readonly namespace: string;
  readonly reason: string;
  readonly message: string;
}

export interface Inventory {
  readonly namespaces: readonly string[];
  /** By group, kind, namespace, name. */
  readonly items: readonly Item[];
  readonly leftOut: readonly LeftOut[];
  /** Kinds that are left out as a whole and were not even listed. */
  readonly skippedKinds: readonly { readonly type: ResourceType; readonly why: string }[];
  readonly unreadable: readonly Unreadable[];
}

export interface InventoryOptions {
  readonly namespaces: readonly string[];
  /** What the source serves, in its order. */
  readonly served: readonly ServedResource[];
  /** What the destination serves; undefined where only the source is of interest. */
  readonly servedThere?: readonly ServedResource[];
  readonly selection?: Selection;
  readonly objectsMax?: number;
}

interface Seen {
  readonly item: Item;
  readonly controller: OwnerReference | undefined;
  readonly excluded: string | undefined;
  readonly notChosen: string | undefined;
}

export async function takeInventory(
  client: KubeClient,
  options: InventoryOptions,
): Promise<Inventory> {
  const types = readableTypes(options.served, options.servedThere).filter(
    ({ type }) => type.namespaced,
  );
  const skippedKinds = types.flatMap(({ type }) => {
    const why = whyKindExcluded(type.group, type.kind);
    return why === undefined ? [] : [{ type, why }];
  });
  const gathering = new Gathering(client, options);
  for (const one of types) {
    if (whyKindExcluded(one.type.group, one.type.kind) !== undefined) continue;
    for (const namespace of options.namespaces) await gathering.list(one, namespace);
  }
  return { namespaces: options.namespaces, skippedKinds, ...gathering.finish() };
}

/** One walk over all kinds. */
class Gathering {
  readonly #client: KubeClient;
  readonly #choose: Chooser;
  readonly #max: number;
  readonly #seen = new Map<string, Seen>();
  readonly #selecting = new Set<string>();
  readonly #unreadable: Unreadable[] = [];

  constructor(client: KubeClient, options: InventoryOptions) {
    this.#client = client;
    this.#choose = createChooser(options.selection ?? {});
    this.#max = options.objectsMax ?? objectsMaxDefault;
  }

  async list(readable: ReadableType, namespace: string): Promise<void> {
    const { group, plural } = readable.type;
    for (let again = 0; ; again++) {
      try {
        for await (const object of this.#client.list(readable.type, { namespace })) {
          this.#look(readable, object);
        }
        return;
      } catch (error) {
        if (isExpired(error) && again < relistsMax) continue;
        const trouble = troubleOf(error);
        if (trouble === undefined) throw error;
        if (trouble.reason !== 'NotFound') {
          this.#unreadable.push({ group, plural, namespace, ...trouble });
        }
        return;
      }
    }
  }

  #look({ type, unserved }: ReadableType, object: KubeObject): void {
    const uid = object.metadata.uid ?? '';
    // Some kinds are served in several groups.
    if (this.#seen.has(uid)) return;
    if (this.#seen.size >= this.#max) {
      fail(
        'LimitExceeded',
        `the namespaces have more than ${this.#max} objects; move fewer at once`,
      );
    }
    const name = nameOf(object);
    if (name.group === '' && name.kind === 'Service' && selectsPods(object)) {
      this.#selecting.add(`${name.namespace}/${name.name}`);
    }
    const owners = object.metadata.ownerReferences ?? [];
    this.#seen.set(uid, {
      item: {
        type,
        name,
        uid,
        labels: object.metadata.labels ?? {},
        references: referencesOf(object),
        images: imagesOf(object),
        owners,
        ...(unserved === undefined ? {} : { unserved }),
      },
      controller: owners.find((one) => one.controller === true),
      excluded: whyExcluded(type.group, object),
      notChosen: this.#choose(type, object),
    });
  }

  finish(): Pick<Inventory, 'items' | 'leftOut' | 'unreadable'> {
    const items: Item[] = [];
    const leftOut: LeftOut[] = [];
    for (const seen of this.#seen.values()) {
      const out = this.#leftOut(seen);
      if (out === undefined) items.push(seen.item);
      else leftOut.push({ name: seen.item.name, ...out });
    }
    const order = <T extends { readonly name: ObjectName }>(a: T, b: T): number =>
      compareNames(a.name, b.name);
    return {
      items: items.toSorted(order),
      leftOut: leftOut.toSorted(order),
      unreadable: this.#unreadable,
    };
  }

  #leftOut(seen: Seen): Omit<LeftOut, 'name'> | undefined {
    const { excluded, notChosen, item } = seen;
    if (excluded !== undefined) return { because: 'Derived', why: excluded };
    const { group, kind, namespace, name } = item.name;
    const isEndpoints = group === '' && kind === 'Endpoints';
    if (isEndpoints && this.#selecting.has(`${namespace}/${name}`)) {
      return { because: 'Derived', why: 'made from a service and its pods' };
    }
    const parent = this.#parent(seen);
    if (parent !== undefined) {
      return { because: 'Child', why: `it is made by ${nameText(parent.item.name)}` };
    }
    return notChosen === undefined ? undefined : { because: 'NotSelected', why: notChosen };
  }

  /**
   * The owner that makes it again at the destination. Claims are different: they are data, and stay
   * for themselves unless a pod or another claim made them for a while only.
   */
  #parent({ controller, item }: Seen): Seen | undefined {
    if (controller === undefined) return undefined;
    const parent = this.#seen.get(controller.uid);
    if (parent === undefined || item.name.kind !== 'PersistentVolumeClaim') return parent;
    const isForAWhile = ['Pod', 'PersistentVolumeClaim'].includes(parent.item.name.kind);
    return isForAWhile ? parent : undefined;
  }
}

/** What makes one kind unreadable, but says nothing about the others. */
function troubleOf(error: unknown): { reason: string; message: string } | undefined {
  if (!(error instanceof TransshipError)) return undefined;
  const { reason, message } = error;
  const known: readonly string[] = ['Forbidden', 'NotFound', 'ApiFailed', 'Unsupported'];
  return known.includes(reason) ? { reason, message } : undefined;
}

/** The objects of the items, whole, page by page; those that went meanwhile are passed over. */
export async function* readItems(
  client: KubeClient,
  items: readonly Item[],
): AsyncGenerator<{ readonly item: Item; readonly object: KubeObject }> {
  const groups = Map.groupBy(items, ({ type, name }) =>
    [type.group, type.version, type.plural, name.namespace].join(' '),
  );
  for (const group of groups.values()) {
    const [first] = group;
    if (first === undefined) continue;
    const { type, name } = first;
    const wanted = new Map(group.map((item) => [item.uid, item]));
    const selectors = type.namespaced ? { namespace: name.namespace } : {};
    for (let again = 0; wanted.size > 0; again++) {
      try {
        for await (const object of client.list(type, selectors)) {
          const item = wanted.get(object.metadata.uid ?? '');
          if (item === undefined) continue;
          wanted.delete(item.uid);
          yield { item, object };
        }
        break;
      } catch (error) {
        if (!isExpired(error) || again >= relistsMax) throw error;
      }
    }
  }
}

/** Owners of items that are not in the inventory: bonds that a copy loses, or other namespaces. */
export function ownersOutside(inventory: Inventory): readonly {
  readonly name: ObjectName;
  readonly owner: ObjectName;
}[] {
  const inside = new Set(inventory.items.map(({ uid }) => uid));
  return inventory.items.flatMap(({ name, owners }) =>
    owners
      .filter(({ uid }) => !inside.has(uid))
      .map((owner) => ({
        name,
        owner: {
          group: groupOf(owner.apiVersion),
          kind: owner.kind,
          namespace: '',
          name: owner.name,
        },
      })),
  );
}
