/** What all controllers of one cluster share. */
import type { Cluster } from '../api/kinds/cluster.ts';
import type { HistoryPolicy } from '../api/kinds/history-policy.ts';
import type { Hook } from '../api/kinds/hook.ts';
import type { ImageTransfer } from '../api/kinds/image-transfer.ts';
import type { Migration } from '../api/kinds/migration.ts';
import type { Plan } from '../api/kinds/plan.ts';
import type { Pool } from '../api/kinds/pool.ts';
import type { Replication } from '../api/kinds/replication.ts';
import type { Repository } from '../api/kinds/repository.ts';
import type { SavedVersion } from '../api/kinds/saved-version.ts';
import type { Teleport } from '../api/kinds/teleport.ts';
import type { Volume } from '../api/kinds/volume.ts';
import type { VolumeReplica } from '../api/kinds/volume-replica.ts';
import type { VolumeTransfer } from '../api/kinds/volume-transfer.ts';
import type { Informer, KubeClient, Outcome } from '../kube/api.ts';
import type { Source } from '../kube/reconciler.ts';
import type {
  PersistentVolume,
  PersistentVolumeClaim,
  StorageClass,
  VolumeAttachment,
} from '../kube/resources.ts';
import type { Agents } from './agents/agents.ts';
import type { ControllerPorts } from './ports.ts';
import type { Remotes } from './remotes/remotes.ts';
import type { StatusWriter } from './status.ts';

/** Objects of this cluster, watched once for all. */
export interface LocalInformers {
  readonly clusters: Informer<Cluster>;
  readonly pools: Informer<Pool>;
  readonly policies: Informer<HistoryPolicy>;
  readonly volumes: Informer<Volume>;
  readonly volumeReplicas: Informer<VolumeReplica>;
  readonly teleports: Informer<Teleport>;
  readonly repositories: Informer<Repository>;
  readonly savedVersions: Informer<SavedVersion>;
  readonly plans: Informer<Plan>;
  readonly migrations: Informer<Migration>;
  readonly volumeTransfers: Informer<VolumeTransfer>;
  readonly imageTransfers: Informer<ImageTransfer>;
  readonly hooks: Informer<Hook>;
  readonly replications: Informer<Replication>;
  readonly claims: Informer<PersistentVolumeClaim>;
  readonly persistentVolumes: Informer<PersistentVolume>;
  readonly classes: Informer<StorageClass>;
  readonly volumeAttachments: Informer<VolumeAttachment>;
}

export interface Context {
  readonly ports: ControllerPorts;
  readonly client: KubeClient;
  readonly informers: LocalInformers;
  readonly agents: Agents;
  readonly remotes: Remotes;
  readonly statuses: StatusWriter;
}

/** A controller of one kind: told of a key, it makes true what that key's object asks for. */
export interface Controller {
  /** The kind, for metrics and logs. */
  readonly name: string;
  /** Keys worked on at once. */
  readonly concurrency: number;
  /** What it looks at, as keys to reconcile. */
  readonly sources: readonly Source[];
  reconcile(key: string): Promise<Outcome>;
  /** Ends work that outlives a reconciliation; called before the last ones are waited for. */
  stop?(): void;
}

/** Keys that a controller wants looked at, told from its inside. */
export class OwnSource implements Source {
  readonly synced = Promise.resolve();
  #add: (key: string) => void = () => undefined;

  add(key: string): void {
    this.#add(key);
  }

  subscribe(add: (key: string) => void): () => void {
    this.#add = add;
    return () => {
      this.#add = () => undefined;
    };
  }
}
