/** The API of one cluster, its own or another, as hub controllers use it. */
import { historyPolicies, type HistoryPolicy } from '../../api/kinds/history-policy.ts';
import { volumes, type Volume } from '../../api/kinds/volume.ts';
import type { Informer, KubeClient } from '../../kube/api.ts';
import { createInformer } from '../../kube/informer.ts';
import type { KubeObject } from '../../kube/objects.ts';
import {
  type PersistentVolume,
  type PersistentVolumeClaim,
  persistentVolumeClaims,
  persistentVolumes,
  type StorageClass,
  storageClasses,
} from '../../kube/resources.ts';
import { labels } from '../labels.ts';

export interface ClusterAccess {
  readonly name: string;
  readonly client: KubeClient;
  /** Of other clusters only what teleports made: the rest is asked for when it is needed. */
  readonly volumes: Informer<Volume>;
  readonly claims: Informer<PersistentVolumeClaim>;
  readonly persistentVolumes: Informer<PersistentVolume>;
  readonly classes: Informer<StorageClass>;
  readonly policies: Informer<HistoryPolicy>;
}

/** What hub controllers look at again when one of these changes. */
export const watchedParts = ['volumes', 'claims', 'persistentVolumes'] as const;

const allParts = [...watchedParts, 'classes', 'policies'] as const;

export function isSynced(access: ClusterAccess): boolean {
  return allParts.every((part) => access[part].isSynced);
}

export function troubleOf(
  access: ClusterAccess,
): { readonly reason: string; readonly message: string } | undefined {
  return allParts.map((part) => access[part].trouble).find((trouble) => trouble !== undefined);
}

export function informersOf(access: ClusterAccess): readonly Informer<KubeObject>[] {
  return allParts.map((part) => access[part] as unknown as Informer<KubeObject>);
}

export function openAccess(name: string, client: KubeClient): ClusterAccess {
  const made = { selectors: { labels: labels.teleport } };
  return {
    name,
    client,
    volumes: createInformer(client, volumes, made),
    claims: createInformer(client, persistentVolumeClaims, made),
    persistentVolumes: createInformer(client, persistentVolumes, made),
    classes: createInformer(client, storageClasses),
    policies: createInformer(client, historyPolicies),
  };
}
