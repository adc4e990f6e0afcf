/** Where the control plane of an embedded cluster keeps what. */
import { join } from 'node:path';
import { agentPaths } from '../agent-paths.ts';

export interface PlanePaths {
  readonly directory: string;
  readonly settings: string;
  /** SQLite: all objects. */
  readonly state: string;
  /** Keys and certificates of this cluster's authority. */
  readonly pki: string;
  /** For people and programs: the administrator's. */
  readonly kubeconfig: string;
  /** What pods run in: logs, volumes, records of their processes. */
  readonly pods: string;
  /** Volumes of the class `directory`. */
  readonly directories: string;
  readonly log: string;
  readonly pid: string;
}

export function planePaths(home: string, name: string): PlanePaths {
  const cluster = agentPaths(home, name).directory;
  const directory = join(cluster, 'control-plane');
  return {
    directory,
    settings: join(directory, 'settings.json'),
    state: join(directory, 'state.db'),
    pki: join(directory, 'pki'),
    kubeconfig: join(cluster, 'kubeconfig'),
    pods: join(directory, 'pods'),
    directories: join(directory, 'directories'),
    log: join(cluster, 'control-plane.log'),
    pid: join(directory, 'pid'),
  };
}

/** All clusters of this home as contexts of one file. */
export function sharedKubeconfig(home: string): string {
  return join(home, 'kubeconfig');
}

/** Only root mounts for pods, so this is root's. It outlives a reboot, as what was made does. */
export const machineMountPoints = '/var/lib/transship/mount-points';
