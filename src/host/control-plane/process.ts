/**
 * The control plane of an embedded cluster as a process: API server, what runs beside it, pods, and
 * the controllers. The agent is another process: volumes outlive this one.
 */
import { randomInt } from 'node:crypto';
import * as fs from 'node:fs';
import { stringify } from 'yaml';
import { kinds } from '../../api/kinds/all.ts';
import { crdOf } from '../../api/kinds/crd.ts';
import { resources } from '../../api/kinds/resources.ts';
import { fail } from '../../base/errors.ts';
import { checkName } from '../../base/names.ts';
import type { StartPlane } from '../../cli/ports.ts';
import { applyObjects } from '../../controllers/install.ts';
import {
  controllerAccount,
  installationObjects,
  systemNamespace,
} from '../../controllers/installation.ts';
import { startControllers } from '../../controllers/manager.ts';
import { createSchemaLibrary } from '../../embedded/schema/library.ts';
import type { Runtime } from '../../embedded/runtime/runtime.ts';
import { directoryClass } from '../../embedded/runtime/storage/directory-class.ts';
import type { ApiServer, PodLogRequest, UserInfo } from '../../embedded/server/api.ts';
import { createApiServer } from '../../embedded/server/server.ts';
import type { KubeClient } from '../../kube/api.ts';
import { createKubeClient } from '../../kube/client.ts';
import { kubeconfigOf } from '../../kube/kubeconfig.ts';
import type { KubeObject } from '../../kube/objects.ts';
import { agentPaths } from '../agent-paths.ts';
import { recordProcess } from '../background.ts';
import { createClock } from '../clock.ts';
import { controllerIdentity, controllerManager, controllerPorts } from '../controllers.ts';
import { serveMetrics } from '../control-server.ts';
import { createMetrics } from '../metrics.ts';
import { writePrivate } from '../private-file.ts';
import { createRandom } from '../random.ts';
import { runService, type Wiring } from '../service-process.ts';
import { type ApiListener, listenApi } from './api-listener.ts';
import { openPki, type Pki } from './authority.ts';
import { counted } from './counted.ts';
import { startMachinery } from './machinery.ts';
import { type PlanePaths, planePaths } from './paths.ts';
import { readSaved, save } from './saved.ts';
import { openSqlite } from './sqlite.ts';

export interface ControlPlaneOptions {
  readonly home: string;
  readonly start: StartPlane;
  readonly version: string;
  /** Called once, when it serves or has failed to. */
  readonly onReady: (error?: unknown) => void;
}

const host = '127.0.0.1';
/** By which clients may call the server. */
const names = [host, '::1', 'localhost'];

/** Whoever runs the cluster's own machinery, as kube-controller-manager and kubelet in one. */
const machinery: UserInfo = { name: 'system:embedded', groups: ['system:masters'] };

/** The controllers get no more rights than they would have in any other cluster. */
const controller: UserInfo = {
  name: `system:serviceaccount:${systemNamespace}:${controllerAccount}`,
  groups: [
    'system:serviceaccounts',
    `system:serviceaccounts:${systemNamespace}`,
    'system:authenticated',
  ],
};

/** Until pods leave a node that is not heard of; elsewhere it is five minutes. */
const lostNodeSeconds = 10;

/** Runs until it is told to stop; resolves with the exit code. */
export async function runControlPlane(options: ControlPlaneOptions): Promise<number> {
  return runService({
    what: 'control plane',
    cluster: options.start.name,
    wire: async (wiring) => wire(options, wiring),
    onReady: options.onReady,
  });
}

async function wire(options: ControlPlaneOptions, wiring: Wiring): Promise<void> {
  const { home, start } = options;
  const { undo, log } = wiring;
  const name = checkName(start.name, 'cluster');
  const paths = planePaths(home, name);
  fs.mkdirSync(paths.directory, { recursive: true, mode: 0o700 });
  const persistence = openSqlite(paths.state);
  const clock = createClock();
  const random = createRandom();
  const library = createSchemaLibrary();
  const late: { runtime?: Runtime } = {};
  const readLog = async (request: PodLogRequest) => {
    if (late.runtime === undefined) fail('Stopping', 'pods are not looked after yet');
    return late.runtime.readLog(request);
  };
  const metrics = createMetrics();
  const patience = start.nodes === undefined ? {} : { tolerationSeconds: lostNodeSeconds };
  const parts = { clock, random, log, persistence, library, readLog };
  const plain = createApiServer({ ...parts, ...patience });
  const server = counted(plain, metrics, clientWord);
  undo.push(() => server.close());
  const pki = openPki(paths.pki, name, names);
  const listener = await listen(paths, start, { server, pki, log, undo });
  recordProcess(paths.pid);
  undo.push(() => fs.rmSync(paths.pid, { force: true }));
  const clientOf = (user: UserInfo, fieldManager: string): KubeClient =>
    createKubeClient({
      cluster: name,
      transport: (request) => server.handle(request, user),
      clock,
      random,
      log,
      fieldManager,
    });
  await install(clientOf(machinery, 'transship-install'), home, start);
  log.log('info', 'API server ready', { port: listener.port });
  const metricsServer = await serveMetrics(readSaved(paths).metricsPort ?? 0, () => metrics.text());
  undo.push(() => metricsServer.close());
  save(paths, { metricsPort: metricsServer.port! });
  const apiServer = { host, port: listener.port, authority: pki.authority };
  const client = clientOf(machinery, 'transship-embedded');
  late.runtime = startMachinery({ home, start, paths, client, metrics, apiServer, undo });
  await late.runtime.started;
  if (start.withoutController === true) return;
  const identity = controllerIdentity();
  const own = clientOf(controller, controllerManager);
  const ports = controllerPorts(own, { metrics, identity });
  undo.push(() => ports.close());
  const controllers = startControllers(ports, { identity, leaderElection: true });
  undo.push(() => controllers.stop());
}

/** For metrics: who asked. Hubs of other clusters and people come from outside. */
function clientWord(user: UserInfo | undefined): string {
  if (user?.name === machinery.name) return 'machinery';
  return user?.name === controller.name ? 'controller' : 'outside';
}

/** What every cluster with Transship has, and the object that stands for this cluster. */
async function install(client: KubeClient, home: string, start: StartPlane): Promise<void> {
  const { name, nodes = [] } = start;
  await applyObjects(client, kinds.map(crdOf) as unknown as readonly KubeObject[]);
  await applyObjects(client, [
    ...installationObjects({ defaultClass: true, migrations: true }),
    directoryClass(),
  ]);
  const agents = [name, ...nodes].map((agent) => {
    const { controlSocket } = agentPaths(home, agent, agent === name ? undefined : name);
    return { name: agent, address: `unix://${controlSocket}` };
  });
  await client.apply(resources.clusters, { metadata: { name }, spec: { local: true, agents } });
}

/**
 * Below those that systems give to outgoing connections: while a control plane is down nobody else
 * takes it by chance, and kubeconfigs that others have stay right.
 */
function quietPort(): number {
  return randomInt(16_384, 32_768);
}

/** The port of the last time, because kubeconfigs name it; any other when somebody took it. */
async function listen(
  paths: PlanePaths,
  start: StartPlane,
  parts: Pick<Wiring, 'log' | 'undo'> & { readonly server: ApiServer; readonly pki: Pki },
): Promise<ApiListener> {
  const { server, pki, log, undo } = parts;
  const listenAt = async (port: number) =>
    listenApi({ server, log, host, port, ...pki.server, authority: pki.authority });
  const wanted = start.apiPort ?? readSaved(paths).apiPort;
  const listener = await listenAt(wanted ?? quietPort()).catch((error: unknown) => {
    if (start.apiPort !== undefined) throw error;
    log.log('warn', 'the API port is taken', { port: wanted });
    return listenAt(0);
  });
  undo.push(() => listener.close());
  save(paths, { apiPort: listener.port });
  const context = {
    name: start.name,
    server: `https://${host}:${listener.port}`,
    authority: pki.authority,
    user: pki.administrator,
  };
  writePrivate(paths.kubeconfig, stringify(kubeconfigOf([context], start.name)));
  return listener;
}
