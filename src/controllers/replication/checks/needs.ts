/** What the destination lacks and can be given: namespaces, kinds, images, policies. Pure. */
import { namespaceThere } from '../../plan/observation.ts';
import type { MissingDefinition, ReplicationSeen } from '../seen.ts';
import { type Check, nothing, pairs } from './check.ts';

export function missingNamespaces({ plan }: ReplicationSeen): readonly string[] {
  const there = plan.seenDestination?.namespaces;
  if (there === undefined) return [];
  return plan.plan.spec.namespaces
    .map(({ name }) => namespaceThere(plan.plan, name))
    .filter((name) => !there.has(name));
}

/** One that a program of the source converts cannot be used without that program. */
export function isCopyable({ definition }: MissingDefinition): boolean {
  const conversion = (definition?.spec as { conversion?: { strategy?: string } } | undefined)
    ?.conversion;
  return definition !== undefined && (conversion?.strategy ?? 'None') === 'None';
}

const kinds: Check = {
  name: 'KindsNotServed',
  remedy: 'Install what serves the kinds at the destination, its operator as well.',
  find: ({ definitions }) =>
    pairs(
      definitions.map((one) => ({
        problem: `the destination does not serve ${one.name}, of which there are ${one.objects}`,
        fix: isCopyable(one)
          ? `the definition ${one.name} is copied; its operator is not`
          : undefined,
      })),
    ),
};

const images: Check = {
  name: 'ImagesAtSource',
  remedy: 'Push the images to a registry that the destination can pull from.',
  find: ({ images: wishes, replication, plan }) => {
    const [first] = wishes;
    if (first === undefined || replication.status?.agreed?.images === true) return nothing;
    // Where there is none is told by DestinationClusterNoRegistry.
    if (plan.destination.registry === undefined) return nothing;
    const count = wishes.length === 1 ? '1 image is' : `${wishes.length} images are`;
    const { source, destination } = replication.spec;
    return pairs([
      {
        problem: `${count} in the registry of ${source} only, such as ${first.source}`,
        fix: `images are copied to the registry of ${destination}`,
      },
    ]);
  },
};

export const needChecks: readonly Check[] = [
  {
    name: 'NamespaceMissing',
    remedy: 'Make the namespace at the destination.',
    find: (seen) =>
      pairs(
        missingNamespaces(seen).map((name) => ({
          problem: `cluster ${seen.replication.spec.destination} has no namespace ${name}`,
          fix: `namespace ${name} is made, with the labels of its source`,
        })),
      ),
  },
  kinds,
  images,
  {
    name: 'HistoryPolicyMissing',
    remedy: 'Make a HistoryPolicy of that name at the destination.',
    find: ({ policies }) =>
      pairs(
        policies.map(({ name, neededBy, policy }) => ({
          problem: `the destination has no history policy ${name}, named by ${neededBy}`,
          fix:
            policy === undefined
              ? undefined
              : `history policy ${name} is made as the source has it`,
        })),
      ),
  },
];
