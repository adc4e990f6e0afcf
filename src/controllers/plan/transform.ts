/** What the transformation of objects is told about a plan: for what is shown and what is made. */
import type { Plan } from '../../api/kinds/plan.ts';
import type { ClaimChange, TransformContext } from '../../workload/transform-context.ts';
import { imageRulesOf, type NamesThere, type PlanClusters, registriesOf } from './image-rules.ts';
import { patchRulesOf } from './rules.ts';

/** Names of the plan's namespaces at the destination, by those at the source. */
export function namesThereOf({ spec }: Plan): NamesThere {
  return Object.fromEntries(spec.namespaces.map(({ name, to }) => [name, to ?? name]));
}

/**
 * All that the spec says; what the destination serves is for the caller to add. `BadArgument` for
 * patches that are none.
 */
export function transformContextOf(
  plan: Plan,
  clusters: PlanClusters,
  namespaces: NamesThere = namesThereOf(plan),
): TransformContext {
  const { spec, metadata } = plan;
  const { mappings = {}, volumes = [] } = spec;
  const registries = registriesOf(clusters);
  const isCopied = spec.images !== 'Skip' && registries.destination !== undefined;
  const claims = volumes.map((one) => [`${one.namespace}/${one.claim}`, changeOf(one)] as const);
  return {
    id: metadata.uid ?? metadata.name ?? '',
    namespaces,
    storageClasses: table(mappings.storageClasses),
    ingressClasses: table(mappings.ingressClasses),
    priorityClasses: table(mappings.priorityClasses),
    hosts: table(mappings.hosts),
    images: [...imageRulesOf(plan, registries, namespaces)],
    registries: isCopied ? (registries.source?.hosts ?? []) : [],
    claims: Object.fromEntries(claims),
    rules: patchRulesOf(plan),
    serviceNames: spec.serviceNames === true,
  };
}

type Named = readonly { readonly from: string; readonly to: string }[];

const table = (pairs: Named = []) => Object.fromEntries(pairs.map(({ from, to }) => [from, to]));

function changeOf(wish: NonNullable<Plan['spec']['volumes']>[number]): ClaimChange {
  const { name, storageClass, accessModes, volumeMode } = wish;
  return {
    ...(name === undefined ? {} : { name }),
    ...(storageClass === undefined ? {} : { storageClass }),
    ...(accessModes === undefined ? {} : { accessModes }),
    ...(volumeMode === undefined ? {} : { volumeMode }),
  };
}
