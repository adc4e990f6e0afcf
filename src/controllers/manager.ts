/**
 * All controllers of one cluster in one process: informers and agents are shared between them, and
 * live from the moment this process leads until it no longer does.
 */
import { clusters, type Cluster } from '../api/kinds/cluster.ts';
import { historyPolicies } from '../api/kinds/history-policy.ts';
import { migrations } from '../api/kinds/migration.ts';
import { hooks } from '../api/kinds/hook.ts';
import { type ImageTransfer, imageTransfers } from '../api/kinds/image-transfer.ts';
import { plans } from '../api/kinds/plan.ts';
import { pools } from '../api/kinds/pool.ts';
import { replications } from '../api/kinds/replication.ts';
import { repositories } from '../api/kinds/repository.ts';
import { savedVersions } from '../api/kinds/saved-version.ts';
import { teleports } from '../api/kinds/teleport.ts';
import { volumes } from '../api/kinds/volume.ts';
import { volumeReplicas } from '../api/kinds/volume-replica.ts';
import { type VolumeTransfer, volumeTransfers } from '../api/kinds/volume-transfer.ts';
import type { Informer } from '../kube/api.ts';
import { createInformer } from '../kube/informer.ts';
import { createLeaderElection, type LeaderElection } from '../kube/lease.ts';
import type { KubeObject } from '../kube/objects.ts';
import { createReconciler, type Reconciler } from '../kube/reconciler.ts';
import {
  persistentVolumeClaims,
  persistentVolumes,
  storageClasses,
  volumeAttachments,
} from '../kube/resources.ts';
import { AgentFollower } from './agents/follower.ts';
import { Agents } from './agents/agents.ts';
import { VolumeAttachmentController } from './attachment/controller.ts';
import { ClaimController } from './claim/controller.ts';
import { handleOf, isOurVolume } from './claim/made.ts';
import { PersistentVolumeController } from './claim/persistent-volume.ts';
import { ClusterController } from './cluster/controller.ts';
import type { Context, Controller, LocalInformers } from './context.ts';
import { DisruptionController } from './disruption/controller.ts';
import { fenced } from './fence.ts';
import { HistoryPolicyController } from './history-policy/controller.ts';
import { HookController } from './hook/controller.ts';
import { ImageTransferController } from './image-transfer/controller.ts';
import { annotations, labels } from './labels.ts';
import { MigrationController } from './migration/controller.ts';
import { PlanController } from './plan/controller.ts';
import { planKeyOf } from './plan/migrations.ts';
import { PoolController } from './pool/controller.ts';
import type { ControllerPorts } from './ports.ts';
import { Remotes } from './remotes/remotes.ts';
import { ReplicationController } from './replication/controller.ts';
import { RepositoryController } from './repository/controller.ts';
import { SavedVersionController } from './saved-version/controller.ts';
import { StatusWriter } from './status.ts';
import { TeleportController } from './teleport/controller.ts';
import { VolumeController } from './volume/controller.ts';
import { VolumeReplicaController } from './volume-replica/controller.ts';
import { VolumeTransferController } from './volume-transfer/controller.ts';

export const leaseNamespace = 'transship-system';
export const leaseName = 'transship-controller';

export interface ControllersOptions {
  /** Unique to this process: who holds the lease. */
  readonly identity: string;
  /** False where nothing else can run the controllers of this cluster: work begins at once. */
  readonly leaderElection: boolean;
}

export interface Controllers {
  /** Ends all work, then gives the lease back. */
  stop(): Promise<void>;
  isLeader(): boolean;
  /** Resolves when the controllers work here for the first time; rejects when stopped before. */
  readonly ready: Promise<void>;
}

export function startControllers(ports: ControllerPorts, options: ControllersOptions): Controllers {
  const ready = Promise.withResolvers<void>();
  ready.promise.catch(() => undefined);
  const late: { election?: LeaderElection } = {};
  const isLeader = () => late.election?.isLeader() === true;
  const leading = options.leaderElection ? fenced(ports, isLeader) : ports;
  const work = async (signal: AbortSignal): Promise<void> => {
    const running = run(leading);
    void running.started.then(ready.resolve, () => undefined);
    await aborted(signal);
    await running.stop();
  };
  if (!options.leaderElection) {
    const ending = new AbortController();
    const working = work(ending.signal);
    return {
      ready: ready.promise,
      isLeader: () => !ending.signal.aborted,
      stop: async () => {
        ending.abort();
        await working;
      },
    };
  }
  const election = createLeaderElection({
    client: ports.client,
    namespace: leaseNamespace,
    name: leaseName,
    identity: options.identity,
    onStarted: work,
  });
  late.election = election;
  return {
    ready: ready.promise,
    isLeader,
    stop: () => election.stop(),
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve()));
}

interface Running {
  readonly started: Promise<void>;
  stop(): Promise<void>;
}

function run(ports: ControllerPorts): Running {
  const { client } = ports;
  const informers = openInformers(ports);
  const agents = new Agents(ports);
  const localObject = () => localOf(informers.clusters);
  const remotes = new Remotes({
    ...ports,
    local: informers,
    localName: () => localObject()?.metadata.name ?? client.cluster,
    clustersListed: informers.clusters.synced,
  });
  const following = new AgentFollower({ ...ports, agents, localObject });
  const follow = () => following.follow();
  const unfollow = informers.clusters.onChange(({ before, now }) => {
    if ((now ?? before)?.spec.local === true) follow();
  });
  // Without a local object there are no agents, which is known as soon as the list is.
  void informers.clusters.synced.then(follow, () => undefined);
  const statuses = new StatusWriter(ports.clock, client);
  const context: Context = { ports, client, informers, agents, remotes, statuses };
  const controllers: readonly Controller[] = [
    new ClusterController(context),
    new PoolController(context),
    new HistoryPolicyController(context),
    new VolumeController(context),
    new VolumeReplicaController(context),
    new DisruptionController(context),
    new ClaimController(context),
    new PersistentVolumeController(context),
    new VolumeAttachmentController(context),
    new TeleportController(context),
    new RepositoryController(context),
    new SavedVersionController(context),
    new PlanController(context),
    new MigrationController(context),
    new VolumeTransferController(context),
    new ImageTransferController(context),
    new HookController(context),
    new ReplicationController(context),
  ];
  const reconcilers = controllers.map((controller) => reconcilerOf(ports, controller));
  return {
    started: Promise.all(reconcilers.map(({ started }) => started)).then(() => undefined),
    stop: async () => {
      unfollow();
      following.stop();
      for (const controller of controllers) controller.stop?.();
      await Promise.all(reconcilers.map((reconciler) => reconciler.stop()));
      agents.stop();
      remotes.stop();
      const all = Object.values(informers) as readonly Informer<KubeObject>[];
      await Promise.all(all.map((informer) => informer.stop()));
    },
  };
}

function reconcilerOf(ports: ControllerPorts, controller: Controller): Reconciler {
  const { client, log, metrics } = ports;
  const { name, concurrency, sources } = controller;
  return createReconciler({
    name,
    client,
    sources,
    concurrency,
    metrics,
    log,
    reconcile: (key) => controller.reconcile(key),
  });
}

function openInformers({ client }: ControllerPorts): LocalInformers {
  return {
    clusters: createInformer(client, clusters),
    pools: createInformer(client, pools),
    policies: createInformer(client, historyPolicies),
    volumes: createInformer(client, volumes, {
      indexes: {
        madeFor: ({ metadata }) => {
          const claim = metadata.annotations?.[annotations.madeFor];
          const isUnclaimed = metadata.labels?.[labels.claim] !== undefined;
          return claim !== undefined && isUnclaimed ? [claim] : [];
        },
      },
    }),
    volumeReplicas: createInformer(client, volumeReplicas, {
      indexes: { volume: ({ spec }) => [spec.volume] },
    }),
    teleports: createInformer(client, teleports, {
      indexes: {
        uid: ({ metadata }) => (metadata.uid === undefined ? [] : [metadata.uid]),
        cluster: ({ spec }) => [...new Set([spec.source.cluster, spec.destination.cluster])],
      },
    }),
    repositories: createInformer(client, repositories),
    savedVersions: createInformer(client, savedVersions),
    plans: createInformer(client, plans),
    migrations: createInformer(client, migrations, {
      indexes: { plan: (one) => [planKeyOf(one)] },
    }),
    volumeTransfers: createInformer(client, volumeTransfers, {
      indexes: { migration: migrationKeys },
    }),
    imageTransfers: createInformer(client, imageTransfers, {
      indexes: { migration: migrationKeys },
    }),
    hooks: createInformer(client, hooks),
    replications: createInformer(client, replications),
    claims: createInformer(client, persistentVolumeClaims),
    persistentVolumes: createInformer(client, persistentVolumes, {
      indexes: { handle: (one) => (isOurVolume(one) ? [handleOf(one)] : []) },
    }),
    classes: createInformer(client, storageClasses),
    volumeAttachments: createInformer(client, volumeAttachments, {
      indexes: { persistentVolume: ({ spec }) => [spec.source.persistentVolumeName ?? ''] },
    }),
  };
}

/** Of the migration that a transfer belongs to. */
function migrationKeys({ metadata, spec }: VolumeTransfer | ImageTransfer): readonly string[] {
  return spec.migration === undefined ? [] : [`${metadata.namespace}/${spec.migration}`];
}

/** The first that was made, should there be several. */
function localOf(informer: Informer<Cluster>): Cluster | undefined {
  const local = [...informer.list()].filter(({ spec }) => spec.local === true);
  const age = ({ metadata }: Cluster) => `${metadata.creationTimestamp} ${metadata.name}`;
  return local.toSorted((a, b) => (age(a) < age(b) ? -1 : 1))[0];
}
