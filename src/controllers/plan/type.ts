/** What a plan moves, found out from what it names. */
import type { Plan } from '../../api/kinds/plan.ts';

export type PlanType = NonNullable<Plan['spec']['type']>;

/** Undefined: some namespaces of one cluster keep their names and others do not. */
export function inferType({ spec }: Plan): PlanType | undefined {
  if (spec.type !== undefined) return spec.type;
  if (spec.source !== spec.destination) {
    const renames = (spec.volumes ?? []).some(({ claim, name }) => (name ?? claim) !== claim);
    return renames ? 'State' : 'Namespace';
  }
  const mapped = spec.namespaces.filter(({ name, to }) => (to ?? name) !== name).length;
  if (mapped === 0) return 'StorageConversion';
  return mapped === spec.namespaces.length ? 'State' : undefined;
}
