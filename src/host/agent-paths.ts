/** Where an agent keeps what. */
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';

export interface AgentPaths {
  readonly directory: string;
  /** What the agent was started with; remembered for the next start. */
  readonly settings: string;
  readonly controlSocket: string;
  readonly nbdSocket: string;
  readonly pool: string;
  /** A directory for each attached volume: apart, because volumes may be called anything. */
  readonly attachments: string;
  readonly log: string;
  readonly pid: string;
}

/**
 * The first agent of a cluster has the cluster's name and directory, which has the others' in it.
 * `memberOf` is the cluster of such another one.
 */
export function agentPaths(home: string, name: string, memberOf?: string): AgentPaths {
  const directory =
    memberOf === undefined
      ? join(home, 'clusters', name)
      : join(nodesDirectory(home, memberOf), name);
  return {
    directory,
    settings: join(directory, 'settings.json'),
    controlSocket: join(directory, 'control.sock'),
    nbdSocket: join(directory, 'nbd.sock'),
    pool: join(directory, 'pool'),
    attachments: join(directory, 'attachments'),
    log: join(directory, 'agent.log'),
    pid: join(directory, 'agent.pid'),
  };
}

/** Where the agents of a cluster are that are not its first. */
export function nodesDirectory(home: string, cluster: string): string {
  return join(home, 'clusters', cluster, 'nodes');
}

/** TRANSSHIP_HOME, or `~/.transship`. */
export function homeOf(environment: Readonly<Record<string, string | undefined>>): string {
  const named = environment['TRANSSHIP_HOME'];
  return named === undefined || named === '' ? join(homedir(), '.transship') : resolve(named);
}
