/** What the driver works with beside the calls themselves; `src/host/csi` implements it. */
import type { ControlClient } from '../api/control-client.ts';
import type { Clock } from '../base/ports.ts';
import type { KubeClient } from '../kube/api.ts';

/** An agent of this cluster and the node it is on: CSI knows nodes by the same name. */
export interface AgentDoor {
  readonly name: string;
  readonly control: ControlClient;
}

export interface ControllerPorts {
  /** The cluster whose Volume objects are the truth. */
  readonly client: KubeClient;
  readonly clock: Clock;
  agents(): Promise<readonly AgentDoor[]>;
}

export interface MountRequest {
  readonly from: string;
  readonly to: string;
  readonly fsType: string;
  readonly flags: readonly string[];
  readonly readOnly: boolean;
}

export interface PathUsage {
  /** Of a file system; of a device only the bytes in all. */
  readonly bytes: { readonly total: number; readonly free?: number; readonly used?: number };
  readonly inodes?: { readonly total: number; readonly free: number; readonly used: number };
}

/** Mounts of this node. Everything can be repeated: what is so already changes nothing. */
export interface Mounts {
  /** What is mounted at a path: its device or, of a bind mount of a device node, that device. */
  at(path: string): Promise<{ readonly device: string; readonly readOnly: boolean } | undefined>;
  /** The file system on a device; undefined when there is nothing on it. */
  fileSystemOn(device: string): Promise<string | undefined>;
  /** Only ever called for a blank device. */
  makeFileSystem(device: string, fsType: string): Promise<void>;
  mount(request: MountRequest): Promise<void>;
  /** Binds a mounted directory to another path. */
  bindDirectory(from: string, to: string, readOnly: boolean): Promise<void>;
  /** Binds a device node to a path, which is made as an empty file. */
  bindDevice(device: string, to: string, readOnly: boolean): Promise<void>;
  /** Unmounts, then removes the empty directory or file. Nothing there is fine. */
  unmount(path: string): Promise<void>;
  /** Grows a mounted file system to its device. Returns the bytes it then has. */
  grow(device: string, path: string): Promise<number>;
  /** `NotFound` when there is no such path. */
  usage(path: string): Promise<PathUsage>;
}

export interface NodePorts {
  /** The name of this node in Kubernetes. */
  readonly node: string;
  /** The agent of this node. */
  readonly agent: AgentDoor;
  readonly mounts: Mounts;
}
