/** What the objects need outside their namespaces, and whether the destination has it. */
import type { Need } from '../../../workload/needs.ts';
import { nameText } from '../../../workload/names.ts';
import type { SeenDestination, SeenSource } from '../observation.ts';
import type { Check, Judged } from './check.ts';

interface Both {
  readonly source: NonNullable<SeenSource['survey']>;
  readonly destination: SeenDestination;
}

/** Data alone needs no kinds and classes of objects. */
function both({ seen, type }: Judged, of: (both: Both) => readonly string[]) {
  if (type === 'State' || type === 'StorageConversion') return [];
  const source = seen.seenSource?.survey;
  const destination = seen.seenDestination;
  return source === undefined || destination === undefined
    ? undefined
    : of({ source, destination });
}

type Mapping = readonly { readonly from: string; readonly to: string }[] | undefined;

function missingOf(needs: readonly Need[], { named }: SeenDestination, mapping?: Mapping) {
  return needs.flatMap(({ name, neededBy, count }) => {
    const there = mapping?.find(({ from }) => from === name.name)?.to ?? name.name;
    if (named.has(`${name.kind} ${there}`)) return [];
    const [first] = neededBy;
    const who = first === undefined ? 'somebody' : nameText(first);
    const others = count > 1 ? ` and ${count - 1} more` : '';
    return [`there is no ${name.kind} ${there}, needed by ${who}${others}`];
  });
}

function incompatible({ source }: Both): readonly string[] {
  const { items } = source.inventory;
  const messages = items.flatMap(({ unserved }) =>
    unserved === undefined ? [] : unserved.message,
  );
  return [...new Set(messages)];
}

export const needChecks: readonly Check[] = [
  {
    id: 'KindsNotServed',
    category: 'Error',
    remedy: 'Install the definitions at the destination, or list the kinds in resources.exclude.',
    find: (judged) => both(judged, incompatible),
  },
  {
    id: 'PriorityClassMissing',
    category: 'Error',
    remedy: 'Make the class at the destination, or map it in spec.mappings.priorityClasses.',
    find: (judged) =>
      both(judged, ({ source, destination }) => {
        const mapping = judged.seen.plan.spec.mappings?.priorityClasses;
        return missingOf(source.needs.priorityClasses, destination, mapping);
      }),
  },
  {
    id: 'IngressClassMissing',
    category: 'Warning',
    remedy: 'Make the class at the destination, or map it in spec.mappings.ingressClasses.',
    find: (judged) =>
      both(judged, ({ source, destination }) => {
        const mapping = judged.seen.plan.spec.mappings?.ingressClasses;
        return missingOf(source.needs.ingressClasses, destination, mapping);
      }),
  },
  {
    id: 'RuntimeClassMissing',
    category: 'Error',
    remedy: 'Make the class at the destination.',
    find: (judged) =>
      both(judged, ({ source, destination }) =>
        missingOf(source.needs.runtimeClasses, destination),
      ),
  },
  {
    id: 'VolumeAttributesClassMissing',
    category: 'Warning',
    remedy: 'Make the class at the destination: new claims that name it wait until it is there.',
    find: (judged) =>
      both(judged, ({ source, destination }) =>
        missingOf(source.needs.attributesClasses, destination),
      ),
  },
  {
    id: 'ReferencesMissing',
    category: 'Advisory',
    remedy: 'They lead nowhere at the source either; see whether the workloads need them.',
    find: (judged) =>
      both(judged, ({ source }) =>
        source.needs.missing.map(
          ({ from, reference }) => `${nameText(from)} names ${nameText(reference.to)}`,
        ),
      ),
  },
  {
    id: 'OtherNamespaces',
    category: 'Advisory',
    remedy: 'Move them too, or see that they are at the destination.',
    find: (judged) =>
      both(judged, ({ source }) =>
        source.needs.namespaces.map(({ name, count }) => `${count} objects name ${name.name}`),
      ),
  },
  {
    id: 'WebhooksTouch',
    category: 'Warning',
    remedy: 'See that they run at the destination and accept the objects.',
    find: (judged) =>
      both(judged, ({ source }) =>
        source.webhooks.webhooks.map(({ webhook, configuration, touches, failsClosed }) => {
          const closed = failsClosed ? '; while it is down they are refused' : '';
          return `${webhook} of ${configuration} sees ${touches} of the objects${closed}`;
        }),
      ),
  },
];
