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
import { savedVersionKind } from './saved-version.ts';
import { teleportKind } from './teleport.ts';
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
  savedVersionKind,
  teleportKind,
  planKind,
  migrationKind,
  volumeTransferKind,
  imageTransferKind,
  hookKind,
  replicationKind,
];
