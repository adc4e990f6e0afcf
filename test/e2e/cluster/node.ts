/** containerd and a kubelet on a machine of their own, joined to an API server. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Available } from '../../../tools/kubernetes/binaries.ts';
import { type Component, createComponent } from '../../kubernetes/control-plane/component.ts';
import type { ControlPlane } from '../../kubernetes/control-plane/control-plane.ts';
import { writeKubeconfig } from '../../kubernetes/control-plane/kubeconfig.ts';
import type { Watchdog } from '../../kubernetes/control-plane/watchdog.ts';
import type { Machine } from './machine.ts';

const readyMs = 60_000;
const socket = '/run/containerd/containerd.sock';
/** What holds the network of a pod: any program that sleeps. */
export const pauseImage = 'transship.test/pause:1';

export interface NodeOptions {
  readonly machine: Machine;
  readonly plane: ControlPlane;
  /** Of the API server, as the machine reaches it. */
  readonly url: string;
  readonly binaries: Available;
  readonly watchdog: Watchdog;
}

/** `images`: archives on this host. Resolves when pods can be scheduled there. */
export async function startNode(options: NodeOptions, images: readonly string[]): Promise<void> {
  const { machine } = options;
  writeContainerd(machine);
  await containerd(options).start(readyMs);
  for (const archive of images) {
    const words = ['--namespace', 'k8s.io', 'images', 'import', '--no-unpack', archive];
    await machine.run('ctr', ...words);
  }
  writeKubelet(options);
  await kubelet(options).start(readyMs);
}

function containerd({ machine, watchdog }: NodeOptions): Component {
  const config = join(machine.directory, 'containerd.toml');
  const [program, args] = machine.inside('containerd', ['--config', config]);
  return createComponent({
    name: `containerd of ${machine.name}`,
    program,
    args,
    directory: machine.directory,
    logPath: join(machine.directory, 'containerd.log'),
    watchdog,
    isReady: () => answers(machine.run('ctr', '--address', socket, 'version')),
  });
}

function kubelet({ machine, plane, binaries, watchdog }: NodeOptions): Component {
  const { name, directory, address } = machine;
  const [program, args] = machine.inside(binaries.path('kubelet'), [
    `--config=${join(directory, 'kubelet.json')}`,
    `--kubeconfig=${join(directory, 'kubelet.kubeconfig')}`,
    `--hostname-override=${name}`,
    `--node-ip=${address}`,
    `--cert-dir=${directory}`,
  ]);
  return createComponent({
    name: `kubelet of ${name}`,
    program,
    args,
    directory,
    logPath: join(directory, 'kubelet.log'),
    watchdog,
    isReady: () => isNodeReady(plane, name),
  });
}

async function isNodeReady(plane: ControlPlane, name: string): Promise<boolean> {
  const { status, json } = await plane.admin.send({ path: `/api/v1/nodes/${name}` });
  if (status !== 200) return false;
  const { conditions = [] } = (json as NodeObject).status;
  return conditions.some((one) => one.type === 'Ready' && one.status === 'True');
}

interface NodeObject {
  readonly status: {
    readonly conditions?: readonly { readonly type: string; readonly status: string }[];
  };
}

async function answers(asked: Promise<unknown>): Promise<boolean> {
  return asked.then(
    () => true,
    () => false,
  );
}

function writeContainerd(machine: Machine): void {
  const cri = 'plugins."io.containerd.grpc.v1.cri"';
  const absent = ['aufs', 'btrfs', 'devmapper', 'zfs'].map((one) => {
    return `"io.containerd.snapshotter.v1.${one}"`;
  });
  const lines = [
    'version = 2',
    `disabled_plugins = [${absent.join(', ')}]`,
    `[${cri}]`,
    `sandbox_image = "${pauseImage}"`,
    // Without it no container starts where a process may not lower its own score.
    'restrict_oom_score_adj = true',
    'netns_mounts_under_state_dir = true',
    `[${cri}.cni]`,
    'bin_dir = "/usr/lib/cni"',
    `conf_dir = "${join(machine.directory, 'cni')}"`,
  ];
  writeFileSync(join(machine.directory, 'containerd.toml'), `${lines.join('\n')}\n`);
  mkdirSync(join(machine.directory, 'cni'), { recursive: true });
  const bridge = {
    type: 'bridge',
    bridge: 'cni0',
    isGateway: true,
    ipMasq: true,
    hairpinMode: true,
    ipam: {
      type: 'host-local',
      ranges: [[{ subnet: `${machine.podNet}.0/24` }]],
      routes: [{ dst: '0.0.0.0/0' }],
    },
  };
  const plugins = [bridge, { type: 'portmap', capabilities: { portMappings: true } }];
  const list = { cniVersion: '0.4.0', name: 'pods', plugins };
  writeFileSync(join(machine.directory, 'cni', '10-pods.conflist'), JSON.stringify(list));
}

function writeKubelet({ machine, plane, url }: NodeOptions): void {
  const { name, directory, address, controlGroup } = machine;
  const write = (file: string, text: string): string => {
    const path = join(directory, file);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const user = `system:node:${name}`;
  const identity = plane.issueClient({ user, groups: ['system:nodes'] });
  const path = join(directory, 'kubelet.kubeconfig');
  writeKubeconfig({ path, name: plane.name, url, caPem: plane.caPem, user, identity });
  const serving = plane.issueServer(name, [address]);
  const config = {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    authentication: {
      anonymous: { enabled: false },
      webhook: { enabled: true },
      x509: { clientCAFile: write('ca.crt', plane.caPem) },
    },
    authorization: { mode: 'Webhook' },
    tlsCertFile: write('kubelet.crt', serving.certPem),
    tlsPrivateKeyFile: write('kubelet.key', serving.keyPem),
    containerRuntimeEndpoint: `unix://${socket}`,
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${controlGroup}`,
    enforceNodeAllocatable: [],
    failCgroupV1: false,
    failSwapOn: false,
    resolvConf: '',
    // A disk that is nearly full is no matter of these tests.
    evictionHard: Object.fromEntries(
      ['memory.available', 'nodefs.available', 'nodefs.inodesFree', 'imagefs.available'].map(
        (signal) => [signal, '0%'],
      ),
    ),
    imageGCHighThresholdPercent: 100,
    syncFrequency: '5s',
  };
  write('kubelet.json', JSON.stringify(config));
}
