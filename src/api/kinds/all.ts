/** The table of kinds: manifests, discovery, reference and tests go through it. */
import { clusterKind } from './cluster.ts';
import { historyPolicyKind } from './history-policy.ts';
import { hookKind } from './hook.ts';
import { imageTransferKind } from './image-transfer.ts';
import type { KindDefinition } from './kind.ts';
import { migrationKind } from './migration.ts';
import { planKind } from './plan.ts';
import { poolKind } from './pool.ts';
import { replicationKind } from './replication.ts';
import { repositoryKind } from './repository.ts';
import { teleportKind } from './teleport.ts';
import type { Condition } from './schema.ts';
import { volumeKind } from './volume.ts';
import { volumeReplicaKind } from './volume-replica.ts';
import { volumeTransferKind } from './volume-transfer.ts';

/** In the order in which they are explained: what is there first, then what moves it. */
export const kinds: readonly KindDefinition[] = [
  clusterKind,
  repositoryKind,
  poolKind,
  historyPolicyKind,
  volumeKind,
  volumeReplicaKind,
  teleportKind,
  planKind,
  migrationKind,
  volumeTransferKind,
  imageTransferKind,
  hookKind,
  replicationKind,
];

/** Kinds that nothing acts on yet; their objects say so in their condition `Ready`. */
export const kindsWithoutController: readonly KindDefinition[] = [replicationKind];

/**
 * `Ready` of their objects, so that nobody waits in vain. When its status last changed is for the
 * writer to know.
 */
export function notImplemented(kind: string): Omit<Condition, 'lastTransitionTime'> {
  return {
    type: 'Ready',
    status: 'Unknown',
    reason: 'NotImplemented',
    message: `This version of Transship stores objects of kind ${kind} but does not act on them.`,
  };
}
