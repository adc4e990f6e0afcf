/** The SavedVersions of a replication that makes backups, in the cluster of the volumes. */
import { createHash } from 'node:crypto';
import { type SavedVersion, savedVersions } from '../../../api/kinds/saved-version.ts';
import { unlessThere } from '../../../base/errors.ts';
import type { KubeClient } from '../../../kube/api.ts';
import { keyOf, keyText } from '../../../kube/objects.ts';
import {
  type PersistentVolume,
  type PersistentVolumeClaim,
  persistentVolumeClaims,
  persistentVolumes,
} from '../../../kube/resources.ts';
import { preparedFor } from '../../../workload/transform-context.ts';
import { handleOf, isOurVolume } from '../../claim/made.ts';
import { annotations, labels } from '../../labels.ts';
import { uidOf } from '../../migration/run.ts';
import type { ReplicationRun } from '../as-plan.ts';

type Run = Pick<ReplicationRun, 'replication' | 'source'>;

/** A claim, and what it is bound to. */
export interface Bound {
  readonly claim: PersistentVolumeClaim;
  /** Undefined: it is not bound, so that there is nothing to save. */
  readonly volume: PersistentVolume | undefined;
}

/** Of all its namespaces. */
export async function claimsOf(
  client: KubeClient,
  namespaces: readonly string[],
): Promise<readonly Bound[]> {
  const found: Bound[] = [];
  for (const namespace of namespaces) {
    for await (const claim of client.list(persistentVolumeClaims, { namespace })) {
      const name = claim.spec?.volumeName ?? '';
      const key = { namespace: '', name };
      const volume = name === '' ? undefined : await client.get(persistentVolumes, key);
      found.push({ claim, volume });
    }
  }
  return found;
}

export const hasOurVolume = ({ volume }: Bound): boolean => isOurVolume(volume);

/** Such as `shop-1f2e3d4c-3`: what people name when they restore it. */
export function backupName({ replication: { metadata, status } }: Run): string {
  const runs = status?.runs ?? 0;
  return `${(metadata.name ?? '').slice(0, 80)}-${uidOf({ metadata }).slice(0, 8)}-${runs}`;
}

/** The same for each claim in each run, and in no other one. */
export function hashOf(namespace: string, claim: string): string {
  return createHash('sha256').update(`${namespace}/${claim}`).digest('hex').slice(0, 12);
}

/** Of this run, for this claim. */
export function versionName({ replication }: Run, { metadata }: PersistentVolumeClaim): string {
  const runs = replication.status?.runs ?? 0;
  const hash = hashOf(metadata.namespace ?? '', metadata.name ?? '');
  return `rb-${uidOf(replication).slice(0, 13)}-${runs}-${hash}`;
}

export async function saveVolume(run: Run, { claim, volume }: Bound): Promise<void> {
  const { replication, source } = run;
  const { repository = '', bandwidth } = replication.spec;
  const metadata = {
    name: versionName(run, claim),
    labels: { [labels.migration]: uidOf(replication) },
    annotations: {
      [preparedFor]: uidOf(replication),
      [annotations.madeFor]: keyText(keyOf(claim)),
    },
  };
  const rate = bandwidth === undefined ? {} : { bandwidth };
  const spec = { volume: volume === undefined ? '' : handleOf(volume), repository, ...rate };
  // The name is of this run alone.
  await unlessThere(source.client.create<SavedVersion>(savedVersions, { metadata, spec }));
}

/** All that this replication has saved, by name. */
export async function savedOf({
  replication,
  source,
}: Run): Promise<ReadonlyMap<string, SavedVersion>> {
  const found = new Map<string, SavedVersion>();
  const selectors = { labels: `${labels.migration}=${uidOf(replication)}` };
  for await (const one of source.client.list(savedVersions, selectors)) {
    found.set(one.metadata.name ?? '', one);
  }
  return found;
}

/** What is saved goes with the object; returns names of those that are still there. */
export async function forgetVersions(
  run: Run,
  isKept: (name: string) => boolean,
): Promise<readonly string[]> {
  const left: string[] = [];
  for (const [name, one] of await savedOf(run)) {
    if (isKept(name)) continue;
    left.push(`SavedVersion ${name}`);
    if (one.metadata.deletionTimestamp !== undefined) continue;
    const { uid } = one.metadata;
    await run.source.client.delete(savedVersions, keyOf(one), uid === undefined ? {} : { uid });
  }
  return left;
}
