/** What runs beside the embedded API server: controllers, upkeep, scheduler, kubelet. */
import type { Reconciler } from '../../kube/reconciler.ts';
import type { PodLogRequest } from '../server/api.ts';
import type { Controller } from './controller.ts';
import { InformerPool } from './informers.ts';
import { Kubelet } from './kubelet/kubelet.ts';
import { type Pod, pods } from './kinds/pods.ts';
import { readPodLog } from './kubelet/logs.ts';
import { createEndpointsController } from './network/endpoints.ts';
import type { NodePorts, RuntimePorts } from './ports.ts';
import { type ControllerHost, runController } from './run-controller.ts';
import { createScheduler } from './scheduler.ts';
import { createClaimBinder } from './storage/claim-binder.ts';
import { runDirectoryProvisioner, sweepDirectories } from './storage/directory-provisioner.ts';
import { createClaimProtection, createVolumeProtection } from './storage/protection.ts';
import { createVolumePhases } from './storage/volume-phases.ts';
import { EventSweeper } from './upkeep/events.ts';
import { GarbageCollector } from './upkeep/garbage.ts';
import { runNamespaceEnd } from './upkeep/namespaces.ts';
import { createEvictor, createNodeWatch } from './upkeep/lost-nodes.ts';
import { NodeKeeper, createPodCollector } from './upkeep/nodes.ts';
import { createQuotaController } from './upkeep/quotas.ts';
import { createNamespaceBasics } from './upkeep/service-accounts.ts';
import { createCronJobController } from './workload/cronjob.ts';
import { createDaemonSetController } from './workload/daemonset.ts';
import { createDeploymentController } from './workload/deployment.ts';
import { createDisruptionController } from './workload/disruption.ts';
import { createJobController } from './workload/job.ts';
import { createReplicaSetController } from './workload/replicaset.ts';
import { createStatefulSetController } from './workload/statefulset.ts';

export interface Runtime {
  /** Resolves when everything works: caches filled, nodes registered, old processes known. */
  readonly started: Promise<void>;
  /** For `ApiServerOptions.readLog`. Errors: `NotFound`, `Invalid`. */
  readLog(request: PodLogRequest): Promise<AsyncIterable<Uint8Array>>;
  /**
   * With `endPods` (`transship down`) no process is left. Without, what runs goes on, and the next
   * runtime on the same directory takes it over.
   */
  stop(options: { readonly endPods: boolean }): Promise<void>;
}

export interface RuntimeOptions {
  /**
   * `node`: scheduler, kubelet, node keeper and the provisioner of directories, for a cluster whose
   * own kube-controller-manager does the rest. `all` if absent.
   */
  readonly parts?: 'all' | 'node';
}

/** Starts at once; it needs the API server, and waits for it as long as it takes. */
export function startRuntime(ports: RuntimePorts, { parts = 'all' }: RuntimeOptions = {}): Runtime {
  const { client, events, metrics, log, directories } = ports;
  const informers = new InformerPool(client);
  const host: ControllerHost = { client, informers, events, metrics, log };
  const machines: readonly NodePorts[] = [ports, ...(ports.further ?? [])];
  const isSeveral = machines.length > 1;
  const names = machines.flatMap(({ nodes }) => nodes.map(({ name }) => name));
  const directoryHost = { ...host, directories, nodes: names };
  const cluster = parts === 'all' ? startCluster(ports, host) : undefined;
  const reconcilers: Reconciler[] = [
    runController(host, createScheduler({ nearVolumes: isSeveral })),
    ...runDirectoryProvisioner(directoryHost),
  ];
  const kubelets = machines.map((machine) => new Kubelet({ ...ports, ...machine }, informers));
  const kubeletOf = ({ spec }: Pod): Kubelet | undefined =>
    kubelets.find(({ nodes }) => nodes.some(({ name }) => name === spec.nodeName));
  const nodeKeeper = new NodeKeeper(host, machines);
  const start = async (): Promise<void> => {
    await nodeKeeper.start();
    await cluster?.start();
    await Promise.all(reconcilers.map((one) => one.started));
    await Promise.all(kubelets.map((one) => one.start()));
    await cluster?.tidy();
    await sweepDirectories(directoryHost);
  };
  const started = start();
  // Stopped before it had started: nobody has to wait for it.
  started.catch(() => undefined);
  return {
    started,
    readLog: async (request) => {
      const { namespace, pod: name } = request;
      const pod = informers.of(pods).get({ namespace, name });
      const kubelet = pod === undefined ? undefined : kubeletOf(pod);
      return readPodLog(kubelet?.processes ?? ports.processes, pod, request);
    },
    stop: async (options) => {
      nodeKeeper.stop();
      await cluster?.stop();
      await Promise.all(reconcilers.map((one) => one.stop()));
      await Promise.all(kubelets.map((one) => one.stop(options)));
      await informers.stop();
    },
  };
}

/** What in other clusters is kube-controller-manager. */
function startCluster(ports: RuntimePorts, host: ControllerHost) {
  const sweeper = new EventSweeper(host);
  const garbage = new GarbageCollector(host);
  const reconcilers: readonly Reconciler[] = [
    ...controllers(ports).map((controller) => runController(host, controller)),
    ...(ports.further === undefined ? [] : lossControllers()).map((one) =>
      runController(host, one),
    ),
    runNamespaceEnd(host),
  ];
  return {
    start: async (): Promise<void> => {
      await garbage.start();
      await Promise.all(reconcilers.map((one) => one.started));
    },
    tidy: () => sweeper.sweep(),
    stop: async (): Promise<void> => {
      sweeper.stop();
      await garbage.stop();
      await Promise.all(reconcilers.map((one) => one.stop()));
    },
  };
}

/** For nodes that may be lost while this process lives. */
function lossControllers(): readonly Controller[] {
  return [createNodeWatch(), createEvictor()];
}

/** Those that decide on a view alone. */
function controllers(ports: RuntimePorts): readonly Controller[] {
  return [
    createReplicaSetController(),
    createDeploymentController(),
    createStatefulSetController(),
    createDaemonSetController(),
    createJobController(),
    createCronJobController(),
    createDisruptionController(),
    createQuotaController(),
    createEndpointsController(),
    createClaimBinder(),
    createVolumePhases(),
    createClaimProtection(),
    createVolumeProtection(),
    createNamespaceBasics(ports.caBundle),
    createPodCollector(),
  ];
}
