/** The objects of a plan exactly as they will be made at the destination, before they are. */
import type { Plan } from '../../api/kinds/plan.ts';
import { fail } from '../../base/errors.ts';
import { exitCodes } from '../../base/reasons.ts';
import type { KubeClient } from '../../kube/api.ts';
import { createDiscovery } from '../../kube/discovery.ts';
import type { Note, PatchRule, TransformContext } from '../../workload/transform-context.ts';
import type { Selection } from '../../workload/selection.ts';
import {
  type Prepared,
  prepareObjects,
  servesKind,
  surveyNamespaces,
} from '../../workload/workload.ts';
import { apiOfSide, checkKnown, clustersOf } from '../api/departure.ts';
import type { Cli } from '../context.ts';
import { cellText } from '../table.ts';
import { nameThere } from './plan-spec.ts';

/**
 * A YAML stream on stdout, in the order in which objects are made; what was stripped, mapped or
 * refused as comments on stderr. `ApiUnreachable` when a side cannot be asked from here.
 */
export async function printManifests(cli: Cli, hub: KubeClient, plan: Plan): Promise<number> {
  const { spec } = plan;
  const source = await clientOf(cli, hub, spec.source);
  const destination = await clientOf(cli, hub, spec.destination);
  const survey = await surveyNamespaces(source, {
    namespaces: spec.namespaces.map(({ name }) => name),
    destination,
    namesThere: namesThere(plan),
    ...(spec.resources === undefined ? {} : { selection: spec.resources as Selection }),
  });
  const { items, unreadable } = survey.inventory;
  for (const { plural, group, namespace, message } of unreadable) {
    cli.note(`# ${plural}.${group} in ${namespace} could not be read: ${cellText(message)}`);
  }
  const served = await createDiscovery(destination).resources();
  const context = { ...contextOf(plan), serves: servesKind(served) };
  const yaml = await import('yaml');
  let count = 0;
  for await (const prepared of prepareObjects(source, items, context)) {
    sayNotes(cli, prepared);
    if (prepared.object === undefined) continue;
    count += 1;
    const isJson = cli.options.output === 'json';
    // JSON: one object a line, as the stream has no end that a list would need.
    if (isJson) cli.out(`${JSON.stringify(prepared.object)}\n`);
    else cli.out(`---\n${yaml.stringify(prepared.object)}`);
  }
  cli.note(`# ${count} of ${items.length} objects will be made`);
  return exitCodes.done;
}

async function clientOf(cli: Cli, hub: KubeClient, name: string): Promise<KubeClient> {
  const cluster = checkKnown(hub.cluster, await clustersOf(hub), name);
  const client = await apiOfSide(cli, hub, cluster);
  if (client !== undefined) return client;
  return fail('ApiUnreachable', `the API of cluster ${name} cannot be asked from here`);
}

function namesThere({ spec }: Plan): Readonly<Record<string, string>> {
  return Object.fromEntries(spec.namespaces.map((one) => [one.name, nameThere(one)]));
}

function sayNotes(cli: Cli, { item, notes }: Prepared): void {
  const { kind, namespace, name } = item.name;
  for (const note of notes) cli.note(`# ${kind} ${namespace}/${name}: ${noteText(note)}`);
}

function noteText({ kind, field, message, remedy }: Note): string {
  const where = field === '' ? '' : ` ${field}`;
  const help = remedy === '' ? '' : ` (${remedy})`;
  return cellText(`${kind}${where}: ${message}${help}`);
}

type Named = readonly { readonly from: string; readonly to: string }[];

const table = (pairs: Named = []) => Object.fromEntries(pairs.map(({ from, to }) => [from, to]));

/** What the transformation is told about this plan. */
export function contextOf(plan: Plan): TransformContext {
  const { spec, metadata } = plan;
  const { mappings = {}, volumes = [], patches = [] } = spec;
  const claims = volumes.map((one) => {
    const { namespace, claim, name, storageClass, accessModes, volumeMode } = one;
    const change = {
      ...(name === undefined ? {} : { name }),
      ...(storageClass === undefined ? {} : { storageClass }),
      ...(accessModes === undefined ? {} : { accessModes }),
      ...(volumeMode === undefined ? {} : { volumeMode }),
    };
    return [`${namespace}/${claim}`, change] as const;
  });
  return {
    id: metadata.uid ?? metadata.name ?? '',
    namespaces: namesThere(plan),
    storageClasses: table(mappings.storageClasses),
    ingressClasses: table(mappings.ingressClasses),
    priorityClasses: table(mappings.priorityClasses),
    hosts: table(mappings.hosts),
    images: [...(mappings.images ?? [])],
    claims: Object.fromEntries(claims),
    rules: patches.map(ruleOf),
    serviceNames: spec.serviceNames === true,
  };
}

function ruleOf(patch: NonNullable<Plan['spec']['patches']>[number]): PatchRule {
  const { group, kind, namespace, name, labelSelector } = patch;
  return {
    kind,
    ...(group === undefined ? {} : { group }),
    ...(namespace === undefined ? {} : { namespace }),
    ...(name === undefined ? {} : { name }),
    ...(labelSelector === undefined ? {} : { labels: labelSelector }),
    patch: operationsOf(patch.patch, kind),
  };
}

function operationsOf(text: string, kind: string): PatchRule['patch'] {
  try {
    const operations: unknown = JSON.parse(text);
    if (Array.isArray(operations)) return operations as PatchRule['patch'];
  } catch (error) {
    fail('BadArgument', `the patch for ${kind} is no JSON: ${(error as Error).message}`, error);
  }
  return fail('BadArgument', `the patch for ${kind} is no list of operations`);
}
