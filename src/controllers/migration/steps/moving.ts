/** Which workloads and claims of a side a run is about. */
import type { KubeClient } from '../../../kube/api.ts';
import { type PersistentVolumeClaim, persistentVolumeClaims } from '../../../kube/resources.ts';
import { preparedFor } from '../../../workload/transform-context.ts';
import { annotations } from '../../labels.ts';
import { isQuiesced } from '../conditions.ts';
import { accessOf, moveId, nameThere, namespacesAt, type Run, type SideName } from '../run.ts';

/** The workloads of the source are stopped before the last copy. */
export function quiesces(run: Run): boolean {
  return run.migration.spec.type !== 'Rehearsal' && isQuiesced(run);
}

/** Objects are made at the destination. */
export function makesObjects({ type }: Run): boolean {
  return type === 'Namespace';
}

export function isConversion({ type }: Run): boolean {
  return type === 'StorageConversion';
}

/** Both sides are one place: what was stopped there is what is started again. */
export function isOnePlace(run: Run): boolean {
  return isConversion(run) && run.source.name === run.destination.name;
}

/**
 * Everything in the namespaces of the source is stopped, so that they can be fenced. Otherwise only
 * what moves, and what can write to claims that move.
 */
export function isWhole({ plan, type }: Run): boolean {
  const { include, labelSelector, exclude = [] } = plan.spec.resources ?? {};
  const isChosen = include !== undefined || labelSelector !== undefined || exclude.length > 0;
  if (type === 'Namespace') return !isChosen;
  const isPart = (plan.spec.volumes ?? []).some(({ action }) => action === 'Skip');
  return type === 'StorageConversion' && !isPart;
}

/** A name for maps: `namespace/claim`. */
export type ClaimKey = string;

export function claimKey({ metadata }: PersistentVolumeClaim): ClaimKey {
  return `${metadata.namespace ?? ''}/${metadata.name ?? ''}`;
}

/** Claims that are half overwritten, because a copy into them was begun and not finished. */
export async function tornClaims(run: Run, side: SideName): Promise<readonly ClaimKey[]> {
  const torn: ClaimKey[] = [];
  for await (const claim of claimsIn(accessOf(run, side).client, namespacesAt(run, side))) {
    if (claim.metadata.annotations?.[annotations.torn] !== undefined) torn.push(claimKey(claim));
  }
  return torn;
}

/** Claims of the source that move, whole; those that a pod made for a while are not among them. */
export async function movingClaims(run: Run): Promise<readonly PersistentVolumeClaim[]> {
  const skipped = new Set(
    (run.plan.spec.volumes ?? [])
      .filter(({ action }) => action === 'Skip')
      .map(({ namespace, claim }) => `${namespace}/${claim}`),
  );
  const found: PersistentVolumeClaim[] = [];
  for await (const claim of claimsIn(run.source.client, namespacesAt(run, 'source'))) {
    const owners = claim.metadata.ownerReferences ?? [];
    if (owners.some(({ kind }) => kind === 'PersistentVolumeClaim' || kind === 'Pod')) continue;
    if (!skipped.has(claimKey(claim))) found.push(claim);
  }
  return found;
}

export async function* claimsIn(
  client: KubeClient,
  namespaces: readonly string[],
): AsyncGenerator<PersistentVolumeClaim> {
  for (const namespace of namespaces) {
    yield* client.list(persistentVolumeClaims, { namespace });
  }
}

/** Where the claim of the source is at the destination. */
export function claimThere(run: Run, namespace: string, claim: string): ClaimKey {
  const wish = (run.plan.spec.volumes ?? []).find(
    (one) => one.namespace === namespace && one.claim === claim,
  );
  return `${nameThere(run, namespace)}/${wish?.name ?? claim}`;
}

/** Claims of that side whose content moves or has moved. */
export async function claimsAt(run: Run, side: SideName): Promise<ReadonlySet<ClaimKey>> {
  const moving = await movingClaims(run);
  if (side === 'source') return new Set(moving.map(claimKey));
  const there = moving.map(({ metadata }) => {
    return claimThere(run, metadata.namespace ?? '', metadata.name ?? '');
  });
  const found = new Set(there);
  for await (const claim of claimsIn(run.destination.client, namespacesAt(run, side))) {
    if (claim.metadata.annotations?.[preparedFor] === moveId(run)) found.add(claimKey(claim));
  }
  return found;
}
