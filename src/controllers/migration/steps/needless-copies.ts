/** Data at the destination that is known to be at the source as well: proven equal, and running. */
import type { KubeObject } from '../../../kube/objects.ts';
import { keyOf } from '../../../kube/objects.ts';
import {
  type PersistentVolume,
  type PersistentVolumeClaim,
  persistentVolumeClaims,
  persistentVolumes,
} from '../../../kube/resources.ts';
import { valueAt } from '../../../workload/fields.ts';
import { claimsOfPodSpec, isClaimOfSet, podSpecPaths } from '../../../workload/pod-specs.ts';
import { hasEnded } from '../../../workload/quiesce.ts';
import { readQuiesceView } from '../../../workload/quiesce-view.ts';
import { preparedFor } from '../../../workload/transform-context.ts';
import { isOurVolume } from '../../claim/made.ts';
import { annotations } from '../../labels.ts';
import { conditionsOf } from '../conditions.ts';
import { moveId, namespacesAt, type Run } from '../run.ts';
import { hasSucceeded, isFilling, transfersOf } from '../transfers.ts';
import { isConversion } from './moving.ts';

interface Copy {
  readonly claim: PersistentVolumeClaim;
  readonly volume: PersistentVolume;
}

/** Only what this plan made, and only when all of it came back and was audited. */
export async function needlessCopies(run: Run): Promise<readonly Copy[]> {
  const audit = run.migration.status?.itinerary?.find(({ name }) => name === 'auditBack');
  if (!conditionsOf(run).has('keepData') || audit?.state !== 'Succeeded') return [];
  const { client } = run.destination;
  const { workloads } = await readQuiesceView(client, namespacesAt(run, 'destination'));
  const users = workloads.map(({ object }) => object).filter((one) => !hasEnded(one));
  const found: Copy[] = [];
  for (const one of await transfersOf(run, 'b')) {
    if (!hasSucceeded(one) || isFilling(one)) continue;
    // A conversion has its new volume under the temporary name again.
    const { namespace, claim: name } = isConversion(run) ? one.spec.destination : one.spec.source;
    const claim = await client.get(persistentVolumeClaims, { namespace, name });
    const volumeName = claim?.spec?.volumeName ?? '';
    if (claim === undefined || volumeName === '' || !isOfMove(run, claim)) continue;
    if (users.some((one) => isUser(one, namespace, name))) continue;
    const key = { namespace: '', name: volumeName };
    const volume = await client.get(persistentVolumes, key);
    if (volume?.spec?.claimRef?.uid !== claim.metadata.uid || volume === undefined) continue;
    if (isOfMove(run, volume)) found.push({ claim, volume });
  }
  return found.filter(({ claim }) => claim.metadata.deletionTimestamp === undefined);
}

/** What was made there is gone by then: others have come to use the claim, running or not. */
export function isUser(object: KubeObject, namespace: string, claim: string): boolean {
  if (object.metadata.namespace !== namespace) return false;
  if (object.kind === 'StatefulSet' && isClaimOfSet(object, claim)) return true;
  return podSpecPaths(object)
    .flatMap((path) => claimsOfPodSpec(valueAt(object, path)))
    .some((use) => use.claim === claim);
}

function isOfMove(run: Run, { metadata }: KubeObject): boolean {
  return metadata.annotations?.[preparedFor] === moveId(run);
}

/** A volume that nobody provisioned may be mounted from elsewhere as well: it stays. */
export function isProvisioned(volume: PersistentVolume): boolean {
  const by = volume.metadata.annotations?.[annotations.provisionedBy];
  return by !== undefined || isOurVolume(volume);
}

/** The claims go, and what was provisioned for them. */
export async function removeCopies(run: Run): Promise<void> {
  const { client } = run.destination;
  for (const { claim, volume } of await needlessCopies(run)) {
    if (isProvisioned(volume)) {
      const { resourceVersion } = volume.metadata;
      const spec = { persistentVolumeReclaimPolicy: 'Delete' };
      await client.patch(persistentVolumes, keyOf(volume), { metadata: { resourceVersion }, spec });
    }
    const { uid = '' } = claim.metadata;
    await client.delete(persistentVolumeClaims, keyOf(claim), { uid });
  }
}
