// A cluster as it is installed: agents of several nodes as pods start them, and their controllers
// over an API server in memory.
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ControlClient } from '../../../src/api/control-client.ts';
import { kinds } from '../../../src/api/kinds/all.ts';
import { clusters } from '../../../src/api/kinds/cluster.ts';
import { crdOf } from '../../../src/api/kinds/crd.ts';
import { applyObjects } from '../../../src/controllers/install.ts';
import { installationObjects, systemNamespace } from '../../../src/controllers/installation.ts';
import { startControllers } from '../../../src/controllers/manager.ts';
import { createSchemaLibrary } from '../../../src/embedded/schema/library.ts';
import { createApiServer } from '../../../src/embedded/server/server.ts';
import { admin, countingRandom, MemoryPersistence } from '../../../src/embedded/server/testing.ts';
import { agentPaths } from '../../../src/host/agent-paths.ts';
import { createClock } from '../../../src/host/clock.ts';
import { createControlClient } from '../../../src/host/control-client.ts';
import { controllerPorts } from '../../../src/host/controllers.ts';
import { createMetrics } from '../../../src/host/metrics.ts';
import type { KubeClient } from '../../../src/kube/api.ts';
import { createKubeClient } from '../../../src/kube/client.ts';
import type { KubeObject } from '../../../src/kube/objects.ts';

const mainPath = join(import.meta.dirname, '../../../src/main.ts');
const patienceMs = 120_000;

/** Agents as processes of this machine; killed when disposed. */
export class Nodes implements AsyncDisposable {
  readonly home = mkdtempSync(join(tmpdir(), 'ts-'));
  readonly #children = new Map<string, ChildProcess>();

  /** Also starts again what was killed. */
  async start(name: string, cluster: string): Promise<ControlClient> {
    const home = join(this.home, name);
    const pool = join(this.home, `${name}-pool`);
    const words = ['node-agent', name, '--of', cluster, '--pool', pool];
    const child = spawn(process.execPath, ['--no-warnings', mainPath, ...words], {
      env: { ...process.env, TRANSSHIP_HOME: home },
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#children.set(name, child);
    await new Promise<void>((resolve, reject) => {
      let said = '';
      child.stderr?.setEncoding('utf8').on('data', (text: string) => {
        said += text;
        if (said.includes('agent ready')) resolve();
      });
      child.once('close', () => reject(new Error(`agent ${name} ended: ${said}`)));
    });
    return this.client(name);
  }

  client(name: string): ControlClient {
    return createControlClient(name, this.socketOf(name));
  }

  socketOf(name: string): string {
    return agentPaths(join(this.home, name), name).controlSocket;
  }

  nbdSocketOf(name: string): string {
    return agentPaths(join(this.home, name), name).nbdSocket;
  }

  async kill(name: string): Promise<void> {
    const child = this.#children.get(name);
    if (child === undefined) return;
    this.#children.delete(name);
    const ended = new Promise((resolve) => child.once('close', resolve));
    if (child.exitCode === null && child.kill('SIGKILL')) await ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const name of this.#children.keys()) await this.kill(name);
    rmSync(this.home, { recursive: true, force: true });
  }
}

export async function until(what: string, test: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (!(await test())) {
    assert.ok(performance.now() < deadline, `waited in vain for ${what}`);
    await sleep(100);
  }
}

export interface Controlled {
  readonly client: KubeClient;
  stop(): Promise<void>;
}

/** The controllers of a cluster whose agents these are, over an API server in memory. */
export async function control(
  name: string,
  agents: readonly { readonly name: string; readonly address: string }[],
): Promise<Controlled> {
  const clock = createClock();
  const log = { log: () => undefined };
  const random = countingRandom();
  const persistence = new MemoryPersistence();
  const library = createSchemaLibrary();
  const server = createApiServer({ clock, random, log, library, persistence });
  const client = createKubeClient({
    cluster: name,
    transport: (request) => server.handle(request, admin),
    clock,
    random,
    log,
    fieldManager: 'transship-controller',
  });
  await applyObjects(client, kinds.map(crdOf) as unknown as readonly KubeObject[]);
  await applyObjects(client, installationObjects({ defaultClass: true, migrations: true }));
  const agentPods = { namespace: systemNamespace, selector: 'a=b', port: 1 };
  await client.create(clusters, { metadata: { name }, spec: { local: true, agents, agentPods } });
  const ports = controllerPorts(client, { metrics: createMetrics(), identity: name });
  const controllers = startControllers(ports, { identity: name, leaderElection: false });
  const stop = async (): Promise<void> => {
    await controllers.stop();
    await ports.close();
    await server.close();
  };
  return { client, stop };
}
