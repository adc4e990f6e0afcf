/** What a plan takes and what it makes: the one way for those who judge, show and apply it. */
import type { Plan } from '../../api/kinds/plan.ts';
import type { KubeClient } from '../../kube/api.ts';
import { createDiscovery } from '../../kube/discovery.ts';
import type { Inventory } from '../../workload/inventory.ts';
import type { UndoRecord } from '../../workload/undo.ts';
import {
  type Prepared,
  prepareObjects,
  servesKind,
  type Survey,
  surveyNamespaces,
} from '../../workload/workload.ts';
import type { NamesThere, PlanClusters } from './image-rules.ts';
import { namesThereOf, transformContextOf } from './transform.ts';

export interface PlanClients {
  readonly source: KubeClient;
  /** Undefined: its API cannot be asked now. */
  readonly destination: KubeClient | undefined;
}

/** What is at the source of the plan, and what it needs. Errors as `surveyNamespaces`. */
export async function surveyOf(plan: Plan, { source, destination }: PlanClients): Promise<Survey> {
  const { spec } = plan;
  return surveyNamespaces(source, {
    namespaces: spec.namespaces.map(({ name }) => name),
    namesThere: namesThereOf(plan),
    ...(spec.resources === undefined ? {} : { selection: spec.resources }),
    ...(destination === undefined ? {} : { destination }),
  });
}

export interface PreparedFrom {
  readonly source: KubeClient;
  readonly destination: KubeClient;
  /** Whose registries have the images. */
  readonly clusters: PlanClusters;
  /** Where namespaces have other names than the plan gives them, as in a rehearsal. */
  readonly namesThere?: NamesThere;
  /** Of a source that was quiesced since the inventory was taken. */
  readonly stopped?: readonly UndoRecord[];
}

/**
 * The objects of an inventory exactly as this plan makes them at the destination, in the order in
 * which they are made. `BadArgument` for a spec whose patches or rules are none.
 */
export async function* preparedObjectsOf(
  plan: Plan,
  { items }: Inventory,
  { source, destination, clusters, namesThere, stopped }: PreparedFrom,
): AsyncGenerator<Prepared> {
  const served = await createDiscovery(destination).resources();
  const context = {
    ...transformContextOf(plan, clusters, namesThere),
    serves: servesKind(served),
  };
  yield* prepareObjects(source, items, context, stopped);
}
