/** The end of a plan: nothing of it can be undone any more, and what guarded its data is let go. */
import type { KubeClient } from '../../kube/api.ts';
import {
  type PersistentVolume,
  persistentVolumeClaims,
  persistentVolumes,
  secrets,
  storageClasses,
} from '../../kube/resources.ts';
import { finishClaimTemplates } from '../../workload/claim-template-run.ts';
import { setReclaimPolicy } from '../../workload/rebind-volumes.ts';
import { finishRebind } from '../../workload/rebind-run.ts';
import { removeEmptyRecords } from '../../workload/record-store.ts';
import { preparedFor } from '../../workload/transform-context.ts';
import {
  moveId,
  namespacesAt,
  recordKey,
  type RecordKind,
  type Run,
  type SideName,
} from './run.ts';
import { cutoverOf } from './cutover.ts';
import { unretain } from './retained.ts';
import { removeStaged } from './staged.ts';
import { isOnePlace } from './steps/moving.ts';
import { isProvisioned } from './steps/needless-copies.ts';
import { readdressRetained, reboundStore, templatesStore } from './steps/swapping.ts';

const sides: readonly SideName[] = ['source', 'destination'];
const kinds: readonly RecordKind[] = ['stopped', 'rebound', 'templates', 'made', 'retained'];

/**
 * For a plan that is closed. Volumes at the destination get the reclaim policy of their class; the
 * source stays stopped and fenced, and its volumes are kept, unless nothing has moved. Safe to
 * repeat. Errors: `Conflict` while a claim is not on the volume that it was given.
 */
export async function finishPlan(run: Run): Promise<void> {
  if (isOnePlace(run)) {
    await readdressRetained(run, 'New');
    await finishRebind(run.source.client, reboundStore(run), { releaseOld: false });
    await finishClaimTemplates(templatesStore(run));
    await unretain(run);
  } else {
    await releaseThere(run);
    await removeStaged(run);
    if (!(await mayHaveMoved(run))) await unretain(run);
  }
  await forgetRecords(run);
}

/** Another cluster may use the very volumes of the source: then these must outlive their claims. */
async function mayHaveMoved(run: Run): Promise<boolean> {
  if (cutoverOf(run) !== undefined) return true;
  if ((run.plan.spec.volumes ?? []).some(({ action }) => action === 'Move')) return true;
  const { source, destination } = run;
  return (
    (await source.client.get(secrets, recordKey(run, 'source', 'stopped'))) !== undefined ||
    (await destination.client.get(secrets, recordKey(run, 'destination', 'made'))) !== undefined
  );
}

/** What was made for the plan and provisioned goes again with its claim. */
async function releaseThere(run: Run): Promise<void> {
  const { client } = run.destination;
  for (const namespace of namespacesAt(run, 'destination')) {
    for await (const { metadata, spec } of client.list(persistentVolumeClaims, { namespace })) {
      if (metadata.annotations?.[preparedFor] !== moveId(run)) continue;
      const key = { namespace: '', name: spec?.volumeName ?? '' };
      const volume = key.name === '' ? undefined : await client.get(persistentVolumes, key);
      if (volume?.spec?.claimRef?.uid !== metadata.uid || volume === undefined) continue;
      if (isProvisioned(volume)) await release(client, volume);
    }
  }
}

async function release(client: KubeClient, volume: PersistentVolume): Promise<void> {
  const { metadata, spec } = volume;
  const name = spec?.storageClassName ?? '';
  const found = name === '' ? undefined : await client.get(storageClasses, { namespace: '', name });
  const policy = found?.reclaimPolicy ?? 'Delete';
  const before = { name: metadata.name ?? '', uid: metadata.uid ?? '', claimRef: null };
  await setReclaimPolicy(client, { ...before, reclaimPolicy: policy }, policy);
}

async function forgetRecords(run: Run): Promise<void> {
  for (const side of sides) {
    for (const kind of kinds) await run[side].client.delete(secrets, recordKey(run, side, kind));
  }
}

/** For a run that was taken back: places for records in which nothing is go. */
export async function tidyRecords(run: Run): Promise<void> {
  for (const side of sides) {
    for (const kind of kinds) {
      await removeEmptyRecords(run[side].client, recordKey(run, side, kind));
    }
  }
}
