/** Runs a pure controller: observes through informers, asks it, confirms where it wants, acts. */
import type { EventRecorder, KubeClient, Outcome } from '../../kube/api.ts';
import {
  type KubeObject,
  type ObjectKey,
  type ResourceType,
  keyText,
  parseKey,
} from '../../kube/objects.ts';
import { type Reconciler, createReconciler, watching } from '../../kube/reconciler.ts';
import type { Log, Metrics } from '../../base/ports.ts';
import type { Controller, Decision, View } from './controller.ts';
import { act } from './acting.ts';
import { type InformerPool, listAll, namespaceIndex, typeKey } from './informers.ts';

export interface ControllerHost {
  readonly client: KubeClient;
  readonly informers: InformerPool;
  readonly events: EventRecorder;
  readonly metrics: Metrics;
  readonly log: Log;
}

/** Keys of one controller worked on at once. */
const concurrency = 4;

export function runController(host: ControllerHost, controller: Controller): Reconciler {
  const { client, informers, metrics, log } = host;
  const view = cachedView(host);
  // Every type it reads must have been listed before it decides anything.
  const reads = controller.reads.map((type) => watching(informers.of(type), () => []));
  const sources = controller.sources.map(({ type, keysOf }) =>
    watching(informers.of(type), ({ before, now }) => {
      const keys = [before, now].flatMap((one) => (one === undefined ? [] : keysOf(one, view)));
      return new Set(keys.map(keyText));
    }),
  );
  return createReconciler({
    name: controller.name,
    client,
    sources: [...reads, ...sources],
    concurrency,
    metrics,
    log,
    reconcile: (text) => reconcile(host, controller, parseKey(text)),
  });
}

async function reconcile(
  host: ControllerHost,
  controller: Controller,
  key: ObjectKey,
): Promise<Outcome> {
  const asked = new Map<string, Asked>();
  const first = controller.decide(recording(cachedView(host), asked), key);
  const isSerious = first.actions.some((one) => one.act !== 'event');
  const sure =
    isSerious && controller.confirms !== undefined
      ? controller.decide(await confirmedView(host, controller, key, asked), key)
      : first;
  for (const action of sure.actions.values()) if (action.act === 'event') record(host, action);
  await act(host.client, sure);
  return outcomeOf(sure);
}

function outcomeOf({ againAfterMs }: Decision): Outcome {
  return againAfterMs === undefined ? {} : { againAfterMs };
}

type EventAction = Extract<Decision['actions'][number], { readonly act: 'event' }>;

function record({ events }: ControllerHost, event: EventAction): void {
  const { regarding, type, reason, note } = event;
  events.record({ regarding, type, reason, note, action: reason });
}

export function cachedView({ client, informers }: ControllerHost): View {
  return {
    nowMs: client.connection.clock.wallMs(),
    get: (type, key) => informers.of(type).get(key),
    list: (type, namespace) => {
      const informer = informers.of(type);
      return namespace === undefined || namespace === ''
        ? [...informer.list()]
        : informer.byIndex(namespaceIndex, namespace);
    },
  };
}

interface Asked {
  readonly type: ResourceType;
  readonly key: ObjectKey;
}

const askedKey = (type: ResourceType, key: ObjectKey): string => `${typeKey(type)} ${keyText(key)}`;

function recording(view: View, asked: Map<string, Asked>): View {
  return {
    nowMs: view.nowMs,
    list: (type, namespace) => view.list(type, namespace),
    get: (type, key) => {
      asked.set(askedKey(type, key), { type: type as ResourceType, key });
      return view.get(type, key);
    },
  };
}

/** What was asked for by key, and the types the controller names, as the server has them now. */
async function confirmedView(
  host: ControllerHost,
  controller: Controller,
  key: ObjectKey,
  asked: ReadonlyMap<string, Asked>,
): Promise<View> {
  const { client } = host;
  const cached = cachedView(host);
  const lists = new Map<string, readonly KubeObject[]>();
  for (const type of controller.confirms ?? []) {
    const selectors = type.namespaced ? { namespace: key.namespace } : {};
    lists.set(typeKey(type), await listAll(client, type, selectors));
  }
  const objects = new Map<string, KubeObject | undefined>();
  for (const [text, one] of asked) {
    const listed = lists.get(typeKey(one.type));
    if (listed === undefined) objects.set(text, await client.get(one.type, one.key));
  }
  return {
    nowMs: cached.nowMs,
    list: <T extends KubeObject>(type: ResourceType<T>, namespace?: string) =>
      (lists.get(typeKey(type)) as readonly T[] | undefined) ?? cached.list(type, namespace),
    get: <T extends KubeObject>(type: ResourceType<T>, one: ObjectKey) => {
      const listed = lists.get(typeKey(type)) as readonly T[] | undefined;
      if (listed !== undefined) return listed.find((object) => isAt(object, one));
      const text = askedKey(type, one);
      return objects.has(text) ? (objects.get(text) as T | undefined) : cached.get(type, one);
    },
  };
}

function isAt({ metadata }: KubeObject, key: ObjectKey): boolean {
  return metadata.name === key.name && (metadata.namespace ?? '') === key.namespace;
}
