/** The agents of this host: where they live, starting and stopping their processes. */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { fail } from '../base/errors.ts';
import { isName } from '../base/names.ts';
import type { ControlClient } from '../api/control-client.ts';
import type { Agents, StartAgent } from '../cli/ports.ts';
import { type AgentPaths, agentPaths, nodesDirectory } from './agent-paths.ts';
import { startBackground, waitForEnd } from './background.ts';
import { createControlClient } from './control-client.ts';

/** How long an answer to "are you there?" may take. */
const aliveMs = 2_000;
/**
 * What an agent keeps long is in typed arrays outside the heap; left alone, V8 lets garbage of an
 * import grow to hundreds of megabytes and keeps them.
 */
const agentFlags = [
  '--disable-warning=ExperimentalWarning',
  '--max-semi-space-size=8',
  '--max-old-space-size=1024',
];

export interface AgentsOptions {
  readonly home: string;
  /** The program itself, to start agents with. */
  readonly mainPath: string;
}

export function createAgents(options: AgentsOptions): Agents {
  const { home } = options;
  const connect = (name: string) => createControlClient(name, pathsOf(home, name).controlSocket);
  const isAnyAlive = async (cluster: string): Promise<boolean> => {
    const alive = await Promise.all(agentsOf(home, cluster).map((name) => isAlive(connect(name))));
    return alive.includes(true);
  };
  return {
    home,
    known: () => knownNames(home),
    running: async () => {
      const names = knownNames(home);
      const alive = await Promise.all(names.map(isAnyAlive));
      return names.filter((_, index) => alive[index]);
    },
    agentsOf: (cluster) => agentsOf(home, cluster),
    clusterOf: (name) => clusterWith(home, name),
    connect,
    start: async (start) => {
      checkFree(home, start);
      if (await isAlive(connect(start.name))) return false;
      await startProcess(options, start);
      return true;
    },
    stop: (name, timeoutMs) => stopProcess(connect(name), timeoutMs),
    logPath: (name) => pathsOf(home, name).log,
    repairPool: async (name, onLine) => {
      if (await isAlive(connect(name))) {
        fail('InUse', `cluster ${name} runs; stop it first: transship down ${name}`);
      }
      const { repairPool } = await import('./repair.ts');
      await repairPool(pathsOf(home, name), onLine);
    },
  };
}

function knownNames(home: string): readonly string[] {
  return namesIn(join(home, 'clusters')).filter((name) => {
    return fs.existsSync(agentPaths(home, name).settings);
  });
}

function namesIn(directory: string): readonly string[] {
  if (!fs.existsSync(directory)) return [];
  return fs.readdirSync(directory).filter(isName).toSorted();
}

/** The first, which has the cluster's name, then the others by their numbers. */
function agentsOf(home: string, cluster: string): readonly string[] {
  const others = namesIn(nodesDirectory(home, cluster)).filter((name) => {
    return fs.existsSync(agentPaths(home, name, cluster).settings);
  });
  return [cluster, ...others.toSorted((a, b) => numberOf(a) - numberOf(b))];
}

function numberOf(agent: string): number {
  return Number(agent.slice(agent.lastIndexOf('-') + 1));
}

/** The cluster of which an agent of this name is one, beside the first. */
function clusterWith(home: string, name: string): string | undefined {
  return namesIn(join(home, 'clusters')).find((cluster) => {
    return fs.existsSync(agentPaths(home, name, cluster).settings);
  });
}

function pathsOf(home: string, name: string): AgentPaths {
  const own = agentPaths(home, name);
  if (fs.existsSync(own.settings)) return own;
  const cluster = clusterWith(home, name);
  return cluster === undefined ? own : agentPaths(home, name, cluster);
}

/** An agent's name is one in the whole home: peers know it by that. */
function checkFree(home: string, { name, memberOf }: StartAgent): void {
  const other = clusterWith(home, name);
  const isCluster = fs.existsSync(agentPaths(home, name).settings);
  if (other !== undefined && other !== memberOf) {
    fail('AlreadyExists', `${name} is a node of cluster ${other}; choose another name`);
  }
  if (memberOf !== undefined && isCluster) {
    fail('AlreadyExists', `there is a cluster ${name}: a node of ${memberOf} cannot have its name`);
  }
}

async function isAlive(client: ControlClient): Promise<boolean> {
  const answer = client.call('agent.status', {}).then(
    () => true,
    () => false,
  );
  const late = new Promise<boolean>((resolve) => {
    setTimeout(() => resolve(false), aliveMs).unref();
  });
  return Promise.race([answer, late]);
}

async function startProcess(options: AgentsOptions, start: StartAgent): Promise<void> {
  const { directory, log } = agentPaths(options.home, start.name, start.memberOf);
  const args = [...agentFlags, options.mainPath, 'agent', options.home, JSON.stringify(start)];
  const what = start.memberOf === undefined ? 'cluster' : 'node';
  await startBackground({ what: `${what} ${start.name}`, args, directory, log });
}

async function stopProcess(client: ControlClient, timeoutMs: number): Promise<boolean> {
  if (!(await isAlive(client))) return false;
  const { pid } = (await client.call('agent.status', {})).status;
  await client.call('agent.stop', {});
  if (pid !== undefined) await waitForEnd(pid, `cluster ${client.cluster}`, timeoutMs);
  return true;
}
