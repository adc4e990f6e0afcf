/** The namespaces that move: there, told apart, with names that work, and in no other plan. */
import type { Plan } from '../../../api/kinds/plan.ts';
import { changedNamespaces, putBack } from '../frozen.ts';
import { namespaceThere } from '../observation.ts';
import type { Check } from './check.ts';

/** Fewer fit where names are put before others to form DNS labels. */
const lengthGood = 59;
const podsGood = 100;

function doubles(names: readonly string[]): string[] {
  return [...new Set(names.filter((name, i) => names.indexOf(name) !== i))];
}

/** `cluster/namespace` at both ends. */
function placesOf({ spec }: Plan): ReadonlySet<string> {
  return new Set(
    spec.namespaces.flatMap(({ name, to }) => [
      `${spec.source}/${name}`,
      `${spec.destination}/${to ?? name}`,
    ]),
  );
}

export const namespaceChecks: readonly Check[] = [
  {
    id: 'NamespacesChanged',
    category: 'Critical',
    remedy: putBack,
    find: ({ seen: { plan, migrations } }) => {
      const changed = changedNamespaces(plan, migrations);
      return changed === undefined ? [] : [changed];
    },
  },
  {
    id: 'DuplicateNamespaceAtDestination',
    category: 'Critical',
    remedy: 'Give each namespace a name of its own with `to`.',
    find: ({ seen: { plan } }) =>
      doubles(plan.spec.namespaces.map(({ name, to }) => to ?? name)).map(
        (name) => `two namespaces would become ${name}`,
      ),
  },
  {
    id: 'IntraClusterMapping',
    category: 'Critical',
    remedy: 'Within one cluster give all namespaces another name, or none to change classes.',
    find: ({ type }) =>
      type === undefined ? ['some namespaces keep their names and others do not'] : [],
  },
  {
    id: 'NamespaceNotFoundAtSource',
    category: 'Critical',
    remedy: 'Correct spec.namespaces.',
    find: ({ seen: { plan, seenSource } }) =>
      seenSource &&
      plan.spec.namespaces
        .filter(({ name }) => !seenSource.namespaces.has(name))
        .map(({ name }) => `cluster ${plan.spec.source} has no namespace ${name}`),
  },
  {
    id: 'NamespaceNotFoundAtDestination',
    category: 'Critical',
    remedy: 'Make the namespace, or set spec.createNamespaces.',
    find: ({ seen: { plan, seenDestination } }) => {
      if (plan.spec.createNamespaces !== false) return [];
      return (
        seenDestination &&
        plan.spec.namespaces
          .map(({ to, name }) => to ?? name)
          .filter((name) => !seenDestination.namespaces.has(name))
          .map((name) => `cluster ${plan.spec.destination} has no namespace ${name}`)
      );
    },
  },
  {
    id: 'NamespaceEnding',
    category: 'Error',
    remedy: 'Wait until it is gone, or see what keeps it.',
    find: ({ seen: { plan, seenDestination } }) =>
      seenDestination &&
      [...seenDestination.namespaces.values()]
        .filter(({ metadata }) => metadata.deletionTimestamp !== undefined)
        .map(({ metadata }) => `${metadata.name} of ${plan.spec.destination} is being deleted`),
  },
  {
    id: 'NamespaceLength',
    category: 'Warning',
    remedy: 'Give it a shorter name with `to`.',
    find: ({ seen: { plan } }) =>
      plan.spec.namespaces
        .map(({ name }) => namespaceThere(plan, name))
        .filter((name) => name.length > lengthGood)
        .map((name) => `${name} has more than ${lengthGood} characters; hosts made of it may fail`),
  },
  {
    id: 'PlanConflict',
    category: 'Error',
    remedy: 'Close or delete one of the plans, or move other namespaces.',
    find: ({ seen: { plan, others } }) => {
      const ours = placesOf(plan);
      return others.flatMap((other) => {
        const shared = [...placesOf(other)].filter((place) => ours.has(place));
        const { namespace, name } = other.metadata;
        return shared.length === 0
          ? []
          : [`plan ${namespace}/${name} is open and has ${shared.join(', ')} too`];
      });
    },
  },
  {
    id: 'ManyPods',
    category: 'Warning',
    remedy: 'Move fewer namespaces at once, or expect a longer cutover.',
    find: ({ seen: { seenSource } }) => {
      const pods = seenSource?.workloads.filter(({ kind }) => kind === 'Pod').length;
      if (pods === undefined) return undefined;
      return pods <= podsGood ? [] : [`there are ${pods} pods`];
    },
  },
];
