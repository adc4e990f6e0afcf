/** The pods of the method Filesystem, and what the Secrets hold that they mount. */
import type { NodeSelector } from '../kube/resources.ts';
import type { PodVolume, VolumeMount } from '../kube/pod-spec.ts';
import type { Pod } from '../kube/workloads.ts';
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
  /** As whoever runs the pods: processes of an embedded cluster are its own user's. */
  readonly asHost?: boolean;
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
  /** Of the Secret with the configuration and the certificates. */
  readonly secret: string;
  readonly identity: MoverIdentity;
  /** Where the volume can be used, or where the pod runs that holds a ReadWriteOnce claim. */
  readonly nodes?: NodeSelector;
  /** Of the pod that holds the claim: its node may be kept for its like. */
  readonly tolerations?: readonly object[];
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

/**
 * Where a mover finds what is mounted. Below the pod's own name, because the pods of embedded
 * clusters have the directories of one machine in common: a place that the pods of two clusters
 * had would go with the first that ends.
 */
export function placesOf(pod: string) {
  const base = `/run/transship/movers/${pod}`;
  return {
    secret: `${base}/secret`,
    state: `${base}/state`,
    volume: `${base}/volume`,
    device: `${base}/device`,
  } as const;
}

/** What rsync needs to read all and to make files of any owner (capabilities(7)). */
const rootCapabilities = ['CHOWN', 'DAC_OVERRIDE', 'FOWNER', 'FSETID', 'MKNOD', 'SETFCAP'];
const chrootCapabilities = ['SETGID', 'SETUID', 'SYS_CHROOT'];
const defaultUser = 65_532;
/** Meshes put a proxy into pods, which would outlive the mover and stand in its way. */
const alone = { 'sidecar.istio.io/inject': 'false', 'linkerd.io/inject': 'disabled' };
/** The variable in which a mover finds the address of its pod: a server listens there. */
export const podAddress = 'TRANSSHIP_POD_ADDRESS';

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
  const words = ['server', ...configWords(options)];
  return podOf(options, { side: 'server', words, volumes, mounts, ports, restartPolicy: 'Always' });
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
  const words = ['client', ...configWords(options)];
  return podOf(options, {
    side: 'client',
    words,
    volumes,
    mounts,
    ports: {},
    restartPolicy: 'Never',
  });
}

function configWords({ name }: MoverPodOptions): readonly string[] {
  return ['--config', `${placesOf(name).secret}/config.json`];
}

/** What pods of the two sides, and of the two methods, do not have in common. */
export interface MoverPodParts {
  readonly side: 'server' | 'client';
  /** After `transship mover`. */
  readonly words: readonly string[];
  readonly volumes: readonly PodVolume[];
  readonly mounts: readonly VolumeMount[];
  readonly devices?: readonly { readonly name: string; readonly devicePath: string }[];
  readonly ports: { readonly ports?: readonly { readonly containerPort: number }[] };
  readonly restartPolicy: 'Always' | 'Never' | 'OnFailure';
}

/** A pod as all movers are: restricted, without a token, with its Secret and a private place. */
export function podOf(options: MoverPodOptions, parts: MoverPodParts): Pod {
  const { name, namespace, labels = {}, identity, nodes, imagePullSecrets } = options;
  const { tolerations } = options;
  const because = identity.runAsRoot?.because;
  const places = placesOf(name);
  const annotations = because === undefined ? {} : { 'transship.dev/run-as-root-because': because };
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name,
      namespace,
      labels: { ...labels, ...alone },
      annotations: { ...annotations, ...alone },
    },
    spec: {
      restartPolicy: parts.restartPolicy,
      // It talks to no API server.
      automountServiceAccountToken: false,
      terminationGracePeriodSeconds: 30,
      securityContext: podSecurity(identity),
      ...(nodes === undefined ? {} : { affinity: affinityOf(nodes) }),
      ...(tolerations === undefined ? {} : { tolerations }),
      ...(imagePullSecrets === undefined
        ? {}
        : { imagePullSecrets: imagePullSecrets.map((one) => ({ name: one })) }),
      containers: [
        {
          name: 'mover',
          image: options.image,
          command: [...(options.command ?? ['transship']), 'mover', ...parts.words],
          env: [{ name: podAddress, valueFrom: { fieldRef: { fieldPath: 'status.podIP' } } }],
          ...parts.ports,
          resources: { requests: { cpu: '100m', memory: '128Mi' } },
          securityContext: containerSecurity(identity, parts.side),
          volumeMounts: [
            { name: 'mover', mountPath: places.secret, readOnly: true },
            { name: 'state', mountPath: places.state },
            ...parts.mounts,
          ],
          ...(parts.devices === undefined ? {} : { volumeDevices: parts.devices }),
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
  if (identity.asHost === true) return { seccompProfile };
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

/** What `config.json` of a pod's Secret holds, beside the certificates. */
export function configText(
  pod: string,
  config: WithoutPlaces<MoverServerConfig> | WithoutPlaces<MoverClientConfig>,
): string {
  const { secret, state } = placesOf(pod);
  return JSON.stringify({ ...config, certificates: secret, state: `${state}/state` });
}
