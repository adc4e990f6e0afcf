/** The pods that will be made: healthy now, allowed there, and with nodes that take them. */
import type { KubeObject } from '../../../kube/objects.ts';
import type { Node } from '../../../kube/resources.ts';
import { type Fields, fieldsAt, fieldsListAt, textAt, valueAt } from '../../../workload/fields.ts';
import { nameOf, nameText } from '../../../workload/names.ts';
import { podSpecPaths } from '../../../workload/pod-specs.ts';
import { namespaceThere, type SeenDestination } from '../observation.ts';
import { securityProblem } from './pod-security.ts';
import type { Check, Judged } from './check.ts';

interface PodSpec {
  readonly owner: KubeObject;
  readonly spec: unknown;
}

/** Specs of what makes pods; pods that others make are seen through them. */
function podSpecs({ seen }: Judged): readonly PodSpec[] | undefined {
  return seen.seenSource?.workloads
    .filter(({ metadata }) => !metadata.ownerReferences?.some((one) => one.controller === true))
    .flatMap((owner) => podSpecPaths(owner).map((path) => ({ owner, spec: valueAt(owner, path) })));
}

/** One sentence about each, where it has something to say. */
function about(
  judged: Judged,
  of: (pod: PodSpec, destination: SeenDestination) => string | undefined,
): readonly string[] | undefined {
  if (judged.type === 'State' || judged.type === 'StorageConversion') return [];
  const { seenDestination: destination } = judged.seen;
  if (destination === undefined) return undefined;
  return podSpecs(judged)?.flatMap((pod) => {
    const found = of(pod, destination);
    return found === undefined ? [] : [`${nameText(nameOf(pod.owner))} ${found}`];
  });
}

const selectorOf = (spec: unknown): Fields => fieldsAt(spec, 'nodeSelector');

function tolerates(spec: unknown, node: Node): boolean {
  const taints = (node.spec?.taints ?? []).filter(({ effect }) => effect !== 'PreferNoSchedule');
  const tolerations = fieldsListAt(spec, 'tolerations');
  return taints.every(({ key, value = '', effect }) =>
    tolerations.some((one) => {
      const [theirs, given] = [textAt(one, 'key'), textAt(one, 'effect')];
      if (given !== undefined && given !== effect) return false;
      if (theirs === undefined) return one['operator'] === 'Exists';
      return theirs === key && (one['operator'] === 'Exists' || (one['value'] ?? '') === value);
    }),
  );
}

function hasPlace({ spec }: PodSpec, nodes: readonly Node[]): boolean {
  const wanted = Object.entries(selectorOf(spec));
  return nodes.some((node) => {
    if (node.spec?.unschedulable === true) return false;
    const labels = node.metadata.labels ?? {};
    return wanted.every(([name, value]) => labels[name] === value) && tolerates(spec, node);
  });
}

export const podChecks: readonly Check[] = [
  {
    id: 'SourcePodsNotHealthy',
    category: 'Warning',
    remedy: 'Put them right first: what is broken here will be broken there.',
    find: ({ seen: { seenSource } }) =>
      seenSource?.unhealthy.map(({ name, because }) => `${nameText(name)}: ${because}`),
  },
  {
    id: 'NodeSelectors',
    category: 'Warning',
    remedy: 'See that nodes of the destination have these labels.',
    find: (judged) =>
      about(judged, ({ spec }) => {
        const names = Object.keys(selectorOf(spec));
        return names.length === 0 ? undefined : `asks for nodes with ${names.join(', ')}`;
      }),
  },
  {
    id: 'NotSchedulable',
    category: 'Error',
    remedy: 'Label or untaint nodes of the destination, or change the pods with spec.patches.',
    find: (judged) =>
      about(judged, (pod, { nodes }) =>
        nodes === undefined || nodes.length === 0 || hasPlace(pod, nodes)
          ? undefined
          : 'finds no node at the destination that it may run on',
      ),
  },
  {
    id: 'PodSecurity',
    category: 'Error',
    remedy: 'Change the label pod-security.kubernetes.io/enforce there, or patch the pods.',
    find: (judged) =>
      about(judged, ({ owner, spec }, { namespaces }) => {
        const there = namespaceThere(judged.seen.plan, owner.metadata.namespace ?? '');
        const labels = namespaces.get(there)?.metadata.labels;
        const level = labels?.['pod-security.kubernetes.io/enforce'];
        const problem = securityProblem(spec, level);
        return problem && `${problem}, which namespace ${there} (${level}) does not admit`;
      }),
  },
];
