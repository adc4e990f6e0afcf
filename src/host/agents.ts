/** The agents of this host: where they live, starting and stopping their processes. */
import * as fs from 'node:fs';
import { join } from 'node:path';
import { fail } from '../base/errors.ts';
import { isName } from '../base/names.ts';
import type { ControlClient } from '../api/control-client.ts';
import type { Agents, StartAgent } from '../cli/ports.ts';
import { agentPaths } from './agent-paths.ts';
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
  const connect = (name: string) => createControlClient(name, agentPaths(home, name).controlSocket);
  return {
    home,
    known: () => knownNames(home),
    running: async () => {
      const names = knownNames(home);
      const alive = await Promise.all(names.map((name) => isAlive(connect(name))));
      return names.filter((_, index) => alive[index]);
    },
    connect,
    start: async (start) => {
      if (await isAlive(connect(start.name))) return false;
      await startProcess(options, start);
      return true;
    },
    stop: (name, timeoutMs) => stopProcess(connect(name), timeoutMs),
    logPath: (name) => agentPaths(home, name).log,
    repairPool: async (name, onLine) => {
      if (await isAlive(connect(name))) {
        fail('InUse', `cluster ${name} runs; stop it first: transship down ${name}`);
      }
      const { repairPool } = await import('./repair.ts');
      await repairPool(agentPaths(home, name), onLine);
    },
  };
}

function knownNames(home: string): readonly string[] {
  const directory = join(home, 'clusters');
  if (!fs.existsSync(directory)) return [];
  return fs
    .readdirSync(directory)
    .filter((name) => isName(name) && fs.existsSync(agentPaths(home, name).settings))
    .toSorted();
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
  const { directory, log } = agentPaths(options.home, start.name);
  const args = [...agentFlags, options.mainPath, 'agent', options.home, JSON.stringify(start)];
  await startBackground({ what: `cluster ${start.name}`, args, directory, log });
}

async function stopProcess(client: ControlClient, timeoutMs: number): Promise<boolean> {
  if (!(await isAlive(client))) return false;
  const { pid } = (await client.call('agent.status', {})).status;
  await client.call('agent.stop', {});
  if (pid !== undefined) await waitForEnd(pid, `cluster ${client.cluster}`, timeoutMs);
  return true;
}
