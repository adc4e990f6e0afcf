/** What the command line needs from the world; `src/host` implements it, tests fake it. */
import type { ControlClient } from '../api/control-client.ts';
import type { Clock } from '../base/ports.ts';
import type { BlockOrder } from '../files/block-run.ts';
import type { KubeClient } from '../kube/api.ts';

export interface Terminal {
  /** Width of the terminal at stderr, where progress goes; 80 when unknown. */
  readonly columns: number;
  readonly outIsTerminal: boolean;
  readonly errIsTerminal: boolean;
  readonly inIsTerminal: boolean;
  out(text: string): void;
  err(text: string): void;
  /** One line from the person. Never called unless `inIsTerminal`. */
  ask(question: string): Promise<string>;
  /** Calls `run` at Ctrl-C instead of ending the process, until the returned function is called. */
  onInterrupt(run: () => void): () => void;
}

export interface StartAgent {
  readonly name: string;
  /** The cluster of which it is one more agent; absent for the first, named as the cluster. */
  readonly memberOf?: string;
  /** The same, of an agent with a home of its own: as pods have it. */
  readonly agentOf?: string;
  readonly poolDirectory?: string;
  readonly capacityBytes?: number;
  readonly cacheBytes?: number;
  readonly listen?: string;
  /** What peers are told, where it differs from `listen`: behind address translation, say. */
  readonly advertise?: string;
  readonly bytesPerSecond?: number;
  /** Of 127.0.0.1; any free one, then always the same, when absent. */
  readonly metricsPort?: number;
  /** Where others read its metrics, too: `host:port`, or `*:port` for all addresses. */
  readonly metricsListen?: string;
  /** Where NBD is served over TLS, and the directory with ca-cert, server-cert, server-key. */
  readonly nbdListen?: string;
  readonly nbdTlsDirectory?: string;
  /** Where the control API is served with TLS, and the directory with ca.crt, tls.crt, tls.key. */
  readonly controlListen?: string;
  readonly controlTlsDirectory?: string;
  /** Of the process that keeps devices (`node-devices`); the agent itself when absent. */
  readonly devicesSocket?: string;
}

/** The agents of this host, by their directories in the home. */
export interface Agents {
  readonly home: string;
  /** Names of all clusters that ever ran here, sorted. */
  known(): readonly string[];
  /** Names of clusters of which an agent answers now. */
  running(): Promise<readonly string[]>;
  /** Names of a cluster's agents that ever ran here: the first, named as the cluster, leads. */
  agentsOf(cluster: string): readonly string[];
  /** The cluster of which an agent is one, unless it is the first. */
  clusterOf(agent: string): string | undefined;
  /** To one agent; that of a cluster's name is its first. */
  connect(name: string): ControlClient;
  /**
   * Starts an agent in the background and waits until it answers. Resolves with false when it runs
   * already. Rejects with what the agent said when it gave up (`PoolLocked`, `BadArgument`, ...).
   */
  start(options: StartAgent): Promise<boolean>;
  /** Ends an agent and waits until its process is gone. Resolves with false when none runs. */
  stop(name: string, timeoutMs: number): Promise<boolean>;
  logPath(name: string): string;
  /** Repairs a pool whose agent does not run. */
  repairPool(name: string, onLine: (line: string) => void): Promise<void>;
}

export interface StartPlane {
  readonly name: string;
  /** Of 127.0.0.1; any free one, then always the same, when absent. */
  readonly apiPort?: number;
  /** Leaves the controllers to another process: `transship controller`. */
  readonly withoutController?: boolean;
  /** Agents of the cluster beside the first: each is a node. */
  readonly nodes?: readonly string[];
}

/** Which API server: that of a cluster of this home, or a context of a kubeconfig. */
export type ApiPlace =
  | { readonly cluster: string }
  | { readonly kubeconfig: string | undefined; readonly context: string | undefined }
  /** The cluster in which this process is a pod. */
  | { readonly inCluster: true };

export interface ControllerRun {
  readonly place: ApiPlace;
  /** Where others read their metrics: `host:port`, or `*:port` for all addresses. */
  readonly metricsListen?: string;
  /** Of the cluster, where the agents of an installation are to be found and given certificates. */
  readonly installedAs?: string;
}

export interface OpenApi {
  readonly client: KubeClient;
  readonly endpoint: {
    readonly server: string;
    /** Undefined: one that the system trusts. */
    readonly authorityPem: string | undefined;
  };
}

/** Control planes of this host's clusters, and the way to any API server. */
export interface Planes {
  isRunning(name: string): boolean;
  /** Path of the administrator's kubeconfig of a cluster of this home. */
  kubeconfig(name: string): string;
  /** Starts one in the background and waits until it serves. False when it runs already. */
  start(options: StartPlane): Promise<boolean>;
  /** Ends its pods, then itself, and waits. False when none runs. */
  stop(name: string, timeoutMs: number): Promise<boolean>;
  /** Where its metrics are; undefined before its first start. */
  metricsUrl(name: string): string | undefined;
  /** One kubeconfig with all clusters of this home as contexts; returns its path. */
  writeShared(names: readonly string[]): Promise<string>;
  logPath(name: string): string;
  /** `ApiUnreachable` says how to start it. */
  open(place: ApiPlace): Promise<OpenApi>;
}

export interface CliPorts {
  readonly terminal: Terminal;
  readonly clock: Clock;
  readonly agents: Agents;
  readonly planes: Planes;
  readonly environment: Readonly<Record<string, string | undefined>>;
  readonly workingDirectory: string;
  readonly version: string;
  /** A file's text, or that of stdin for `-`. `BadArgument`: it cannot be read, or is too long. */
  readInput(path: string, bytesMax: number): Promise<string>;
  /** The last bytes of a file, from the start of a line. `NotFound` when there is none. */
  readEnd(path: string, bytesMax: number): Promise<string>;
  /** A gzipped tar, for its owner only. `AlreadyExists` when there is a file. */
  writeArchive(path: string, files: readonly ArchiveFile[]): Promise<void>;
  /** A new file, for its owner only. `AlreadyExists` when there is one. */
  writeText(path: string, text: string): Promise<void>;
  /**
   * The person's editor (VISUAL, EDITOR, vi) on a file of its own, until they leave it. `Canceled`
   * when the editor says that it failed; `ToolMissing` when there is none.
   */
  openEditor(draft: EditorDraft): Promise<EditedText>;
  /** Checks of this host that need no agent. */
  hostFindings(): Promise<readonly HostFinding[]>;
  /** Runs the controllers of one cluster until it is told to stop; resolves with the exit code. */
  runController(run: ControllerRun): Promise<number>;
  /** Runs one agent in this process until it is told to stop; resolves with the exit code. */
  runNodeAgent(start: StartAgent): Promise<number>;
  /** Keeps the devices of a node until it is told to stop. */
  runNodeDevices(devices: { socketPath: string; directory: string }): Promise<number>;
  /** Serves the Container Storage Interface until it is told to stop. */
  runCsi(options: CsiRun): Promise<number>;
  /** A mover's process; ends it when the mover ends. */
  runMover(work: 'server' | 'client' | 'backup' | 'restore', configPath: string): Promise<number>;
  /** Copies one raw device, and says so on stdout; resolves with the exit code. */
  runBlockMover(order: BlockOrder): Promise<number>;
  runDemo(options: DemoOptions): Promise<number>;
}

export interface CsiRun {
  readonly place: ApiPlace;
  /** `unix:///PATH`. */
  readonly endpoint: string;
  /** The name of this node; without one there is no node service. */
  readonly node?: string;
  /** The agent of this node, by its name in the Cluster object; of the same name as the node. */
  readonly agent?: string;
  /** The control socket of the node's agent: then the API of the cluster is not asked for it. */
  readonly agentSocket?: string;
  readonly controller: boolean;
  /** The directory in which a kubelet looks for plugins. */
  readonly plugins?: string;
}

export interface EditorDraft {
  /** Ends in what editors know it by: `plan-shop.yaml`. */
  readonly name: string;
  readonly text: string;
}

/** What a person wrote stays in its file until it is known to be kept elsewhere. */
export interface EditedText {
  readonly text: string;
  readonly path: string;
  discard(): Promise<void>;
}

export interface ArchiveFile {
  /** Relative, with `/`; at most 100 bytes. */
  readonly path: string;
  readonly text: string;
}

export interface DemoOptions {
  /** Leave the clusters running until Ctrl-C when the story is over. */
  readonly keep: boolean;
  /** Use no mount, also where there could be one. */
  readonly unprivileged: boolean;
}

export interface HostFinding {
  readonly check: string;
  readonly result: 'Passed' | 'Failed' | 'Warning' | 'Skipped';
  readonly message: string;
  readonly remedy?: string;
}
