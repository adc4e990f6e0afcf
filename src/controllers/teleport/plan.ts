/** What a Teleport names, with everything that it leaves out filled in. Pure. */
import type { Teleport, TeleportStatus } from '../../api/kinds/teleport.ts';
import type { AccessMode, PersistentVolumeClaim } from '../../kube/resources.ts';
import { conditionOf } from '../status.ts';

export interface Side {
  readonly cluster: string;
  readonly namespace: string;
  /** Of the claim, or undefined: it is about volumes only. */
  readonly claim: string | undefined;
  readonly volume: string | undefined;
}

export interface Sides {
  readonly source: Side;
  readonly destination: Side;
}

export function sidesOf({ metadata, spec }: Teleport): Sides {
  const { source, destination } = spec;
  const namespace = source.namespace ?? metadata.namespace ?? '';
  return {
    source: {
      cluster: source.cluster,
      namespace,
      claim: source.claim,
      volume: source.volume,
    },
    destination: {
      cluster: destination.cluster,
      namespace: destination.namespace ?? namespace,
      claim: source.claim === undefined ? undefined : (destination.claim ?? source.claim),
      volume: source.volume === undefined ? undefined : (destination.volume ?? source.volume),
    },
  };
}

/** Of the Volume at the destination: fixed beforehand, so that a second attempt finds it. */
export function volumeNameOf(teleport: Teleport): string {
  return sidesOf(teleport).destination.volume ?? `tp-${teleport.metadata.uid ?? ''}`;
}

export function sideText({ cluster, namespace, claim, volume }: Side): string {
  return claim === undefined ? `${cluster}/${volume ?? ''}` : `${cluster}/${namespace}/${claim}`;
}

export type Ending = 'Available' | 'Canceled' | 'Failed';

/** How it ended, if it did. A thin one has succeeded before it ends. */
export function endingOf(teleport: Teleport): Ending | undefined {
  const succeeded = conditionOf(teleport, 'Succeeded');
  if (succeeded?.status === 'True')
    return succeeded.reason === 'Available' ? 'Available' : undefined;
  if (succeeded?.status !== 'False') return undefined;
  return succeeded.reason === 'Canceled' ? 'Canceled' : 'Failed';
}

export function hasStarted(teleport: Teleport): boolean {
  return teleport.status?.startTime !== undefined;
}

/** Written before a claim is made at the destination: from then on somebody may write there. */
export function wasAccessible(teleport: Teleport): boolean {
  return teleport.status?.accessibleTime !== undefined;
}

export type Fields = Omit<TeleportStatus, 'conditions' | 'observedGeneration'>;

/** What the claim at the destination will be like; kept with the Volume there. */
export interface ClaimTemplate {
  readonly accessModes: readonly AccessMode[];
  readonly volumeMode: 'Filesystem' | 'Block';
  readonly storageClass: string;
}

export function templateOf(claim: PersistentVolumeClaim, storageClass: string): ClaimTemplate {
  return {
    accessModes: claim.spec?.accessModes ?? ['ReadWriteOnce'],
    volumeMode: claim.spec?.volumeMode ?? 'Filesystem',
    storageClass,
  };
}

export const templateAnnotation = 'transship.dev/claim-template';
