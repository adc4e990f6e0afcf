/**
 * Claims at the destination that copies ahead of time made, and that no cutover has started on.
 * That is written on each of them, so that it is known also when the migrations are gone.
 */
import { keyOf } from '../../kube/objects.ts';
import {
  type PersistentVolumeClaim,
  persistentVolumeClaims,
  persistentVolumes,
} from '../../kube/resources.ts';
import { hasEnded } from '../../workload/quiesce.ts';
import { readQuiesceView } from '../../workload/quiesce-view.ts';
import { annotations } from '../labels.ts';
import { moveId, namespacesAt, type Run } from './run.ts';
import { isUser, isProvisioned } from './steps/needless-copies.ts';
import { claimKey, claimsIn } from './steps/moving.ts';
import { shortList } from './steps/sentences.ts';

/** Those of the plan, used or not. */
export async function stagedClaims(run: Run): Promise<readonly PersistentVolumeClaim[]> {
  const found: PersistentVolumeClaim[] = [];
  const all = claimsIn(run.destination.client, namespacesAt(run, 'destination'));
  for await (const claim of all) {
    if (claim.metadata.annotations?.[annotations.staged] === moveId(run)) found.push(claim);
  }
  return found;
}

/** From now on they have what nobody has anywhere else. */
export async function adoptStaged(run: Run): Promise<void> {
  for (const claim of await stagedClaims(run)) {
    const { uid, resourceVersion } = claim.metadata;
    const metadata = { uid, resourceVersion, annotations: { [annotations.staged]: null } };
    await run.destination.client.patch(persistentVolumeClaims, keyOf(claim), { metadata });
  }
}

/** Claims that nothing at the destination uses: they go when the plan is closed. */
export async function needlessStages(run: Run): Promise<readonly PersistentVolumeClaim[]> {
  const staged = await stagedClaims(run);
  if (staged.length === 0) return [];
  const { workloads } = await readQuiesceView(
    run.destination.client,
    namespacesAt(run, 'destination'),
  );
  const users = workloads.map(({ object }) => object).filter((one) => !hasEnded(one));
  return staged.filter(({ metadata: { namespace = '', name = '' } }) => {
    return !users.some((one) => isUser(one, namespace, name));
  });
}

/** One sentence for a person, before it is done. */
export function removalWord(run: Run, claims: readonly PersistentVolumeClaim[]): string {
  const names = claims.map(claimKey).toSorted();
  return (
    `it deletes claim ${shortList(names)} of cluster ${run.destination.name} with its volume: ` +
    'stages made it, and no cutover has started on it'
  );
}

/** The claims go, and what was provisioned for them. */
export async function removeStages(
  { destination: { client } }: Run,
  claims: readonly PersistentVolumeClaim[],
): Promise<void> {
  for (const claim of claims) {
    const { uid = '', deletionTimestamp } = claim.metadata;
    if (deletionTimestamp !== undefined) continue;
    const key = { namespace: '', name: claim.spec?.volumeName ?? '' };
    const volume = key.name === '' ? undefined : await client.get(persistentVolumes, key);
    if (volume?.spec?.claimRef?.uid === uid && isProvisioned(volume)) {
      const { resourceVersion } = volume.metadata;
      const spec = { persistentVolumeReclaimPolicy: 'Delete' };
      await client.patch(persistentVolumes, key, { metadata: { resourceVersion }, spec });
    }
    await client.delete(persistentVolumeClaims, keyOf(claim), { uid });
  }
}
