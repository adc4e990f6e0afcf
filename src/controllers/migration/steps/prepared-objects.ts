/** The objects of a run: those of its plan, with what this very run adds to them. */
import { fail } from '../../../base/errors.ts';
import { isReason } from '../../../base/reasons.ts';
import type { KubeObject } from '../../../kube/objects.ts';
import { fieldsAt, withAt, withoutAt } from '../../../workload/fields.ts';
import { groupOf, kindText, nameOf, nameText } from '../../../workload/names.ts';
import { podSpecPaths } from '../../../workload/pod-specs.ts';
import type { Inventory } from '../../../workload/inventory.ts';
import { itemsOfStopped } from '../../../workload/stopped-items.ts';
import { preparedFor } from '../../../workload/transform-context.ts';
import type { UndoRecord } from '../../../workload/undo.ts';
import { preparedObjectsOf, surveyOf } from '../../plan/prepared.ts';
import { kindOf, loadHiddenKinds } from '../choices.ts';
import { clustersOf, namesThereIn } from '../image-list.ts';
import { moveId, namespacesAt, type Run } from '../run.ts';
import { transfersOf } from '../transfers.ts';
import { claimKey, claimsIn, claimThere } from './moving.ts';
import { shortList } from './sentences.ts';
import { stoppedStore } from './stopping.ts';

/** `Resting` runs nothing: it is made while the source can still go on. `Running` starts. */
export type Wave = 'Resting' | 'Running';

/** They bring traffic or scale: after what they act on. */
const followers: ReadonlySet<string> = new Set([
  'autoscaling/HorizontalPodAutoscaler',
  'policy/PodDisruptionBudget',
  'networking.k8s.io/Ingress',
]);

/** Kinds that come with clusters; of others nobody knows what their operators start. */
function isCustom(group: string): boolean {
  return group.includes('.') && !group.endsWith('.k8s.io');
}

export function waveOf(object: KubeObject): Wave {
  const name = nameOf(object);
  const runs = podSpecPaths(object).length > 0 || isCustom(name.group);
  return runs || followers.has(kindText(name)) ? 'Running' : 'Resting';
}

/** What is at the source, looked at once for all that a step makes. */
export interface RunSurvey {
  readonly inventory: Inventory;
  readonly stopped: readonly UndoRecord[];
  /** Claims at the destination that are there already, or shall not be. */
  readonly copied: ReadonlySet<string>;
}

/**
 * Errors as `surveyNamespaces`; and what hides kinds that were to be seen before the copies began:
 * without them less would be made than was stopped.
 */
export async function surveyRun(run: Run): Promise<RunSurvey> {
  const { plan, source, destination } = run;
  const clients = { source: source.client, destination: destination.client };
  const { inventory } = await surveyOf(plan, clients);
  const hidden = await loadHiddenKinds(run);
  const lost = inventory.unreadable.find((one) => !hidden.has(kindOf(one)));
  if (lost !== undefined) {
    const reason = isReason(lost.reason) ? lost.reason : 'ApiFailed';
    fail(reason, `cluster ${source.name} does not show all that has to be made: ${lost.message}`);
  }
  const stopped = await stoppedStore(run, 'source').load();
  const known = new Set(inventory.items.map(({ uid }) => uid));
  const pods = itemsOfStopped(stopped, plan.spec.resources).filter(({ uid }) => !known.has(uid));
  const items = [...inventory.items, ...pods];
  return { inventory: { ...inventory, items }, stopped, copied: await copiedClaims(run) };
}

/** What the plan makes, in order, and of one wave. Claims that were copied are there already. */
export async function* objectsOf(
  run: Run,
  { inventory, stopped, copied }: RunSurvey,
  wave: Wave,
): AsyncGenerator<KubeObject> {
  const from = {
    source: run.source.client,
    destination: run.destination.client,
    clusters: clustersOf(run),
    namesThere: namesThereIn(run),
    stopped,
  };
  const left: string[] = inventory.unreadable.map(({ group, plural, message }) => {
    return `${plural}${group === '' ? '' : `.${group}`}: ${message}`;
  });
  for await (const { item, object, notes } of preparedObjectsOf(run.plan, inventory, from)) {
    if (object === undefined) {
      const why = notes.find(({ kind }) => kind === 'Refused' || kind === 'Lost')?.message;
      left.push(`${nameText(item.name)}: ${why ?? 'it cannot be made there'}`);
      continue;
    }
    if (object.kind === 'PersistentVolumeClaim' && copied.has(claimKey(object))) continue;
    const fit = run.migration.spec.type === 'Rehearsal' ? rehearsed(object) : object;
    if (fit !== undefined && waveOf(fit) === wave) yield fit;
  }
  if (left.length > 0) run.warn(`Not made at the destination: ${shortList(left)}.`);
}

/** Claims at the destination that transfers make, or that the plan skips. */
async function copiedClaims(run: Run): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (const { spec } of await transfersOf(run)) {
    found.add(`${spec.destination.namespace}/${spec.destination.claim}`);
  }
  for (const { namespace, claim, action } of run.plan.spec.volumes ?? []) {
    if (action === 'Skip') found.add(claimThere(run, namespace, claim));
  }
  const there = claimsIn(run.destination.client, namespacesAt(run, 'destination'));
  for await (const claim of there) {
    if (claim.metadata.annotations?.[preparedFor] === moveId(run)) found.add(claimKey(claim));
  }
  return found;
}

const outward: ReadonlySet<string> = new Set([
  'networking.k8s.io/Ingress',
  'route.openshift.io/Route',
  'gateway.networking.k8s.io/HTTPRoute',
  'gateway.networking.k8s.io/TLSRoute',
  'gateway.networking.k8s.io/TCPRoute',
  'gateway.networking.k8s.io/GRPCRoute',
  'gateway.networking.k8s.io/Gateway',
]);

/** Nothing of a rehearsal may be seen outside or act by the clock. Undefined: it is left out. */
export function rehearsed(object: KubeObject): KubeObject | undefined {
  const kind = kindText({ group: groupOf(object.apiVersion), kind: object.kind });
  if (outward.has(kind)) return undefined;
  if (kind === 'batch/CronJob') return withAt(object, ['spec', 'suspend'], true);
  const type = fieldsAt(object, 'spec')['type'];
  if (kind !== 'Service' || (type !== 'LoadBalancer' && type !== 'NodePort')) return object;
  return insideOnly(object);
}

/** Fields that only services with a way in may have. */
const waysIn = [
  'loadBalancerIP',
  'loadBalancerClass',
  'loadBalancerSourceRanges',
  'externalTrafficPolicy',
  'allocateLoadBalancerNodePorts',
  'healthCheckNodePort',
  'externalIPs',
];

function insideOnly(service: KubeObject): KubeObject {
  let inside = withAt(service, ['spec', 'type'], 'ClusterIP');
  for (const name of waysIn) inside = withoutAt(inside, ['spec', name]);
  return withoutAt(inside, ['spec', 'ports', '*', 'nodePort']);
}
