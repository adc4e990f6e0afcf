/** What has its name taken at the destination, and what the plan says about such kinds. */
import { nameText, type ObjectName } from '../../../workload/names.ts';
import type { Plan } from '../../../api/kinds/plan.ts';
import type { Observation } from '../observation.ts';
import type { Check } from './check.ts';

export type ExistingPolicy = 'Fail' | 'Keep' | 'Update';

/** The policy for a kind; the most exact of the plan's rules wins. */
export function policyFor(
  { spec }: Plan,
  { group, plural }: { readonly group: string; readonly plural: string },
): ExistingPolicy {
  const full = group === '' ? plural : `${plural}.${group}`;
  const names = [full, plural, `*.${group}`, '*'];
  const rules = spec.existing ?? [];
  for (const name of names) {
    const found = rules.find(({ resource }) => resource === name);
    if (found !== undefined) return found.policy;
  }
  return 'Fail';
}

function taken(seen: Observation, policy: ExistingPolicy): readonly string[] | undefined {
  const { plan, seenSource, seenDestination } = seen;
  const items = seenSource?.survey?.inventory.items;
  if (items === undefined || seenDestination === undefined) return undefined;
  const types = new Map(items.map(({ name, type }) => [`${name.group}/${name.kind}`, type]));
  const ruled = ({ group, kind }: ObjectName): boolean => {
    const type = types.get(`${group}/${kind}`);
    return type !== undefined && policyFor(plan, type) === policy;
  };
  return seenDestination.existing.filter(ruled).map((name) => `${nameText(name)} is there`);
}

export const existingChecks: readonly Check[] = [
  {
    id: 'ExistingObjects',
    category: 'Error',
    remedy: 'Delete them there, or say in spec.existing what to do with their kinds.',
    find: ({ seen }) => taken(seen, 'Fail'),
  },
  {
    id: 'ExistingObjectsUpdated',
    category: 'Warning',
    remedy: 'They become what the source has; a rollback brings back what was there.',
    find: ({ seen }) => taken(seen, 'Update'),
  },
  {
    id: 'ExistingObjectsKept',
    category: 'Warning',
    remedy: 'They stay as they are and may differ from the source.',
    find: ({ seen }) => taken(seen, 'Keep'),
  },
];
