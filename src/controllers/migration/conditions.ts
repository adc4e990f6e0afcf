/** Which of the optional steps a run has: the one place that reads these choices. */
import type { Condition } from '../../flow/itinerary.ts';
import type { Run } from './run.ts';

export function isQuiesced({ plan, migration }: Pick<Run, 'plan' | 'migration'>): boolean {
  return migration.spec.quiesce ?? plan.spec.quiesce ?? true;
}

export function conditionsOf(run: Run): ReadonlySet<Condition> {
  const { plan, migration, type } = run;
  const isNamespace = type === 'Namespace';
  const chosen: Readonly<Record<Condition, boolean>> = {
    images: isNamespace && plan.spec.images !== 'Skip',
    objects: isNamespace,
    hooks: (plan.spec.hooks ?? []).length > 0,
    conversion: type === 'StorageConversion',
    keepData: migration.spec.keepData !== false,
    verify: migration.spec.verify !== false,
    quiesce: isQuiesced(run),
  };
  return new Set(Object.entries(chosen).flatMap(([name, is]) => (is ? [name as Condition] : [])));
}
