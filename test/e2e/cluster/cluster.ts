/** A whole cluster of one node: control plane and scheduler here, the node on a machine. */
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Available } from '../../../tools/kubernetes/binaries.ts';
import { createComponent } from '../../kubernetes/control-plane/component.ts';
import {
  type ControlPlane,
  startControlPlane,
} from '../../kubernetes/control-plane/control-plane.ts';
import { kubeletClientName } from '../../kubernetes/control-plane/flags.ts';
import { writeKubeconfig } from '../../kubernetes/control-plane/kubeconfig.ts';
import type { Identity } from '../../kubernetes/control-plane/request.ts';
import { freePorts } from '../../kubernetes/control-plane/ports.ts';
import type { Watchdog } from '../../kubernetes/control-plane/watchdog.ts';
import { connectMachines, type Machine, startMachine } from './machine.ts';
import { startNode } from './node.ts';

const readyMs = 60_000;
export const installer = 'installer';
/** The first address of the service network, by which pods know the API server. */
const apiService = '10.96.0.1';

export interface ClusterOptions {
  readonly name: string;
  readonly number: number;
  readonly directory: string;
  readonly binaries: Available;
  readonly watchdog: Watchdog;
  /** Archives on this host. */
  readonly images: readonly string[];
}

export interface Cluster {
  readonly name: string;
  readonly plane: ControlPlane;
  /** Of its first node. */
  readonly machine: Machine;
  /** Of all its nodes. */
  readonly machines: readonly Machine[];
  /** One more, with a number of its own; ends with the cluster. */
  addNode(number: number): Promise<Machine>;
  /** Of an administrator, as machines and their pods reach the API server. */
  readonly kubeconfigPath: string;
  /** Of the user `installer`, who has no rights before somebody gives them. */
  readonly installerKubeconfigPath: string;
  stop(): Promise<void>;
}

export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const { name, number, binaries, watchdog } = options;
  const directory = join(options.directory, name);
  const undo: (() => Promise<unknown>)[] = [];
  const stop = async (): Promise<void> => {
    for (const step of undo.splice(0).toReversed()) await step();
  };
  const machines: Machine[] = [];
  const startOne = async (nodeName: string, nodeNumber: number): Promise<Machine> => {
    const place = join(directory, nodeName);
    mkdirSync(place, { recursive: true });
    const own = { name: nodeName, number: nodeNumber, directory: place, watchdog };
    const machine = await startMachine(own);
    undo.push(() => machine.stop());
    machines.push(machine);
    return machine;
  };
  try {
    const machine = await startOne(`${name}-node`, number);
    const plane = await startControlPlane({
      name,
      directory: join(directory, 'plane'),
      binaries,
      addresses: [machine.hostAddress, apiService],
      extraArgs: { 'kube-apiserver': ['--bind-address=0.0.0.0'] },
    });
    undo.push(() => plane.stop());
    await letReadLogs(plane);
    const scheduler = await startScheduler(plane, binaries, watchdog);
    undo.push(() => scheduler.end('SIGKILL'));
    const { port } = new URL(plane.url);
    const url = `https://${machine.hostAddress}:${port}`;
    const joinTo = async (one: Machine): Promise<void> => {
      await serveApi(one, `${machine.hostAddress}:${port}`);
      await startNode({ machine: one, plane, url, binaries, watchdog }, options.images);
    };
    await joinTo(machine);
    const addNode = async (more: number): Promise<Machine> => {
      const one = await startOne(`${name}-node-${more}`, more);
      await connectMachines(machine, one);
      await joinTo(one);
      return one;
    };
    const kubeconfigOf = (user: string, identity: Identity): string => {
      const path = join(directory, `${user}.kubeconfig`);
      // Names of users meet those of other clusters when files are put together.
      const of = { name, url, caPem: plane.caPem, user: `${name}-${user}` };
      writeKubeconfig({ path, ...of, identity });
      return path;
    };
    const admin = { certPem: plane.adminCertPem, keyPem: plane.adminKeyPem };
    return {
      name,
      plane,
      machine,
      machines,
      addNode,
      kubeconfigPath: kubeconfigOf('admin', admin),
      installerKubeconfigPath: kubeconfigOf(installer, plane.issueClient({ user: installer })),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** The API server asks the kubelet for logs as a user, who may do that. */
async function letReadLogs({ admin }: ControlPlane): Promise<void> {
  const apiGroup = 'rbac.authorization.k8s.io';
  const path = `/apis/${apiGroup}/v1/clusterrolebindings`;
  const body = {
    metadata: { name: 'kube-apiserver-kubelet' },
    roleRef: { apiGroup, kind: 'ClusterRole', name: 'system:kubelet-api-admin' },
    subjects: [{ apiGroup, kind: 'User', name: kubeletClientName }],
  };
  const { status, text } = await admin.send({ method: 'POST', path, body });
  if (status !== 201) throw new Error(`POST ${path}: ${status} ${text}`);
}

async function startScheduler(plane: ControlPlane, binaries: Available, watchdog: Watchdog) {
  const { name, directory, url, caPem } = plane;
  const user = 'system:kube-scheduler';
  const path = join(directory, 'scheduler.kubeconfig');
  writeKubeconfig({ path, name, url, caPem, user, identity: plane.issueClient({ user }) });
  const [port = 0] = await freePorts(1);
  const component = createComponent({
    name: `scheduler of ${name}`,
    program: binaries.path('kube-scheduler'),
    args: [
      `--kubeconfig=${path}`,
      '--leader-elect=false',
      '--bind-address=127.0.0.1',
      `--secure-port=${port}`,
      `--cert-dir=${join(directory, 'scheduler')}`,
    ],
    directory,
    logPath: join(directory, 'kube-scheduler.log'),
    watchdog,
    // It is seen by its work.
    isReady: async () => true,
  });
  await component.start(readyMs);
  return component;
}

/** The one service that pods use here: what kube-proxy would do for it. */
async function serveApi(machine: Machine, target: string): Promise<void> {
  for (const chain of ['PREROUTING', 'OUTPUT']) {
    const match = ['-d', apiService, '-p', 'tcp', '--dport', '443'];
    const rule = [...match, '-j', 'DNAT', '--to-destination', target];
    await machine.run('iptables', '-t', 'nat', '-A', chain, ...rule);
  }
}
