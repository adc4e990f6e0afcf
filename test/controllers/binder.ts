// What kube-controller-manager does about claims: binds them to volumes that name them, releases
// volumes whose claim is gone, and lets go of what it protects and nobody uses.
import { parseSize } from '../../src/base/units.ts';
import type { KubeClient } from '../../src/kube/api.ts';
import { removeFinalizer } from '../../src/kube/finalizers.ts';
import { keyOf } from '../../src/kube/objects.ts';
import {
  type PersistentVolume,
  type PersistentVolumeClaim,
  persistentVolumeClaims,
  persistentVolumes,
} from '../../src/kube/resources.ts';

export async function bindClaims(client: KubeClient): Promise<void> {
  for await (const volume of client.list(persistentVolumes)) {
    const { namespace = '', name = '', uid } = volume.spec?.claimRef ?? {};
    if (name === '') continue;
    const claim = await client.get(persistentVolumeClaims, { namespace, name });
    const isOwn = claim !== undefined && (uid === undefined || uid === claim.metadata.uid);
    if (isOwn) await bind(client, volume, claim);
    else if (uid !== undefined && volume.status?.phase !== 'Released') {
      await client.patchStatus(persistentVolumes, keyOf(volume), { status: { phase: 'Released' } });
    }
  }
  await letGo(client);
}

const claimProtection = 'kubernetes.io/pvc-protection';
const volumeProtection = 'kubernetes.io/pv-protection';

/** There are no pods here that could use a claim. */
async function letGo(client: KubeClient): Promise<void> {
  for await (const claim of client.list(persistentVolumeClaims)) {
    if (claim.metadata.deletionTimestamp === undefined) continue;
    await removeFinalizer(client, persistentVolumeClaims, claim, claimProtection);
  }
  for await (const volume of client.list(persistentVolumes)) {
    const isBound = volume.status?.phase === 'Bound';
    if (volume.metadata.deletionTimestamp === undefined || isBound) continue;
    await removeFinalizer(client, persistentVolumes, volume, volumeProtection);
  }
}

function capacityOf({ spec }: PersistentVolume): number {
  return parseSize(spec?.capacity?.storage ?? '0');
}

function wantedOf({ spec }: PersistentVolumeClaim): number {
  return parseSize(spec?.resources?.requests?.storage ?? '0');
}

async function bind(
  client: KubeClient,
  volume: PersistentVolume,
  claim: PersistentVolumeClaim,
): Promise<void> {
  if (claim.status?.phase === 'Bound') return;
  const { name = '' } = volume.metadata;
  const wanted = claim.spec?.volumeName ?? '';
  if (wanted !== '' && wanted !== name) return;
  const isGoing = volume.metadata.deletionTimestamp !== undefined;
  if (isGoing || capacityOf(volume) < wantedOf(claim)) return;
  const { uid } = claim.metadata;
  await client.patch(persistentVolumes, keyOf(volume), { spec: { claimRef: { uid } } });
  await client.patch(persistentVolumeClaims, keyOf(claim), { spec: { volumeName: name } });
  await client.patchStatus(persistentVolumes, keyOf(volume), { status: { phase: 'Bound' } });
  const capacity = volume.spec?.capacity;
  const { accessModes } = claim.spec ?? {};
  await client.patchStatus(persistentVolumeClaims, keyOf(claim), {
    status: { phase: 'Bound', capacity, accessModes },
  });
}
