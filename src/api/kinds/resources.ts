/**
 * Where objects of our kinds are found, without their schemas: commands start faster for it. A
 * test compares it with the table of kinds.
 */
import type { Cluster } from './cluster.ts';
import type { HistoryPolicy } from './history-policy.ts';
import type { Hook } from './hook.ts';
import type { ImageTransfer } from './image-transfer.ts';
import type { KindResource } from './kind.ts';
import type { Migration } from './migration.ts';
import type { Plan } from './plan.ts';
import type { Pool } from './pool.ts';
import type { Repository } from './repository.ts';
import type { Replication } from './replication.ts';
import type { Teleport } from './teleport.ts';
import type { VolumeTransfer } from './volume-transfer.ts';
import type { Volume } from './volume.ts';
import type { SavedVersion } from './saved-version.ts';
import type { VolumeReplica } from './volume-replica.ts';

const place = { group: 'transship.dev', version: 'v1alpha1' } as const;

export const resources: {
  readonly clusters: KindResource<Cluster>;
  readonly historyPolicies: KindResource<HistoryPolicy>;
  readonly hooks: KindResource<Hook>;
  readonly imageTransfers: KindResource<ImageTransfer>;
  readonly migrations: KindResource<Migration>;
  readonly plans: KindResource<Plan>;
  readonly pools: KindResource<Pool>;
  readonly replications: KindResource<Replication>;
  readonly repositories: KindResource<Repository>;
  readonly teleports: KindResource<Teleport>;
  readonly volumeReplicas: KindResource<VolumeReplica>;
  readonly savedVersions: KindResource<SavedVersion>;
  readonly volumeTransfers: KindResource<VolumeTransfer>;
  readonly volumes: KindResource<Volume>;
} = {
  clusters: { ...place, plural: 'clusters', kind: 'Cluster', namespaced: false },
  historyPolicies: {
    ...place,
    plural: 'historypolicies',
    kind: 'HistoryPolicy',
    namespaced: false,
  },
  hooks: { ...place, plural: 'hooks', kind: 'Hook', namespaced: true },
  imageTransfers: { ...place, plural: 'imagetransfers', kind: 'ImageTransfer', namespaced: true },
  migrations: { ...place, plural: 'migrations', kind: 'Migration', namespaced: true },
  plans: { ...place, plural: 'plans', kind: 'Plan', namespaced: true },
  pools: { ...place, plural: 'pools', kind: 'Pool', namespaced: false },
  replications: { ...place, plural: 'replications', kind: 'Replication', namespaced: true },
  repositories: { ...place, plural: 'repositories', kind: 'Repository', namespaced: false },
  teleports: { ...place, plural: 'teleports', kind: 'Teleport', namespaced: true },
  volumeReplicas: { ...place, plural: 'volumereplicas', kind: 'VolumeReplica', namespaced: false },
  savedVersions: { ...place, plural: 'savedversions', kind: 'SavedVersion', namespaced: false },
  volumeTransfers: {
    ...place,
    plural: 'volumetransfers',
    kind: 'VolumeTransfer',
    namespaced: true,
  },
  volumes: { ...place, plural: 'volumes', kind: 'Volume', namespaced: false },
};
