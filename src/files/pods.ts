/** The pods of the method Filesystem and the Secrets that they mount, as objects to apply. */
import type { KubeObject } from '../kube/objects.ts';
import type { NodeSelector, Secret } from '../kube/resources.ts';
import type { Pod, PodVolume, VolumeMount } from '../kube/workloads.ts';
import type { MoverClientConfig, MoverServerConfig } from './mover-config.ts';

/** PEM texts by the names of files. */
export interface CertificateFiles {
  readonly 'ca.crt': string;
  readonly 'tls.crt': string;
  readonly 'tls.key': string;
}

export interface MoverCertificates {
  readonly server: CertificateFiles;
  readonly client: CertificateFiles;
}

export interface MoverIdentity {
  /** Root only when the plan asks for it: files of several owners, or unreadable to others. */
  readonly runAsRoot?: { readonly because: string };
  /** Without root: who reads the files; the volume's group is `fsGroup`. */
  readonly user?: number;
  readonly group?: number;
}

export interface MoverPodOptions {
  readonly name: string;
  readonly namespace: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly image: string;
  /** The words before `mover`; default `['transship']`. */
  readonly command?: readonly string[];
  /** Of the Secret with the configuration and the certificates (`moverSecret`). */
  readonly secret: string;
  readonly identity: MoverIdentity;
  /** Where the volume can be used, or where the pod runs that holds a ReadWriteOnce claim. */
  readonly nodes?: NodeSelector;
  readonly imagePullSecrets?: readonly string[];
}

export interface MoverServerPodOptions extends MoverPodOptions {
  readonly port: number;
  readonly volumes: readonly { readonly claim: string; readonly path: string }[];
}

export interface MoverClientPodOptions extends MoverPodOptions {
  readonly claim: string;
  readonly path: string;
}

const secretPath = '/etc/transship/mover';
const statePath = '/var/lib/transship-mover';
/** What rsync needs to read all and to make files of any owner (capabilities(7)). */
const rootCapabilities = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'MKNOD', 'SETFCAP'];
const chrootCapabilities = ['SETGID', 'SETUID', 'SYS_CHROOT'];
const defaultUser = 65_532;

/** One per namespace, with all its volumes; restarts where it was. */
export function moverServerPod(options: MoverServerPodOptions): Pod {
  const volumes = options.volumes.map(({ claim }, index) => ({
    name: `volume-${index}`,
    persistentVolumeClaim: { claimName: claim },
  }));
  const mounts = options.volumes.map(({ path }, index) => {
    return { name: `volume-${index}`, mountPath: path };
  });
  const ports = options.port === 0 ? {} : { ports: [{ containerPort: options.port }] };
  return podOf(options, { side: 'server', volumes, mounts, ports, restartPolicy: 'Always' });
}

/**
 * One per volume. The claim is mounted read-only. A pod's mount of a ReadWriteOnce claim works only
 * on the node where the application runs: give that node in `nodes` during a stage, or the volume's
 * own topology once nothing runs. Attempts are made inside, so the pod runs once.
 */
export function moverClientPod(options: MoverClientPodOptions): Pod {
  const claim = { claimName: options.claim };
  const volumes = [{ name: 'volume', persistentVolumeClaim: claim }];
  const mounts = [{ name: 'volume', mountPath: options.path, readOnly: true }];
  return podOf(options, { side: 'client', volumes, mounts, ports: {}, restartPolicy: 'Never' });
}

interface Side {
  readonly side: 'server' | 'client';
  readonly volumes: readonly PodVolume[];
  readonly mounts: readonly VolumeMount[];
  readonly ports: { readonly ports?: readonly { readonly containerPort: number }[] };
  readonly restartPolicy: 'Always' | 'Never';
}

function podOf(options: MoverPodOptions, parts: Side): Pod {
  const { name, namespace, labels = {}, identity, nodes, imagePullSecrets } = options;
  const because = identity.runAsRoot?.because;
  const words = ['--config', `${secretPath}/config.json`];
  const annotations = because === undefined ? {} : { 'transship.dev/run-as-root-because': because };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace, labels, annotations },
    spec: {
      restartPolicy: parts.restartPolicy,
      // It talks to no API server.
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 30,
      securityContext: podSecurity(identity),
      ...(nodes === undefined ? {} : { affinity: affinityOf(nodes) }),
      ...(imagePullSecrets === undefined
        ? {}
        : { imagePullSecrets: imagePullSecrets.map((one) => ({ name: one })) }),
      containers: [
        {
          name: 'mover',
          image: options.image,
          command: [...(options.command ?? ['transship']), 'mover', parts.side, ...words],
          ...parts.ports,
          securityContext: containerSecurity(identity, parts.side),
          volumeMounts: [
            { name: 'mover', mountPath: secretPath, readOnly: true },
            { name: 'state', mountPath: statePath },
            ...parts.mounts,
          ],
        },
      ],
      volumes: [
        { name: 'mover', secret: { secretName: options.secret, defaultMode: 0o440 } },
        { name: 'state', emptyDir: {} },
        ...parts.volumes,
      ],
    },
  };
}

/** Required, not a node's name: the scheduler still decides, and sees what else is wrong (U-44). */
function affinityOf(nodes: NodeSelector): Readonly<Record<string, unknown>> {
  return { nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: nodes } };
}

function podSecurity(identity: MoverIdentity): Readonly<Record<string, unknown>> {
  const seccompProfile = { type: 'RuntimeDefault' };
  if (identity.runAsRoot !== undefined) return { seccompProfile, runAsUser: 0, runAsGroup: 0 };
  const { user = defaultUser, group = user } = identity;
  const ids = { runAsUser: user, runAsGroup: group, fsGroup: group };
  // A volume whose root has the right group already is not walked to change every file's.
  return { seccompProfile, runAsNonRoot: true, ...ids, fsGroupChangePolicy: 'OnRootMismatch' };
}

function containerSecurity(
  identity: MoverIdentity,
  side: 'server' | 'client',
): Readonly<Record<string, unknown>> {
  const added = side === 'server' ? [...rootCapabilities, ...chrootCapabilities] : ['DAC_OVERRIDE'];
  const isRoot = identity.runAsRoot !== undefined;
  return {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'], ...(isRoot ? { add: added } : {}) },
  };
}

export type WithoutPlaces<T> = Omit<T, 'certificates' | 'state'>;

/** The configuration and the certificates of one side; deleted with the transfer. */
export function moverSecret(
  metadata: KubeObject['metadata'],
  config: WithoutPlaces<MoverServerConfig> | WithoutPlaces<MoverClientConfig>,
  certificates: CertificateFiles,
): Secret {
  const places = { certificates: secretPath, state: `${statePath}/state` };
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata,
    type: 'Opaque',
    stringData: { ...certificates, 'config.json': JSON.stringify({ ...config, ...places }) },
  };
}
