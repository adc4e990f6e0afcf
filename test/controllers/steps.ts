// Two clusters in memory with a namespace in one, a hub, and somebody who does for workloads what
// controllers and nodes do; steps of migrations run against them one by one.
import { crdOf } from '../../src/api/kinds/crd.ts';
import { volumeTransferKind } from '../../src/api/kinds/volume-transfer.ts';
import type { Context } from '../../src/controllers/context.ts';
import type { Run } from '../../src/controllers/migration/run.ts';
import { createSchemaLibrary } from '../../src/embedded/schema/library.ts';
import type { Step } from '../../src/flow/flow.ts';
import type { KubeClient } from '../../src/kube/api.ts';
import { createDiscovery } from '../../src/kube/discovery.ts';
import {
  keyOf,
  type KubeObject,
  type ObjectKey,
  type ResourceType,
} from '../../src/kube/objects.ts';
import { customResourceDefinitions } from '../../src/kube/resources.ts';
import { daemonSets, deployments, pods, statefulSets } from '../../src/kube/workloads.ts';
import { fieldsListAt, isFields, textAt, valueAt, withoutAt } from '../../src/workload/fields.ts';
import { startServer } from '../workload/shop.ts';

const library = createSchemaLibrary();
export const planUid = '6f1f4a0e-0000-4000-8000-000000000001';

export interface Scene {
  readonly source: KubeClient;
  readonly destination: KubeClient;
  readonly hub: KubeClient;
}

let hubs = 0;

export async function startHub(): Promise<KubeClient> {
  const hub = startServer(library, `hub-${++hubs}`);
  const { metadata, spec } = crdOf(volumeTransferKind);
  await hub.create(customResourceDefinitions, { metadata, spec } as never);
  return hub;
}

export function startSide(name: string): KubeClient {
  return startServer(library, name);
}

export interface RunShape {
  readonly plan?: object;
  readonly planStatus?: object;
  readonly migration?: object;
  readonly migrationStatus?: object;
  readonly type?: Run['type'];
  readonly uid?: string;
  /** Those of the plan, the newest first. */
  readonly migrations?: readonly object[];
}

/** The sentences that the run warned with, in the order they came. */
export function makeRun(scene: Scene, shape: RunShape = {}): Run & { readonly warnings: string[] } {
  const warnings: string[] = [];
  const isOne = scene.source === scene.destination;
  const spec = {
    source: 'east',
    destination: isOne ? 'east' : 'west',
    namespaces: [{ name: 'shop' }],
    ...shape.plan,
  };
  const clusters = { get: () => undefined };
  const migrations = { byIndex: () => [...(shape.migrations ?? [])] };
  const context = { client: scene.hub, informers: { clusters, migrations } };
  return {
    context: context as unknown as Context,
    plan: {
      metadata: { namespace: 'moves', name: 'shop', uid: planUid },
      spec,
      status: shape.planStatus,
    } as unknown as Run['plan'],
    migration: {
      metadata: { namespace: 'moves', name: 'go', uid: shape.uid ?? 'migration-1' },
      spec: { plan: 'shop', type: 'Cutover', ...shape.migration },
      status: shape.migrationStatus,
    } as unknown as Run['migration'],
    source: { name: 'east', client: scene.source } as Run['source'],
    destination: { name: isOne ? 'east' : 'west', client: scene.destination } as Run['destination'],
    type: shape.type ?? 'Namespace',
    warnings,
    warn: (sentence) => void (warnings.includes(sentence) || warnings.push(sentence)),
  };
}

const roundsMax = 20;

/** Until the step is done; between its parts the workloads follow what is asked of them. */
export async function bring(step: Step<Run>, run: Run, settle = settleAll): Promise<void> {
  if (step.isNeeded !== undefined && !(await step.isNeeded(run))) return;
  let last = '';
  for (let round = 0; round < roundsMax; round++) {
    const seen = await step.observe(run);
    if (seen.kind === 'done') return;
    last = JSON.stringify(seen);
    if (seen.kind === 'failed') break;
    if (seen.kind === 'notStarted') await step.ensure(run);
    await settle(run);
  }
  throw new Error(`${step.name} is not done: ${last}`);
}

export async function takeBack(step: Step<Run>, run: Run): Promise<void> {
  for (let round = 0; round < roundsMax; round++) {
    const undone = await step.undo?.(run);
    if (undone === undefined || undone.kind === 'done') return;
    await settleAll(run);
  }
  throw new Error(`${step.name} is not taken back`);
}

export function named(steps: readonly Step<Run>[], name: string): Step<Run> {
  const found = steps.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no step ${name}`);
  return found;
}

export async function settleAll({ source, destination }: Run): Promise<void> {
  for (const client of new Set([source.client, destination.client])) await settle(client);
}

const makers: readonly ResourceType[] = [deployments, statefulSets, daemonSets];

/** Pods come and go as workloads ask, and are ready at once. */
export async function settle(client: KubeClient): Promise<void> {
  const wanted = new Set<string>();
  for (const type of makers) {
    for await (const one of client.list(type)) {
      if (one.metadata.deletionTimestamp !== undefined) continue;
      const count = countOf(type, one);
      for (let i = 0; i < count; i++) wanted.add(await ensurePod(client, one, i));
      const told = type === daemonSets ? daemonStatus(count) : setStatus(count);
      const { generation = 1 } = one.metadata;
      await client.patchStatus(type, keyOf(one), {
        status: { ...told, observedGeneration: generation },
      });
    }
  }
  for await (const pod of client.list<KubeObject>(pods)) {
    const isEnding = pod.metadata.deletionTimestamp !== undefined;
    const isMade = pod.metadata.ownerReferences?.some(({ controller }) => controller === true);
    const isSurplus = isMade === true && !wanted.has(pod.metadata.uid ?? '');
    if (isEnding || isSurplus) await client.delete(pods, keyOf(pod), { graceSeconds: 0 });
    else if (textAt(pod, 'status', 'phase') === 'Pending') await run(client, keyOf(pod));
  }
}

function countOf(type: ResourceType, object: KubeObject): number {
  if (type !== daemonSets) return Number(valueAt(object, ['spec', 'replicas']) ?? 1);
  const selector = valueAt(object, ['spec', 'template', 'spec', 'nodeSelector']);
  return isFields(selector) && 'transship.dev/stopped' in selector ? 0 : 1;
}

const setStatus = (count: number): object => ({
  replicas: count,
  readyReplicas: count,
  availableReplicas: count,
  updatedReplicas: count,
});

const daemonStatus = (count: number): object => ({
  currentNumberScheduled: count,
  desiredNumberScheduled: count,
  numberMisscheduled: 0,
  numberReady: count,
});

async function ensurePod(client: KubeClient, maker: KubeObject, at: number): Promise<string> {
  const { namespace = '', name = '', uid = '' } = maker.metadata;
  const key = { namespace, name: `${name}-${at}` };
  const there = await client.get(pods, key);
  if (there !== undefined) return there.metadata.uid ?? '';
  const template = valueAt(maker, ['spec', 'template']) as KubeObject & { spec: object };
  const volumes = fieldsListAt(maker, 'spec', 'volumeClaimTemplates').map((one) => {
    const claim = textAt(one, 'metadata', 'name') ?? '';
    const claimName = `${claim}-${key.name}`;
    return { name: claim, persistentVolumeClaim: { claimName } };
  });
  const own = fieldsListAt(template, 'spec', 'volumes');
  const { apiVersion, kind } = maker;
  const owner = { apiVersion, kind, name, uid, controller: true };
  const made = await client.create(pods, {
    spec: { ...template.spec, volumes: [...own, ...volumes] },
    metadata: { ...key, labels: template.metadata.labels, ownerReferences: [owner] },
  } as never);
  await run(client, key);
  return made.metadata.uid ?? '';
}

async function run(client: KubeClient, key: ObjectKey): Promise<void> {
  const conditions = [{ type: 'Ready', status: 'True' }];
  await client.patchStatus(pods, key, { status: { phase: 'Running', conditions } });
}

/** What people would see: everything in a namespace but what servers write. */
export async function picture(client: KubeClient, namespace: string): Promise<string[]> {
  const found: string[] = [];
  const served = await createDiscovery(client).resources();
  const aside = ['Event', 'Pod', 'Lease', 'ReplicaSet'];
  for (const type of served) {
    if (!type.namespaced || !type.verbs.includes('list') || aside.includes(type.kind)) continue;
    for await (const one of client.list<KubeObject>(type, { namespace })) {
      found.push(`${type.kind} ${one.metadata.name} ${JSON.stringify(plain(one))}`);
    }
  }
  return found.toSorted();
}

function plain(object: KubeObject): unknown {
  let rest: unknown = withoutAt(object, ['status']);
  for (const name of ['resourceVersion', 'generation', 'managedFields', 'uid']) {
    rest = withoutAt(rest, ['metadata', name]);
  }
  return withoutAt(rest, ['metadata', 'creationTimestamp']);
}

/** A client whose process dies at its n-th write, after or before that was carried out. */
export function dyingAt(client: KubeClient, life: Life): KubeClient {
  const verbs: readonly unknown[] = ['patch', 'delete', 'create', 'apply', 'replace'];
  return new Proxy(client, {
    get: (target, verb) => {
      const call = Reflect.get(target, verb) as unknown;
      if (typeof call !== 'function') return call;
      return (...given: unknown[]): unknown => {
        const act = (): unknown => Reflect.apply(call, target, given);
        if (life.isOver) throw new Error('killed');
        if (!verbs.includes(verb) || ++life.writes !== life.at) return act();
        life.isOver = true;
        const die = (): never => {
          throw new Error('killed');
        };
        return life.after ? Promise.resolve(act()).then(die) : Promise.reject(new Error('killed'));
      };
    },
  });
}

export interface Life {
  readonly at: number;
  readonly after: boolean;
  writes: number;
  isOver: boolean;
}
