/** The machines of an embedded cluster as Node objects, their heartbeats, and their lost pods. */
import { formatSecond } from '../../../base/units.ts';
import { asTransshipError } from '../../../base/errors.ts';
import type { Timer } from '../../../base/ports.ts';
import type { KubeClient } from '../../../kube/api.ts';
import { keyOf } from '../../../kube/objects.ts';
import { leases, namespaces, nodes } from '../../../kube/resources.ts';
import { type Controller, decision, nothing, remove } from '../controller.ts';
import { pods } from '../kinds/pods.ts';
import type { ControllerHost } from '../run-controller.ts';

export interface NodeFacts {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly cpus: number;
  readonly memoryBytes: number;
  /** Of the machine: `linux`, `arm64`, kernel's release. */
  readonly operatingSystem: string;
  readonly architecture: string;
  readonly kernelVersion: string;
  readonly machineId: string;
  readonly version: string;
  /** Where the API server finds the node's HTTPS endpoint, if it has one. */
  readonly kubeletPort?: number;
}

export const leaseNamespace = 'kube-node-lease';
const leaseSeconds = 40;
const heartbeatMs = 10_000;
/** Where nodes may be lost, somebody waits for it to be seen: `lost-nodes.ts`. */
const heartbeatOfSeveralMs = 3_000;
const podsMax = 500;
/** Younger pods of a node that is not there are left alone, as podgc of Kubernetes does. */
const nodelessMs = 40_000;

interface Machine {
  readonly nodes: readonly NodeFacts[];
  readonly isUp?: () => boolean;
}

/** Registers the nodes, then keeps saying that they are alive, as long as they are. */
export class NodeKeeper {
  readonly #host: ControllerHost;
  readonly #machines: readonly Machine[];
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(host: ControllerHost, machines: readonly Machine[]) {
    this.#host = host;
    this.#machines = machines;
  }

  /** Resolves after the first attempt; failures are tried again with the next heartbeat. */
  async start(): Promise<void> {
    try {
      for (const { nodes: all, isUp } of this.#machines) {
        for (const facts of all) {
          if (isUp?.() !== false) await keepNode(this.#host.client, facts);
        }
      }
    } catch (error) {
      const { reason, message } = asTransshipError(error);
      this.#host.log.log('warn', `heartbeat: ${message}`, { reason });
    }
    if (this.#isStopped) return;
    const everyMs = this.#machines.length > 1 ? heartbeatOfSeveralMs : heartbeatMs;
    this.#timer = this.#host.client.connection.clock.after(everyMs, () => void this.start());
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }
}

export async function keepNode(client: KubeClient, facts: NodeFacts): Promise<void> {
  const key = { namespace: '', name: facts.name };
  const now = formatSecond(client.connection.clock.wallMs());
  const existing = await client.get(nodes, key);
  if (existing === undefined) {
    await client.create(nodes, { metadata: { name: facts.name, labels: labelsOf(facts) } });
  }
  // Before it calls itself ready: an old heartbeat beside that would look like one more loss.
  await heartbeat(client, facts.name);
  const status = existing?.status?.conditions?.some(
    (one) => one.type === 'Ready' && one.status === 'True',
  );
  // What the machine is may have changed while the cluster was down.
  const { Port = 0 } = existing?.status?.daemonEndpoints?.kubeletEndpoint ?? {};
  const isMoved = Port !== (facts.kubeletPort ?? 0);
  const isSame = existing?.status?.allocatable?.['cpu'] === String(facts.cpus);
  if (status !== true || !isSame || isMoved) {
    await client.patchStatus(nodes, key, { status: statusOf(facts, now) });
  }
}

async function heartbeat(client: KubeClient, name: string): Promise<void> {
  const renewTime = new Date(client.connection.clock.wallMs()).toISOString().replace('Z', '000Z');
  const key = { namespace: leaseNamespace, name };
  const spec = { holderIdentity: name, leaseDurationSeconds: leaseSeconds, renewTime };
  if ((await client.get(leases, key)) !== undefined) {
    await client.patch(leases, key, { spec });
    return;
  }
  const home = { namespace: '', name: leaseNamespace };
  if ((await client.get(namespaces, home)) === undefined) {
    await client.create(namespaces, { metadata: { name: leaseNamespace } });
  }
  await client.create(leases, { metadata: key, spec });
}

function labelsOf({ name, labels, operatingSystem, architecture }: NodeFacts) {
  return {
    'kubernetes.io/hostname': name,
    'kubernetes.io/os': operatingSystem,
    'kubernetes.io/arch': architecture,
    ...labels,
  };
}

function statusOf(facts: NodeFacts, now: string): object {
  const { cpus, memoryBytes, operatingSystem, architecture, kernelVersion, version } = facts;
  const memory = `${Math.floor(memoryBytes / 1024)}Ki`;
  const resources = { cpu: String(cpus), memory, pods: String(podsMax) };
  const condition = (type: string, status: string, reason: string, message: string) => ({
    type,
    status,
    reason,
    message,
    lastHeartbeatTime: now,
    lastTransitionTime: now,
  });
  return {
    daemonEndpoints: { kubeletEndpoint: { Port: facts.kubeletPort ?? 0 } },
    capacity: resources,
    allocatable: resources,
    addresses: [
      { type: 'InternalIP', address: '127.0.0.1' },
      { type: 'Hostname', address: facts.name },
    ],
    conditions: [
      condition('MemoryPressure', 'False', 'KubeletHasSufficientMemory', 'memory is not watched'),
      condition('DiskPressure', 'False', 'KubeletHasNoDiskPressure', 'disks are not watched'),
      condition('PIDPressure', 'False', 'KubeletHasSufficientPID', 'processes are not counted'),
      condition('Ready', 'True', 'KubeletReady', 'this machine runs pods as processes'),
    ],
    nodeInfo: {
      machineID: facts.machineId,
      systemUUID: facts.machineId,
      bootID: '',
      kernelVersion,
      osImage: 'the host',
      containerRuntimeVersion: `host-processes://${version}`,
      kubeletVersion: version,
      kubeProxyVersion: '',
      operatingSystem,
      architecture,
    },
  };
}

/** Pods of nodes that are gone: nobody else will ever end them. */
export function createPodCollector(): Controller {
  return {
    name: 'pod-collector',
    sources: [
      { type: pods, keysOf: (object) => [keyOf(object)] },
      {
        type: nodes,
        keysOf: (node, view) =>
          view
            .list(pods)
            .filter((pod) => pod.spec.nodeName === node.metadata.name)
            .map(keyOf),
      },
    ],
    reads: [pods, nodes],
    confirms: [],
    decide: (view, key) => {
      const pod = view.get(pods, key);
      const { nodeName } = pod?.spec ?? {};
      if (pod === undefined || nodeName === undefined) return nothing;
      if (view.get(nodes, { namespace: '', name: nodeName }) !== undefined) return nothing;
      // A node may be registered a moment after a pod that names it.
      const ageMs = view.nowMs - Date.parse(pod.metadata.creationTimestamp ?? '');
      if (ageMs < nodelessMs) return { actions: [], againAfterMs: nodelessMs - ageMs };
      return decision([remove(pods, pod, { graceSeconds: 0 })]);
    },
  };
}
