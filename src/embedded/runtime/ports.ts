/**
 * What the runtime works with beside the API: processes, their files and logs, probes, volumes of
 * the engine. `src/host/control-plane/processes.ts` implements them; tests have their own.
 */
import type { Log, Metrics } from '../../base/ports.ts';
import type { EventRecorder, KubeClient } from '../../kube/api.ts';
import type { DirectoryVolume } from './storage/directory-decisions.ts';
import type { NodeFacts } from './upkeep/nodes.ts';

/** One run of one container; the number counts from 0 and is the restart count. */
export interface Attempt {
  /** The pod's uid. */
  readonly pod: string;
  readonly container: string;
  readonly number: number;
}

export interface Mount {
  /** A directory or file of the host. */
  readonly source: string;
  /** Where the container sees it. */
  readonly target: string;
  readonly readOnly: boolean;
  /** Of the environment: tells the process where it finds this. */
  readonly variable?: string;
}

export interface ProcessSpec {
  readonly argv: readonly string[];
  /** All of it: nothing is inherited. */
  readonly env: Readonly<Record<string, string>>;
  readonly workingDirectory: string | undefined;
  /** Only root can start processes of others. */
  readonly user: number | undefined;
  readonly group: number | undefined;
  readonly mounts: readonly Mount[];
}

export type AttemptState =
  | { readonly state: 'none' }
  | { readonly state: 'running'; readonly startedMs: number }
  | {
      readonly state: 'exited';
      /** 128 and the signal's number where a signal ended it; 128 when it could not start. */
      readonly exitCode: number;
      readonly startedMs: number;
      readonly finishedMs: number;
    };

export interface LogOptions {
  readonly follow: boolean;
  readonly tailLines: number | undefined;
  readonly sinceMs: number | undefined;
  readonly timestamps: boolean;
  readonly limitBytes: number | undefined;
  readonly signal: AbortSignal | undefined;
}

export interface ExecResult {
  readonly exitCode: number;
  /** Standard output and error, cut to a few KiB. */
  readonly output: string;
}

/**
 * Containers as processes of this machine. What runs outlives us: after a crash of the control
 * plane `look` finds it again by its process id and start time.
 */
export interface Processes {
  /** `bind`: a mount is at its path, for this container only. `link`: in the pod's directory. */
  readonly mounting: 'bind' | 'link';
  /** Resolves when it runs, or has ended already. Rejects when it cannot be started at all. */
  start(attempt: Attempt, spec: ProcessSpec): Promise<void>;
  look(attempt: Attempt): AttemptState;
  /** Highest attempt of each container that has any. */
  attempts(pod: string): ReadonlyMap<string, number>;
  /** Called when a process may have ended. Returns what ends the calls. */
  onExit(listener: (pod: string) => void): () => void;
  /** To the process and all it started. Nothing when it is gone. */
  signal(attempt: Attempt, signal: 'SIGTERM' | 'SIGKILL'): void;
  /** Runs a command where the container runs. `TimedOut` after `timeoutMs`. */
  exec(
    attempt: Attempt,
    argv: readonly string[],
    options: { readonly env: Readonly<Record<string, string>>; readonly timeoutMs: number },
  ): Promise<ExecResult>;
  /** `NotFound` when there is no log. */
  readLog(attempt: Attempt, options: LogOptions): AsyncIterable<Uint8Array>;
  /** Forgets attempts before this one; its log goes with it. */
  forgetBefore(attempt: Attempt): void;
  /** Pods that left something here. */
  pods(): readonly string[];
  /** Takes back what the pod has outside its directory. Its files and logs stay. */
  settle(pod: string): void;
  /** Kills what is left of the pod and removes its directory. */
  remove(pod: string): Promise<void>;
}

export interface PodFile {
  /** Relative, without `..`. */
  readonly path: string;
  readonly content: Uint8Array;
  readonly mode: number;
}

/** Directories and files that pods see as volumes. */
export interface PodFiles {
  /** An empty directory of the pod; what is in it stays. Returns its path. */
  makeDirectory(pod: string, volume: string): string;
  /** These files and no others; readers see the old or the new ones. Returns the path. */
  writeFiles(pod: string, volume: string, files: readonly PodFile[]): string;
  /** Makes sure a path of the host is what `type` of a hostPath volume says, or `Invalid`. */
  checkHostPath(path: string, type: string): void;
  /** A path below `directory`, made if it is not there. `Invalid` when it leads out of it. */
  subPath(directory: string, subPath: string): string;
  /** A word kept with the pod, for the next control plane. */
  note(pod: string, name: string, text: string | undefined): void;
  readNote(pod: string, name: string): string | undefined;
}

export interface Probes {
  /** The status code. Rejects when nobody answers in time. */
  httpGet(request: {
    readonly url: string;
    readonly headers: readonly { readonly name: string; readonly value: string }[];
    readonly timeoutMs: number;
  }): Promise<number>;
  tcp(host: string, port: number, timeoutMs: number): Promise<void>;
}

/** Volumes of the engine on this machine. Both calls may be repeated. */
export interface VolumeMounts {
  mount(
    volume: string,
    options: { readonly readOnly: boolean; readonly fsType: string; readonly block: boolean },
  ): Promise<MountedVolume>;
  /** `isInUse` is asked when no mount of this volume is under way: if so, nothing is done. */
  unmount(volume: string, isInUse: () => boolean): Promise<void>;
}

export interface MountedVolume {
  /** A directory, or with `block` a device; undefined where this machine cannot attach. */
  readonly path: string | undefined;
  readonly nbdUri: string;
}

/**
 * Directories and sparse files below the control plane's home, for the class `directory`. Every
 * call may be repeated; what a crash cut short is made whole by the next. Errors: `DiskFailed`,
 * `InUse` while something is mounted in what is to be removed, `Invalid` for a name that is no
 * volume's.
 */
export interface DirectoryVolumes {
  /** What is there stays. Returns the path for the volume's object: the same for ever. */
  make(volume: DirectoryVolume): Promise<string>;
  /** Where a pod sees it: the directory, or a loop device; the file where none can be had. */
  path(volume: { readonly name: string; readonly block: boolean }): Promise<string>;
  /** With all that is in it. Follows no link. */
  remove(name: string): Promise<void>;
  /** Removes it if nothing was ever written into it; says whether it is gone. */
  removeUnused(name: string): Promise<boolean>;
  names(): Promise<readonly string[]>;
}

/** What belongs to one machine, or to several that share it. */
export interface NodePorts {
  readonly processes: Processes;
  readonly files: PodFiles;
  readonly volumes: VolumeMounts;
  readonly nodes: readonly NodeFacts[];
  /**
   * Whether the node works, as last looked: one that is down says nothing to the API server until
   * it is up again. Absent: it is up as long as this process.
   */
  readonly isUp?: () => boolean;
  /** Called when the node works again after it did not. Returns what ends the calls. */
  readonly onReturn?: (listener: () => void) => () => void;
}

export interface RuntimePorts extends NodePorts {
  readonly client: KubeClient;
  readonly events: EventRecorder;
  readonly log: Log;
  readonly metrics: Metrics;
  readonly probes: Probes;
  readonly directories: DirectoryVolumes;
  /** Nodes beside `nodes`, each with processes and volumes of its own. They may be lost. */
  readonly further?: readonly NodePorts[];
  /** PEM; into every namespace as `kube-root-ca.crt`. */
  readonly caBundle: string;
  /** Where pods reach the API server. */
  readonly apiServer: { readonly host: string; readonly port: number };
  /** What every container gets: PATH, HOME, LANG. */
  readonly baseEnv: Readonly<Record<string, string>>;
}
