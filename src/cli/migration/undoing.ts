/** What canceling a migration would put back, said before a person agrees to it. Pure. */
import type { Migration } from '../../api/kinds/migration.ts';
import { isBegun } from '../../flow/state.ts';
import { plannedSteps, stepsOf } from './standing.ts';

/** What taking back each step means to those who run the applications. */
const meanings: Readonly<Record<string, string>> = {
  retainVolumes: 'volumes at the source get their reclaim policies back',
  makeNamespaces: 'namespaces that it made at the destination are deleted',
  copyImages: 'images that it copied are no longer kept for it',
  copyAhead: 'copies of volumes at the destination are deleted',
  pauseManagers: 'operators and GitOps at the source manage the applications again',
  stopSource: 'workloads at the source are started again',
  fenceSource: 'pods may be made at the source again',
  copyLast: 'the last copies of volumes at the destination are deleted',
  swapClaims: 'claims are bound to the volumes that they had',
  makeObjects: 'objects that it made at the destination are deleted',
  pauseDestinationManagers: 'operators and GitOps at the destination manage them again',
  stopDestination: 'workloads at the destination are started again',
  fenceDestination: 'pods may be made at the destination again',
  copyBack: 'copying back ends; what it made at the source is deleted',
  swapClaimsBack: 'claims are bound to the volumes that they had before the rollback',
  liftSourceFence: 'the source is closed for pods again',
};

/** Lines for a question; the last begun is taken back first. */
export function undoingOf(migration: Migration): readonly string[] {
  const { metadata, spec } = migration;
  const steps = stepsOf(migration);
  const begun = steps.filter((one) => isBegun(one)).map(({ name }) => name);
  const known = plannedSteps(spec.type);
  const undone = begun.filter(
    (name) => name in meanings || known.some((step) => step.name === name && step.undo === true),
  );
  const head = `This cancels ${metadata.name} (${spec.type} of plan ${spec.plan}) for ever.`;
  if (undone.length === 0) return [head, 'It has changed nothing yet that has to be put back.'];
  return [
    head,
    'Put back, in this order:',
    ...undone.toReversed().map((name) => `  ${name}: ${meanings[name] ?? 'is taken back'}`),
  ];
}
