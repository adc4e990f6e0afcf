/**
 * What plans and migrations ask of this folder: what is there and what it needs, and what will be
 * made of it at the destination, in the order in which it is made.
 */
import type { KubeClient } from '../kube/api.ts';
import { createDiscovery, type ServedResource } from '../kube/discovery.ts';
import type { KubeObject } from '../kube/objects.ts';
import { namespaces } from '../kube/resources.ts';
import { fail } from '../base/errors.ts';
import { findWebhooks, type WebhooksFound } from './webhooks.ts';
import { type Inventory, type Item, ownersOutside, readItems, takeInventory } from './inventory.ts';
import { judgeHealth } from './health.ts';
import { nameOf, type ObjectName } from './names.ts';
import { planQuiesce, type QuiescePlan } from './quiesce.ts';
import { stopWriters } from './quiesce-run.ts';
import type { RecordStore } from './record-store.ts';
import { asBefore, type UndoRecord } from './undo.ts';
import { readQuiesceView } from './quiesce-view.ts';
import { findNeeds, type Needs } from './needs.ts';
import { orderForApply, orderForDelete } from './order.ts';
import type { Selection } from './selection.ts';
import { createTransform } from './transform.ts';
import type { Note, TransformContext } from './transform-context.ts';

/** Objects held at once while they are prepared. */
const chunkItems = 500;
/** Fewer are read one by one, more with a list of their kind. */
const listFrom = 10;

export interface SurveyOptions {
  readonly namespaces: readonly string[];
  readonly selection?: Selection;
  /** Versions are chosen so that it can take them. */
  readonly destination?: KubeClient;
  /** Names of the namespaces there, where they differ: webhooks select by them. */
  readonly namesThere?: Readonly<Record<string, string>>;
  readonly objectsMax?: number;
}

export interface Survey {
  readonly inventory: Inventory;
  readonly needs: Needs;
  /** Of the destination: they will see the objects being made. Of the source without one. */
  readonly webhooks: WebhooksFound;
  /** Owners that stay behind. */
  readonly ownersOutside: ReturnType<typeof ownersOutside>;
}

export async function surveyNamespaces(
  source: KubeClient,
  { destination, namesThere = {}, ...options }: SurveyOptions,
): Promise<Survey> {
  const labels = await labelsOfNamespaces(source, options.namespaces, namesThere);
  const served = await createDiscovery(source).resources();
  const servedThere =
    destination === undefined ? undefined : await createDiscovery(destination).resources();
  const inventory = await takeInventory(source, {
    ...options,
    served,
    ...(servedThere === undefined ? {} : { servedThere }),
  });
  return {
    inventory,
    needs: await findNeeds(source, inventory),
    webhooks: await findWebhooks(
      destination ?? source,
      inventory.items,
      (namespace) => labels.get(namespace) ?? {},
    ),
    ownersOutside: ownersOutside(inventory),
  };
}

/** As they will be at the destination. `NotFound` for a namespace that is not there. */
async function labelsOfNamespaces(
  source: KubeClient,
  names: readonly string[],
  namesThere: Readonly<Record<string, string>>,
): Promise<ReadonlyMap<string, Readonly<Record<string, string>>>> {
  const labels = new Map<string, Readonly<Record<string, string>>>();
  for (const name of names) {
    const found = await source.get(namespaces, { namespace: '', name });
    if (found === undefined) {
      return fail('NotFound', `cluster ${source.cluster} has no namespace ${name}`);
    }
    const there = Object.hasOwn(namesThere, name) ? namesThere[name] : name;
    labels.set(name, {
      ...found.metadata.labels,
      'kubernetes.io/metadata.name': there ?? name,
    });
  }
  return labels;
}

/** Whether a destination serves a kind, for a `TransformContext`. */
export function servesKind(
  served: readonly ServedResource[],
): (apiVersion: string, kind: string) => boolean {
  const known = new Set(
    served.map(({ group, version, kind }) => {
      return `${group === '' ? version : `${group}/${version}`} ${kind}`;
    }),
  );
  return (apiVersion, kind) => known.has(`${apiVersion} ${kind}`);
}

export interface Prepared {
  readonly item: Item;
  /** Undefined: it is not made; the notes say why. */
  readonly object: KubeObject | undefined;
  readonly notes: readonly Note[];
}

/**
 * Every object as it will be made, in the order in which it is made. `stopped` are the records of a
 * source that was quiesced meanwhile: copies are of what was there before.
 */
export async function* prepareObjects(
  source: KubeClient,
  items: readonly Item[],
  context: TransformContext,
  stopped: readonly UndoRecord[] = [],
): AsyncGenerator<Prepared> {
  const deleted = new Map(stopped.map(({ uid, object }) => [uid, object]));
  const transform = createTransform(context);
  for (const chunk of chunksOf(orderForApply(items).order)) {
    const found = await readChunk(source, chunk);
    for (const item of chunk) {
      // A pod that we deleted may still be ending.
      const object = deleted.get(item.uid) ?? found.get(item.uid);
      if (object === undefined) {
        const message = 'it has disappeared since the inventory was taken';
        const note: Note = { kind: 'Lost', field: '', message, remedy: '' };
        yield { item, object: undefined, notes: [note] };
      } else if (item.unserved === undefined) {
        yield { item, ...transform(asBefore(object, stopped)) };
      } else {
        const note: Note = { kind: 'Refused', field: 'apiVersion', ...item.unserved };
        yield { item, object: undefined, notes: [note] };
      }
    }
  }
}

/** Neighbours of one kind and namespace, bounded. */
function chunksOf(order: readonly Item[]): Item[][] {
  const chunks: Item[][] = [];
  let last: Item | undefined;
  for (const item of order) {
    const chunk = chunks.at(-1);
    const isSame = last?.type === item.type && last.name.namespace === item.name.namespace;
    if (chunk !== undefined && isSame && chunk.length < chunkItems) chunk.push(item);
    else chunks.push([item]);
    last = item;
  }
  return chunks;
}

async function readChunk(
  source: KubeClient,
  chunk: readonly Item[],
): Promise<ReadonlyMap<string, KubeObject>> {
  const found = new Map<string, KubeObject>();
  if (chunk.length >= listFrom) {
    for await (const { item, object } of readItems(source, chunk)) found.set(item.uid, object);
    return found;
  }
  for (const { type, name, uid } of chunk) {
    const object = await source.get(type, name);
    if (object?.metadata.uid === uid) found.set(uid, object);
  }
  return found;
}

export interface StopOptions {
  readonly namespaces: readonly string[];
  /** `namespace/claim`; undefined: everything that runs is stopped. */
  readonly claims?: ReadonlySet<string>;
}

/** What would be stopped, and who stands in the way; changes nothing. */
export async function planStop(client: KubeClient, options: StopOptions): Promise<QuiescePlan> {
  const view = await readQuiesceView(client, options.namespaces);
  return planQuiesce(view, options);
}

/** Stops all that runs now; again after an interruption, or when something was started anew. */
export async function stopNamespaces(
  client: KubeClient,
  options: StopOptions,
  store: RecordStore<UndoRecord>,
): Promise<QuiescePlan & { readonly changed: readonly ObjectName[] }> {
  const plan = await planStop(client, options);
  return { ...plan, ...(await stopWriters(client, plan.records, store)) };
}

/** One sentence about each workload of a namespace that is not healthy. */
export async function findUnhealthy(
  client: KubeClient,
  namespace: string,
): Promise<readonly { readonly name: ObjectName; readonly because: string }[]> {
  const { workloads } = await readQuiesceView(client, [namespace]);
  const objects = workloads.map(({ object }) => object);
  const all = objects.filter(({ kind, apiVersion }) => kind === 'Pod' && apiVersion === 'v1');
  return objects.flatMap((object) => {
    const isMade = object.metadata.ownerReferences?.some(({ controller }) => controller === true);
    const health = isMade === true ? { healthy: true as const } : judgeHealth(object, all);
    return health.healthy ? [] : [{ name: nameOf(object), because: health.because }];
  });
}

/** What a rollback takes away, the last made first. */
export function namesToDelete(items: readonly Item[]): readonly ObjectName[] {
  return orderForDelete(items).map(({ name }) => name);
}
