/** Volumes of the source are kept while something moves, and given back their policy afterwards. */
import type { KubeClient } from '../../kube/api.ts';
import { TransshipError } from '../../base/errors.ts';
import type { Undoing } from '../../flow/flow.ts';
import {
  type PersistentVolume,
  persistentVolumeClaims,
  persistentVolumes,
} from '../../kube/resources.ts';
import type { VolumeBefore } from '../../workload/rebind.ts';
import { setReclaimPolicy } from '../../workload/rebind-volumes.ts';
import { removeEmptyRecords, secretRecordStore } from '../../workload/record-store.ts';
import { namespacesAt, recordKey, type Run } from './run.ts';

type Policy = VolumeBefore['reclaimPolicy'];

/** What is put back: the policy of one volume. */
export interface Retained {
  readonly name: string;
  readonly uid: string;
  readonly policy: Policy;
}

/** Those under the claims of the plan that are not kept yet. */
async function unkept(run: Run): Promise<readonly PersistentVolume[]> {
  const { client } = run.source;
  const skipped = new Set(
    (run.plan.spec.volumes ?? [])
      .filter(({ action }) => action === 'Skip')
      .map(({ namespace, claim }) => `${namespace}/${claim}`),
  );
  const found: PersistentVolume[] = [];
  for (const namespace of namespacesAt(run, 'source')) {
    for await (const { metadata, spec } of client.list(persistentVolumeClaims, { namespace })) {
      const name = spec?.volumeName ?? '';
      if (name === '' || skipped.has(`${namespace}/${metadata.name}`)) continue;
      const volume = await client.get(persistentVolumes, { namespace: '', name });
      const policy = volume?.spec?.persistentVolumeReclaimPolicy;
      if (volume !== undefined && policy !== 'Retain') found.push(volume);
    }
  }
  return found;
}

export async function areRetained(run: Run): Promise<boolean> {
  return (await unkept(run)).length === 0;
}

export async function retain(run: Run): Promise<void> {
  const { client } = run.source;
  const store = secretRecordStore<Retained>(client, recordKey(run, 'source', 'retained'));
  const known = await store.load();
  const found = (await unkept(run)).map(recordOf);
  const uids = new Set(known.map(({ uid }) => uid));
  const added = found.filter(({ uid }) => !uids.has(uid));
  if (added.length > 0) await store.save([...known, ...added]);
  for (const one of found) await setReclaimPolicy(client, beforeOf(one), 'Retain');
}

function recordOf({ metadata, spec }: PersistentVolume): Retained {
  const policy = spec?.persistentVolumeReclaimPolicy ?? 'Delete';
  return { name: metadata.name ?? '', uid: metadata.uid ?? '', policy: policy as Policy };
}

function beforeOf({ name, uid, policy }: Retained): VolumeBefore {
  return { name, uid, reclaimPolicy: policy, claimRef: null };
}

/** A volume that is gone needs nothing. */
export async function unretain(run: Run): Promise<Undoing> {
  const key = recordKey(run, 'source', 'retained');
  const { client } = run.source;
  const store = secretRecordStore<Retained>(client, key);
  const records = await store.load();
  for (const one of records) await putBack(client, one);
  if (records.length > 0) await store.save([]);
  await removeEmptyRecords(client, key);
  return { kind: 'done' };
}

async function putBack(client: KubeClient, one: Retained): Promise<void> {
  try {
    await setReclaimPolicy(client, beforeOf(one), one.policy);
  } catch (error) {
    if (!(error instanceof TransshipError) || error.reason !== 'NotFound') throw error;
  }
}
